import { text as readAll } from "node:stream/consumers";
import { Option, type Command } from "commander";
import type { ReadPromptsOptions } from "../../data/read-prompts.js";
import { readPrompts, type ReadPrompt } from "../../data/read-prompts.js";
import { GPU_CHOICES, type Gpu } from "../../engine/devices.js";
import { BackendError, CancelledError, UsageError } from "../../errors.js";
import type { Answer, GenerationFacts } from "../../generation/types.js";
import type { NamedScales } from "../../lora/candidate.js";
import { parseCandidateList, referenceCandidates } from "../../lora/candidate-list.js";
import { packageVersion } from "../../package-version.js";
import { AnswerStream, renderAnswerEnds, renderAnswers } from "../../report/answers.js";
import type { CommandContext } from "../context.js";
import { examples } from "../help.js";
import { deliver, jsonOption, requireJsonTarget } from "../json-output.js";
import { decimal, integer } from "../numbers.js";
import { openModel } from "../open-model.js";
import { chatTemplate, templateVariables } from "../template-flags.js";

interface GenerateFlags {
  readonly prompt?: string;
  readonly prompts?: string;
  readonly candidates: string;
  readonly maxTokens: number;
  readonly stop?: readonly string[];
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly sequences: number;
  readonly drafts: boolean;
  readonly context?: number;
  readonly json?: string;
  readonly force?: true;
  readonly chat?: true;
  readonly chatTemplate?: string;
  readonly templateVars?: string;
  readonly templateDate?: string;
  readonly promptTemplate?: string;
  readonly gpu: Gpu;
  readonly gpuLayers?: number;
  readonly device?: readonly string[];
  readonly threads?: number;
}

const EXAMPLES = examples(
  [
    'generate base.gguf adapter.gguf --prompt "Data: name: The Owl | food: pies\\nText:"',
    "What do the base model and the full adapter write",
  ],
  [
    "generate base.gguf adapter.gguf --prompts samples.jsonl --candidates full,upto:24 --json answers.json",
    "The answers of two candidates to the prompts of a file of samples",
  ],
  [
    "generate base.gguf adapter.gguf --chat --temperature 0.7 --seed 1 -",
    "Answer what stdin asks, in a chat, by chance",
  ],
);

export function configure(command: Command): void {
  command
    .description(
      "Let the base model, the full adapter and any candidates write answers, side by side. Greedy unless a temperature is given.",
    )
    .usage("<base> <adapter> [-] [options]")
    .argument("<base>", "GGUF base model, the first part of a split one")
    .argument("<adapter>", "GGUF LoRA adapter trained on it")
    .argument("[stdin]", "- to read one prompt from stdin")
    .option("--prompt <text>", "one prompt; \\n and \\t are line break and tab")
    .option("--prompts <file>", "JSONL or JSON array: prompt, messages, conversations or instruction; samples will do")
    .option(
      "--candidates <names>",
      "who answers: base, full, upto:17, from:5, without:3,7*1.2, scale:1.25",
      "base,full",
    )
    .option("--max-tokens <n>", "tokens of an answer at most", integer, 256)
    .option("--stop <texts...>", "end an answer before one of these; \\n is a line break")
    .option("--temperature <t>", "0: always the most probable token", decimal, 0)
    .option("--top-p <share>", "draw from the most probable tokens that have this share", decimal, 1)
    .option("--seed <n>", "of everything random", integer, 0)
    .option("--sequences <n>", "answers written at the same time", integer, 16)
    .option("--no-drafts", "do not guess ahead from earlier answers; the text is the same, but for ties")
    .option("--context <n>", "tokens of prompt and answer together (default: the model's)", integer)
    .addOption(jsonOption())
    .option("--force", "write over existing files")
    .optionsGroup("Prompts:")
    .option("--chat", "a prompt is what the user says, not a text to go on with")
    .option("--chat-template <file|name>", "instead of the model's own")
    .option("--template-vars <json>", "variables for the chat template")
    .option("--template-date <date>", "today's date for the chat template, YYYY-MM-DD (fixed by default)")
    .option("--prompt-template <text|alpaca>", "for instruction, with {instruction} and {input}")
    .optionsGroup("Machine:")
    .addOption(
      new Option("--gpu <backend>", "where to compute; auto takes the first that works, a name never falls back")
        .choices(GPU_CHOICES)
        .default("none"),
    )
    .option("--gpu-layers <n>", "layers to compute on the GPU (default: all)", integer)
    .option("--device <names...>", "GPUs by the names that doctor lists (default: all of the backend)")
    .option("--threads <n>", "processor threads", integer)
    .addHelpText("after", EXAMPLES);
}

