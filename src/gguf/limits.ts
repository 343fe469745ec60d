const MIB = 1024 * 1024;

/**
 * What a header may claim before a byte of it is believed. Each limit is far above any real file and names the
 * attack that it stops.
 */
export const LIMITS = {
  /** Bytes before the tensor data. Stops a header that claims gigabytes from being read into memory. */
  headerBytes: 512 * MIB,
  /** Stops a metadata table that fills the memory with empty keys. */
  metadataKeys: 65_536,
  /** Stops a tensor table that fills the memory with empty tensors. */
  tensors: 262_144,
  /** Stops one key that fills the memory; the format's own limit. */
  keyBytes: 65_535,
  /** Stops names that llama.cpp cuts off or refuses: it stores 64 bytes with the closing zero. */
  tensorNameBytes: 63,
  /** Stops one string that fills the memory; the longest real ones are tokenizer files of some 20 MiB. */
  stringBytes: 128 * MIB,
  /** Stops an array that claims more elements than any vocabulary or merge table has. */
  arrayLength: 64 * MIB,
  /** Stops arrays of arrays that overflow the stack. */
  arrayNesting: 8,
  /** Stops shapes that llama.cpp has no room for. */
  dimensions: 4,
  /** Stops padding bombs: a written file is padded by up to this much per tensor. */
  alignment: MIB,
  /** Stops sums of tensor sizes and offsets that a double cannot hold exactly (9 PB). */
  fileBytes: Number.MAX_SAFE_INTEGER,
} as const;
