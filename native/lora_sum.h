#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "ggml.h"
#include "node_edits.h"

// What a LoRA pair adds to its matrix product, in one node. llama.cpp computes B (A x), scales it and adds it to W x in
// three; rows of B are as short as the rank, so on a CPU most of that time goes into one horizontal sum per output and
// into passes over memory. Here B is held column by column, and its columns are added up: the same function in other
// roundings, whatever the number of threads.

// B of one pair, turned round: [rank][width].
struct LoraColumns {
  size_t rank = 0;
  size_t width = 0;
  std::vector<float> values;
  // Computes the sum; what it is given is this.
  std::unique_ptr<OwnOperation> operation;
};

// The pairs of one adapter, each turned round when it is first met. Shared by all contexts that use the adapter.
class LoraSums {
 public:
  // Null where the tensor is no B whose columns can be added up.
  const LoraColumns* Find(const ggml_tensor* b);

 private:
  std::mutex mutex_;
  std::unordered_map<const ggml_tensor*, std::unique_ptr<LoraColumns>> columns_;
};

// Watches the nodes of one context as they are asked about, and puts one node in the place of three.
class LoraSumHook {
 public:
  // For each node that will run, in order, after it was restored. `sums`: of the adapter in use.
  void Ask(ggml_tensor* node, LoraSums& sums, NodeEdits& edits) noexcept;
  // What was asked about so far runs before the next node is asked about, so it can no longer be changed.
  void Commit() { product_ = scaled_ = nullptr; }

 private:
  ggml_tensor* product_ = nullptr;  // the last two nodes
  ggml_tensor* scaled_ = nullptr;
};
