#pragma once

#include <napi.h>

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
#include "packed_batch.h"

// Carries out one run on one packed batch: strengths, where to resume, which states to keep -> per-sample sums of the
// negative log-likelihood. It knows nothing of boundaries, families or searches.
struct ScorerState {
  ScorerState(ModelHandle base, const ScorerShape& asked);

  ModelHandle model;                      // declared first: the context is freed before its model
  std::shared_ptr<AdapterParts> applied;  // what the context refers to
  GraphReplay replay;
  std::unique_ptr<GraphLoss> graph_loss;  // null: the loss is summed on the host
  ContextHandle context;
  std::optional<PackedBatch> batch;
  std::vector<float> reference;  // logits of the run that others are compared with, [rows, vocabulary]
  ScorerShape shape;
  std::atomic<const JobState*> job{nullptr};
  std::atomic<bool> busy{false};
};

class Scorer : public Napi::ObjectWrap<Scorer> {
 public:
  static Napi::Function Define(Napi::Env env);
  // createScorer({ model, ...ReadShape }): Promise<Scorer>
  static Napi::Value Create(const Napi::CallbackInfo& info);

  explicit Scorer(const Napi::CallbackInfo& info);

 private:
  // setBatch({ tokens, offsets, scored, shared }): samples one after another; forgets all kept states.
  Napi::Value SetBatch(const Napi::CallbackInfo& info);
  // borders({ adapter, strengths, control }): Promise<string[]>, see GraphReplay::Borders.
  Napi::Value Borders(const Napi::CallbackInfo& info);
  // run({ adapter, strengths, resumeAt, keepAt, logits, control }):
  // Promise<{ sums, correct, maxDifference, seconds, copySeconds, keptBytes }>
  Napi::Value Run(const Napi::CallbackInfo& info);
  // lossInGraph(): boolean, whether the device computes the loss; it was asked to and may lack an operation.
  Napi::Value LossInGraph(const Napi::CallbackInfo& info);
  // lens({ adapter, strengths, control }): Promise<{ layers, nll, probability, logRank }>
  Napi::Value Lens(const Napi::CallbackInfo& info);
  Napi::Value Dispose(const Napi::CallbackInfo& info);

  const std::shared_ptr<ScorerState>& Idle(Napi::Env env) const;

  std::shared_ptr<ScorerState> state_;
};
