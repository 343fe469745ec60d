#include "generation.h"

#include <algorithm>
#include <chrono>

#include "log_lines.h"
#include "native_error.h"

namespace {

void Require(bool holds, const char* message) {
  if (!holds) throw NativeError("BAD_ARGUMENT", message);
}

llama_context_params ParametersOf(const GenerationShape& shape) {
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = static_cast<uint32_t>(shape.context_tokens);
  parameters.n_batch = parameters.n_ubatch = static_cast<uint32_t>(shape.batch_tokens);
  parameters.n_seq_max = static_cast<uint32_t>(shape.max_sequences);
  parameters.n_outputs_max = static_cast<uint32_t>(std::max(shape.max_rows, shape.max_sequences));
  parameters.n_threads = parameters.n_threads_batch = shape.threads;
  // One pool of cells: sequences differ in length, and steps in how many tokens each of them gets.
  parameters.kv_unified = true;
  parameters.no_perf = true;
  return parameters;
}

}  // namespace

Generation::Generation(ModelHandle base, const GenerationShape& shape)
    : model_(std::move(base)),
      hooks_(shape.threads, shape.own_sums),
      shape_(shape),
      lengths_(static_cast<size_t>(shape.max_sequences), 0),
      shared_(lengths_.size(), 0),
      samplers_(static_cast<size_t>(shape.max_sequences)) {
  log_lines::Collector log;
  llama_context_params parameters = ParametersOf(shape);
  parameters.abort_callback = [](void* self) {
    const JobState* running = static_cast<Generation*>(self)->job_;
    return running != nullptr && running->aborted.load();
  };
  parameters.abort_callback_data = this;
  if (shape_.fused_lora || shape_.resumes || shape_.own_sums) {
    parameters.cb_eval = [](ggml_tensor* node, bool ask, void* self) {
      return static_cast<Generation*>(self)->Evaluate(node, ask);
    };
    parameters.cb_eval_user_data = this;
  }
  context_.reset(llama_init_from_model(model_.get(), parameters));
  if (!context_) throw NativeError("CONTEXT", log.Explain("llama.cpp could not make a context"));
}

bool Generation::Evaluate(ggml_tensor* node, bool ask) {
  const auto none = [](const ggml_tensor*) { return false; };
  return hooks_.Evaluate(node, ask, replay_, applied_ ? applied_->sums.get() : nullptr, job_, none, none);
}

void Generation::SetStrengths(std::shared_ptr<AdapterParts> adapter, const std::vector<float>& strengths) {
  ClearAll();
  if (adapter) {
    adapter->Apply(context_.get(), strengths, 0);
  } else if (llama_set_adapters_lora(context_.get(), nullptr, 0, nullptr) != 0) {
    throw NativeError("DECODE", "llama.cpp refused to leave out the adapter");
  }
  applied_ = std::move(adapter);
  strengths_ = strengths;
}

void Generation::SetSampler(int32_t slot, SamplerHandle sampler) {
  samplers_[static_cast<size_t>(slot)] = std::move(sampler);
}

void Generation::Clear(int32_t slot) {
  // Removing a whole sequence never fails.
  llama_memory_seq_rm(llama_get_memory(context_.get()), slot, -1, -1);
  lengths_[static_cast<size_t>(slot)] = shared_[static_cast<size_t>(slot)] = 0;
  // Others may get its cells.
  if (Opens(slot)) intact_ = false;
}

void Generation::ClearAll() {
  llama_memory_clear(llama_get_memory(context_.get()), /*data=*/false);
  std::fill(lengths_.begin(), lengths_.end(), 0);
  std::fill(shared_.begin(), shared_.end(), 0);
  opened_ = false;
}

void Generation::Check(const GenerationStep& step) const {
  const size_t count = step.slots.size();
  Require(count > 0 && step.offsets.size() == count + 1 && step.drafts.size() == count && step.offsets.front() == 0 &&
              step.offsets.back() == static_cast<int32_t>(step.tokens.size()),
          "Lengths of the step's arrays disagree");
  Require(step.tokens.size() <= static_cast<size_t>(shape_.batch_tokens), "The step has more tokens than a batch");
  const int32_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model_.get()));
  for (const int32_t token : step.tokens) Require(token >= 0 && token < vocabulary, "A token is not in the vocabulary");
  std::vector<uint8_t> seen(lengths_.size(), 0);
  size_t rows = 0;
  for (size_t i = 0; i < count; ++i) {
    const int32_t slot = step.slots[i];
    Require(slot >= 0 && slot < shape_.max_sequences && seen[static_cast<size_t>(slot)]++ == 0,
            "A slot does not exist or is there twice");
    const int32_t length = step.offsets[i + 1] - step.offsets[i];
    Require(length > 0 && step.drafts[i] >= -1 && step.drafts[i] < length, "A slot needs a token that is no draft");
    Require(step.drafts[i] <= 0 || !samplers_[static_cast<size_t>(slot)], "Drafts are for greedy choice only");
    rows += static_cast<size_t>(step.drafts[i] + 1);
  }
  Require(rows <= static_cast<size_t>(shape_.max_rows), "The step wants more rows than the context was made for");
  size_t cells = step.tokens.size();
  for (size_t slot = 0; slot < lengths_.size(); ++slot) cells += static_cast<size_t>(lengths_[slot] - shared_[slot]);
  Require(cells <= static_cast<size_t>(shape_.context_tokens), "The step does not fit into the context");
}

