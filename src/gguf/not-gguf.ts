import { stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../errors.js";
import { MAGIC } from "./gguf-file.js";

const CONVERT_ADAPTER = "llama.cpp's `convert_lora_to_gguf.py`";

/** A beginning that is not `GGUF`, what it is, and what to do about it. */
interface Kind {
  readonly name: string;
  readonly matches: (start: Buffer) => boolean;
  readonly advice: string;
}

const startsWith = (text: string) => (start: Buffer) =>
  start.subarray(0, text.length).equals(Buffer.from(text, "latin1"));
const startsWithText = (pattern: RegExp) => (start: Buffer) => pattern.test(start.toString("latin1"));
const CONVERT = `convert it first: an adapter with ${CONVERT_ADAPTER}, a model with \`convert_hf_to_gguf.py\``;

const KINDS: readonly Kind[] = [
  // An 8-byte length, then a JSON object.
  { name: "a safetensors file", matches: (start) => start.length > 9 && start[8] === 0x7b, advice: CONVERT },
  { name: "a PyTorch file (zip archive)", matches: startsWith("PK\x03\x04"), advice: CONVERT },
  { name: "a PyTorch file (pickle)", matches: (start) => start[0] === 0x80 && (start[1] ?? 0) <= 5, advice: CONVERT },
  {
    name: "an old llama.cpp file from before GGUF",
    matches: startsWithText(/^(lmgg|fmgg|tjgg|algg)/),
    advice: `convert the original again, an adapter with ${CONVERT_ADAPTER}`,
  },
  {
    name: "a gzip archive",
    matches: startsWith("\x1f\x8b"),
    advice: "unpack it first",
  },
  {
    name: "a web page",
    matches: startsWithText(/^\s*<(!doctype|html)/i),
    advice: "the download failed, look into the file and download again",
  },
  { name: "a JSON file", matches: startsWithText(/^\s*[[{]/), advice: "give the GGUF file in its place" },
];

/**
 * Checks the first bytes of a file.
 *
 * @throws InputError FILE_EMPTY, FILE_IS_LFS_POINTER, or FILE_NOT_GGUF with what it looks like in `details.kind`
 */
export function requireMagic(start: Buffer, path: string): void {
  if (startsWith(MAGIC)(start)) return;
  if (start.length === 0) {
    throw new InputError("FILE_EMPTY", `${path}: expected a GGUF file but received an empty file; download it again.`, {
      details: { path },
    });
  }
  if (startsWith("version https://git-lfs")(start)) {
    throw new InputError(
      "FILE_IS_LFS_POINTER",
      `${path}: expected a GGUF file but received a Git LFS pointer, the placeholder of a large file; run \`git lfs pull\` in its repository.`,
      { details: { path } },
    );
  }
  if (start.length < MAGIC.length && MAGIC.startsWith(start.toString("latin1"))) {
    throw new InputError(
      "GGUF_TRUNCATED",
      `${path}: The file ends in its header: it has only ${start.length} bytes; download or copy it again.`,
      { details: { path, part: "header", missingBytes: MAGIC.length - start.length } },
    );
  }
  const kind = KINDS.find(({ matches }) => matches(start));
  throw new InputError(
    "FILE_NOT_GGUF",
    kind === undefined
      ? `${path}: expected a GGUF file but its first bytes are ${start.subarray(0, 4).toString("hex")}, not \`GGUF\`; check the path.`
      : `${path}: expected a GGUF file but received ${kind.name}; ${kind.advice}.`,
    { details: { path, kind: kind?.name ?? null } },
  );
}

/** The error for a folder where a file was expected: training tools write folders, so say which one this is. */
export async function folderError(path: string): Promise<InputError> {
  const has = (name: string) =>
    stat(join(path, name)).then(
      () => true,
      () => false,
    );
  const details = { path };
  // MLX writes an adapter_config.json too, so ask for its own file first.
  if (await has("adapters.safetensors")) {
    return new InputError(
      "FILE_IS_MLX_FOLDER",
      `${path}: expected a GGUF file but received an MLX adapter folder; export it as a PEFT adapter (\`adapter_model.safetensors\`) and convert that with ${CONVERT_ADAPTER}.`,
      { details },
    );
  }
  if (await has("adapter_config.json")) {
    return new InputError(
      "FILE_IS_PEFT_FOLDER",
      `${path}: expected a GGUF file but received a PEFT adapter folder; give its base model too (\`--base\` or the first argument), or convert it with ${CONVERT_ADAPTER}: \`python convert_lora_to_gguf.py --base BASE_FOLDER ${path}\`.`,
      { details },
    );
  }
  return new InputError(
    "FILE_IS_FOLDER",
    `${path}: expected a GGUF file but received a folder; give the file inside it.`,
    { details },
  );
}
