#include "column_kernel.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "avx2.h"

#ifdef HAS_AVX2_KERNELS

namespace {

constexpr size_t kBlock = BlockOfQ4_1::kSize;
constexpr size_t kLanes = column_kernel::kColumns;
// Quants of a block that lie in one lane.
constexpr size_t kInLane = 4;
constexpr size_t kParts = kBlock / kInLane;
// Rows whose sums stay in registers, and rows that are quantised at a time.
constexpr size_t kTile = 8;
constexpr size_t kPanel = 64;

struct BlockOfQ8_0 {
  uint16_t scale;
  uint8_t quants[kBlock];
};

// One block of sixteen columns.
struct alignas(64) Weights {
  uint8_t quants[kParts][kLanes][kInLane];
  float scales[kLanes];
  float leasts[kLanes];  // of Q4_1
};

// One block of one row of x, quantised.
struct Row {
  int32_t quants[kParts];  // four each
  float scale;
  float total;    // of what the quants stand for
  int32_t start;  // what the sum of products starts from
};

// Sixteen columns, unpacked, and a panel of x, quantised.
struct Scratch {
  Weights* weights;  // [blocks]
  Row* rows;         // [kPanel / kTile][blocks][kTile]

  static size_t Bytes(size_t blocks) { return alignof(Weights) + blocks * (sizeof(Weights) + kPanel * sizeof(Row)); }

  Scratch(uint8_t* memory, size_t blocks) {
    memory += alignof(Weights) - reinterpret_cast<uintptr_t>(memory) % alignof(Weights);
    weights = reinterpret_cast<Weights*>(memory);
    rows = reinterpret_cast<Row*>(weights + blocks);
  }
};

// Signed weights are multiplied as unsigned ones, larger by this.
constexpr int32_t kShift = 128;

FOR_AVX2 void QuantiseRow(const float* x, size_t blocks, size_t row, ggml_type type, const Scratch& scratch) {
  Row* to = scratch.rows + row / kTile * blocks * kTile + row % kTile;
  for (size_t block = 0; block < blocks; ++block, x += kBlock, to += kTile) {
    const avx2::Quantised quantised = avx2::Quantise(x);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to->quants), quantised.quants);
    to->scale = quantised.scale;
    to->total = quantised.total;
    to->start = type == GGML_TYPE_Q8_0 ? -kShift * quantised.sum : 0;
  }
}

FOR_VNNI inline __m512i LoadQuarter(const uint8_t* bytes, size_t stride) {
  const auto* const first = reinterpret_cast<const __m128i*>(bytes);
  const auto* const second = reinterpret_cast<const __m128i*>(bytes + 4 * stride);
  const auto* const third = reinterpret_cast<const __m128i*>(bytes + 8 * stride);
  const auto* const fourth = reinterpret_cast<const __m128i*>(bytes + 12 * stride);
  __m512i columns = _mm512_castsi128_si512(_mm_loadu_si128(first));
  columns = _mm512_inserti32x4(columns, _mm_loadu_si128(second), 1);
  columns = _mm512_inserti32x4(columns, _mm_loadu_si128(third), 2);
  return _mm512_inserti32x4(columns, _mm_loadu_si128(fourth), 3);
}

// Sixteen bytes of each column, `stride` apart: four of every column in each register.
FOR_VNNI inline void Transpose(const uint8_t* bytes, size_t stride, __m512i (&parts)[4]) {
  const __m512i first = LoadQuarter(bytes, stride);
  const __m512i second = LoadQuarter(bytes + stride, stride);
  const __m512i third = LoadQuarter(bytes + 2 * stride, stride);
  const __m512i fourth = LoadQuarter(bytes + 3 * stride, stride);
  const __m512i low_pair = _mm512_unpacklo_epi32(first, second);
  const __m512i high_pair = _mm512_unpackhi_epi32(first, second);
  const __m512i next_low_pair = _mm512_unpacklo_epi32(third, fourth);
  const __m512i next_high_pair = _mm512_unpackhi_epi32(third, fourth);
  parts[0] = _mm512_unpacklo_epi64(low_pair, next_low_pair);
  parts[1] = _mm512_unpackhi_epi64(low_pair, next_low_pair);
  parts[2] = _mm512_unpacklo_epi64(high_pair, next_high_pair);
  parts[3] = _mm512_unpackhi_epi64(high_pair, next_high_pair);
}

