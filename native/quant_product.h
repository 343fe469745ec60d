#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"
#include "node_edits.h"

// Products of Q4_1 weights with several rows at once. llama.cpp's processor backend unpacks such weights again for
// every row, so a batch costs almost as much as its rows one at a time; the types that it repacks for batches do not
// have this cost. Here weights are unpacked once for many rows. Each result is summed in llama.cpp's own order, so it
// has the same bits; where a trial says otherwise (another build of llama.cpp), llama.cpp's own kernel stays.
class QuantProductHook {
 public:
  // `threads`: at most, of the graphs that are watched.
  explicit QuantProductHook(int32_t threads) : threads_(threads), operation_(Run, this) {}
  // The operation points here.
  QuantProductHook(const QuantProductHook&) = delete;
  QuantProductHook& operator=(const QuantProductHook&) = delete;

  // Whether this processor and this llama.cpp can do it; tried once.
  static bool Usable();

  // For each node that will run, after it was restored: takes over those that it can compute.
  void Ask(ggml_tensor* node, NodeEdits& edits) noexcept;

 private:
  static void Run(ggml_tensor* out, const ggml_tensor* weights, const ggml_tensor* x, int thread, int threads,
                  void* self);

  int32_t threads_;
  std::vector<uint8_t> scratch_;  // [threads][scratch_bytes_]
  size_t scratch_bytes_ = 0;
  OwnOperation operation_;  // given this
};
