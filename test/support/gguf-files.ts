/**
 * GGUF files made byte by byte from the format's description, not with this package's own writer: what a test expects
 * must not come from what it tests.
 */

const fixed = (size: number, fill: (bytes: Buffer) => unknown): Buffer => {
  const bytes = Buffer.alloc(size);
  fill(bytes);
  return bytes;
};
export const u16 = (value: number) => fixed(2, (bytes) => bytes.writeUInt16LE(value));
export const u32 = (value: number) => fixed(4, (bytes) => bytes.writeUInt32LE(value));
export const u64 = (value: number | bigint) => fixed(8, (bytes) => bytes.writeBigUInt64LE(BigInt(value)));
export const f32 = (value: number) => fixed(4, (bytes) => bytes.writeFloatLE(value));
export const f64 = (value: number) => fixed(8, (bytes) => bytes.writeDoubleLE(value));
/** A string: length in bytes, then the bytes. */
export const text = (value: string | Uint8Array) => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([u64(bytes.length), bytes]);
};

/** A metadata value: the type's id in the file, and everything after it. */
export interface Value {
  readonly type: number;
  readonly bytes: Buffer;
}

export const value = {
  u8: (it: number): Value => ({ type: 0, bytes: Buffer.of(it) }),
  i8: (it: number): Value => ({ type: 1, bytes: fixed(1, (bytes) => bytes.writeInt8(it)) }),
  u16: (it: number): Value => ({ type: 2, bytes: u16(it) }),
  i16: (it: number): Value => ({ type: 3, bytes: fixed(2, (bytes) => bytes.writeInt16LE(it)) }),
  u32: (it: number): Value => ({ type: 4, bytes: u32(it) }),
  i32: (it: number): Value => ({ type: 5, bytes: fixed(4, (bytes) => bytes.writeInt32LE(it)) }),
  f32: (it: number): Value => ({ type: 6, bytes: f32(it) }),
  bool: (it: number): Value => ({ type: 7, bytes: Buffer.of(it) }),
  text: (it: string | Uint8Array): Value => ({ type: 8, bytes: text(it) }),
  array: (elementType: number, elements: readonly Buffer[], length: number | bigint = elements.length): Value => ({
    type: 9,
    bytes: Buffer.concat([u32(elementType), u64(length), ...elements]),
  }),
  u64: (it: bigint): Value => ({ type: 10, bytes: u64(it) }),
  i64: (it: bigint): Value => ({ type: 11, bytes: fixed(8, (bytes) => bytes.writeBigInt64LE(it)) }),
  f64: (it: number): Value => ({ type: 12, bytes: f64(it) }),
};

/** The few tensor types that the tests use: id in the file, elements and bytes of a block. */
export const TYPES = {
  F32: [0, 1, 4],
  F16: [1, 1, 2],
  Q4_0: [2, 32, 18],
  Q8_0: [8, 32, 34],
  Q8_1: [9, 32, 36],
  I32: [26, 1, 4],
  BF16: [30, 1, 2],
  NVFP4: [40, 64, 36],
} as const;
export type TypeName = keyof typeof TYPES;

export interface Tensor {
  readonly name: string | Uint8Array;
  readonly shape: readonly (number | bigint)[];
  readonly type: TypeName;
  readonly data: Buffer;
  /** In place of the sound one. */
  readonly offset?: number | bigint;
  /** In place of the type's own. */
  readonly typeId?: number;
}

export type Entry = readonly [key: string | Uint8Array, value: Value];

export interface Contents {
  readonly version?: number;
  /** Lays out the data; the metadata key of it is the test's own to add. Default 32. */
  readonly alignment?: number;
  readonly metadata: readonly Entry[];
  readonly tensors: readonly Tensor[];
  /** In place of the number of entries above. */
  readonly keyCount?: number | bigint;
  readonly tensorCount?: number | bigint;
}

const aligned = (bytes: number, alignment: number) => bytes + ((alignment - (bytes % alignment)) % alignment);

/** Everything before the padding in front of the data. */
export function header({ version = 3, alignment = 32, metadata, tensors, ...counts }: Contents): Buffer {
  let offset = 0;
  return Buffer.concat([
    Buffer.from("GGUF"),
    u32(version),
    u64(counts.tensorCount ?? tensors.length),
    u64(counts.keyCount ?? metadata.length),
    ...metadata.flatMap(([key, { type, bytes }]) => [text(key), u32(type), bytes]),
    ...tensors.flatMap((tensor) => {
      const row = [
        text(tensor.name),
        u32(tensor.shape.length),
        ...tensor.shape.map(u64),
        u32(tensor.typeId ?? TYPES[tensor.type][0]),
        u64(tensor.offset ?? offset),
      ];
      offset += aligned(tensor.data.length, alignment);
      return row;
    }),
  ]);
}

