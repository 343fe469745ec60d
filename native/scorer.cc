#include "scorer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "addon_data.h"
#include "arguments.h"
#include "base_model.h"
#include "native_error.h"
#include "promise_worker.h"

namespace {

RunRequest ReadRequest(Napi::Env env, const Napi::Object& options) {
  RunRequest request;
  if (!options.Get("adapter").IsNull()) {
    auto* adapter = arguments::Instance<LayeredAdapter>(options, "adapter", AddonData::Of(env).layered_adapter);
    request.adapter = adapter->parts(env);
    request.strengths = arguments::Floats(options, "strengths");
    if (request.strengths.size() != request.adapter->parts.size()) {
      arguments::Fail(env, "strengths", "one number per part of the adapter");
    }
    for (float strength : request.strengths) {
      if (!std::isfinite(strength)) arguments::Fail(env, "strengths", "finite numbers");
    }
  }
  return request;
}

}  // namespace

Napi::Function Scorer::Define(Napi::Env env) {
  return DefineClass(
      env, "Scorer",
      {InstanceMethod<&Scorer::SetBatch>("setBatch"), InstanceMethod<&Scorer::Borders>("borders"),
       InstanceMethod<&Scorer::Run>("run"), InstanceMethod<&Scorer::Lens>("lens"),
       InstanceMethod<&Scorer::LossInGraph>("lossInGraph"), InstanceMethod<&Scorer::Dispose>("dispose")});
}

Napi::Value Scorer::Create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  auto* model = arguments::Instance<BaseModel>(options, "model", AddonData::Of(env).base_model);
  return PromiseWorker<std::shared_ptr<ScorerState>>::Start(
      env, options,
      [handle = model->handle(env), shape = ReadShape(options)] {
        return std::make_shared<ScorerState>(handle, shape);
      },
      [](Napi::Env e, std::shared_ptr<ScorerState>&& state) {
        return AddonData::Of(e).scorer.New({Napi::External<std::shared_ptr<ScorerState>>::New(e, &state)});
      });
}

Scorer::Scorer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Scorer>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Use createScorer() to make a Scorer");
  }
  state_ = *info[0].As<Napi::External<std::shared_ptr<ScorerState>>>().Data();
}

const std::shared_ptr<ScorerState>& Scorer::Idle(Napi::Env env) const {
  arguments::RequireUsable(env, "scorer", state_ != nullptr, state_ && state_->busy);
  return state_;
}

Napi::Value Scorer::SetBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ScorerState& state = *Idle(env);
  Napi::Object options = arguments::Options(info, 0);
  try {
    PackedBatch batch(arguments::Int32s(options, "tokens"), arguments::Int32s(options, "offsets"),
                      arguments::Bytes(options, "scored"), arguments::Boolean(options, "shared"),
                      llama_vocab_n_tokens(llama_model_get_vocab(state.model.get())));
    const ScorerShape& shape = state.shape;
    const bool fits =
        std::all_of(batch.rows_of_sample().begin(), batch.rows_of_sample().end(),
                    [&shape](const auto& rows) { return rows.size() <= static_cast<size_t>(shape.rows_of_sequence); });
    if (batch.tokens() > shape.max_tokens || batch.samples() > shape.max_sequences || batch.rows() > shape.max_rows ||
        !fits) {
      throw NativeError("BAD_ARGUMENT", "The batch is larger than the scorer was made for");
    }
    state.batch.emplace(std::move(batch));
  } catch (const NativeError& error) {
    arguments::Throw(env, error.code(), error.what());
  }
  state.replay.Reset();
  state.reference = std::vector<float>();
  return env.Undefined();
}

template <typename Result, typename Work, typename Wrap>
Napi::Value Scorer::Start(Napi::Env env, const Napi::Object& options, RunRequest request, Work work, Wrap wrap) {
  std::shared_ptr<ScorerState> state = Idle(env);
  if (!state->batch) throw Napi::Error::New(env, "No batch is set");
  const std::shared_ptr<JobState> job =
      arguments::Instance<JobControl>(options, "control", AddonData::Of(env).job_control)->state();
  state->busy = true;
  return PromiseWorker<Result>::Start(
      env, options,
      [state, request = std::move(request), job, work] {
        const Working working(*state, *job);
        return work(*state, request);
      },
      wrap);
}

