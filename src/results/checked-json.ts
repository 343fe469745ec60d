import { readFile, stat } from "node:fs/promises";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { InputError } from "../errors.js";
import { schemaProblem, type ResultProblem } from "./result-problems.js";

/** A kind of JSON file that this package writes and reads again. */
export interface JsonKind {
  /** Begins the codes of errors: `RESULT`. */
  readonly code: string;
  /** Its `schema` field: `lora-boundary/calibration@1`. */
  readonly schema: string;
  /** File in the package's `schema` folder. */
  readonly schemaFile: string;
  /** For messages: `result`. */
  readonly noun: string;
  /** For messages: what writes such files, `calibrate --json`. */
  readonly writer: string;
  /** Keeps a wrong file from filling the memory. */
  readonly mostBytes: number;
}

/**
 * Reads a JSON file of one kind, checked against its published schema. Fields that this version does not know pass.
 *
 * @throws InputError, its code beginning with that of the kind: _UNREADABLE, _TOO_LARGE, _NOT_JSON (truncated files too),
 *   _SCHEMA (another kind or version), _FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readCheckedJson(path: string, kind: JsonKind): Promise<unknown> {
  const value = parse(await text(path, kind), path, kind);
  requireSchema(value, path, kind);
  const validate = await validatorOf(kind);
  if (!validate(value)) {
    const [first] = validate.errors ?? [];
    if (first !== undefined) throw fieldError(path, schemaProblem(first), kind);
  }
  return value;
}

/** What is wrong in a file that its schema lets pass, or does not. */
export function fieldError(
  path: string,
  { path: field, expected, received }: ResultProblem,
  { code }: JsonKind,
): InputError {
  return new InputError(
    `${code}_FIELD`,
    `${path}: expected ${expected} for \`${field}\` but received ${received}; the file was changed by hand or by another program: write it again.`,
    { details: { path, field, expected, received } },
  );
}

async function text(path: string, { code, noun, writer, mostBytes }: JsonKind): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > mostBytes) {
      throw new InputError(
        `${code}_TOO_LARGE`,
        `${path}: expected a ${noun} file of at most ${mostBytes} bytes but received ${size}; give a file that \`${writer}\` has written.`,
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

function parse(content: string, path: string, { code, noun, writer }: JsonKind): unknown {
  try {
    // A byte order mark is what some editors leave behind.
    return JSON.parse(content.replace(/^\ufeff/, ""));
  } catch (cause) {
    const isCut = !content.trimEnd().endsWith("}");
    const why = content.trim() === "" ? "is empty" : isCut ? "is no JSON or ends too early" : "is no JSON";
    throw new InputError(
      `${code}_NOT_JSON`,
      `${path}: expected a ${noun} that \`${writer}\` has written but the file ${why}; write it again.`,
      { cause, details: { path } },
    );
  }
}

function requireSchema(value: unknown, path: string, { code, schema: expected, writer }: JsonKind): void {
  const schema = typeof value === "object" && value !== null && "schema" in value ? value.schema : undefined;
  if (schema === expected) return;
  const received = typeof schema === "string" ? schema.slice(0, 100) : "no such field";
  const isOther = received.startsWith(expected.replace(/\d+$/, "")) && /@\d+$/.test(received);
  const advice = isOther
    ? "it is of another version of lora-boundary: use that version, or calibrate again"
    : `give a file that \`${writer}\` has written`;
  throw new InputError(
    `${code}_SCHEMA`,
    `${path}: expected \`schema\` to be ${expected} but received ${received}; ${advice}.`,
    { details: { path, schema: received } },
  );
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
