#pragma once

#include <cstddef>
#include <cstdint>

// Negative log-likelihood of one token under one row of logits, natural log: log(sum(exp(x - max))) + max - x[target].
// Sums are double. Not finite where the logits are not.
double TokenLoss(const float* logits, size_t vocabulary, int32_t target);

// Place of one token by its logit, 1 for the largest; tokens with the same logit share the best place.
size_t TokenRank(const float* logits, size_t vocabulary, int32_t target);
