import { isUtf8 } from "node:buffer";
import { InputError } from "../errors.js";
import { ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, align, type GgufFile, type TensorDescriptor } from "./gguf-file.js";
import { LIMITS } from "./limits.js";
import { FIXED_BYTES, MetadataValue, VALUE_TYPES, type ValueType } from "./metadata.js";
import { TENSOR_TYPES } from "./tensor-types.js";

type Part = "header" | "metadata" | "tensor table" | "tensor data";

/** The bytes given are a sound beginning, but the header goes on behind them. */
export class MoreBytesNeeded {
  readonly atLeast: number;

  constructor(atLeast: number) {
    this.atLeast = atLeast;
  }
}

/**
 * Parses header, metadata and tensor table from the first bytes of a file, without touching the file.
 *
 * @param bytes from the start of the file; must begin with the magic
 * @param fileBytes size of the whole file, against which every length and offset is checked
 * @returns the file's description, or how many bytes from the start are needed to go on
 * @throws InputError GGUF_* for anything malformed, above a limit or beyond the end of the file
 */
export function parseHeader(bytes: Buffer, path: string, fileBytes: number): GgufFile | MoreBytesNeeded {
  try {
    return new HeaderParser(bytes, path, fileBytes).parse();
  } catch (error) {
    if (error instanceof MoreBytesNeeded) return error;
    throw error;
  }
}

class HeaderParser {
  readonly #bytes: Buffer;
  readonly #path: string;
  readonly #fileBytes: number;
  #position = 0;
  #part: Part = "header";

  constructor(bytes: Buffer, path: string, fileBytes: number) {
    this.#bytes = bytes;
    this.#path = path;
    this.#fileBytes = fileBytes;
  }

  parse(): GgufFile {
    this.#take(MAGIC.length);
    const version = this.#version();
    const tensorCount = this.#size("tensors", LIMITS.tensors);
    const keyCount = this.#size("metadata keys", LIMITS.metadataKeys);

    this.#part = "metadata";
    const metadata = new Map<string, MetadataValue>();
    for (let index = 0; index < keyCount; index++) {
      const key = this.#name("a metadata key", LIMITS.keyBytes);
      if (metadata.has(key)) throw this.#error("DUPLICATE_KEY", `Metadata key \`${key}\` stands in the file twice`);
      const type = this.#valueType(key);
      const start = this.#position;
      this.#skipValue(type, key, 0);
      metadata.set(key, new MetadataValue(type, this.#bytes.subarray(start, this.#position)));
    }
    const alignment = this.#alignment(metadata);

    this.#part = "tensor table";
    const table: TableRow[] = [];
    const names = new Set<string>();
    for (let index = 0; index < tensorCount; index++) {
      const row = this.#tensor();
      if (names.has(row.name)) throw this.#error("DUPLICATE_TENSOR", `Tensor \`${row.name}\` stands in the file twice`);
      names.add(row.name);
      table.push(row);
    }

    this.#part = "tensor data";
    const dataOffset = tensorCount > 0 ? align(this.#position, alignment) : this.#position;
    const tensors = this.#place(table, dataOffset, alignment);
    return { path: this.#path, version, fileBytes: this.#fileBytes, alignment, dataOffset, metadata, tensors };
  }

  #version(): 2 | 3 {
    const version = this.#bytes.readUInt32LE(this.#take(4));
    if (version === 2 || version === 3) return version;
    if (version === 1) {
      throw this.#error(
        "VERSION_1",
        "Expected GGUF version 2 or 3 but received version 1, which llama.cpp no longer reads; convert the original model again",
      );
    }
    // A small number written by a big-endian machine has its low half empty here.
    if (version !== 0 && (version & 0xffff) === 0) {
      throw this.#error(
        "BIG_ENDIAN",
        "Expected a little-endian GGUF file but received a big-endian one; convert it with `gguf_convert_endian.py FILE little` from llama.cpp's gguf-py",
      );
    }
    throw this.#error(
      "VERSION",
      `Expected GGUF version 2 or 3 but received version ${version}; a newer lora-boundary may read it`,
    );
  }

