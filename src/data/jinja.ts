import * as jinja from "@huggingface/jinja";

/**
 * The parts of `@huggingface/jinja` that its `Template` class is made of. `Template.render` refuses to replace
 * `strftime_now`, whose clock must be fixed here, so the parts are used one by one. The package's own types name files
 * without an extension, which TypeScript does not resolve for ES modules; these are the same signatures.
 */
interface JinjaParts {
  tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): JinjaTokens;
  parse(tokens: JinjaTokens): JinjaProgram;
  /** Knows `namespace` and nothing else; `set` throws for a name that is already there. */
  Environment: new () => JinjaEnvironment;
  Interpreter: new (environment: JinjaEnvironment) => { run(program: JinjaProgram): { readonly value: unknown } };
}

declare const brand: unique symbol;
interface JinjaTokens {
  readonly [brand]: "tokens";
}
export interface JinjaProgram {
  readonly [brand]: "program";
}
interface JinjaEnvironment {
  set(name: string, value: unknown): unknown;
}

const parts = jinja as unknown as JinjaParts;

/**
 * Parses a template with the white-space rules that Hugging Face sets for every chat template.
 * @throws Error from the parser
 */
export function parseTemplate(source: string): JinjaProgram {
  return parts.parse(parts.tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
}

/**
 * Runs a template with exactly these globals.
 * @throws Error from the template, or from a function among the globals
 */
export function runTemplate(program: JinjaProgram, globals: Readonly<Record<string, unknown>>): unknown {
  const environment = new parts.Environment();
  for (const [name, value] of Object.entries(globals)) environment.set(name, value);
  return new parts.Interpreter(environment).run(program).value;
}
