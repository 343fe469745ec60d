#include "graph_record.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>
#include <unordered_set>

namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

// The number behind `prefix`, -1 without one: ("blk.12.attn_q.weight", "blk.") is 12.
int32_t NumberAfter(const char* name, const char* prefix) {
  const size_t length = std::strlen(prefix);
  if (std::strncmp(name, prefix, length) != 0) return -1;
  char* end = nullptr;
  const long number = std::strtol(name + length, &end, 10);
  return end == name + length ? -1 : static_cast<int32_t>(number);
}

// llama.cpp names what belongs to a layer `NAME-N`; ggml appends " (view)" and the like to derived tensors.
int32_t LayerOfName(const std::string& name) {
  const std::string word = name.substr(0, name.find(' '));
  const size_t dash = word.rfind('-');
  if (dash == std::string::npos || word.find_first_not_of("0123456789", dash + 1) != std::string::npos) return -1;
  return NumberAfter(word.c_str() + dash, "-");
}

bool OnlyRelabels(ggml_op op) {
  return op == GGML_OP_VIEW || op == GGML_OP_RESHAPE || op == GGML_OP_PERMUTE || op == GGML_OP_TRANSPOSE ||
         op == GGML_OP_NONE;
}

// A graph split over devices is fed through copies named BACKEND#NAME#N: for dependency they are the same tensor.
std::string NameOfCopied(const std::string& name) {
  const size_t start = name.find('#');
  const size_t end = name.rfind('#');
  return start == end ? name : name.substr(start + 1, end - start - 1);
}

}  // namespace

void GraphRecord::Add(const ggml_tensor* node) {
  Links links;
  links.root = Root(node);
  links.writes = !OnlyRelabels(node->op);
  for (const ggml_tensor* source : node->src) {
    if (source != nullptr) links.sources.push_back({source, Root(source), source->name, Root(source)->name});
  }
  index_.emplace(node, nodes_.size());
  index_by_name_.emplace(node->name, nodes_.size());
  nodes_.push_back({node->name, node->op});
  links_.push_back(std::move(links));
}

// The node behind a source: itself, or the one that a scheduler's copy was made of.
size_t GraphRecord::Find(const Source& source) const {
  const auto found = index_.find(source.tensor);
  if (found != index_.end()) return found->second;
  if (source.name.find('#') == std::string::npos) return kNone;
  const auto original = index_by_name_.find(NameOfCopied(source.name));
  return original == index_by_name_.end() ? kNone : original->second;
}

int32_t GraphRecord::LayerOfWeights(size_t node) const {
  int32_t layer = -1;
  for (const Source& source : links_[node].sources) {
    layer = std::max(layer, NumberAfter(NameOfCopied(source.root_name).c_str(), "blk."));
  }
  return layer;
}

void GraphRecord::FindDependence() {
  depends_.assign(nodes_.size(), 0);
  // Memory that outlives the graph (caches, recurrent state): what reads it after a dependent write depends as well.
  std::unordered_set<const ggml_tensor*> written;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (const Source& source : links_[i].sources) {
      const size_t node = Find(source);
      if ((node != kNone && depends_[node] != 0) || written.count(source.root) != 0 ||
          NameOfCopied(source.name) == "inp_tokens") {
        depends_[i] = 1;
        break;
      }
    }
    if (depends_[i] != 0 && links_[i].writes) written.insert(links_[i].root);
  }
}

// The tensors that what comes from `first` on reads from before it.
LayerBorder GraphRecord::FindBorder(size_t first) const {
  std::set<const ggml_tensor*> roots;
  for (size_t i = first; i < nodes_.size(); ++i) {
    for (const Source& source : links_[i].sources) {
      const size_t node = Find(source);
      if (node != kNone && node < first && depends_[node] != 0) roots.insert(links_[node].root);
    }
  }
  LayerBorder border;
  border.first = first;
  for (const ggml_tensor* root : roots) {
    // A root outside the graph is memory that llama.cpp keeps itself: it still holds what the path wrote there.
    const auto owner = index_.find(root);
    if (owner == index_.end()) continue;
    size_t complete = owner->second;
    for (size_t i = 0; i < first; ++i) {
      if (links_[i].root == root && links_[i].writes) complete = i;
    }
    border.crossing.push_back(complete);
  }
  std::sort(border.crossing.begin(), border.crossing.end());
  border.usable = !border.crossing.empty();
  return border;
}

void GraphRecord::Finish(int32_t layers) {
  FindDependence();
  borders_.resize(static_cast<size_t>(layers));
  // Per layer, the first node that belongs to it and the last one that uses its weights.
  std::vector<size_t> first_of_layer(borders_.size(), kNone);
  std::vector<size_t> last_of_layer(borders_.size(), 0);
  size_t behind_layers = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (depends_[i] == 0) continue;
    const int32_t uses = LayerOfWeights(i);
    for (const int32_t layer : {uses, LayerOfName(nodes_[i].name)}) {
      if (layer < 0 || layer >= layers) continue;
      behind_layers = i + 1;
      size_t& first = first_of_layer[static_cast<size_t>(layer)];
      if (first == kNone) first = i;
    }
    if (uses >= 0 && uses < layers) last_of_layer[static_cast<size_t>(uses)] = i;
  }
  for (size_t k = 1; k < borders_.size(); ++k) {
    const auto at = static_cast<std::ptrdiff_t>(k);
    const size_t first = *std::min_element(first_of_layer.begin() + at, first_of_layer.end());
    const size_t last_below = *std::max_element(last_of_layer.begin(), last_of_layer.begin() + at);
    if (first == kNone) continue;
    borders_[k] = FindBorder(first);
    borders_[k].returns = last_below >= first;
  }
  if (behind_layers > 0) top_ = FindBorder(behind_layers);
  links_.clear();
  index_.clear();
  index_by_name_.clear();
}
