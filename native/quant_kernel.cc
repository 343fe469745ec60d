#include "quant_kernel.h"

#include <algorithm>
#include <array>
#include <utility>

#include "avx2.h"

namespace {

constexpr size_t kBlock = BlockOfQ4_1::kSize;
// Rows of x that are multiplied with unpacked weights at a time, and quantised at a time.
constexpr size_t kTile = 8;
constexpr size_t kPanel = 64;

// One tile of x, quantised, and one row of weights, unpacked; all in one stretch of scratch memory.
struct Scratch {
  float* x_scales;   // [tiles][blocks][kTile]
  float* x_sums;     // [tiles][blocks][kTile]
  int8_t* x_quants;  // [tiles][blocks][kTile][kBlock]
  float* scales;     // [blocks]
  float* leasts;     // [blocks]
  uint8_t* quants;   // [blocks][kBlock]

  static constexpr size_t kAlignment = 64;
  static size_t Bytes(size_t blocks) {
    return kAlignment + blocks * (kPanel * (2 * sizeof(float) + kBlock) + 2 * sizeof(float) + kBlock);
  }

  Scratch(uint8_t* memory, size_t blocks) {
    memory += kAlignment - reinterpret_cast<uintptr_t>(memory) % kAlignment;
    // The longest vectors first: every stretch is aligned for what it holds.
    x_quants = reinterpret_cast<int8_t*>(memory);
    quants = memory + blocks * kPanel * kBlock;
    x_scales = reinterpret_cast<float*>(quants + blocks * kBlock);
    x_sums = x_scales + blocks * kPanel;
    scales = x_sums + blocks * kPanel;
    leasts = scales + blocks;
  }
};

#ifdef HAS_AVX2_KERNELS

FOR_AVX2 inline float ToFloat(uint16_t half) { return _cvtsh_ss(half); }

using avx2::Sum;

FOR_AVX2 void Quantise(const float* x, size_t blocks, size_t row, const Scratch& scratch) {
  const size_t tile = row / kTile * blocks;
  const size_t lane = row % kTile;
  for (size_t block = 0; block < blocks; ++block, x += kBlock) {
    const size_t at = (tile + block) * kTile + lane;
    const avx2::Quantised quantised = avx2::Quantise(x);
    _mm256_store_si256(reinterpret_cast<__m256i*>(scratch.x_quants + at * kBlock), quantised.quants);
    scratch.x_scales[at] = quantised.scale;
    scratch.x_sums[at] = quantised.total;
  }
}

FOR_AVX2 void Unpack(const BlockOfQ4_1* weights, size_t blocks, const Scratch& scratch) {
  const __m256i low = _mm256_set1_epi8(15);
  for (size_t block = 0; block < blocks; ++block) {
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights[block].quants));
    const __m256i quants = _mm256_and_si256(low, _mm256_set_m128i(_mm_srli_epi16(pairs, 4), pairs));
    _mm256_store_si256(reinterpret_cast<__m256i*>(scratch.quants + block * kBlock), quants);
    scratch.scales[block] = ToFloat(weights[block].scale);
    scratch.leasts[block] = ToFloat(weights[block].least);
  }
}

// The unpacked row times `Rows` rows of a tile.
template <size_t Rows>
FOR_AVX2 void MultiplyTile(const Scratch& scratch, size_t blocks, size_t tile, float* out, size_t stride) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256 totals[Rows];
  for (size_t row = 0; row < Rows; ++row) totals[row] = _mm256_setzero_ps();
  __m256 least = _mm256_setzero_ps();
  alignas(32) float factors[kTile];
  for (size_t block = 0; block < blocks; ++block) {
    const size_t at = (tile * blocks + block) * kTile;
    const __m256i w = _mm256_load_si256(reinterpret_cast<const __m256i*>(scratch.quants + block * kBlock));
    const int8_t* x = scratch.x_quants + at * kBlock;
    _mm256_store_ps(factors,
                    _mm256_mul_ps(_mm256_set1_ps(scratch.scales[block]), _mm256_loadu_ps(scratch.x_scales + at)));
    least = _mm256_fmadd_ps(_mm256_set1_ps(scratch.leasts[block]), _mm256_loadu_ps(scratch.x_sums + at), least);
    for (size_t row = 0; row < Rows; ++row) {
      const __m256i products =
          _mm256_maddubs_epi16(w, _mm256_load_si256(reinterpret_cast<const __m256i*>(x + row * kBlock)));
      totals[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(factors + row),
                                    _mm256_cvtepi32_ps(_mm256_madd_epi16(products, ones)), totals[row]);
    }
  }
  // Apart from each other, so that compilers unroll the loop and keep the totals in registers.
  for (size_t row = 0; row < Rows; ++row) factors[row] = Sum(totals[row]);
  _mm256_store_ps(factors, _mm256_add_ps(_mm256_load_ps(factors), least));
  for (size_t row = 0; row < Rows; ++row) out[row * stride] = factors[row];
}

