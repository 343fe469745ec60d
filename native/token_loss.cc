#include "token_loss.h"

#include <algorithm>
#include <cmath>
#include <cstring>

// The two passes over a row are most of what scoring costs beside the model itself, so they are written for the
// vectoriser: independent lanes, no branches, and a polynomial exp that is exact to 2 units in the last place of a
// float.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LORA_BOUNDARY_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LORA_BOUNDARY_CLONES
#endif

namespace {

constexpr size_t kLanes = 16;

LORA_BOUNDARY_CLONES float RowMaximum(const float* x, size_t n) {
  float lanes[kLanes];
  for (size_t j = 0; j < kLanes; ++j) lanes[j] = -INFINITY;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  }
  float maximum = lanes[0];
  for (size_t j = 1; j < kLanes; ++j) maximum = lanes[j] > maximum ? lanes[j] : maximum;
  for (; i < n; ++i) maximum = x[i] > maximum ? x[i] : maximum;
  return maximum;
}

// exp(x) for x <= 0: 2^k * 2^f with f in [-0.5, 0.5], the second factor by its Taylor series of order 7 in f ln 2
// (next term below 2^-27). Below -87 the result would leave the normal floats and is 0.
inline float NegativeExp(float x) {
  const float scaled = x * 1.44269504088896341f;
  // Adding 1.5 * 2^23 rounds to an integer, in the low bits of the float.
  const float shifted = scaled + 12582912.0f;
  const float whole = shifted - 12582912.0f;
  // ln 2 in two parts (Cody and Waite), so that the reduced argument keeps its last bits.
  const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  const int32_t exponent = static_cast<int32_t>(static_cast<uint32_t>(bits + 127) << 23);
  float power;
  std::memcpy(&power, &exponent, sizeof power);
  return x < -87.0f ? 0.0f : p * power;
}

LORA_BOUNDARY_CLONES double SumOfExponentials(const float* x, size_t n, float maximum) {
  double lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    float values[kLanes];
    for (size_t j = 0; j < kLanes; ++j) values[j] = NegativeExp(x[i + j] - maximum);
    for (size_t j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(values[j]);
  }
  double sum = 0.0;
  for (size_t j = 0; j < kLanes; ++j) sum += lanes[j];
  for (; i < n; ++i) sum += static_cast<double>(NegativeExp(x[i] - maximum));
  return sum;
}

// Sum of exp(p - maximum) * (p - q) over the row. Where the weight is 0 an infinite difference counts nothing.
LORA_BOUNDARY_CLONES double WeightedDifference(const float* p, const float* q, size_t n, float maximum) {
  double lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    float weights[kLanes];
    for (size_t j = 0; j < kLanes; ++j) weights[j] = NegativeExp(p[i + j] - maximum);
    for (size_t j = 0; j < kLanes; ++j) {
      const double difference = static_cast<double>(p[i + j]) - static_cast<double>(q[i + j]);
      lanes[j] += weights[j] == 0.0f ? 0.0 : static_cast<double>(weights[j]) * difference;
    }
  }
  double sum = 0.0;
  for (size_t j = 0; j < kLanes; ++j) sum += lanes[j];
  for (; i < n; ++i) {
    const float weight = NegativeExp(p[i] - maximum);
    const double difference = static_cast<double>(p[i]) - static_cast<double>(q[i]);
    sum += weight == 0.0f ? 0.0 : static_cast<double>(weight) * difference;
  }
  return sum;
}

}  // namespace

TokenScore ScoreToken(const float* logits, size_t vocabulary, int32_t target) {
  const float maximum = RowMaximum(logits, vocabulary);
  const double sum = SumOfExponentials(logits, vocabulary, maximum);
  const float own = logits[target];
  const bool correct = own == maximum && std::find(logits, logits + target, maximum) == logits + target;
  return {std::log(sum) + static_cast<double>(maximum) - static_cast<double>(own), correct};
}

double TokenDivergence(const float* reference, const float* logits, size_t vocabulary) {
  const float reference_maximum = RowMaximum(reference, vocabulary);
  const float maximum = RowMaximum(logits, vocabulary);
  const double reference_sum = SumOfExponentials(reference, vocabulary, reference_maximum);
  const double sum = SumOfExponentials(logits, vocabulary, maximum);
  const double mean = WeightedDifference(reference, logits, vocabulary, reference_maximum) / reference_sum;
  const double shift = static_cast<double>(maximum) - static_cast<double>(reference_maximum);
  const double divergence = mean + std::log(sum / reference_sum) + shift;
  // By Gibbs' inequality; below is rounding. What is not a number stays so.
  return divergence < 0.0 ? 0.0 : divergence;
}

size_t TokenRank(const float* logits, size_t vocabulary, int32_t target) {
  const float own = logits[target];
  size_t above = 0;
  for (size_t i = 0; i < vocabulary; ++i) above += logits[i] > own ? 1 : 0;
  return above + 1;
}
