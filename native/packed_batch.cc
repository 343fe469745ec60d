#include "packed_batch.h"

#include <string>

#include "native_error.h"

PackedBatch::PackedBatch(const std::vector<int32_t>& tokens, const std::vector<int32_t>& offsets,
                         const std::vector<uint8_t>& scored, int32_t vocabulary)
    : samples_(static_cast<int32_t>(offsets.size()) - 1) {
  if (samples_ < 1 || offsets.front() != 0 || offsets.back() != static_cast<int32_t>(tokens.size()) ||
      scored.size() != tokens.size()) {
    throw NativeError("BAD_ARGUMENT", "The lengths of `tokens`, `offsets` and `scored` disagree");
  }
  rows_of_sample_.resize(static_cast<size_t>(samples_));
  for (int32_t sample = 0; sample < samples_; ++sample) {
    const int32_t begin = offsets[static_cast<size_t>(sample)];
    const int32_t end = offsets[static_cast<size_t>(sample) + 1];
    if (end > offsets.back() || end < begin + 2) {
      throw NativeError("BAD_ARGUMENT", "A sample has fewer than two tokens or ends outside `tokens`");
    }
    for (int32_t i = begin; i < end; ++i) {
      const int32_t token = tokens[static_cast<size_t>(i)];
      if (token < 0 || token >= vocabulary) {
        throw NativeError("BAD_ARGUMENT", "Token " + std::to_string(token) + " is outside the vocabulary of " +
                                              std::to_string(vocabulary));
      }
    }
    for (int32_t i = begin; i + 1 < end; ++i) {
      const auto next = static_cast<size_t>(i) + 1;
      tokens_.push_back(tokens[static_cast<size_t>(i)]);
      positions_.push_back(i - begin);
      sequences_.push_back(sample);
      outputs_.push_back(scored[next] != 0 ? 1 : 0);
      if (scored[next] != 0) {
        rows_of_sample_[static_cast<size_t>(sample)].push_back(targets_.size());
        targets_.push_back(tokens[next]);
        sample_of_row_.push_back(sample);
      }
    }
  }
  if (targets_.empty()) throw NativeError("BAD_ARGUMENT", "No token of the batch is scored");
  sequence_counts_.assign(tokens_.size(), 1);
  for (llama_seq_id& sequence : sequences_) sequence_pointers_.push_back(&sequence);
}

llama_batch PackedBatch::View() {
  llama_batch batch{};
  batch.n_tokens = tokens();
  batch.token = tokens_.data();
  batch.pos = positions_.data();
  batch.n_seq_id = sequence_counts_.data();
  batch.seq_id = sequence_pointers_.data();
  batch.logits = outputs_.data();
  return batch;
}
