import { InputError } from "../errors.js";
import type { GgufFile } from "./gguf-file.js";
import type { ValueType } from "./metadata.js";

// llama.cpp ends the process where a key that it reads has another type, so a wrong type is an error, never a miss.

/** @returns the text under `key`, or undefined; @throws InputError GGUF_KEY_TYPE where it is no string */
export function textAt(file: GgufFile, key: string): string | undefined {
  return valueOfType(file, key, "string") as string | undefined;
}

/** @returns the number under `key`, or undefined; @throws InputError GGUF_KEY_TYPE where it is no f32 */
export function f32At(file: GgufFile, key: string): number | undefined {
  return valueOfType(file, key, "f32") as number | undefined;
}

/** @returns the count under `key`, or undefined; @throws InputError GGUF_KEY_TYPE where it is no u32 */
export function u32At(file: GgufFile, key: string): number | undefined {
  return valueOfType(file, key, "u32") as number | undefined;
}

/** @returns the count under `key`, or undefined; @throws InputError GGUF_KEY_TYPE where it is no u16 */
export function u16At(file: GgufFile, key: string): number | undefined {
  return valueOfType(file, key, "u16") as number | undefined;
}

/** @returns the count under `key`, or undefined; @throws InputError GGUF_KEY_TYPE where it is neither u16, i32 nor u32 */
export function countAt(file: GgufFile, key: string): number | undefined {
  return valueOfType(file, key, "u32", "u16", "i32") as number | undefined;
}

/** @returns the numbers under `key`, or undefined; @throws InputError GGUF_KEY_TYPE where it is no array of u32 */
export function u32ArrayAt(file: GgufFile, key: string): readonly number[] | undefined {
  const value = file.metadata.get(key);
  if (value === undefined) return undefined;
  if (value.elementType !== "u32") throw typeError(file, key, "an array of u32");
  return value.decode() as readonly number[];
}

function valueOfType(file: GgufFile, key: string, ...types: readonly ValueType[]): unknown {
  const value = file.metadata.get(key);
  if (value === undefined) return undefined;
  if (!types.includes(value.type)) throw typeError(file, key, types.join(" or "));
  return value.decode();
}

function typeError(file: GgufFile, key: string, expected: string): InputError {
  const value = file.metadata.get(key);
  const received = value?.type === "array" ? `an array of ${value.elementType ?? "unknown"}` : value?.type;
  return new InputError(
    "GGUF_KEY_TYPE",
    `${file.path}: Expected ${expected} for metadata key \`${key}\` but received ${received ?? "nothing"}; the file was written by a faulty tool, convert it again.`,
    { details: { path: file.path, key } },
  );
}
