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

namespace avx2 {

inline bool IsSupported() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("f16c") != 0;
}

FOR_AVX2 inline float Sum(__m256 lanes) {
  __m128 sum = _mm_add_ps(_mm256_extractf128_ps(lanes, 1), _mm256_castps256_ps128(lanes));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

}  // namespace avx2

#endif