// The first four bytes of each column: one or two scales.
FOR_VNNI inline __m512i FirstBytes(const void* column, size_t stride) {
  const auto* const bytes = static_cast<const uint8_t*>(column);
  const __m512i pair = _mm512_unpacklo_epi32(LoadQuarter(bytes, stride), LoadQuarter(bytes + stride, stride));
  const __m512i next_pair =
      _mm512_unpacklo_epi32(LoadQuarter(bytes + 2 * stride, stride), LoadQuarter(bytes + 3 * stride, stride));
  return _mm512_unpacklo_epi64(pair, next_pair);
}

FOR_VNNI inline void StoreHalves(__m512i low_halves, float* to) {
  _mm512_store_ps(to, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(low_halves)));
}

FOR_VNNI inline void Unpack(const BlockOfQ4_1* column, size_t blocks, Weights& weights) {
  constexpr size_t size = sizeof(BlockOfQ4_1);
  const __m512i low = _mm512_set1_epi8(15);
  __m512i parts[4];
  Transpose(column->quants, blocks * size, parts);
  for (size_t i = 0; i < 4; ++i) {
    _mm512_store_si512(weights.quants[i], _mm512_and_si512(low, parts[i]));
    _mm512_store_si512(weights.quants[i + 4], _mm512_and_si512(low, _mm512_srli_epi16(parts[i], 4)));
  }
  const __m512i halves = FirstBytes(column, blocks * size);
  StoreHalves(halves, weights.scales);
  StoreHalves(_mm512_srli_epi32(halves, 16), weights.leasts);
}

FOR_VNNI inline void Unpack(const BlockOfQ8_0* column, size_t blocks, Weights& weights) {
  constexpr size_t size = sizeof(BlockOfQ8_0);
  const __m512i shift = _mm512_set1_epi8(static_cast<int8_t>(kShift));
  for (size_t half = 0; half < 2; ++half) {
    __m512i parts[4];
    Transpose(column->quants + 16 * half, blocks * size, parts);
    for (size_t i = 0; i < 4; ++i) {
      _mm512_store_si512(weights.quants[4 * half + i], _mm512_xor_si512(shift, parts[i]));
    }
  }
  StoreHalves(FirstBytes(column, blocks * size), weights.scales);
}

// The columns behind these, in time for when they are unpacked: read across, memory does not see what comes next.
template <typename Block>
FOR_VNNI inline void Prefetch(const Block* next, size_t block) {
  const char* const bytes = reinterpret_cast<const char*>(next + block * kLanes);
  for (size_t at = 0; at < kLanes * sizeof(Block); at += 64) _mm_prefetch(bytes + at, _MM_HINT_T0);
}

// One block of the columns, in registers.
struct Registers {
  __m512i quants[kParts];
  __m512 scales;
  __m512 leasts;
};

// Adds what the block is to one row.
template <bool HasLeasts>
FOR_VNNI inline __attribute__((always_inline)) void AddBlock(const Registers& weights, const Row& row, __m512& total) {
  __m512i sum = HasLeasts ? _mm512_setzero_si512() : _mm512_set1_epi32(row.start);
  for (size_t part = 0; part < kParts; ++part) {
    sum = _mm512_dpbusd_epi32(sum, weights.quants[part], _mm512_set1_epi32(row.quants[part]));
  }
  const __m512 factors = _mm512_mul_ps(weights.scales, _mm512_set1_ps(row.scale));
  total = _mm512_fmadd_ps(factors, _mm512_cvtepi32_ps(sum), total);
  if (HasLeasts) total = _mm512_fmadd_ps(weights.leasts, _mm512_set1_ps(row.total), total);
}

