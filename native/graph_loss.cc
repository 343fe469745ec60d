#include "graph_loss.h"

#include "handles.h"
#include "native_error.h"

GraphLoss::GraphLoss(int32_t sequences) {
  const auto count = static_cast<size_t>(sequences);
  sequences_.reserve(count);
  rows_of_sequence_.resize(count);
  for (size_t id = 0; id < count; ++id) {
    sequences_.push_back({this, id});
    // llama.cpp takes chains only; a chain owns its samplers.
    llama_sampler* chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    configs_.push_back({static_cast<llama_seq_id>(id), chain});
    llama_sampler_chain_add(chain, llama_sampler_init(Interface(), &sequences_[id]));
  }
}

GraphLoss::~GraphLoss() {
  for (const llama_sampler_seq_config& config : configs_) llama_sampler_free(config.sampler);
}

llama_sampler_i* GraphLoss::Interface() {
  static llama_sampler_i callbacks = [] {
    llama_sampler_i self{};
    self.name = [](const llama_sampler*) { return "lora-boundary-loss"; };
    self.apply = [](llama_sampler*, llama_token_data_array*) {};
    self.free = [](llama_sampler*) {};
    self.backend_init = [](llama_sampler* sampler, ggml_backend_buffer_type_t type, uint32_t) {
      return static_cast<Sequence*>(sampler->ctx)->owner->Supports(type);
    };
    self.backend_reset = [](llama_sampler* sampler) { static_cast<Sequence*>(sampler->ctx)->owner->Forget(); };
    self.backend_apply = [](llama_sampler* sampler, ggml_context* context, ggml_cgraph* graph,
                            llama_sampler_data* data) {
      const auto* sequence = static_cast<Sequence*>(sampler->ctx);
      sequence->owner->Apply(sequence->id, context, graph, data);
    };
    self.backend_set_input = [](llama_sampler* sampler) {
      const auto* sequence = static_cast<Sequence*>(sampler->ctx);
      sequence->owner->SetInput(sequence->id);
    };
    return self;
  }();
  return &callbacks;
}

// log(sum(exp(x - max))) + (max - x[target]): the difference is taken first, where both are of one size.
GraphLoss::Nodes GraphLoss::Build(ggml_context* context, ggml_tensor* logits) {
  const int64_t vocabulary = logits->ne[0];
  const int64_t rows = logits->ne[1];
  Nodes nodes;
  nodes.targets = ggml_new_tensor_2d(context, GGML_TYPE_I32, 1, rows);
  nodes.best = ggml_argmax(context, logits);
  ggml_tensor* single = ggml_reshape_3d(context, logits, 1, vocabulary, rows);
  const auto at = [&](ggml_tensor* tokens) {
    return ggml_reshape_2d(context, ggml_get_rows(context, single, tokens), 1, rows);
  };
  ggml_tensor* largest = at(ggml_reshape_2d(context, nodes.best, 1, rows));
  ggml_tensor* exponentials = ggml_exp(context, ggml_sub(context, logits, largest));
  ggml_tensor* normaliser = ggml_log(context, ggml_sum_rows(context, exponentials));
  nodes.losses = ggml_add(context, normaliser, ggml_sub(context, largest, at(nodes.targets)));
  return nodes;
}

bool GraphLoss::Supports(ggml_backend_buffer_type_t buffer_type) {
  ggml_backend_dev_t device = ggml_backend_buft_get_device(buffer_type);
  const GgmlHandle context(ggml_init({64 * ggml_tensor_overhead(), nullptr, /*no_alloc=*/true}));
  Build(context.get(), ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, 1024, 4));
  supported_ = true;
  for (ggml_tensor* node = ggml_get_first_tensor(context.get()); node != nullptr && device != nullptr;
       node = ggml_get_next_tensor(context.get(), node)) {
    if (node->op != GGML_OP_NONE && !ggml_backend_dev_supports_op(device, node)) supported_ = false;
  }
  return supported_;
}

void GraphLoss::Forget() {
  source_ = nullptr;
  nodes_ = Nodes();
  for (std::vector<size_t>& rows : rows_of_sequence_) rows.clear();
}

