#include "quant_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <memory>
#include <random>

#include "ggml-alloc.h"
#include "graph_record.h"
#include "quant_kernel.h"

namespace {

bool IsPlain(const ggml_tensor* tensor, ggml_type type) {
  return tensor->type == type && ggml_is_contiguous(tensor) && tensor->ne[2] == 1 && tensor->ne[3] == 1 &&
         IsOnHost(tensor);
}

bool IsProduct(const ggml_tensor* node) {
  if (node->op != GGML_OP_MUL_MAT || node->ne[1] < 2) return false;
  const auto is_set = [](int32_t parameter) { return parameter != 0; };
  return std::none_of(std::begin(node->op_params), std::end(node->op_params), is_set) &&
         IsPlain(node->src[0], GGML_TYPE_Q4_1) && IsPlain(node->src[1], GGML_TYPE_F32) && IsPlain(node, GGML_TYPE_F32);
}

QuantProduct ProductOf(const ggml_tensor* weights, const ggml_tensor* x, ggml_tensor* out) {
  return {weights->data,
          static_cast<const float*>(x->data),
          static_cast<float*>(out->data),
          static_cast<size_t>(x->ne[0]),
          static_cast<size_t>(x->ne[1]),
          static_cast<size_t>(weights->ne[1])};
}

// Whether llama.cpp's kernel gives the same bits, on numbers of many sizes.
bool HasSameBits() {
  constexpr size_t width = 256;
  constexpr size_t count = 33;
  constexpr size_t rows = 75;
  const BackendHandle backend(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  GgmlHandle context(ggml_init({8 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, /*no_alloc=*/true}));
  if (!backend || !context) return false;
  ggml_tensor* weights = ggml_new_tensor_2d(context.get(), GGML_TYPE_Q4_1, width, count);
  ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, width, rows);
  ggml_tensor* product = ggml_mul_mat(context.get(), weights, x);
  ggml_tensor* own = ggml_dup_tensor(context.get(), product);
  const BufferHandle buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));
  if (!buffer || !ggml_backend_buffer_is_host(buffer.get())) return false;
  std::minstd_rand random(1);
  const auto fill = [&](size_t size) {
    std::vector<float> values(size);
    for (float& value : values) {
      const auto unit = static_cast<float>(random()) / static_cast<float>(std::minstd_rand::max());
      value = std::ldexp(unit - 0.5f, static_cast<int>(random() % 8));
    }
    return values;
  };
  const std::vector<float> numbers = fill(width * count);
  ggml_quantize_chunk(GGML_TYPE_Q4_1, numbers.data(), weights->data, 0, count, width, nullptr);
  const std::vector<float> inputs = fill(width * rows);
  std::memcpy(x->data, inputs.data(), ggml_nbytes(x));
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, product);
  if (ggml_backend_graph_compute(backend.get(), graph) != GGML_STATUS_SUCCESS) return false;
  std::vector<uint8_t> scratch(quant_kernel::ScratchBytes(width));
  quant_kernel::Multiply(ProductOf(weights, x, own), 0, count, scratch.data());
  return std::memcmp(product->data, own->data, ggml_nbytes(own)) == 0;
}

}  // namespace

void QuantProductHook::Run(ggml_tensor* out, const ggml_tensor* weights, const ggml_tensor* x, int thread, int threads,
                           void* self) {
  auto& hook = *static_cast<QuantProductHook*>(self);
  const QuantProduct product = ProductOf(weights, x, out);
  const auto share = [&](int part) { return product.count * static_cast<size_t>(part) / static_cast<size_t>(threads); };
  uint8_t* memory = hook.scratch_.data() + static_cast<size_t>(thread) * hook.scratch_bytes_;
  quant_kernel::Multiply(product, share(thread), share(thread + 1), memory);
}

void QuantProductHook::Ask(ggml_tensor* node, NodeEdits& edits) noexcept {
  try {
    if (!IsProduct(node) || !Usable()) return;
    // Nodes run only after those beside them were asked about: they find their place in it then.
    scratch_bytes_ = std::max(scratch_bytes_, quant_kernel::ScratchBytes(static_cast<size_t>(node->src[0]->ne[0])));
    scratch_.resize(std::max(scratch_.size(), static_cast<size_t>(threads_) * scratch_bytes_));
    edits.Replace(node, operation_.node());
  } catch (const std::exception&) {
    // llama.cpp computes the node.
  }
}

bool QuantProductHook::Usable() {
  static const bool usable = quant_kernel::HasInstructions() && HasSameBits() && !HasAccelerator();
  return usable;
}
