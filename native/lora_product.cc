#include "lora_product.h"

#include <exception>

#include "avx2.h"
#include "graph_record.h"

namespace {

bool IsLoraProduct(const ggml_tensor* node) {
  if (node->op != GGML_OP_MUL_MAT || !HasSuffix(node->src[0], ".lora_a")) return false;
  return (IsHostMatrix(node->src[0], GGML_TYPE_F32) || IsHostMatrix(node->src[0], GGML_TYPE_F16)) &&
         IsHostMatrix(node->src[1], GGML_TYPE_F32) && IsHostMatrix(node, GGML_TYPE_F32);
}

#ifdef HAS_AVX2_KERNELS

FOR_AVX2 inline __m256 LoadEight(const float* values) { return _mm256_loadu_ps(values); }
FOR_AVX2 inline __m256 LoadEight(const ggml_fp16_t* values) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
}
FOR_AVX2 inline float LoadOne(const float* value) { return *value; }
FOR_AVX2 inline float LoadOne(const ggml_fp16_t* value) { return _cvtsh_ss(*value); }

// Rows of A that are summed at a time, so that x is read once for them.
constexpr size_t kTogether = 4;

template <size_t Count, typename Number>
FOR_AVX2 inline void Dots(const Number* a, const float* x, size_t width, float* out) {
  __m256 sums[Count];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  size_t at = 0;
  for (; at + 8 <= width; at += 8) {
    const __m256 eight = LoadEight(x + at);
    for (size_t i = 0; i < Count; ++i) sums[i] = _mm256_fmadd_ps(LoadEight(a + i * width + at), eight, sums[i]);
  }
  for (size_t i = 0; i < Count; ++i) {
    float sum = avx2::Sum(sums[i]);
    for (size_t rest = at; rest < width; ++rest) sum += LoadOne(a + i * width + rest) * x[rest];
    out[i] = sum;
  }
}

// Numbers from..to of the product, in the order in which they lie.
template <typename Number>
FOR_AVX2 void Multiply(const ggml_tensor* a, const ggml_tensor* x, ggml_tensor* out, size_t from, size_t to) {
  const auto width = static_cast<size_t>(a->ne[0]);
  const auto rank = static_cast<size_t>(a->ne[1]);
  const auto* const columns = static_cast<const Number*>(a->data);
  const auto* const rows = static_cast<const float*>(x->data);
  auto* const products = static_cast<float*>(out->data);
  while (from < to) {
    const size_t row = from / rank;
    const size_t column = from % rank;
    const bool has_several = column + kTogether <= rank && from + kTogether <= to;
    const auto dots = has_several ? Dots<kTogether, Number> : Dots<1, Number>;
    dots(columns + column * width, rows + row * width, width, products + from);
    from += has_several ? kTogether : 1;
  }
}

void Run(ggml_tensor* out, const ggml_tensor* a, const ggml_tensor* x, int thread, int threads, void*) {
  const auto count = static_cast<size_t>(ggml_nelements(out));
  const auto share = [&](int part) { return count * static_cast<size_t>(part) / static_cast<size_t>(threads); };
  const auto multiply = a->type == GGML_TYPE_F32 ? Multiply<float> : Multiply<ggml_fp16_t>;
  multiply(a, x, out, share(thread), share(thread + 1));
}

bool HasInstructions() { return avx2::IsSupported(); }

#else

void Run(ggml_tensor*, const ggml_tensor*, const ggml_tensor*, int, int, void*) {}
bool HasInstructions() { return false; }

#endif

}  // namespace

LoraProductHook::LoraProductHook() : operation_(Run, nullptr) {}

void LoraProductHook::Ask(ggml_tensor* node, NodeEdits& edits) const noexcept {
  try {
    if (IsLoraProduct(node)) edits.Replace(node, operation_.node());
  } catch (const std::exception&) {
    // llama.cpp computes the node.
  }
}

bool LoraProductHook::Usable() {
  static const bool usable = HasInstructions() && !HasAccelerator();
  return usable;
}