void GraphLoss::Apply(size_t sequence, ggml_context* context, ggml_cgraph* graph, llama_sampler_data* data) {
  // One row: a view of all rows with an empty one behind them.
  ggml_tensor* row = data->logits;
  ggml_tensor* all = row->view_src == nullptr ? row : row->view_src;
  if (all->op == GGML_OP_PAD) all = all->src[0];
  // What is left here llama.cpp would copy to the host.
  *data = llama_sampler_data();
  rows_of_sequence_[sequence].push_back(row->view_offs / all->nb[1]);
  if (source_ != nullptr || all->ne[1] == 0) return;
  source_ = all;
  nodes_ = Build(context, all);
  ggml_set_input(nodes_.targets);
  for (ggml_tensor* output : {nodes_.best, nodes_.losses}) {
    ggml_set_output(output);
    ggml_build_forward_expand(graph, output);
  }
}

// Asked only for sequences that have rows in the micro-batch, after the graph got its memory.
void GraphLoss::SetInput(size_t sequence) {
  if (batch_ == nullptr || nodes_.targets == nullptr || nodes_.targets->buffer == nullptr) return;
  const std::vector<size_t>& batch_rows = batch_->rows_of_sample()[sequence];
  batch_row_.resize(static_cast<size_t>(nodes_.targets->ne[1]));
  const std::vector<size_t>& rows = rows_of_sequence_[sequence];
  // Rows of a sequence mostly follow each other, and each copy to a device costs as much as a long one.
  std::vector<int32_t> targets;
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t place = next_of_sequence_[sequence]++;
    if (place >= batch_rows.size() || rows[i] >= batch_row_.size()) return;
    batch_row_[rows[i]] = batch_rows[place];
    targets.push_back(batch_->targets()[batch_rows[place]]);
    if (i + 1 < rows.size() && rows[i + 1] == rows[i] + 1) continue;
    const size_t first = rows[i] + 1 - targets.size();
    ggml_backend_tensor_set(nodes_.targets, targets.data(), first * sizeof(int32_t), targets.size() * sizeof(int32_t));
    targets.clear();
  }
}

void GraphLoss::Begin(const PackedBatch& batch, bool keep_logits) {
  batch_ = &batch;
  keep_logits_ = keep_logits;
  next_of_sequence_.assign(rows_of_sequence_.size(), 0);
  read_ = 0;
  const auto rows = static_cast<size_t>(batch.rows());
  losses_.assign(rows, 0.0f);
  best_.assign(rows, -1);
  logits_.clear();
}

bool GraphLoss::Wants(const ggml_tensor* node) const {
  if (batch_ == nullptr || source_ == nullptr || node->op == GGML_OP_NONE) return false;
  return node == nodes_.losses || node == nodes_.best || (keep_logits_ && node == source_);
}

void GraphLoss::Read(const ggml_tensor* node) {
  const auto rows = static_cast<size_t>(nodes_.targets->ne[1]);
  if (batch_row_.size() != rows) return;
  if (node == source_) {
    const auto vocabulary = static_cast<size_t>(node->ne[0]);
    logits_.resize(losses_.size() * vocabulary);
    for (size_t row = 0; row < rows; ++row) {
      float* target = logits_.data() + batch_row_[row] * vocabulary;
      ggml_backend_tensor_get(node, target, row * node->nb[1], vocabulary * sizeof(float));
    }
    return;
  }
  if (node == nodes_.best) {
    std::vector<int32_t> best(rows);
    ggml_backend_tensor_get(node, best.data(), 0, rows * sizeof(int32_t));
    for (size_t row = 0; row < rows; ++row) best_[batch_row_[row]] = best[row];
    return;
  }
  std::vector<float> losses(rows);
  ggml_backend_tensor_get(node, losses.data(), 0, rows * sizeof(float));
  for (size_t row = 0; row < rows; ++row) losses_[batch_row_[row]] = losses[row];
  read_ += rows;
}

void GraphLoss::Finish() const {
  if (read_ != losses_.size()) throw NativeError("DECODE", "llama.cpp did not compute the loss of every scored token");
}
