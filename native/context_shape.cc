#include "context_shape.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "arguments.h"

namespace {

// The types that llama.cpp's own programs take for a KV cache.
constexpr std::array<ggml_type, 9> kCacheTypes = {GGML_TYPE_F32,    GGML_TYPE_F16,  GGML_TYPE_BF16,
                                                  GGML_TYPE_Q8_0,   GGML_TYPE_Q4_0, GGML_TYPE_Q4_1,
                                                  GGML_TYPE_IQ4_NL, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1};

ggml_type CacheType(const Napi::Object& options, const char* option) {
  const std::string name = arguments::String(options, option);
  const auto* found = std::find_if(kCacheTypes.begin(), kCacheTypes.end(),
                                   [&name](ggml_type type) { return name == ggml_type_name(type); });
  if (found == kCacheTypes.end()) arguments::Fail(options.Env(), option, "a type that a KV cache can have");
  return *found;
}

llama_flash_attn_type FlashAttention(const Napi::Object& options) {
  const std::string name = arguments::String(options, "flashAttention");
  if (name == "on") return LLAMA_FLASH_ATTN_TYPE_ENABLED;
  if (name == "off") return LLAMA_FLASH_ATTN_TYPE_DISABLED;
  if (name != "auto") arguments::Fail(options.Env(), "flashAttention", "auto, on or off");
  return LLAMA_FLASH_ATTN_TYPE_AUTO;
}

}  // namespace

ScorerShape ReadShape(const Napi::Object& options) {
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  ScorerShape shape;
  shape.max_tokens = arguments::Integer(options, "maxTokens", 1, kMost);
  shape.max_sequences =
      arguments::Integer(options, "maxSequences", 1, static_cast<int32_t>(llama_max_parallel_sequences()));
  shape.max_rows = arguments::Integer(options, "maxRows", 1, shape.max_tokens);
  shape.rows_of_sequence = arguments::Integer(options, "rowsOfSequence", 1, shape.max_rows);
  shape.threads = arguments::Integer(options, "threads", 1, 512);
  shape.loss_in_graph = arguments::Boolean(options, "lossInGraph");
  shape.flash_attention = FlashAttention(options);
  shape.key_type = CacheType(options, "keyType");
  shape.value_type = CacheType(options, "valueType");
  return shape;
}

llama_context_params ContextParameters(const ScorerShape& shape) {
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = static_cast<uint32_t>(shape.max_tokens);
  parameters.n_batch = parameters.n_ubatch = static_cast<uint32_t>(shape.max_tokens);
  parameters.n_seq_max = static_cast<uint32_t>(shape.max_sequences);
  parameters.n_outputs_max = static_cast<uint32_t>(std::max(shape.max_rows, shape.max_sequences));
  parameters.n_outputs_max_per_seq = static_cast<uint32_t>(shape.rows_of_sequence);
  parameters.n_threads = parameters.n_threads_batch = shape.threads;
  parameters.flash_attn_type = shape.flash_attention;
  parameters.type_k = shape.key_type;
  parameters.type_v = shape.value_type;
  parameters.kv_unified = true;
  parameters.no_perf = true;
  return parameters;
}
