#include "packed_batch.h"

#include <map>
#include <string>
#include <utility>

#include "native_error.h"

PackedBatch::PackedBatch(const std::vector<int32_t>& tokens, const std::vector<int32_t>& offsets,
                         const std::vector<uint8_t>& scored, bool shared, int32_t vocabulary)
    : samples_(static_cast<int32_t>(offsets.size()) - 1) {
  if (samples_ < 1 || offsets.front() != 0 || offsets.back() != static_cast<int32_t>(tokens.size()) ||
      scored.size() != tokens.size()) {
    throw NativeError("BAD_ARGUMENT", "The lengths of `tokens`, `offsets` and `scored` disagree");
  }
  rows_of_sample_.resize(static_cast<size_t>(samples_));
  using Branch = std::pair<size_t, llama_token>;
  constexpr auto kRoot = static_cast<size_t>(-1);
  std::map<Branch, size_t> tree;  // the node that a token leads to from a node
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
    // Along the tree as far as it goes, then a branch of one's own.
    size_t node = kRoot;
    bool on_path = shared;
    for (int32_t i = begin; i + 1 < end; ++i) {
      const auto next = static_cast<size_t>(i) + 1;
      const llama_token token = tokens[static_cast<size_t>(i)];
      const bool is_scored = scored[next] != 0;
      on_path = on_path && !is_scored;
      const auto known = on_path ? tree.find({node, token}) : tree.end();
      if (known != tree.end()) {
        node = known->second;
        sequences_[node].push_back(sample);
        continue;
      }
      if (on_path) tree.emplace(Branch(node, token), tokens_.size());
      node = tokens_.size();
      tokens_.push_back(token);
      positions_.push_back(i - begin);
      sequences_.push_back({sample});
      outputs_.push_back(is_scored ? 1 : 0);
      if (is_scored) {
        rows_of_sample_[static_cast<size_t>(sample)].push_back(targets_.size());
        targets_.push_back(tokens[next]);
        sample_of_row_.push_back(sample);
      }
    }
  }
  if (targets_.empty()) throw NativeError("BAD_ARGUMENT", "No token of the batch is scored");
  for (std::vector<llama_seq_id>& through : sequences_) {
    sequence_counts_.push_back(static_cast<int32_t>(through.size()));
    sequence_pointers_.push_back(through.data());
  }
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

std::vector<int32_t> PackedBatch::positions_of_rows() const {
  std::vector<int32_t> positions;
  positions.reserve(targets_.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i] != 0) positions.push_back(static_cast<int32_t>(i));
  }
  return positions;
}
