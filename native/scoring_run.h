#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "context_shape.h"
#include "graph_loss.h"
#include "graph_replay.h"
#include "handles.h"
#include "job_control.h"
#include "layered_adapter.h"
#include "node_hooks.h"
#include "packed_batch.h"

// A context with the batch that it holds and the states that it keeps.
struct ScorerState {
  ScorerState(ModelHandle base, const ScorerShape& asked);

  // For llama_context_params.cb_eval: whether the node's value is wanted once it has run; and when it has.
  bool Evaluate(ggml_tensor* node, bool ask);

  ModelHandle model;                      // declared first: the context is freed before its model
  std::shared_ptr<AdapterParts> applied;  // what the context refers to
  NodeHooks hooks;
  GraphReplay replay;
  std::unique_ptr<GraphLoss> graph_loss;  // null: the loss is summed on the host
  ContextHandle context;
  std::optional<PackedBatch> batch;
  std::vector<float> reference;  // logits of the run that others are compared with, [rows, vocabulary]
  ScorerShape shape;
  std::atomic<const JobState*> job{nullptr};
  std::atomic<bool> busy{false};
};

// What a run does with its logits beside the loss; kDivergence: in its place, see TokenDivergence.
enum class Logits { kNone, kKeep, kCompare, kDivergence };

struct RunRequest {
  std::shared_ptr<AdapterParts> adapter;  // null: the base model
  std::vector<float> strengths;           // [parts of the adapter]
  size_t resume_at = 0;
  std::vector<size_t> keep_at;
  Logits logits = Logits::kNone;
};

struct RunResult {
  std::vector<double> sums;      // [samples]
  std::vector<int32_t> correct;  // [samples], scored tokens that are the most likely ones
  double max_difference = 0;
  double seconds = 0;
  double copy_seconds = 0;
  size_t kept_bytes = 0;
};

// How well the scored tokens can be read off each layer's output, summed per sample: [layers][samples].
struct LensResult {
  std::vector<int32_t> layers;
  std::vector<double> nll;
  std::vector<double> probability;
  std::vector<double> log_rank;
};

// The context refers to one job at a time and is busy meanwhile.
class Working {
 public:
  Working(ScorerState& state, const JobState& job) : state_(state) { state_.job = &job; }
  ~Working() {
    state_.job = nullptr;
    state_.busy = false;
  }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  ScorerState& state_;
};

// Carries out one run on the batch: strengths, where to resume, which states to keep -> per-sample sums of the negative
// log-likelihood. It knows nothing of boundaries, families or searches.
RunResult Execute(ScorerState& state, const RunRequest& request);

// Names of the tensors that cross each border, see GraphReplay::Borders.
std::vector<std::string> FindBorders(ScorerState& state, const RunRequest& request);

// One pass that keeps every state, then the output norm and head on each of them. No layers where there is no top
// border.
LensResult ExecuteLens(ScorerState& state, const RunRequest& request);
