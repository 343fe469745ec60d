#include "attention_kernel.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "avx2.h"

#ifdef HAS_AVX2_KERNELS

namespace {

// Values of v that are summed in registers at a time.
constexpr size_t kTile = 32;

FOR_AVX2 inline __m256 LoadHalves(const uint8_t* halves) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}

FOR_AVX2 inline float Product(const float* q, const uint8_t* k, size_t width) {
  __m256 even = _mm256_setzero_ps();
  __m256 odd = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= width; i += 16) {
    even = _mm256_fmadd_ps(_mm256_loadu_ps(q + i), LoadHalves(k + 2 * i), even);
    odd = _mm256_fmadd_ps(_mm256_loadu_ps(q + i + 8), LoadHalves(k + 2 * (i + 8)), odd);
  }
  if (i < width) even = _mm256_fmadd_ps(_mm256_loadu_ps(q + i), LoadHalves(k + 2 * i), even);
  return avx2::Sum(_mm256_add_ps(even, odd));
}

// e^x for x <= 0: x = n ln 2 + r, and a polynomial in r (the coefficients of Cephes, Moshier 1992).
FOR_AVX2 inline __m256 Exponential(__m256 x) {
  const __m256 is_zero = _mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_LT_OQ);
  x = _mm256_max_ps(x, _mm256_set1_ps(-87.0f));
  const __m256 n =
      _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.9875691500e-4f);
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(c));
  }
  p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
  const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_andnot_ps(is_zero, _mm256_mul_ps(p, _mm256_castsi256_ps(power)));
}

// `Steps` x 8 values of v, weighted and summed over the cells.
template <size_t Steps>
FOR_AVX2 void SumValues(const uint8_t* v, size_t stride, const AttentionCells& cells, const float* weights,
                        double share, float* out) {
  __m256d totals[2 * Steps];
  for (__m256d& total : totals) total = _mm256_setzero_pd();
  for (size_t i = 0; i < cells.count; ++i) {
    const uint8_t* values = v + static_cast<size_t>(cells.index[i]) * stride;
    const __m256d weight = _mm256_set1_pd(static_cast<double>(weights[i]));
    for (size_t step = 0; step < Steps; ++step) {
      const __m256 eight = LoadHalves(values + 2 * attention_kernel::kStep * step);
      totals[2 * step] = _mm256_fmadd_pd(weight, _mm256_cvtps_pd(_mm256_castps256_ps128(eight)), totals[2 * step]);
      totals[2 * step + 1] =
          _mm256_fmadd_pd(weight, _mm256_cvtps_pd(_mm256_extractf128_ps(eight, 1)), totals[2 * step + 1]);
    }
  }
  for (size_t half = 0; half < 2 * Steps; ++half) {
    _mm_storeu_ps(out + 4 * half, _mm256_cvtpd_ps(_mm256_mul_pd(totals[half], _mm256_set1_pd(share))));
  }
}

FOR_AVX2 size_t FindCellsAvx2(const uint16_t* mask, size_t count, int32_t* index, float* bias) {
  constexpr uint16_t kMinusInfinity = 0xFC00;
  const __m256i minus_infinity = _mm256_set1_epi16(static_cast<int16_t>(kMinusInfinity));
  size_t found = 0;
  for (size_t i = 0; i < count;) {
    if (i + 16 <= count) {
      const __m256i sixteen = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask + i));
      if (_mm256_movemask_epi8(_mm256_cmpeq_epi16(sixteen, minus_infinity)) == -1) {
        i += 16;
        continue;
      }
    }
    for (const size_t end = std::min(count, i + 16); i < end; ++i) {
      if (mask[i] == kMinusInfinity) continue;
      index[found] = static_cast<int32_t>(i);
      bias[found++] = _cvtsh_ss(mask[i]);
    }
  }
  return found;
}

FOR_AVX2 void AttendAvx2(const AttentionHead& head, const AttentionCells& cells, float* weights, float* out) {
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < cells.count; ++i) {
    const uint8_t* k = head.k + static_cast<size_t>(cells.index[i]) * head.k_stride;
    weights[i] = Product(head.q, k, head.key_width) * head.scale + cells.bias[i];
    largest = std::max(largest, weights[i]);
  }
  std::fill_n(weights + cells.count, attention_kernel::kStep, -std::numeric_limits<float>::infinity());
  for (size_t i = 0; i < cells.count; i += attention_kernel::kStep) {
    _mm256_storeu_ps(weights + i, Exponential(_mm256_sub_ps(_mm256_loadu_ps(weights + i), _mm256_set1_ps(largest))));
  }
  double total = 0;
  for (size_t i = 0; i < cells.count; ++i) total += static_cast<double>(weights[i]);
  const double share = 1 / total;
  size_t at = 0;
  for (; at + kTile <= head.value_width; at += kTile) {
    SumValues<kTile / attention_kernel::kStep>(head.v + 2 * at, head.v_stride, cells, weights, share, out + at);
  }
  for (; at < head.value_width; at += attention_kernel::kStep) {
    SumValues<1>(head.v + 2 * at, head.v_stride, cells, weights, share, out + at);
  }
}

}  // namespace

#endif

namespace attention_kernel {

#ifdef HAS_AVX2_KERNELS
bool HasInstructions() { return avx2::IsSupported(); }
size_t FindCells(const uint16_t* mask, size_t count, int32_t* index, float* bias) {
  return FindCellsAvx2(mask, count, index, bias);
}
void Attend(const AttentionHead& head, const AttentionCells& cells, float* weights, float* out) {
  AttendAvx2(head, cells, weights, out);
}
#else
bool HasInstructions() { return false; }
size_t FindCells(const uint16_t*, size_t, int32_t*, float*) { return 0; }
void Attend(const AttentionHead&, const AttentionCells&, float*, float*) {}
#endif

}  // namespace attention_kernel
