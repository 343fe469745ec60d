#include "quant_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <memory>
#include <random>

#include "column_kernel.h"
#include "ggml-alloc.h"
#include "graph_record.h"
#include "quant_kernel.h"

namespace {

// Of quantised weights with rows of numbers, nothing else.
bool IsProduct(const ggml_tensor* node) {
  if (node->op != GGML_OP_MUL_MAT) return false;
  const auto is_set = [](int32_t parameter) { return parameter != 0; };
  return std::none_of(std::begin(node->op_params), std::end(node->op_params), is_set) &&
         IsHostMatrix(node->src[0], node->src[0]->type) && IsHostMatrix(node->src[1], GGML_TYPE_F32) &&
         IsHostMatrix(node, GGML_TYPE_F32);
}

QuantOperands OperandsOf(const ggml_tensor* weights, const ggml_tensor* x, ggml_tensor* out) {
  return {weights->type,
          weights->data,
          static_cast<const float*>(x->data),
          static_cast<float*>(out->data),
          static_cast<size_t>(x->ne[0]),
          static_cast<size_t>(x->ne[1]),
          static_cast<size_t>(weights->ne[1])};
}

size_t Share(size_t of, int part, int parts) { return of * static_cast<size_t>(part) / static_cast<size_t>(parts); }

// The product of one set of numbers of many sizes, by llama.cpp and by a kernel of ours.
struct Trial {
  std::vector<float> expected;
  std::vector<float> found;
};

// Empty where it cannot be tried.
Trial Try(ggml_type type, decltype(column_kernel::Multiply)* multiply, decltype(column_kernel::ScratchBytes)* bytes) {
  constexpr size_t width = 256;
  constexpr size_t count = 48;
  constexpr size_t rows = 75;
  const BackendHandle backend(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  GgmlHandle context(ggml_init({8 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, /*no_alloc=*/true}));
  if (!backend || !context) return {};
  ggml_tensor* weights = ggml_new_tensor_2d(context.get(), type, width, count);
  ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, width, rows);
  ggml_tensor* product = ggml_mul_mat(context.get(), weights, x);
  const BufferHandle buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));
  if (!buffer || !ggml_backend_buffer_is_host(buffer.get())) return {};
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
  ggml_quantize_chunk(type, numbers.data(), weights->data, 0, count, width, nullptr);
  const std::vector<float> inputs = fill(width * rows);
  std::memcpy(x->data, inputs.data(), ggml_nbytes(x));
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, product);
  if (ggml_backend_graph_compute(backend.get(), graph) != GGML_STATUS_SUCCESS) return {};
  const auto* const results = static_cast<const float*>(product->data);
  Trial trial{{results, results + count * rows}, std::vector<float>(count * rows)};
  QuantOperands operands = OperandsOf(weights, x, product);
  operands.out = trial.found.data();
  std::vector<uint8_t> scratch(bytes(width));
  multiply(operands, 0, count, scratch.data());
  return trial;
}

// Whether llama.cpp's kernel gives the same bits.
bool HasSameBits() {
  const auto [expected, found] = Try(GGML_TYPE_Q4_1, quant_kernel::Multiply, quant_kernel::ScratchBytes);
  return !expected.empty() && std::memcmp(expected.data(), found.data(), expected.size() * sizeof(float)) == 0;
}

// Whether llama.cpp's kernel gives the same but for the order of sums.
bool HasSameNumbers(ggml_type type) {
  constexpr float tolerance = 1e-5f;
  const auto [expected, found] = Try(type, column_kernel::Multiply, column_kernel::ScratchBytes);
  float largest = 0;
  for (const float value : expected) largest = std::max(largest, std::fabs(value));
  return !expected.empty() && std::equal(expected.begin(), expected.end(), found.begin(), [&](float one, float other) {
    return std::fabs(one - other) <= tolerance * largest;
  });
}

}  // namespace

QuantProductHook::QuantProductHook(int32_t threads, Order order)
    : threads_(threads),
      by_columns_(order == Order::kOwn && HasOwnOrder()),
      operation_(Run, this),
      columns_(RunColumns, this) {}

void QuantProductHook::Run(ggml_tensor* out, const ggml_tensor* weights, const ggml_tensor* x, int thread, int threads,
                           void* self) {
  const QuantOperands product = OperandsOf(weights, x, out);
  quant_kernel::Multiply(product, Share(product.count, thread, threads), Share(product.count, thread + 1, threads),
                         static_cast<QuantProductHook*>(self)->ScratchOf(thread));
}

void QuantProductHook::RunColumns(ggml_tensor* out, const ggml_tensor* weights, const ggml_tensor* x, int thread,
                                  int threads, void* self) {
  const QuantOperands product = OperandsOf(weights, x, out);
  constexpr size_t group = column_kernel::kColumns;
  const size_t groups = product.count / group;
  column_kernel::Multiply(product, Share(groups, thread, threads) * group, Share(groups, thread + 1, threads) * group,
                          static_cast<QuantProductHook*>(self)->ScratchOf(thread));
}

void QuantProductHook::Ask(ggml_tensor* node, NodeEdits& edits) noexcept {
  try {
    if (!IsProduct(node)) return;
    const ggml_tensor* weights = node->src[0];
    const bool by_columns = by_columns_ && column_kernel::Takes(weights->type, static_cast<size_t>(weights->ne[1]));
    if (!by_columns && (weights->type != GGML_TYPE_Q4_1 || node->ne[1] < 2 || !HasLlamaBits())) return;
    // Nodes run only after those beside them were asked about: they find their place in it then.
    const auto bytes_for = by_columns ? column_kernel::ScratchBytes : quant_kernel::ScratchBytes;
    scratch_bytes_ = std::max(scratch_bytes_, bytes_for(static_cast<size_t>(weights->ne[0])));
    scratch_.resize(std::max(scratch_.size(), static_cast<size_t>(threads_) * scratch_bytes_));
    edits.Replace(node, by_columns ? columns_.node() : operation_.node());
  } catch (const std::exception&) {
    // llama.cpp computes the node.
  }
}

bool QuantProductHook::HasLlamaBits() {
  static const bool has = quant_kernel::HasInstructions() && HasSameBits() && !HasAccelerator();
  return has;
}

bool QuantProductHook::HasOwnOrder() {
  static const bool has = column_kernel::HasInstructions() && HasSameNumbers(GGML_TYPE_Q4_1) &&
                          HasSameNumbers(GGML_TYPE_Q8_0) && !HasAccelerator();
  return has;
}