  /** A count, length or offset: u64. Above 2^53 the sum is rounded, but every limit lies below that. */
  #size(what: string, limit: number, owner = ""): number {
    const at = this.#take(8);
    const value = this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * 2 ** 32;
    if (value > limit) {
      const where = owner === "" ? "" : ` in ${owner}`;
      throw this.#error("LIMIT", `Expected at most ${limit} ${what}${where} but received ${value}`);
    }
    return value;
  }

  /** A key or tensor name. Bytes that are not UTF-8 would be written back changed, a zero byte is cut off by llama.cpp. */
  #name(what: string, limit: number): string {
    const length = this.#size("bytes", limit, what);
    const start = this.#take(length);
    const name = this.#bytes.toString("utf8", start, start + length);
    const damaged =
      name.includes("\0") || (name.includes("\ufffd") && !isUtf8(this.#bytes.subarray(start, start + length)));
    if (length === 0 || damaged) {
      throw this.#error(
        "NAME",
        `Expected UTF-8 text without zero bytes for ${what} but received ${damaged ? "other bytes" : "nothing"} at byte ${start}`,
      );
    }
    return name;
  }

  #valueType(key: string): ValueType {
    const id = this.#bytes.readUInt32LE(this.#take(4));
    const type = VALUE_TYPES[id];
    if (type === undefined) {
      throw this.#error(
        "VALUE_TYPE",
        `Expected a value type from 0 to ${VALUE_TYPES.length - 1} for \`${key}\` but received ${id}`,
      );
    }
    return type;
  }

  #skipValue(type: ValueType, key: string, depth: number): void {
    const fixed = FIXED_BYTES[type];
    if (fixed !== undefined) {
      this.#take(fixed);
    } else if (type === "string") {
      this.#take(this.#size("bytes of a string", LIMITS.stringBytes, key));
    } else {
      this.#skipArray(key, depth + 1);
    }
  }

  #skipArray(key: string, depth: number): void {
    if (depth > LIMITS.arrayNesting) {
      throw this.#error("LIMIT", `Expected at most ${LIMITS.arrayNesting} arrays inside each other in \`${key}\``);
    }
    const elementType = this.#valueType(key);
    const length = this.#size("elements", LIMITS.arrayLength, key);
    const fixed = FIXED_BYTES[elementType];
    if (fixed !== undefined) {
      this.#take(length * fixed);
      return;
    }
    for (let index = 0; index < length; index++) this.#skipValue(elementType, key, depth);
  }

  #alignment(metadata: ReadonlyMap<string, MetadataValue>): number {
    const value = metadata.get(ALIGNMENT_KEY);
    if (value === undefined) return DEFAULT_ALIGNMENT;
    const alignment = value.type === "u32" ? value.bytes.readUInt32LE() : 0;
    if (alignment === 0 || alignment > LIMITS.alignment || (alignment & (alignment - 1)) !== 0) {
      throw this.#error(
        "ALIGNMENT",
        `Expected a power of two up to ${LIMITS.alignment}, stored as u32, for \`${ALIGNMENT_KEY}\` but received ${value.type === "u32" ? alignment : value.type}`,
      );
    }
    return alignment;
  }

  #tensor(): TableRow {
    const name = this.#name("a tensor name", LIMITS.tensorNameBytes);
    const dimensions = this.#bytes.readUInt32LE(this.#take(4));
    if (dimensions < 1 || dimensions > LIMITS.dimensions) {
      throw this.#error(
        "SHAPE",
        `Expected 1 to ${LIMITS.dimensions} dimensions for tensor \`${name}\` but received ${dimensions}`,
      );
    }
    const shape: number[] = [];
    for (let axis = 0; axis < dimensions; axis++) {
      shape.push(this.#size("elements along a dimension", LIMITS.fileBytes, name));
    }
    const typeId = this.#bytes.readUInt32LE(this.#take(4));
    const type = TENSOR_TYPES.get(typeId);
    if (type === undefined) {
      throw this.#error("TENSOR_TYPE", `Expected a known ggml type for tensor \`${name}\` but received id ${typeId}`);
    }
    if ((shape[0] ?? 0) % type.blockElements !== 0) {
      throw this.#error(
        "SHAPE",
        `Expected rows of tensor \`${name}\` to be a multiple of ${type.blockElements} elements, the block of ${type.name}, but received [${shape.join(", ")}]`,
      );
    }
    const elements = shape.reduce((product, size) => product * size, 1);
    const bytes = (elements / type.blockElements) * type.blockBytes;
    if (elements > LIMITS.fileBytes || bytes > LIMITS.fileBytes) {
      throw this.#error("LIMIT", `Expected a possible size for tensor \`${name}\` but received [${shape.join(", ")}]`);
    }
    const relativeOffset = this.#size("bytes before the data", LIMITS.fileBytes, name);
    return { name, type, shape, elements, bytes, relativeOffset };
  }

  /**
   * Gives tensors their place in the file. llama.cpp takes only files whose tensors follow each other without gap or
   * overlap, and so do we: overlap would also let a small file describe petabytes to copy.
   */
  #place(table: readonly TableRow[], dataOffset: number, alignment: number): TensorDescriptor[] {
    let expected = 0;
    let outside: string | undefined;
    let end = dataOffset;
    const tensors = table.map((row) => {
      const { name, type, shape, elements, bytes, relativeOffset } = row;
      if (relativeOffset !== expected) {
        throw this.#error(
          "OFFSET",
          relativeOffset % alignment === 0
            ? `Expected tensor \`${name}\` to follow the one before it at offset ${expected} but received offset ${relativeOffset}`
            : `Expected the offset of tensor \`${name}\` to be a multiple of the alignment ${alignment} but received ${relativeOffset}`,
        );
      }
      const offset = dataOffset + relativeOffset;
      end = offset + bytes;
      expected += align(bytes, alignment);
      if (end > this.#fileBytes) outside ??= name;
      // Field by field: copying the rest of an object is slow, and an adapter has thousands of tensors.
      return { name, type, shape, elements, bytes, path: this.#path, offset };
    });
    if (outside !== undefined) throw this.#truncated(end - this.#fileBytes, `from tensor \`${outside}\` on`);
    return tensors;
  }

  /** Moves over `count` bytes and returns where they start. */
  #take(count: number): number {
    const start = this.#position;
    const end = start + count;
    if (end > this.#fileBytes) throw this.#truncated(end - this.#fileBytes, `at byte ${start}`);
    if (end > LIMITS.headerBytes) {
      throw this.#error("LIMIT", `Expected at most ${LIMITS.headerBytes} bytes before the tensor data`);
    }
    // Not an Error: no stack trace is built, and nobody but parseHeader sees it.
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (end > this.#bytes.length) throw new MoreBytesNeeded(end);
    this.#position = end;
    return start;
  }

  #truncated(missingBytes: number, where: string): InputError {
    // Behind a cut in the header nobody knows what else is missing; behind one in the data the table says it all.
    const least = this.#part === "tensor data" ? "" : "at least ";
    return this.#error(
      "TRUNCATED",
      `The file ends in its ${this.#part}, ${where}: ${least}${missingBytes} bytes are missing of a file that has ${this.#fileBytes}; download or copy it again`,
      { part: this.#part, missingBytes },
    );
  }

  #error(code: string, message: string, details: Readonly<Record<string, unknown>> = {}): InputError {
    return new InputError(`GGUF_${code}`, `${this.#path}: ${message}.`, { details: { path: this.#path, ...details } });
  }
}

type TableRow = Omit<TensorDescriptor, "path" | "offset"> & { readonly relativeOffset: number };
