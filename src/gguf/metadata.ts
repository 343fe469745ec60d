/** The value types of the format; the index is the id that stands in the file. */
export const VALUE_TYPES = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const;

export type ValueType = (typeof VALUE_TYPES)[number];

/** A decoded value; 64-bit integers are bigint, so none loses a bit. */
export type MetadataData = number | bigint | boolean | string | readonly MetadataData[];

/** Bytes of one value; strings and arrays have no fixed size. */
export const FIXED_BYTES: Readonly<Partial<Record<ValueType, number>>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
};

/**
 * One metadata value as it stands in the file. It keeps the exact bytes, so what is written back is what was read,
 * and decodes them only when asked: a vocabulary of 256,000 strings costs nothing to carry along.
 */
export class MetadataValue {
  readonly type: ValueType;
  /** Everything after the type id: a number; length and text; element type, count and elements. */
  readonly bytes: Buffer;

  constructor(type: ValueType, bytes: Buffer) {
    this.type = type;
    this.bytes = bytes;
  }

  static u32(value: number): MetadataValue {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return new MetadataValue("u32", bytes);
  }

  static f32(value: number): MetadataValue {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return new MetadataValue("f32", bytes);
  }

  static f64(value: number): MetadataValue {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return new MetadataValue("f64", bytes);
  }

  static bool(value: boolean): MetadataValue {
    return new MetadataValue("bool", Buffer.of(value ? 1 : 0));
  }

  static string(value: string): MetadataValue {
    return new MetadataValue("string", encodeString(value));
  }

  static u32Array(values: readonly number[]): MetadataValue {
    const bytes = Buffer.alloc(12 + 4 * values.length);
    bytes.writeUInt32LE(VALUE_TYPES.indexOf("u32"));
    bytes.writeBigUInt64LE(BigInt(values.length), 4);
    values.forEach((value, index) => bytes.writeUInt32LE(value, 12 + 4 * index));
    return new MetadataValue("array", bytes);
  }

  /** Type of an array's elements; undefined for other values. */
  get elementType(): ValueType | undefined {
    return this.type === "array" ? VALUE_TYPES[this.bytes.readUInt32LE()] : undefined;
  }

  /** Number of elements of an array, without decoding them; undefined for other values. */
  get length(): number | undefined {
    return this.type === "array" ? Number(this.bytes.readBigUInt64LE(4)) : undefined;
  }

  /** The value, decoded anew at every call. */
  decode(): MetadataData {
    return decodeAt(this.bytes, this.type, 0).data;
  }
}

/** A string as the format stores it: its length in bytes as u64, then UTF-8. */
function encodeString(text: string): Buffer {
  const utf8 = Buffer.from(text, "utf8");
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(utf8.length));
  return Buffer.concat([length, utf8]);
}

// The bytes were walked through once by the header parser, so lengths and types are known to be sound.
function decodeAt(bytes: Buffer, type: ValueType, at: number): { data: MetadataData; end: number } {
  switch (type) {
    case "u8":
      return { data: bytes.readUInt8(at), end: at + 1 };
    case "i8":
      return { data: bytes.readInt8(at), end: at + 1 };
    case "bool":
      return { data: bytes.readUInt8(at) !== 0, end: at + 1 };
    case "u16":
      return { data: bytes.readUInt16LE(at), end: at + 2 };
    case "i16":
      return { data: bytes.readInt16LE(at), end: at + 2 };
    case "u32":
      return { data: bytes.readUInt32LE(at), end: at + 4 };
    case "i32":
      return { data: bytes.readInt32LE(at), end: at + 4 };
    case "f32":
      return { data: bytes.readFloatLE(at), end: at + 4 };
    case "u64":
      return { data: bytes.readBigUInt64LE(at), end: at + 8 };
    case "i64":
      return { data: bytes.readBigInt64LE(at), end: at + 8 };
    case "f64":
      return { data: bytes.readDoubleLE(at), end: at + 8 };
    case "string": {
      const end = at + 8 + Number(bytes.readBigUInt64LE(at));
      return { data: bytes.toString("utf8", at + 8, end), end };
    }
    case "array": {
      const elementType = VALUE_TYPES[bytes.readUInt32LE(at)] ?? "u8";
      const length = Number(bytes.readBigUInt64LE(at + 4));
      const data: MetadataData[] = [];
      let end = at + 12;
      for (let index = 0; index < length; index++) {
        const element = decodeAt(bytes, elementType, end);
        data.push(element.data);
        end = element.end;
      }
      return { data, end };
    }
  }
}