export async function run(args: readonly string[], flags: GenerateFlags, context: CommandContext): Promise<number> {
  const [base = "", source = "", stdin] = args;
  const inputs = [base, source, ...(flags.prompts === undefined ? [] : [flags.prompts])];
  const json = { target: flags.json, inputs, force: flags.force ?? false };
  const rows = await promptRows(flags, stdin);
  await requireJsonTarget(json);
  const { signal, progress, style } = context;
  const devices = { gpu: flags.gpu, gpuLayers: flags.gpuLayers, devices: flags.device };
  await using model = await openModel(base, devices, context);
  const candidates = parseCandidateList(flags.candidates, { layers: model.layers, known: byPlainNames(model.layers) });
  const prompts = await readPrompts(rows, model, await readingOptions(flags, signal));
  await using adapter = await model.loadAdapter(source, { signal });
  const { maxTokens, temperature, topP, seed, sequences, drafts, threads, context: contextTokens } = flags;
  const generator = adapter.openGenerator(
    prompts.map(({ tokens }) => tokens),
    { maxTokens, temperature, topP, seed, sequences, drafts, threads, contextTokens, stop: flags.stop?.map(unescaped) },
  );
  // One prompt is read while it is written; several would run into one another.
  const stream = prompts.length === 1 && flags.json !== "-" ? new AnswerStream(context.stream, style) : null;
  let done = 0;
  const answers = candidates.map(() => prompts.map((): Answer | null => null));
  const writing = generator.generate(candidates, {
    signal,
    onToken: ({ candidate, text }) => {
      stream?.write(candidate, text);
    },
    onAnswer: (candidate, prompt, answer) => {
      const column = answers[candidates.findIndex(({ id }) => id === candidate)];
      if (column !== undefined) column[prompt] = answer;
      stream?.end(candidate, answer);
      done += 1;
      const total = candidates.length * prompts.length;
      if (stream === null) progress.update({ label: "Writing answers", done, total, secondsLeft: null });
    },
  });
  // What was written until Ctrl-C, or until a device was gone, is the result.
  const stopped = await writing.then(
    () => null,
    (error: unknown) => {
      if (error instanceof CancelledError || error instanceof BackendError) return error;
      throw error;
    },
  );
  progress.done();
  if (stopped !== null && done === 0) throw stopped;
  for (const notice of generator.facts.notices) context.stderr(`Notice: ${notice}`);
  const view = {
    candidates: candidates.map(({ id }) => id),
    prompts: prompts.map(({ text }) => text),
    answers,
    maxTokens,
  };
  const cause = stopped instanceof CancelledError ? "cancelled" : "failed";
  const result = {
    schema: "lora-boundary/answers@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command: ["lora-boundary", ...context.argv],
    model: { path: model.path },
    adapter: { path: adapter.path },
    ...answersOf(view.candidates, prompts, answers, generator.facts),
    partial: stopped && { answers: done, ofAnswers: candidates.length * prompts.length, cause },
  };
  await deliver(
    result,
    () => (stream === null ? renderAnswers(view, style) : renderAnswerEnds(view, style)),
    json,
    context,
  );
  if (stopped !== null) throw stopped;
  return 0;
}

function answersOf(
  candidates: readonly string[],
  prompts: readonly ReadPrompt[],
  answers: readonly (readonly (Answer | null)[])[],
  { steps, tokensComputed, tokensWritten, seconds }: GenerationFacts,
) {
  return {
    prompts: prompts.map(({ line, text, tokens }) => ({ line, text, tokens: tokens.length })),
    candidates: candidates.map((id, index) => ({
      id,
      // Null: not written.
      answers: (answers[index] ?? []).map(
        (answer) => answer && { text: answer.text, tokens: answer.tokens.length, finish: answer.finish },
      ),
    })),
    cost: { steps, tokensComputed, tokensWritten, seconds },
  };
}

/** Exactly one of --prompt, --prompts and -. */
async function promptRows({ prompt, prompts }: GenerateFlags, stdin: string | undefined) {
  const given = [prompt !== undefined && "--prompt", prompts !== undefined && "--prompts", stdin].filter(
    (name) => name !== false && name !== undefined,
  );
  if (given.length !== 1 || (stdin !== undefined && stdin !== "-")) {
    throw new UsageError(
      "GENERATE_PROMPT",
      `Expected one of \`--prompt TEXT\`, \`--prompts FILE\` and \`-\` (stdin) but received ${given.length === 0 ? "none" : given.join(" and ")}.`,
    );
  }
  if (prompts !== undefined) return prompts;
  return [{ prompt: prompt === undefined ? await readAll(process.stdin) : unescaped(prompt) }];
}

async function readingOptions(flags: GenerateFlags, signal: AbortSignal): Promise<ReadPromptsOptions> {
  const { chat, templateDate, promptTemplate } = flags;
  return {
    ...{ chat, templateDate, promptTemplate, signal },
    chatTemplate: await chatTemplate(flags.chatTemplate),
    templateVariables: templateVariables(flags.templateVars),
  };
}

/** Shells pass `\n` on as two characters. */
function unescaped(text: string): string {
  return text.replace(/\\([nt\\])/g, (_, letter: string) => (letter === "n" ? "\n" : letter === "t" ? "\t" : "\\"));
}

/** The base model and the full adapter as people ask for them. */
function byPlainNames(layers: number): readonly NamedScales[] {
  return referenceCandidates(layers).map((scales, index) => ({ ...scales, id: index === 0 ? "base" : "full" }));
}
