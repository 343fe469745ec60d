import { readFile, stat } from "node:fs/promises";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { InputError } from "../errors.js";
import type { Interval } from "../result.js";
import { schemaProblem, type ResultProblem } from "./result-problems.js";

/** 200 candidates on 50,000 samples take half of it; keeps a wrong file from filling the memory. */
export const MAX_RESULT_BYTES = 256 * 2 ** 20;

/** A kind of result: `calibration` is written by `calibrate --json` and says `lora-boundary/calibration@1`. */
export type ResultKind = "calibration" | "analysis";

const WRITERS: Readonly<Record<ResultKind, string>> = {
  calibration: "`calibrate --json`",
  analysis: "`analyze --json`",
};

/** A file of one of the wanted kinds, checked against the published schema. */
export interface ResultFile {
  readonly kind: ResultKind;
  readonly value: object;
}

/**
 * @throws InputError RESULT_UNREADABLE, RESULT_TOO_LARGE, RESULT_NOT_JSON (truncated files too), RESULT_SCHEMA (another
 *   kind or version), RESULT_FIELD with `details.field`, the JSON path of what is wrong
 */
export async function readResultFile(path: string, kinds: readonly ResultKind[]): Promise<ResultFile> {
  const writers = kinds.map((kind) => WRITERS[kind]).join(" or ");
  const value = parse(await text(path, writers), path, writers);
  const kind = requireSchema(value, path, kinds, writers);
  const validate = await validator(kind);
  if (!validate(value)) {
    const [first] = validate.errors ?? [];
    if (first !== undefined) throw fieldError(path, schemaProblem(first));
  }
  return { kind, value: value as object };
}

export function fieldError(path: string, { path: field, expected, received }: ResultProblem): InputError {
  return new InputError(
    "RESULT_FIELD",
    `${path}: expected ${expected} for \`${field}\` but received ${received}; the file was changed by hand or by another program: write it again.`,
    { details: { path, field, expected, received } },
  );
}

/** JSON has no infinity: a bound that the samples cannot give is written as null. */
export function intervalOf({ mean, low, high }: Interval): Interval {
  return { mean, low: orElse(low, -Infinity), high: orElse(high, Infinity) };
}

export function orElse(written: number | null, unbounded: number): number {
  return written ?? unbounded;
}

async function text(path: string, writers: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_RESULT_BYTES) {
      throw new InputError(
        "RESULT_TOO_LARGE",
        `${path}: expected a result file of at most ${MAX_RESULT_BYTES} bytes but received ${size}; give a file that ${writers} has written.`,
        { details: { path, limit: MAX_RESULT_BYTES, bytes: size } },
      );
    }
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new InputError("RESULT_UNREADABLE", `${path}: the result file cannot be read (${code}); check the path.`, {
      cause,
      details: { path, systemCode: code },
    });
  }
}

function parse(content: string, path: string, writers: string): unknown {
  try {
    // A byte order mark is what some editors leave behind.
    return JSON.parse(content.replace(/^\ufeff/, ""));
  } catch (cause) {
    const isCut = !content.trimEnd().endsWith("}");
    const why = content.trim() === "" ? "is empty" : isCut ? "is no JSON or ends too early" : "is no JSON";
    throw new InputError(
      "RESULT_NOT_JSON",
      `${path}: expected a result that ${writers} has written but the file ${why}; write it again.`,
      { cause, details: { path } },
    );
  }
}

function requireSchema(value: unknown, path: string, kinds: readonly ResultKind[], writers: string): ResultKind {
  const schema = typeof value === "object" && value !== null && "schema" in value ? value.schema : undefined;
  const kind = kinds.find((it) => schema === schemaName(it));
  if (kind !== undefined) return kind;
  const received = typeof schema === "string" ? schema.slice(0, 100) : "no such field";
  const isVersion = kinds.some((it) => new RegExp(`^lora-boundary/${it}@\\d+$`).test(received));
  const advice = isVersion
    ? "it is of another version of lora-boundary: use that version, or write it again"
    : `give a file that ${writers} has written`;
  throw new InputError(
    "RESULT_SCHEMA",
    `${path}: expected \`schema\` to be ${kinds.map(schemaName).join(" or ")} but received ${received}; ${advice}.`,
    { details: { path, schema: received } },
  );
}

function schemaName(kind: ResultKind): string {
  return `lora-boundary/${kind}@1`;
}

const compiled = new Map<ResultKind, ValidateFunction>();

/** By the schema as it is published with the package. */
async function validator(kind: ResultKind): Promise<ValidateFunction> {
  const known = compiled.get(kind);
  if (known !== undefined) return known;
  const url = new URL(`../../schema/${kind}-1.schema.json`, import.meta.url);
  const schema = JSON.parse(await readFile(url, "utf8")) as object;
  const validate = new Ajv2020({ allowUnionTypes: true, verbose: true }).compile(schema);
  compiled.set(kind, validate);
  return validate;
}
