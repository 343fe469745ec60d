import { readFile, stat } from "node:fs/promises";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { InputError } from "../errors.js";
import { schemaProblem, type ResultProblem } from "./result-problems.js";

/** A kind of JSON file that this package writes and reads again. */
export interface JsonKind {
  /** Its `schema` field: `lora-boundary/calibration@1`. */
  readonly schema: string;
  /** File in the package's `schema` folder. */
  readonly schemaFile: string;
  /** For messages: what writes such files, `calibrate --json`. */
  readonly writer: string;
}

/** What a file may be, and how messages speak of it. */
export interface WantedJson {
  /** Begins the codes of errors: `RESULT`. */
  readonly code: string;
  /** For messages: `result`. */
  readonly noun: string;
  /** Keeps a wrong file from filling the memory. */
  readonly mostBytes: number;
  readonly kinds: readonly JsonKind[];
}

export interface CheckedJson {
  readonly kind: JsonKind;
  readonly value: object;
}

/**
 * Reads a JSON file of one of the wanted kinds, checked against its published schema. Fields that this version does not know pass.
 *
 * @throws InputError, its code beginning with that of the kind: _UNREADABLE, _TOO_LARGE, _NOT_JSON (truncated files too),
 *   _SCHEMA (another kind or version), _FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readCheckedJson(path: string, wanted: WantedJson): Promise<CheckedJson> {
  const value = parse(await text(path, wanted), path, wanted);
  const kind = requireSchema(value, path, wanted);
  const validate = await validatorOf(kind);
  if (!validate(value)) {
    const [first] = validate.errors ?? [];
    if (first !== undefined) throw fieldError(path, schemaProblem(first), wanted);
  }
  return { kind, value: value as object };
}

/** What is wrong in a file that its schema lets pass, or does not. */
export function fieldError(
  path: string,
  { path: field, expected, received }: ResultProblem,
  { code }: Pick<WantedJson, "code">,
): InputError {
  return new InputError(
    `${code}_FIELD`,
    `${path}: expected ${expected} for \`${field}\` but received ${received}; the file was changed by hand or by another program: write it again.`,
    { details: { path, field, expected, received } },
  );
}

async function text(path: string, { code, noun, mostBytes, kinds }: WantedJson): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > mostBytes) {
      throw new InputError(
        `${code}_TOO_LARGE`,
        `${path}: expected a ${noun} file of at most ${mostBytes} bytes but received ${size}; give a file that ${writers(kinds)} has written.`,
        { details: { path, limit: mostBytes, bytes: size } },
      );
    }
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    const system = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new InputError(
      `${code}_UNREADABLE`,
      `${path}: the ${noun} file cannot be read (${system}); check the path.`,
      { cause, details: { path, systemCode: system } },
    );
  }
}

function parse(content: string, path: string, { code, noun, kinds }: WantedJson): unknown {
  try {
    // A byte order mark is what some editors leave behind.
    return JSON.parse(content.replace(/^\ufeff/, ""));
  } catch (cause) {
    const isCut = !content.trimEnd().endsWith("}");
    const why = content.trim() === "" ? "is empty" : isCut ? "is no JSON or ends too early" : "is no JSON";
    throw new InputError(
      `${code}_NOT_JSON`,
      `${path}: expected a ${noun} that ${writers(kinds)} has written but the file ${why}; write it again.`,
      { cause, details: { path } },
    );
  }
}

function requireSchema(value: unknown, path: string, { code, kinds }: WantedJson): JsonKind {
  const schema = typeof value === "object" && value !== null && "schema" in value ? value.schema : undefined;
  const kind = kinds.find((it) => schema === it.schema);
  if (kind !== undefined) return kind;
  const received = typeof schema === "string" ? schema.slice(0, 100) : "no such field";
  const unversioned = (name: string) => name.replace(/@\d+$/, "");
  const isVersion = /@\d+$/.test(received) && kinds.some((it) => unversioned(received) === unversioned(it.schema));
  const advice = isVersion
    ? "it is of another version of lora-boundary: use that version, or write it again"
    : `give a file that ${writers(kinds)} has written`;
  throw new InputError(
    `${code}_SCHEMA`,
    `${path}: expected \`schema\` to be ${kinds.map((it) => it.schema).join(" or ")} but received ${received}; ${advice}.`,
    { details: { path, schema: received } },
  );
}

function writers(kinds: readonly JsonKind[]): string {
  return kinds.map(({ writer }) => `\`${writer}\``).join(" or ");
}

const compiled = new Map<string, ValidateFunction>();

async function validatorOf({ schemaFile }: JsonKind): Promise<ValidateFunction> {
  const known = compiled.get(schemaFile);
  if (known !== undefined) return known;
  // The schema as it is published with the package.
  const url = new URL(`../../schema/${schemaFile}`, import.meta.url);
  const schema = JSON.parse(await readFile(url, "utf8")) as object;
  const validate = new Ajv2020({ allowUnionTypes: true, verbose: true }).compile(schema);
  compiled.set(schemaFile, validate);
  return validate;
}
