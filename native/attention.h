#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"
#include "node_edits.h"

// Attention for many sequences in one memory. llama.cpp's processor backend looks at every cell for every row and head,
// and sums in the order in which cells happen to lie, of values (F16 or F32) that depend on how many rows run together:
// so what one sequence writes depends on those beside it. Here a row finds its own cells once and reads no others; its
// result depends on neither the number of rows nor the place of the cells, and is closer to the exact one.
class AttentionHook {
 public:
  // `threads`: at most, of the graphs that are watched.
  explicit AttentionHook(int32_t threads) : threads_(static_cast<size_t>(threads)), operation_(Run, this) {}
  // The operation points here.
  AttentionHook(const AttentionHook&) = delete;
  AttentionHook& operator=(const AttentionHook&) = delete;

  // Whether this processor can do it.
  static bool Usable();

  // For each node that will run, after it was restored: takes over those that it can compute.
  void Ask(ggml_tensor* node, NodeEdits& edits) noexcept;

 private:
  static void Run(ggml_tensor* out, const ggml_tensor* q, const ggml_tensor* k, int thread, int threads, void* self);

  // What one thread works in: room for as many cells as the memory has.
  struct Scratch {
    std::vector<int32_t> index;
    std::vector<float> bias;
    std::vector<float> weights;
  };

  size_t threads_;
  std::vector<Scratch> scratch_;  // [threads]
  OwnOperation operation_;        // given this
};