Napi::Value Scorer::Borders(const Napi::CallbackInfo& info) {
  Napi::Object options = arguments::Options(info, 0);
  return Start<std::vector<std::string>>(info.Env(), options, ReadRequest(info.Env(), options), FindBorders,
                                         [](Napi::Env e, std::vector<std::string>&& borders) -> Napi::Value {
                                           Napi::Array result = Napi::Array::New(e, borders.size());
                                           for (size_t k = 0; k < borders.size(); ++k)
                                             result.Set(static_cast<uint32_t>(k), borders[k]);
                                           return result;
                                         });
}

Napi::Value Scorer::Run(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  RunRequest request = ReadRequest(env, options);
  const int32_t top = llama_model_n_layer(Idle(env)->model.get()) - 1;
  request.resume_at = static_cast<size_t>(arguments::Integer(options, "resumeAt", 0, top));
  for (int32_t border : arguments::Int32s(options, "keepAt")) {
    if (border < 1 || border > top) arguments::Fail(env, "keepAt", "layers from 1 to the last");
    request.keep_at.push_back(static_cast<size_t>(border));
  }
  const std::string logits = arguments::String(options, "logits");
  if (logits != "none" && logits != "keep" && logits != "compare" && logits != "divergence")
    arguments::Fail(env, "logits", "none, keep, compare or divergence");
  request.logits = logits == "keep"         ? Logits::kKeep
                   : logits == "compare"    ? Logits::kCompare
                   : logits == "divergence" ? Logits::kDivergence
                                            : Logits::kNone;
  return Start<RunResult>(env, options, std::move(request), Execute,
                          [](Napi::Env e, RunResult&& result) -> Napi::Value {
                            Napi::Float64Array sums = Napi::Float64Array::New(e, result.sums.size());
                            std::copy(result.sums.begin(), result.sums.end(), sums.Data());
                            Napi::Int32Array correct = Napi::Int32Array::New(e, result.correct.size());
                            std::copy(result.correct.begin(), result.correct.end(), correct.Data());
                            Napi::Object value = Napi::Object::New(e);
                            value.Set("sums", sums);
                            value.Set("correct", correct);
                            value.Set("maxDifference", result.max_difference);
                            value.Set("seconds", result.seconds);
                            value.Set("copySeconds", result.copy_seconds);
                            value.Set("keptBytes", static_cast<double>(result.kept_bytes));
                            return value;
                          });
}

Napi::Value Scorer::LossInGraph(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), Idle(info.Env())->graph_loss != nullptr);
}

Napi::Value Scorer::Lens(const Napi::CallbackInfo& info) {
  Napi::Object options = arguments::Options(info, 0);
  return Start<LensResult>(info.Env(), options, ReadRequest(info.Env(), options), ExecuteLens,
                           [](Napi::Env e, LensResult&& result) -> Napi::Value {
                             const auto doubles = [e](const std::vector<double>& values) {
                               Napi::Float64Array array = Napi::Float64Array::New(e, values.size());
                               std::copy(values.begin(), values.end(), array.Data());
                               return array;
                             };
                             Napi::Int32Array layers = Napi::Int32Array::New(e, result.layers.size());
                             std::copy(result.layers.begin(), result.layers.end(), layers.Data());
                             Napi::Object value = Napi::Object::New(e);
                             value.Set("layers", layers);
                             value.Set("nll", doubles(result.nll));
                             value.Set("probability", doubles(result.probability));
                             value.Set("logRank", doubles(result.log_rank));
                             return value;
                           });
}

Napi::Value Scorer::Dispose(const Napi::CallbackInfo& info) {
  if (state_) Idle(info.Env());
  state_.reset();
  return info.Env().Undefined();
}