// The unpacked columns times as many rows of a tile as there are numbers in the sequence: a loop over them would keep
// their totals in memory.
template <bool HasLeasts, size_t... Index>
FOR_VNNI void MultiplyTile(std::index_sequence<Index...>, const Scratch& scratch, size_t blocks, size_t tile,
                           float* out, size_t stride) {
  __m512 totals[] = {(static_cast<void>(Index), _mm512_setzero_ps())...};
  const Row* rows = scratch.rows + tile * blocks * kTile;
  for (size_t block = 0; block < blocks; ++block, rows += kTile) {
    const Weights& weights = scratch.weights[block];
    Registers registers;
    for (size_t part = 0; part < kParts; ++part) registers.quants[part] = _mm512_load_si512(weights.quants[part]);
    registers.scales = _mm512_load_ps(weights.scales);
    registers.leasts = HasLeasts ? _mm512_load_ps(weights.leasts) : _mm512_setzero_ps();
    (AddBlock<HasLeasts>(registers, rows[Index], totals[Index]), ...);
  }
  (_mm512_storeu_ps(out + Index * stride, totals[Index]), ...);
}

template <bool HasLeasts, size_t Rows>
void MultiplyTile(const Scratch& scratch, size_t blocks, size_t tile, float* out, size_t stride) {
  MultiplyTile<HasLeasts>(std::make_index_sequence<Rows>(), scratch, blocks, tile, out, stride);
}

using TileKernel = void (*)(const Scratch&, size_t, size_t, float*, size_t);

template <bool HasLeasts, size_t... Before>
TileKernel KernelFor(size_t rows, std::index_sequence<Before...>) {
  static constexpr TileKernel kernels[] = {MultiplyTile<HasLeasts, Before + 1>...};
  return kernels[rows - 1];
}

template <typename Block>
FOR_VNNI void MultiplyColumns(const QuantOperands& product, size_t from, size_t to, uint8_t* memory) {
  constexpr bool has_leasts = std::is_same_v<Block, BlockOfQ4_1>;
  const size_t blocks = product.width / kBlock;
  const Scratch scratch(memory, blocks);
  for (size_t first = 0; first < product.rows; first += kPanel) {
    const size_t rows = std::min(kPanel, product.rows - first);
    const float* panel = product.x + first * product.width;
    for (size_t row = 0; row < rows; ++row) {
      QuantiseRow(panel + row * product.width, blocks, row, product.type, scratch);
    }
    for (size_t column = from; column < to; column += kLanes) {
      const Block* weights = static_cast<const Block*>(product.weights) + column * blocks;
      for (size_t block = 0; block < blocks; ++block) {
        Prefetch(weights + kLanes * blocks, block);
        Unpack(weights + block, blocks, scratch.weights[block]);
      }
      float* out = product.out + first * product.count + column;
      for (size_t row = 0; row < rows; row += kTile) {
        const TileKernel kernel = KernelFor<has_leasts>(std::min(kTile, rows - row), std::make_index_sequence<kTile>());
        kernel(scratch, blocks, row / kTile, out + row * product.count, product.count);
      }
    }
  }
}

}  // namespace

#endif

namespace column_kernel {

size_t ScratchBytes(size_t width) {
#ifdef HAS_AVX2_KERNELS
  return Scratch::Bytes(width / kBlock);
#else
  return width * 0;
#endif
}

bool HasInstructions() {
#ifdef HAS_AVX2_KERNELS
  return avx2::IsSupported() && avx2::HasVnni();
#else
  return false;
#endif
}

bool Takes(ggml_type type, size_t count) {
  return (type == GGML_TYPE_Q4_1 || type == GGML_TYPE_Q8_0) && count % kColumns == 0;
}

void Multiply(const QuantOperands& product, size_t from, size_t to, uint8_t* scratch) {
#ifdef HAS_AVX2_KERNELS
  if (product.type == GGML_TYPE_Q4_1) MultiplyColumns<BlockOfQ4_1>(product, from, to, scratch);
  if (product.type == GGML_TYPE_Q8_0) MultiplyColumns<BlockOfQ8_0>(product, from, to, scratch);
#else
  static_cast<void>(product), static_cast<void>(from), static_cast<void>(to), static_cast<void>(scratch);
#endif
}

}  // namespace column_kernel
