import { ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, align, type GgufFile } from "./gguf-file.js";
import { VALUE_TYPES, type MetadataValue } from "./metadata.js";
import type { TensorToWrite } from "./tensor-to-write.js";

/** What a GGUF file is to contain. */
export interface GgufContent {
  readonly version: GgufFile["version"];
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: readonly TensorToWrite[];
}

/** @returns the header with its padding, and the size of the whole file with the padding of its last tensor */
export function encodeHeader(content: GgufContent): { header: Buffer; fileBytes: number } {
  const alignment = content.metadata.get(ALIGNMENT_KEY)?.bytes.readUInt32LE() ?? DEFAULT_ALIGNMENT;
  const header = Buffer.alloc(align(headerBytes(content), alignment));
  let at = header.write(MAGIC);
  const u32 = (value: number) => {
    at = header.writeUInt32LE(value, at);
  };
  const u64 = (value: number) => {
    at = header.writeUInt32LE(value % 2 ** 32, at);
    at = header.writeUInt32LE(Math.floor(value / 2 ** 32), at);
  };
  const name = (text: string) => {
    const start = at + 8;
    const length = header.write(text, start);
    u64(length);
    at = start + length;
  };

  u32(content.version);
  u64(content.tensors.length);
  u64(content.metadata.size);
  for (const [key, value] of content.metadata) {
    name(key);
    u32(VALUE_TYPES.indexOf(value.type));
    at += value.bytes.copy(header, at);
  }
  let dataBytes = 0;
  for (const tensor of content.tensors) {
    name(tensor.name);
    u32(tensor.shape.length);
    tensor.shape.forEach(u64);
    u32(tensor.type.id);
    u64(dataBytes);
    dataBytes += align(tensor.bytes, alignment);
  }
  return { header, fileBytes: header.length + dataBytes };
}

/** Without padding. */
function headerBytes({ metadata, tensors }: GgufContent): number {
  let bytes = MAGIC.length + 4 + 8 + 8;
  for (const [key, value] of metadata) bytes += 8 + Buffer.byteLength(key) + 4 + value.bytes.length;
  for (const { name, shape } of tensors) bytes += 8 + Buffer.byteLength(name) + 4 + 8 * shape.length + 4 + 8;
  return bytes;
}
