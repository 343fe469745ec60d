#pragma once

// What the kernels for x86-64 share. The instruction set is chosen when the program runs: the addon is built for the
// oldest processors.
#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_AVX2_KERNELS
#if !defined(__clang__)
// The headers of GCC 12 start some of AVX-512's results undefined on purpose, and warn of it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#define FOR_AVX2 __attribute__((target("avx2,fma,f16c")))
#define FOR_VNNI __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")))

namespace avx2 {

inline bool IsSupported() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0;
}

// What FOR_VNNI needs beyond.
inline bool HasVnni() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}

FOR_AVX2 inline float Sum(__m256 lanes) {
  __m128 sum = _mm_add_ps(_mm256_extractf128_ps(lanes, 1), _mm256_castps256_ps128(lanes));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

FOR_AVX2 inline int32_t Sum(__m256i lanes) {
  __m128i sum = _mm_add_epi32(_mm256_extracti128_si256(lanes, 1), _mm256_castsi256_si128(lanes));
  sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
  return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 1)));
}

FOR_AVX2 inline float ThroughHalf(float value) { return _cvtsh_ss(_cvtss_sh(value, 0)); }

// 32 numbers as llama.cpp makes Q8_0 and Q8_1 of them.
struct Quantised {
  __m256i quants;  // 8 bits each
  int32_t sum;     // of the quants
  float scale;
  float total;  // of what the quants stand for
};

FOR_AVX2 inline Quantised Quantise(const float* x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 values[4];
  __m256 largest = _mm256_setzero_ps();
  for (size_t i = 0; i < 4; ++i) {
    values[i] = _mm256_loadu_ps(x + 8 * i);
    largest = _mm256_max_ps(largest, _mm256_andnot_ps(sign, values[i]));
  }
  __m128 most = _mm_max_ps(_mm256_extractf128_ps(largest, 1), _mm256_castps256_ps128(largest));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  const float bound = _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
  const float scale = bound / 127.0f;
  const __m256 inverse = _mm256_set1_ps(bound != 0.0f ? 127.0f / bound : 0.0f);
  __m256i whole[4];
  for (size_t i = 0; i < 4; ++i) {
    whole[i] = _mm256_cvtps_epi32(
        _mm256_round_ps(_mm256_mul_ps(values[i], inverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  const int32_t sum = Sum(_mm256_add_epi32(_mm256_add_epi32(whole[0], whole[1]), _mm256_add_epi32(whole[2], whole[3])));
  const __m256i packed =
      _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
  return {_mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)), sum, ThroughHalf(scale),
          ThroughHalf(scale * static_cast<float>(sum))};
}

}  // namespace avx2

#endif
