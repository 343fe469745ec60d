#pragma once

#include "ggml.h"
#include "node_edits.h"

// A x of LoRA pairs. llama.cpp sums it in an order that depends on how many rows there are; here each number is summed
// alone, so a row's bits do not depend on the rows beside it.
class LoraProductHook {
 public:
  LoraProductHook();

  // Whether this processor can do it.
  static bool Usable();

  // For each node that will run, after it was restored: takes over those that it can compute.
  void Ask(ggml_tensor* node, NodeEdits& edits) const noexcept;

 private:
  OwnOperation operation_;
};