/** A whole file, its last tensor padded like the others. */
export function gguf(contents: Contents): Buffer {
  const { alignment = 32 } = contents;
  const parts = [header(contents), ...contents.tensors.map(({ data }) => data)];
  return Buffer.concat(parts.flatMap((part) => [part, Buffer.alloc(aligned(part.length, alignment) - part.length)]));
}

/** One tensor; its data are finite, nowhere zero, and differ from those of other names. */
export function tensor(name: string, shape: readonly number[], type: TypeName = "F32", data?: Buffer): Tensor {
  const [, blockElements, blockBytes] = TYPES[type];
  const blocks = shape.reduce((product, size) => product * size, 1) / blockElements;
  const seed = Buffer.from(name).reduce((sum, byte, index) => sum + byte * (index + 1), 0);
  const block = (index: number): Buffer => {
    const small = 1 + ((seed + index) % 100);
    if (type === "F32") return f32(small / 64);
    return type === "F16" || type === "BF16" ? u16(0x3000 + small) : Buffer.alloc(blockBytes, small);
  };
  return { name, shape, type, data: data ?? Buffer.concat(Array.from({ length: blocks }, (_, index) => block(index))) };
}

/** Both parts of a pair as the converter writes them: A is [n_in, r], B is [r, n_out]. */
export function pair(name: string, [nIn, nOut]: readonly [number, number], rank = 2, type: TypeName = "F32"): Tensor[] {
  return [tensor(`${name}.lora_a`, [nIn, rank], type), tensor(`${name}.lora_b`, [rank, nOut], type)];
}

/** The tensors of a layer, with shapes that the adapters and models below share: [n_in, n_out]. */
export const MODULES: readonly (readonly [module: string, shape: readonly [number, number]])[] = [
  ["attn_q", [8, 8]],
  ["ffn_down", [16, 8]],
];
export const VOCABULARY = 12;

export const layerPairs = (layer: number, rank = 2, type: TypeName = "F32"): Tensor[] =>
  MODULES.flatMap(([module, shape]) => pair(`blk.${layer}.${module}.weight`, shape, rank, type));

export const adapterMetadata = (architecture = "llama", alpha: number | null = 16): Entry[] => [
  ["general.architecture", value.text(architecture)],
  ["general.type", value.text("adapter")],
  ["adapter.type", value.text("lora")],
  ...(alpha === null ? [] : ([["adapter.lora.alpha", value.f32(alpha)]] as const)),
];

/** An adapter with two pairs of rank 2 in each of the layers. Every size is a multiple of 32: the file has no padding but one. */
export function adapter(layers: readonly number[] = [0, 1, 2]): Contents {
  return { metadata: adapterMetadata(), tensors: layers.flatMap((layer) => layerPairs(layer)) };
}

/** A model that the adapters above fit, with `layers` layers. */
export function model(layers = 3, architecture = "llama"): Contents {
  return {
    metadata: [
      ["general.architecture", value.text(architecture)],
      ["general.type", value.text("model")],
      ["general.name", value.text("Tiny")],
      [`${architecture}.block_count`, value.u32(layers)],
      [`${architecture}.context_length`, value.u32(128)],
      [`${architecture}.embedding_length`, value.u32(8)],
      ["general.file_type", value.u32(1)],
    ],
    tensors: [
      tensor("token_embd.weight", [8, VOCABULARY]),
      ...Array.from({ length: layers }, (_, layer) =>
        MODULES.map(([module, shape]) => tensor(`blk.${layer}.${module}.weight`, shape, "F16")),
      ).flat(),
      tensor("output_norm.weight", [8]),
      tensor("output.weight", [8, VOCABULARY]),
    ],
  };
}

/** Cuts a model into files as `llama-gguf-split` does: the first one has the metadata, every one its number. */
export function split(contents: Contents, count: number): Contents[] {
  const size = Math.ceil(contents.tensors.length / count);
  return Array.from({ length: count }, (_, number) => ({
    metadata: [
      ...(number === 0 ? contents.metadata : []),
      ["split.no", value.u16(number)],
      ["split.count", value.u16(count)],
      ["split.tensors.count", value.i32(contents.tensors.length)],
    ],
    tensors: contents.tensors.slice(number * size, (number + 1) * size),
  }));
}

/** The contents with one metadata value set, added at the end where it is new, or without it. */
export function withKey(contents: Contents, key: string, replacement: Value | null): Contents {
  const at = contents.metadata.findIndex(([name]) => name === key);
  const entries: Entry[] = replacement === null ? [] : [[key, replacement]];
  const metadata = [...contents.metadata];
  metadata.splice(at < 0 ? metadata.length : at, at < 0 ? 0 : 1, ...entries);
  return { ...contents, metadata };
}
