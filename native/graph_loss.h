#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ggml-backend.h"
#include "llama.h"
#include "packed_batch.h"

// Loss and argmax of every scored token, computed in llama.cpp's graph on the device that holds the logits, so that two
// numbers per token leave it and the logits do not. llama.cpp's door for this is its backend sampler: one per sequence,
// asked once per row of logits while a graph is built. The first one adds nodes over all rows, the others only tell
// which rows are theirs, since a model may cut a batch into micro-batches with rows in an order of its own.
class GraphLoss {
 public:
  explicit GraphLoss(int32_t sequences);
  ~GraphLoss();
  GraphLoss(const GraphLoss&) = delete;
  GraphLoss& operator=(const GraphLoss&) = delete;

  // For llama_context_params.samplers; valid while this object lives, which must be longer than the context.
  std::vector<llama_sampler_seq_config>& configs() { return configs_; }
  // Whether the device can compute the nodes; known once the context is made.
  bool supported() const { return supported_; }

  // Before each decode. The batch must live until it is done.
  void Begin(const PackedBatch& batch, bool keep_logits);
  // cb_eval: whether the node's values are needed, and what to do with them.
  bool Wants(const ggml_tensor* node) const;
  void Read(const ggml_tensor* node);
  // After a decode: throws NativeError("DECODE") where a row was missed.
  void Finish() const;

  // [rows], in batch order: negative log-likelihood of the target in nats, and the most likely token.
  const std::vector<float>& losses() const { return losses_; }
  const std::vector<int32_t>& best() const { return best_; }
  // [rows, vocabulary], with keep_logits only.
  const std::vector<float>& logits() const { return logits_; }

 private:
  struct Nodes {
    ggml_tensor* targets = nullptr;  // [1, rows], input
    ggml_tensor* best = nullptr;     // [rows]
    ggml_tensor* losses = nullptr;   // [1, rows]
  };
  struct Sequence {
    GraphLoss* owner;
    size_t id;
  };

  static Nodes Build(ggml_context* context, ggml_tensor* logits);
  static llama_sampler_i* Interface();
  bool Supports(ggml_backend_buffer_type_t buffer_type);
  void Forget();
  void Apply(size_t sequence, ggml_context* context, ggml_cgraph* graph, llama_sampler_data* data);
  void SetInput(size_t sequence);

  std::vector<Sequence> sequences_;
  std::vector<llama_sampler_seq_config> configs_;
  bool supported_ = false;

  // Of the graph built last.
  ggml_tensor* source_ = nullptr;  // [vocabulary, rows]
  Nodes nodes_;
  std::vector<std::vector<size_t>> rows_of_sequence_;

  // Of the decode that runs.
  const PackedBatch* batch_ = nullptr;
  bool keep_logits_ = false;
  std::vector<size_t> next_of_sequence_;  // how many of a sequence's rows came in earlier micro-batches
  std::vector<size_t> batch_row_;         // per row of the graph: its row of the batch
  size_t read_ = 0;
  std::vector<float> losses_;
  std::vector<int32_t> best_;
  std::vector<float> logits_;
};
