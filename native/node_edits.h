#pragma once

#include <array>
#include <cstring>
#include <unordered_map>

#include "ggml.h"
#include "handles.h"

// A node that carries a function of ours and what the function is given, for NodeEdits::Replace. Never run itself.
class OwnOperation {
 public:
  OwnOperation(ggml_custom2_op_t run, void* given)
      : context_(ggml_init({3 * ggml_tensor_overhead(), nullptr, /*no_alloc=*/true})) {
    ggml_tensor* operand = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, 1);
    node_ = ggml_map_custom2(context_.get(), operand, operand, run, GGML_N_TASKS_MAX, given);
  }

  const ggml_tensor& node() const { return *node_; }

 private:
  GgmlHandle context_;
  const ggml_tensor* node_;
};

// Changes that the `cb_eval` hook makes to nodes of llama.cpp's graphs before they run. llama.cpp may run a built graph
// again, so each change is taken back when its node is seen again.
class NodeEdits {
 public:
  // Call first for every node that is asked about.
  void Restore(ggml_tensor* node) {
    const auto edit = edits_.find(node);
    if (edit == edits_.end()) return;
    // A graph built anew may lie in the same memory, with an op of its own.
    if (node->op == edit->second.now) {
      node->op = edit->second.original;
      if (edit->second.now != GGML_OP_NONE) {
        std::memcpy(node->op_params, edit->second.parameters.data(), sizeof(node->op_params));
      }
    }
    edits_.erase(edit);
  }

  // Every backend skips a node without an operation.
  void Skip(ggml_tensor* node) {
    edits_[node] = {node->op, GGML_OP_NONE, {}};
    node->op = GGML_OP_NONE;
  }

  // Where a node that was replaced has the one parameter that its operation is told, behind those of ggml.
  static constexpr size_t kOwnParameter = GGML_MAX_OP_PARAMS / sizeof(int32_t) - 1;

  // `node` computes what `other` would, of its own sources.
  void Replace(ggml_tensor* node, const ggml_tensor& other, float parameter = 0) {
    Edit& edit = edits_[node] = {node->op, other.op, {}};
    std::memcpy(edit.parameters.data(), node->op_params, sizeof(node->op_params));
    node->op = other.op;
    std::memcpy(node->op_params, other.op_params, sizeof(node->op_params));
    std::memcpy(node->op_params + kOwnParameter, &parameter, sizeof(parameter));
  }

 private:
  struct Edit {
    ggml_op original;
    ggml_op now;
    std::array<int32_t, GGML_MAX_OP_PARAMS / sizeof(int32_t)> parameters;  // of the original
  };
  std::unordered_map<ggml_tensor*, Edit> edits_;
};
