#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"
#include "node_edits.h"

// Products of quantised weights, unpacked once for all rows of a batch: llama.cpp's processor backend unpacks those
// that it does not repack again for every row, so a batch costs almost as much as its rows one at a time.
class QuantProductHook {
 public:
  // In whose order a result is summed.
  enum class Order {
    // llama.cpp's, of Q4_1: the same bits, for two rows or more. Where a trial says otherwise (another build of
    // llama.cpp), llama.cpp's own kernel stays.
    kLlama,
    // Block by block, of Q4_1 and Q8_0, where the processor has AVX-512 VNNI: several times faster, and a row's bits do
    // not depend on the rows beside it. Elsewhere as kLlama.
    kOwn
  };

  // `threads`: at most, of the graphs that are watched.
  QuantProductHook(int32_t threads, Order order);
  // Whether this processor can do it in llama.cpp's order, and in our own: each is tried once, against llama.cpp.
  static bool HasLlamaBits();
  static bool HasOwnOrder();

  // The operations point here.
  QuantProductHook(const QuantProductHook&) = delete;
  QuantProductHook& operator=(const QuantProductHook&) = delete;

  // For each node that will run, after it was restored: takes over those that it can compute.
  void Ask(ggml_tensor* node, NodeEdits& edits) noexcept;

 private:
  static void Run(ggml_tensor* out, const ggml_tensor* weights, const ggml_tensor* x, int thread, int threads,
                  void* self);
  static void RunColumns(ggml_tensor* out, const ggml_tensor* weights, const ggml_tensor* x, int thread, int threads,
                         void* self);
  uint8_t* ScratchOf(int thread) { return scratch_.data() + static_cast<size_t>(thread) * scratch_bytes_; }

  int32_t threads_;
  bool by_columns_;
  std::vector<uint8_t> scratch_;  // [threads][scratch_bytes_]
  size_t scratch_bytes_ = 0;
  OwnOperation operation_;  // given this, as the next
  OwnOperation columns_;
};
