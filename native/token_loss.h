#pragma once

#include <cstddef>
#include <cstdint>

// Negative log-likelihood of one token under one row of logits, natural log: log(sum(exp(x - max))) + max - x[target].
// Sums are double. Not finite where the logits are not.
double TokenLoss(const float* logits, size_t vocabulary, int32_t target);

// Kullback-Leibler divergence from the next-token distribution of one row of logits to that of another, nats:
// sum(p * (log p - log q)) with p = softmax(reference), q = softmax(logits). Sums are double; 0 for equal rows, never
// below. Not finite where the logits are not.
double TokenDivergence(const float* reference, const float* logits, size_t vocabulary);
