#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "handles.h"
#include "job_control.h"
#include "layered_adapter.h"
#include "node_hooks.h"
#include "token_choice.h"

// How large a context for generation is made.
struct GenerationShape {
  int32_t context_tokens;  // of all sequences together
  int32_t max_sequences;
  int32_t batch_tokens;  // computed at once
  int32_t max_rows;      // tokens of one step for which logits are wanted
  int32_t threads;
  bool fused_lora;  // of the adapter that will be set
  bool resumes;     // prompts are opened, see Generation::Open
  bool own_sums;    // for a model that is on the CPU alone, see node_hooks.h
};

// What one step appends to the sequences that take part in it.
struct GenerationStep {
  std::vector<int32_t> slots;
  std::vector<int32_t> offsets;  // [slots + 1]; tokens of slot i: offsets[i] .. offsets[i + 1]
  std::vector<int32_t> tokens;
  // [slots] how many of a slot's tokens, its last ones, are drafts to be verified; -1: no token is wanted after them.
  std::vector<int32_t> drafts;
};

// Prompts, each alone in a slot: decoded in the same order into an empty memory for every candidate, so that a prompt
// has the same cells each time.
struct GenerationOpening {
  std::vector<GenerationStep> batches;
};

// Prompt i is offsets[i] .. offsets[i + 1] of the tokens, in slots[i]; batch j holds prompts batches[j] .. batches[j +
// 1]. Throws NativeError BAD_ARGUMENT.
GenerationOpening MakeOpening(const std::vector<int32_t>& slots, const std::vector<int32_t>& offsets,
                              const std::vector<int32_t>& tokens, const std::vector<int32_t>& batches);

struct GenerationResult {
  // [slots] tokens chosen: the drafts that are what would have been chosen, and the one after them.
  std::vector<int32_t> counts;
  std::vector<TokenChoice> choices;  // of all slots, one after another
  std::vector<uint8_t> ended;        // [slots] 1: the last token chosen ends the text
  // [slots] 1: the memory could not be rolled back behind rejected drafts, so the slot is empty now.
  std::vector<uint8_t> lost;
  // After Open: the layers below which a later opening can resume, ascending.
  std::vector<int32_t> kept;
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

  // Forgets all kept states.
  void SetOpening(GenerationOpening opening);
  // Decodes the prompts of the opening, which must stay in their slots: others go on from them, see Copy. What layers
  // below `resume_at` computed is taken from the opening before, whose strengths there were the same: their rows are
  // still in the prompts' cells, and the states were kept. Keeps those at `keep_at`, above `resume_at`, where the graph
  // allows it. Throws NativeError BAD_ARGUMENT, or REPLAY_FAILED where llama.cpp built another graph; after an error
  // every slot is empty, and the next opening must start from the tokens.
  GenerationResult Open(size_t resume_at, const std::vector<size_t>& keep_at, const JobState& job);
  // Empties `to`; then it holds what `from` holds, in the same cells.
  void Copy(int32_t from, int32_t to);

  const GenerationShape& shape() const { return shape_; }
  const ModelHandle& model() const { return model_; }

  std::atomic<bool> busy{false};

 private:
  bool Evaluate(ggml_tensor* node, bool ask);
  void RecordOpening(const std::string& structure);
  std::vector<size_t> Usable(const std::string& structure, const std::vector<size_t>& layers) const;
  bool Opens(int32_t slot) const;
  void Check(const GenerationStep& step) const;
  void Decode(const GenerationStep& step);
  void Choose(const GenerationStep& step, GenerationResult& result);
  void ClearAll();

  ModelHandle model_;                      // declared first: the context is freed before its model
  std::shared_ptr<AdapterParts> applied_;  // what the context refers to
  std::vector<float> strengths_;
  NodeHooks hooks_;
  GenerationOpening opening_;
  std::vector<std::unique_ptr<GraphReplay>> replays_;  // [batches of the opening]
  GraphReplay* replay_ = nullptr;                      // of the batch that is being decoded
  bool opened_ = false;                                // the prompts are in their slots
  // Nothing was written to the prompts' cells since the last opening.
  bool intact_ = false;
  GenerationShape shape_;
  ContextHandle context_;
  std::vector<int32_t> lengths_;         // [slots] tokens in memory
  std::vector<int32_t> shared_;          // [slots] of those, tokens in cells of another slot
  std::vector<SamplerHandle> samplers_;  // [slots]
  std::vector<llama_token_data> scratch_;
  std::atomic<const JobState*> job_{nullptr};
};
