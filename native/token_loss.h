#pragma once

#include <cstddef>
#include <cstdint>

struct TokenScore {
  double loss;   // negative log-likelihood, natural log: log(sum(exp(x - max))) + max - x[target]
  bool correct;  // the token is the most likely one; among equals the lowest id is
};

// Of one token under one row of logits. Sums are double. The loss is not finite where the logits are not.
TokenScore ScoreToken(const float* logits, size_t vocabulary, int32_t target);

// Kullback-Leibler divergence from the next-token distribution of one row of logits to that of another, nats:
// sum(p * (log p - log q)) with p = softmax(reference), q = softmax(logits). Sums are double; 0 for equal rows, never
// below. Not finite where the logits are not.
double TokenDivergence(const float* reference, const float* logits, size_t vocabulary);

// Place of one token by its logit, 1 for the largest; tokens with the same logit share the best place.
size_t TokenRank(const float* logits, size_t vocabulary, int32_t target);