GenerationResult Generation::Run(const GenerationStep& step, const JobState& job) {
  const auto start = std::chrono::steady_clock::now();
  Check(step);
  job_ = &job;
  if (!opened_) intact_ = false;
  GenerationResult result;
  try {
    Decode(step);
    Choose(step, result);
  } catch (...) {
    // Some of the batch may have been written.
    ClearAll();
    job_ = nullptr;
    throw;
  }
  job_ = nullptr;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

void Generation::Decode(const GenerationStep& step) {
  const size_t size = step.tokens.size();
  std::vector<llama_token> tokens(step.tokens.begin(), step.tokens.end());
  std::vector<llama_pos> positions(size);
  std::vector<int32_t> sequence_counts(size, 1);
  std::vector<llama_seq_id> sequences(size);
  std::vector<llama_seq_id*> sequence_pointers(size);
  std::vector<int8_t> outputs(size, 0);
  for (size_t i = 0; i < step.slots.size(); ++i) {
    const int32_t end = step.offsets[i + 1];
    for (int32_t at = step.offsets[i]; at < end; ++at) {
      const auto index = static_cast<size_t>(at);
      sequences[index] = step.slots[i];
      sequence_pointers[index] = &sequences[index];
      positions[index] = lengths_[static_cast<size_t>(step.slots[i])] + at - step.offsets[i];
      outputs[index] = end - at <= step.drafts[i] + 1 ? 1 : 0;
    }
  }
  const llama_batch batch = {
      static_cast<int32_t>(size), tokens.data(), nullptr, positions.data(), sequence_counts.data(),
      sequence_pointers.data(),   outputs.data()};
  log_lines::Collector log;
  const int32_t status = llama_decode(context_.get(), batch);
  llama_synchronize(context_.get());
  if (job_.load()->aborted) throw NativeError("CANCELLED", "Cancelled.");
  if (status == -2) {
    throw NativeError("OUT_OF_MEMORY", log.Explain("llama.cpp could not allocate memory for the batch"));
  }
  if (status != 0) {
    throw NativeError("DECODE",
                      log.Explain("llama.cpp could not compute the batch (status " + std::to_string(status) + ")"));
  }
  for (size_t i = 0; i < step.slots.size(); ++i) {
    lengths_[static_cast<size_t>(step.slots[i])] += step.offsets[i + 1] - step.offsets[i];
  }
}

void Generation::Choose(const GenerationStep& step, GenerationResult& result) {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  const auto vocabulary = static_cast<size_t>(llama_vocab_n_tokens(vocab));
  llama_memory_t memory = llama_get_memory(context_.get());
  for (size_t i = 0; i < step.slots.size(); ++i) {
    const auto slot = static_cast<size_t>(step.slots[i]);
    const int32_t drafts = step.drafts[i];
    int32_t accepted = 0;
    bool ended = false;
    bool lost = false;
    if (drafts >= 0) {
      const int32_t first = step.offsets[i + 1] - drafts - 1;
      for (;; ++accepted) {
        const float* logits = llama_get_logits_ith(context_.get(), first + accepted);
        if (logits == nullptr) throw NativeError("DECODE", "llama.cpp returned no logits");
        const TokenChoice choice = samplers_[slot] ? ChooseSampled(samplers_[slot].get(), logits, vocabulary, scratch_)
                                                   : ChooseGreedy(logits, vocabulary);
        result.choices.push_back(choice);
        ended = llama_vocab_is_eog(vocab, choice.token);
        const bool agrees = accepted < drafts && choice.token == step.tokens[static_cast<size_t>(first + accepted + 1)];
        if (ended || !agrees) break;
      }
      if (accepted < drafts) {
        lengths_[slot] -= drafts - accepted;
        lost = !llama_memory_seq_rm(memory, step.slots[i], lengths_[slot], -1);
        if (lost) Clear(step.slots[i]);
      }
    }
    result.counts.push_back(drafts < 0 ? 0 : accepted + 1);
    result.ended.push_back(ended ? 1 : 0);
    result.lost.push_back(lost ? 1 : 0);
  }
}
