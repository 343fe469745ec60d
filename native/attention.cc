#include "attention.h"

#include <cstring>
#include <exception>

#include "attention_kernel.h"
#include "graph_record.h"

namespace {

float Parameter(const ggml_tensor* node, size_t index) {
  float value = 0;
  std::memcpy(&value, node->op_params + index, sizeof(value));
  return value;
}

bool IsHalves(const ggml_tensor* tensor) {
  return tensor->type == GGML_TYPE_F16 && tensor->nb[0] == sizeof(ggml_fp16_t) && IsOnHost(tensor);
}

// Of one memory, with a mask alone: no bias by distance, no cap, no sinks.
bool IsAttention(const ggml_tensor* node) {
  if (node->op != GGML_OP_FLASH_ATTN_EXT || Parameter(node, 1) != 0.0f || Parameter(node, 2) != 0.0f) return false;
  const auto* const* src = node->src;
  const ggml_tensor* mask = src[3];
  if (mask == nullptr || src[4] != nullptr) return false;
  const auto steps = [](int64_t width) { return width % static_cast<int64_t>(attention_kernel::kStep) == 0; };
  return src[0]->type == GGML_TYPE_F32 && src[0]->nb[0] == sizeof(float) && IsOnHost(src[0]) && IsHalves(src[1]) &&
         IsHalves(src[2]) && IsHalves(mask) && src[0]->ne[3] == 1 && mask->ne[2] == 1 && mask->ne[3] == 1 &&
         steps(src[1]->ne[0]) && steps(src[2]->ne[0]) && node->type == GGML_TYPE_F32 && IsOnHost(node);
}

template <typename Type>
Type* At(const ggml_tensor* tensor, size_t dimension, size_t index) {
  return reinterpret_cast<Type*>(static_cast<uint8_t*>(tensor->data) + index * tensor->nb[dimension]);
}

}  // namespace

void AttentionHook::Run(ggml_tensor* out, const ggml_tensor* q, const ggml_tensor* k, int thread, int threads,
                        void* self) {
  const ggml_tensor* v = out->src[2];
  const ggml_tensor* mask = out->src[3];
  const auto heads = static_cast<size_t>(q->ne[2]);
  const auto rows = static_cast<size_t>(q->ne[1]);
  const size_t sharing = heads / static_cast<size_t>(k->ne[2]);
  const auto share = [&](int part) { return rows * heads * static_cast<size_t>(part) / static_cast<size_t>(threads); };
  Scratch& scratch = static_cast<AttentionHook*>(self)->scratch_[static_cast<size_t>(thread)];
  AttentionHead head{};
  head.k_stride = k->nb[1];
  head.v_stride = v->nb[1];
  head.key_width = static_cast<size_t>(k->ne[0]);
  head.value_width = static_cast<size_t>(v->ne[0]);
  head.scale = Parameter(out, NodeEdits::kOwnParameter);
  AttentionCells cells{scratch.index.data(), scratch.bias.data(), 0};
  size_t found_for = rows;
  for (size_t at = share(thread); at < share(thread + 1); ++at) {
    const size_t row = at / heads;
    const size_t number = at % heads;
    if (row != found_for) {
      found_for = row;
      cells.count = attention_kernel::FindCells(At<uint16_t>(mask, 1, row), static_cast<size_t>(k->ne[1]),
                                                scratch.index.data(), scratch.bias.data());
    }
    head.q = At<float>(q, 1, row) + number * (q->nb[2] / sizeof(float));
    head.k = At<uint8_t>(k, 2, number / sharing);
    head.v = At<uint8_t>(v, 2, number / sharing);
    attention_kernel::Attend(head, cells, scratch.weights.data(),
                             At<float>(out, 2, row) + number * (out->nb[1] / sizeof(float)));
  }
}

void AttentionHook::Ask(ggml_tensor* node, NodeEdits& edits) noexcept {
  try {
    if (!IsAttention(node)) return;
    const auto cells = static_cast<size_t>(node->src[1]->ne[1]);
    if (scratch_.size() < threads_) scratch_.resize(threads_);
    for (Scratch& scratch : scratch_) {
      if (scratch.index.size() >= cells) continue;
      scratch.index.resize(cells);
      scratch.bias.resize(cells);
      scratch.weights.resize(cells + attention_kernel::kStep);
    }
    edits.Replace(node, operation_.node(), Parameter(node, 0));
  } catch (const std::exception&) {
    // llama.cpp computes the node.
  }
}

bool AttentionHook::Usable() {
  static const bool usable = attention_kernel::HasInstructions() && !HasAccelerator();
  return usable;
}
