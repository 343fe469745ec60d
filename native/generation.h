#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "handles.h"
#include "job_control.h"
#include "layered_adapter.h"
#include "quant_product.h"
#include "token_choice.h"

// How large a context for generation is made.
struct GenerationShape {
  int32_t context_tokens;  // of all sequences together
  int32_t max_sequences;
  int32_t batch_tokens;  // computed at once
  int32_t max_rows;      // tokens of one step for which logits are wanted
  int32_t threads;
  bool fused_lora;  // of the adapter that will be set
};

// What one step appends to the sequences that take part in it.
struct GenerationStep {
  std::vector<int32_t> slots;
  std::vector<int32_t> offsets;  // [slots + 1]; tokens of slot i: offsets[i] .. offsets[i + 1]
  std::vector<int32_t> tokens;
  // [slots] how many of a slot's tokens, its last ones, are drafts to be verified; -1: no token is wanted after them.
  std::vector<int32_t> drafts;
};

struct GenerationResult {
  // [slots] tokens chosen: the drafts that are what would have been chosen, and the one after them.
  std::vector<int32_t> counts;
  std::vector<TokenChoice> choices;  // of all slots, one after another
  std::vector<uint8_t> ended;        // [slots] 1: the last token chosen ends the text
  // [slots] 1: the memory could not be rolled back behind rejected drafts, so the slot is empty now.
  std::vector<uint8_t> lost;
  double seconds = 0;
};

// A context in which sequences grow token by token under the strengths of an adapter. It carries out steps; which
// sequence joins, leaves or gets drafts is decided elsewhere.
class Generation {
 public:
  Generation(ModelHandle base, const GenerationShape& shape);

  // Empties the memory: what one set of strengths wrote must never be read by another. Null: the base model.
  void SetStrengths(std::shared_ptr<AdapterParts> adapter, const std::vector<float>& strengths);
  // How the slot's tokens are drawn until it is set again; null: greedily.
  void SetSampler(int32_t slot, SamplerHandle sampler);
  // Empties a slot for another sequence.
  void Clear(int32_t slot);
  // Throws NativeError BAD_ARGUMENT before anything has run; after any other error every slot is empty.
  GenerationResult Run(const GenerationStep& step, const JobState& job);

  const GenerationShape& shape() const { return shape_; }
  const ModelHandle& model() const { return model_; }

  std::atomic<bool> busy{false};

 private:
  void Ask(ggml_tensor* node, bool ask);
  void Check(const GenerationStep& step) const;
  void Decode(const GenerationStep& step);
  void Choose(const GenerationStep& step, GenerationResult& result);
  void ClearAll();

  ModelHandle model_;                      // declared first: the context is freed before its model
  std::shared_ptr<AdapterParts> applied_;  // what the context refers to
  NodeEdits edits_;
  LoraSumHook lora_sums_;
  QuantProductHook quant_products_;
  GenerationShape shape_;
  ContextHandle context_;
  std::vector<int32_t> lengths_;         // [slots] tokens in memory
  std::vector<SamplerHandle> samplers_;  // [slots]
  std::vector<llama_token_data> scratch_;
  std::atomic<const JobState*> job_{nullptr};
};
