#include "token_choice.h"

#include <array>
#include <cmath>
#include <limits>

#include "native_error.h"

namespace {

// Plain loops over independent lanes: compilers make vector code of them without being allowed to reorder floats.
constexpr size_t kLanes = 16;

float Largest(const float* values, size_t count) {
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  float largest = -std::numeric_limits<float>::infinity();
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  for (; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
  return largest;
}

size_t FirstOf(const float* values, size_t count, float wanted) {
  for (size_t i = 0; i < count; ++i) {
    if (values[i] == wanted) return i;
  }
  return count;
}

}  // namespace

TokenChoice ChooseGreedy(const float* logits, size_t vocabulary) {
  const float best = Largest(logits, vocabulary);
  if (!std::isfinite(best)) throw NativeError("DECODE", "llama.cpp computed logits that are not numbers");
  const size_t token = FirstOf(logits, vocabulary, best);
  const size_t behind = token + 1;
  const float below = Largest(logits, token);
  const float above = Largest(logits + behind, vocabulary - behind);
  TokenChoice choice;
  choice.token = static_cast<llama_token>(token);
  choice.runner_up = static_cast<llama_token>(below >= above ? FirstOf(logits, token, below)
                                                             : behind + FirstOf(logits + behind, vocabulary, above));
  choice.margin = best - (below >= above ? below : above);
  // Every other token is forbidden (-inf), or there is none.
  if (!std::isfinite(choice.margin)) choice.runner_up = choice.token;
  return choice;
}

SamplerHandle MakeSampler(float temperature, float top_p, uint32_t seed) {
  llama_sampler_chain_params parameters = llama_sampler_chain_default_params();
  parameters.no_perf = true;
  SamplerHandle chain(llama_sampler_chain_init(parameters));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_top_p(top_p, 1));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_temp(temperature));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_dist(seed));
  return chain;
}

TokenChoice ChooseSampled(llama_sampler* sampler, const float* logits, size_t vocabulary,
                          std::vector<llama_token_data>& scratch) {
  TokenChoice choice = ChooseGreedy(logits, vocabulary);
  scratch.resize(vocabulary);
  for (size_t token = 0; token < vocabulary; ++token) {
    scratch[token] = {static_cast<llama_token>(token), logits[token], 0.0f};
  }
  llama_token_data_array row = {scratch.data(), scratch.size(), -1, false};
  llama_sampler_apply(sampler, &row);
  if (row.selected < 0 || static_cast<size_t>(row.selected) >= row.size) {
    throw NativeError("DECODE", "llama.cpp's sampler chose no token");
  }
  choice.token = row.data[row.selected].id;
  llama_sampler_accept(sampler, choice.token);
  return choice;
}
