import { InputError } from "../errors.js";

/** What people give by mistake in place of a samples file, by its first bytes. */
const NOT_SAMPLES: readonly { readonly starts: readonly number[]; readonly what: string; readonly next: string }[] = [
  {
    starts: [...Buffer.from("GGUF")],
    what: "a GGUF file",
    next: "The order of arguments is base model, adapter, samples.",
  },
  {
    starts: [...Buffer.from("version https://git-lfs")],
    what: "a Git LFS pointer",
    next: "Fetch the file itself with `git lfs pull`.",
  },
  { starts: [0xff, 0xfe], what: "UTF-16 text", next: "Save it as UTF-8." },
  { starts: [0xfe, 0xff], what: "UTF-16 text", next: "Save it as UTF-8." },
  { starts: [0x1f, 0x8b], what: "a gzip file", next: "Unpack it first." },
  { starts: [0x28, 0xb5, 0x2f, 0xfd], what: "a zstd file", next: "Unpack it first." },
  { starts: [0x50, 0x4b, 0x03, 0x04], what: "a zip file", next: "Unpack it first." },
  {
    starts: [...Buffer.from("PAR1")],
    what: "a Parquet file",
    next: "Export it as JSONL, for example `dataset.to_json(...)`.",
  },
];

const BOM = [0xef, 0xbb, 0xbf] as const;

export interface SamplesFileKind {
  /** `array`: one JSON array. `lines`: JSONL. */
  readonly layout: "array" | "lines";
  /** Bytes of a byte order mark to skip. */
  readonly skip: number;
}

/**
 * Tells a JSON array from JSONL by the first byte that is not white space (a JSONL row is an object, never an array).
 * @param head the first bytes of the file
 * @throws InputError for a file of another kind
 */
export function samplesFileKind(head: Uint8Array, path: string): SamplesFileKind {
  for (const { starts, what, next } of NOT_SAMPLES) {
    if (starts.every((byte, index) => head[index] === byte)) {
      throw new InputError("SAMPLES_WRONG_FILE", `Expected samples as JSONL in ${path} but received ${what}. ${next}`, {
        details: { file: path },
      });
    }
  }
  const skip = BOM.every((byte, index) => head[index] === byte) ? BOM.length : 0;
  const first = head.subarray(skip).find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  return { layout: first === 0x5b ? "array" : "lines", skip };
}
