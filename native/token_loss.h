#pragma once

#include <cstddef>
#include <cstdint>

struct TokenScore {
  double loss;   // negative log-likelihood, natural log: log(sum(exp(x - max))) + max - x[target]
  bool correct;  // the token is the most likely one; among equals the lowest id is
};

// Of one token under one row of logits. Sums are double. The loss is not finite where the logits are not.
TokenScore ScoreToken(const float* logits, size_t vocabulary, int32_t target);
