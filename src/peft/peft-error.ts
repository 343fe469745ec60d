import { InputError } from "../errors.js";

/** What a folder has that this package does not convert is what llama.cpp's own converter may know. */
export function converterHint(folder: string): string {
  return `convert it with llama.cpp's \`convert_lora_to_gguf.py --base BASE_MODEL_FOLDER ${folder}\` and give the GGUF file`;
}

export function peftError(
  code: string,
  path: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): InputError {
  return new InputError(`PEFT_${code}`, `${path}: ${message}`, { cause, details: { path, ...details } });
}