// The same, two rows of the tile in one register; where `Rows` is odd, whatever lies behind the last is left out.
template <size_t Rows>
FOR_VNNI void MultiplyPairs(const Scratch& scratch, size_t blocks, size_t tile, float* out, size_t stride) {
  constexpr size_t pairs = (Rows + 1) / 2;
  const __m512i first = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  __m512i places[pairs];
  __m512 totals[pairs];
  for (size_t pair = 0; pair < pairs; ++pair) {
    places[pair] = _mm512_add_epi32(first, _mm512_set1_epi32(2 * static_cast<int>(pair)));
    totals[pair] = _mm512_setzero_ps();
  }
  __m256 least = _mm256_setzero_ps();
  for (size_t block = 0; block < blocks; ++block) {
    const size_t at = (tile * blocks + block) * kTile;
    const __m512i w =
        _mm512_broadcast_i64x4(_mm256_load_si256(reinterpret_cast<const __m256i*>(scratch.quants + block * kBlock)));
    const int8_t* x = scratch.x_quants + at * kBlock;
    const __m512 factors = _mm512_castps256_ps512(
        _mm256_mul_ps(_mm256_set1_ps(scratch.scales[block]), _mm256_loadu_ps(scratch.x_scales + at)));
    least = _mm256_fmadd_ps(_mm256_set1_ps(scratch.leasts[block]), _mm256_loadu_ps(scratch.x_sums + at), least);
    for (size_t pair = 0; pair < pairs; ++pair) {
      const __m512i products = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, _mm512_load_si512(x + 2 * pair * kBlock));
      totals[pair] =
          _mm512_fmadd_ps(_mm512_permutexvar_ps(places[pair], factors), _mm512_cvtepi32_ps(products), totals[pair]);
    }
  }
  alignas(64) float lanes[16];
  alignas(32) float sums[kTile] = {};
  for (size_t pair = 0; pair < pairs; ++pair) {
    _mm512_store_ps(lanes, totals[pair]);
    sums[2 * pair] = Sum(_mm256_load_ps(lanes));
    sums[2 * pair + 1] = Sum(_mm256_load_ps(lanes + 8));
  }
  _mm256_store_ps(sums, _mm256_add_ps(_mm256_load_ps(sums), least));
  for (size_t row = 0; row < Rows; ++row) out[row * stride] = sums[row];
}

using TileKernel = void (*)(const Scratch&, size_t, size_t, float*, size_t);
// [rows of the tile - 1]
using TileKernels = std::array<TileKernel, kTile>;

template <size_t... Before>
TileKernels FastestKernels(std::index_sequence<Before...>) {
  return avx2::HasVnni() ? TileKernels{MultiplyPairs<Before + 1>...} : TileKernels{MultiplyTile<Before + 1>...};
}

FOR_AVX2 void MultiplyRows(const QuantOperands& product, size_t from, size_t to, uint8_t* memory) {
  static const TileKernels kernels = FastestKernels(std::make_index_sequence<kTile>());
  const auto& [type, weights, x, out, width, rows, stride] = product;
  static_cast<void>(type);
  const size_t blocks = width / kBlock;
  const Scratch scratch(memory, blocks);
  for (size_t first = 0; first < rows; first += kPanel) {
    const size_t count = std::min(kPanel, rows - first);
    const float* panel = x + first * width;
    for (size_t row = 0; row < count; ++row) Quantise(panel + row * width, blocks, row, scratch);
    for (size_t weight = from; weight < to; ++weight) {
      Unpack(static_cast<const BlockOfQ4_1*>(weights) + weight * blocks, blocks, scratch);
      float* column = out + first * stride + weight;
      for (size_t row = 0; row < count; row += kTile) {
        const size_t tile_rows = std::min(kTile, count - row);
        kernels[tile_rows - 1](scratch, blocks, row / kTile, column + row * stride, stride);
      }
    }
  }
}

#endif

}  // namespace

namespace quant_kernel {

size_t ScratchBytes(size_t width) { return Scratch::Bytes(width / kBlock); }

#ifdef HAS_AVX2_KERNELS
bool HasInstructions() { return avx2::IsSupported(); }
void Multiply(const QuantOperands& product, size_t from, size_t to, uint8_t* scratch) {
  MultiplyRows(product, from, to, scratch);
}
#else
bool HasInstructions() { return false; }
void Multiply(const QuantOperands&, size_t, size_t, uint8_t*) {}
#endif

}  // namespace quant_kernel
