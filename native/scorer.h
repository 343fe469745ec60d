#pragma once

#include <napi.h>

#include <memory>

#include "scoring_run.h"

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
  // Starts a job on the batch: `work` on another thread, `wrap` makes a value of its result.
  template <typename Result, typename Work, typename Wrap>
  Napi::Value Start(Napi::Env env, const Napi::Object& options, RunRequest request, Work work, Wrap wrap);

  std::shared_ptr<ScorerState> state_;
};
