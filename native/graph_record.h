#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"

// What one graph of llama.cpp looks like, noted once without computing it, and where it can be cut between layers.

// The tensor that owns the memory; ggml points every view straight at it.
inline const ggml_tensor* Root(const ggml_tensor* tensor) {
  return tensor->view_src != nullptr ? tensor->view_src : tensor;
}

// Whether the processor can read and write it.
inline bool IsOnHost(const ggml_tensor* tensor) {
  const ggml_tensor* root = Root(tensor);
  return root->buffer != nullptr && ggml_backend_buffer_is_host(root->buffer);
}

// Of one type, row after row, nothing else, where the processor can read and write it.
inline bool IsHostMatrix(const ggml_tensor* tensor, ggml_type type) {
  return tensor->type == type && ggml_is_contiguous(tensor) && tensor->ne[2] == 1 && tensor->ne[3] == 1 &&
         IsOnHost(tensor);
}

// Whether something with a name of its own comes before `suffix`.
inline bool HasSuffix(const ggml_tensor* tensor, const char* suffix) {
  const size_t length = std::strlen(tensor->name);
  const size_t least = std::strlen(suffix);
  return length > least && std::strcmp(tensor->name + length - least, suffix) == 0;
}

// A backend beside the processor's may take nodes over, and would not know what they were replaced with.
inline bool HasAccelerator() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_ACCEL) != nullptr; }

// One node, in the order of execution.
struct GraphNode {
  std::string name;
  ggml_op op;
};

// Where a graph can be cut below layer k: everything before `first` that depends on the tokens can be left out when the
// tensors at `crossing` get their values from elsewhere.
struct LayerBorder {
  bool usable = false;
  // Layers below k run again behind the cut (models that loop), so a resumed run needs their adapters too.
  bool returns = false;
  size_t first = 0;
  // Nodes after which a crossing tensor is complete, ascending. Almost always one, the layer's output.
  std::vector<size_t> crossing;
};

class GraphRecord {
 public:
  // Notes the next node, in the order of execution, while its op is still its own. Everything needed is copied: the
  // next graph is built in the same memory, so afterwards pointers are names only.
  void Add(const ggml_tensor* node);
  bool Has(const ggml_tensor* node) const { return index_.count(node) != 0; }
  // Finds dependence and borders once every node is noted.
  void Finish(int32_t layers);

  const std::vector<GraphNode>& nodes() const { return nodes_; }
  // Whether the node's value changes with the tokens of the batch; what does not (masks, positions) is always computed.
  bool depends_on_tokens(size_t node) const { return depends_[node] != 0; }
  // Index k is the border below layer k; 0 is no border and never usable.
  const std::vector<LayerBorder>& borders() const { return borders_; }
  // The border above the last layer, below the output norm and head.
  const LayerBorder& top() const { return top_; }

 private:
  struct Source {
    const ggml_tensor* tensor;
    const ggml_tensor* root;
    std::string name;
    std::string root_name;
  };
  struct Links {
    const ggml_tensor* root;  // the tensor that owns the memory
    bool writes;              // computes something, other than a view or a reshape
    std::vector<Source> sources;
  };

  size_t Find(const Source& source) const;
  void FindDependence();
  // Layer whose weights a node uses, -1 where it uses none.
  int32_t LayerOfWeights(size_t node) const;
  LayerBorder FindBorder(size_t first) const;

  std::vector<GraphNode> nodes_;
  std::vector<Links> links_;
  std::unordered_map<const ggml_tensor*, size_t> index_;
  std::unordered_map<std::string, size_t> index_by_name_;
  std::vector<uint8_t> depends_;
  std::vector<LayerBorder> borders_;
  LayerBorder top_;
};
