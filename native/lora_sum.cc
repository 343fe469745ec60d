#include "lora_sum.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "graph_record.h"

// The instruction set is chosen when the program runs: the addon is built for the oldest processors.
#if defined(__x86_64__) && defined(__GNUC__)
#define LORA_SUM_AVX2
#define INLINE_EVERYWHERE inline __attribute__((always_inline))
#else
#define INLINE_EVERYWHERE inline
#endif

namespace {

// Outputs that are summed in registers at a time.
constexpr size_t kTile = 32;

struct Sum {
  const LoraColumns* b;
  const float* ax;  // [tokens][rank]
  const float* wx;  // [tokens][width]
  float* out;       // [tokens][width]; may be wx
  float scale;
};

template <size_t Width>
INLINE_EVERYWHERE void AddTile(const Sum& sum, size_t token, size_t at) {
  const size_t rank = sum.b->rank;
  const size_t width = sum.b->width;
  const float* ax = sum.ax + token * rank;
  const float* column = sum.b->values.data() + at;
  float total[Width] = {};
  for (size_t r = 0; r < rank; ++r, column += width) {
    for (size_t i = 0; i < Width; ++i) total[i] += ax[r] * column[i];
  }
  const float* wx = sum.wx + token * width + at;
  float* out = sum.out + token * width + at;
  for (size_t i = 0; i < Width; ++i) out[i] = wx[i] + sum.scale * total[i];
}

// Outputs from..to of every token. Each is summed alone and in the order of the ranks, so its bits do not depend on
// which outputs are beside it.
INLINE_EVERYWHERE void AddColumns(const Sum& sum, size_t tokens, size_t from, size_t to) {
  for (size_t token = 0; token < tokens; ++token) {
    size_t at = from;
    for (; at + kTile <= to; at += kTile) AddTile<kTile>(sum, token, at);
    for (; at < to; ++at) AddTile<1>(sum, token, at);
  }
}

void AddColumnsPortable(const Sum& sum, size_t tokens, size_t from, size_t to) { AddColumns(sum, tokens, from, to); }

#ifdef LORA_SUM_AVX2
__attribute__((target("avx2,fma"))) void AddColumnsAvx2(const Sum& sum, size_t tokens, size_t from, size_t to) {
  AddColumns(sum, tokens, from, to);
}
#endif

auto FastestKernel() {
#ifdef LORA_SUM_AVX2
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) return AddColumnsAvx2;
#endif
  return AddColumnsPortable;
}

// For GGML_OP_MAP_CUSTOM2, in the place of an ADD of W x and scale * B (A x), whose other nodes were skipped.
void Run(ggml_tensor* out, const ggml_tensor* wx, const ggml_tensor* scaled, int thread, int threads, void* columns) {
  static const auto kernel = FastestKernel();
  Sum sum{};
  sum.b = static_cast<const LoraColumns*>(columns);
  sum.ax = static_cast<const float*>(scaled->src[0]->src[1]->data);
  sum.wx = static_cast<const float*>(wx->data);
  sum.out = static_cast<float*>(out->data);
  std::memcpy(&sum.scale, scaled->op_params, sizeof(sum.scale));
  const size_t tiles = (sum.b->width + kTile - 1) / kTile;
  const auto share = [&](int part) {
    return std::min(sum.b->width, tiles * static_cast<size_t>(part) / static_cast<size_t>(threads) * kTile);
  };
  kernel(sum, static_cast<size_t>(ggml_nrows(out)), share(thread), share(thread + 1));
}

std::unique_ptr<LoraColumns> TurnRound(const ggml_tensor* b) {
  auto columns = std::make_unique<LoraColumns>();
  columns->rank = static_cast<size_t>(b->ne[0]);
  columns->width = static_cast<size_t>(b->ne[1]);
  columns->values.resize(columns->rank * columns->width);
  std::vector<float> row(columns->rank);
  const ggml_to_float_t to_float = ggml_get_type_traits(b->type)->to_float;
  for (size_t i = 0; i < columns->width; ++i) {
    const auto* bytes = static_cast<const uint8_t*>(b->data) + i * b->nb[1];
    if (b->type == GGML_TYPE_F32) {
      std::memcpy(row.data(), bytes, row.size() * sizeof(float));
    } else {
      to_float(bytes, row.data(), b->ne[0]);
    }
    for (size_t r = 0; r < row.size(); ++r) columns->values[r * columns->width + i] = row[r];
  }
  columns->operation = std::make_unique<OwnOperation>(Run, columns.get());
  return columns;
}

bool IsPlain(const ggml_tensor* tensor) {
  return tensor->type == GGML_TYPE_F32 && ggml_is_contiguous(tensor) && IsOnHost(tensor);
}

bool Overlap(const ggml_tensor* first, const ggml_tensor* second) {
  const auto* a = static_cast<const uint8_t*>(first->data);
  const auto* b = static_cast<const uint8_t*>(second->data);
  return a < b + ggml_nbytes(second) && b < a + ggml_nbytes(first);
}

// Whether the last three nodes are what llama.cpp adds to a matrix product for one pair.
bool IsLoraSum(const ggml_tensor* product, const ggml_tensor* scaled, const ggml_tensor* sum) {
  if (product == nullptr || sum->op != GGML_OP_ADD || scaled->op != GGML_OP_SCALE || product->op != GGML_OP_MUL_MAT) {
    return false;
  }
  if (sum->src[1] != scaled || scaled->src[0] != product) return false;
  const ggml_tensor* ax = product->src[1];
  float bias = 0;
  std::memcpy(&bias, reinterpret_cast<const float*>(scaled->op_params) + 1, sizeof(bias));
  return bias == 0.0f && ggml_are_same_shape(sum, scaled) && ggml_are_same_shape(sum->src[0], sum) && IsPlain(sum) &&
         IsPlain(sum->src[0]) && IsPlain(ax) && !Overlap(ax, sum);
}

}  // namespace

const LoraColumns* LoraSums::Find(const ggml_tensor* b) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = columns_.find(b);
  if (found != columns_.end()) return found->second.get();
  if (!HasSuffix(b, ".lora_b") || ggml_n_dims(b) > 2 || !IsOnHost(b)) return nullptr;
  return columns_.emplace(b, TurnRound(b)).first->second.get();
}

void LoraSumHook::Ask(ggml_tensor* node, LoraSums& sums, NodeEdits& edits) noexcept {
  if (scaled_ != nullptr && IsLoraSum(product_, scaled_, node)) {
    try {
      if (const LoraColumns* columns = sums.Find(product_->src[0])) {
        edits.Replace(node, columns->operation->node());
        edits.Skip(product_);
        edits.Skip(scaled_);
      }
    } catch (const std::bad_alloc&) {
      // Whatever was changed by then, the sum is right: the other two nodes are at worst computed in vain.
    }
  }
  product_ = scaled_;
  scaled_ = node;
}
