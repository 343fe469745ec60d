import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";

const NAMES = ["calibration", "analysis", "inspect", "trim", "doctor", "plan", "recipe", "verification"] as const;

/** What a published schema finds wrong with a value, by the value's own `schema` field; empty: nothing. */
export function violations(value: object): readonly string[] {
  const declared = (value as { readonly schema?: unknown }).schema;
  const name = NAMES.find((it) => `lora-boundary/${it}@1` === declared);
  if (name === undefined) return [`no published schema for ${String(declared)}`];
  const url = new URL(`../../schema/${name}-1.schema.json`, import.meta.url);
  const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
  const validate = ajv.compile(JSON.parse(readFileSync(url, "utf8")) as object);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message = "" }) => `${instancePath} ${message}`);
}
