#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "llama.h"

struct SamplerDeleter {
  void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
};
using SamplerHandle = std::unique_ptr<llama_sampler, SamplerDeleter>;

// What one row of logits says of the next token.
struct TokenChoice {
  llama_token token = 0;
  llama_token runner_up = 0;
  // How far the logit of the best token is above that of the second: small ones are ties within float noise.
  float margin = 0;
};

// The largest logit, of equal ones that of the lowest token id, and the second. Throws NativeError DECODE where the
// largest is not a finite number.
TokenChoice ChooseGreedy(const float* logits, size_t vocabulary);

// llama.cpp's own chain: top-p over the plain probabilities, then the temperature, then a draw by seed.
SamplerHandle MakeSampler(float temperature, float top_p, uint32_t seed);

// A draw from the row; the runner-up and the margin are those of the greedy choice.
TokenChoice ChooseSampled(llama_sampler* sampler, const float* logits, size_t vocabulary,
                          std::vector<llama_token_data>& scratch);
