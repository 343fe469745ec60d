#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "llama.h"

// Samples side by side in one llama batch, each a sequence of its own; where they begin alike they can be a tree, in
// which a token belongs to every sequence that runs through it. The last token of a sample predicts nothing and is left
// out. Rows are the batch positions whose next token is scored, in batch order.
class PackedBatch {
 public:
  // tokens: all samples one after another; offsets[i] .. offsets[i + 1] is sample i; scored: 1 where a token is scored.
  // shared: tokens before the one that predicts a sample's first scored token are computed once for all samples that
  // have the same ones from the first on. Throws NativeError("BAD_ARGUMENT") where lengths disagree or a token is
  // outside the vocabulary.
  PackedBatch(const std::vector<int32_t>& tokens, const std::vector<int32_t>& offsets,
              const std::vector<uint8_t>& scored, bool shared, int32_t vocabulary);

  // A view for llama_decode; valid while this object lives.
  llama_batch View();

  int32_t samples() const { return samples_; }
  int32_t tokens() const { return static_cast<int32_t>(tokens_.size()); }
  int32_t rows() const { return static_cast<int32_t>(targets_.size()); }
  // The token that row r must predict, and the sample it belongs to.
  const std::vector<int32_t>& targets() const { return targets_; }
  const std::vector<int32_t>& sample_of_row() const { return sample_of_row_; }
  // The other way round: the rows of each sample, ascending.
  const std::vector<std::vector<size_t>>& rows_of_sample() const { return rows_of_sample_; }
  // Its place in the batch.
  std::vector<int32_t> positions_of_rows() const;

 private:
  int32_t samples_;
  std::vector<llama_token> tokens_;
  std::vector<llama_pos> positions_;
  std::vector<int32_t> sequence_counts_;
  std::vector<std::vector<llama_seq_id>> sequences_;
  std::vector<llama_seq_id*> sequence_pointers_;
  std::vector<int8_t> outputs_;
  std::vector<int32_t> targets_;
  std::vector<int32_t> sample_of_row_;
  std::vector<std::vector<size_t>> rows_of_sample_;
};
