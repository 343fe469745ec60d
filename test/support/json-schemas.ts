import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

const FOLDER = new URL("../../schema/", import.meta.url);
const FILE = /^(.+)-(\d+)\.schema\.json$/;

/** What is published: `calibration@1`, by the names of the files. */
export const PUBLISHED: readonly string[] = readdirSync(FOLDER)
  .map((file) => FILE.exec(file) ?? [file, file, ""])
  .map(([, name, version]) => `${name}@${version}`)
  .sort();

/** @param kind such as `calibration@1` */
export function publishedSchema(kind: string): object {
  const url = new URL(`${kind.replace("@", "-")}.schema.json`, FOLDER);
  return JSON.parse(readFileSync(url, "utf8")) as object;
}

/**
 * What a published schema finds wrong with a value; empty: nothing. Readers let unknown fields pass, but what this version
 * writes is described, so here a field that the schema does not know is wrong too.
 *
 * @param kind by default what the value's own `schema` field says
 */
export function violations(value: object, kind = declared(value)): readonly string[] {
  if (!PUBLISHED.includes(kind)) return [`no published schema for ${kind}`];
  const validate = validators.get(kind) ?? compile(kind);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message = "", params }) =>
    `${instancePath} ${message} ${String(params["additionalProperty"] ?? "")}`.trim(),
  );
}

const validators = new Map<string, ValidateFunction>();

function compile(kind: string): ValidateFunction {
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
  const validate = ajv.compile(closed(publishedSchema(kind)) as object);
  validators.set(kind, validate);
  return validate;
}

function declared(value: object): string {
  return String((value as { readonly schema?: unknown }).schema).replace(/^lora-boundary\//, "");
}

/** The same schema, which lets no field pass that it does not name. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return "properties" in schema ? { additionalProperties: false, ...inner } : inner;
}
