#include "generator.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "addon_data.h"
#include "arguments.h"
#include "base_model.h"
#include "promise_worker.h"

namespace {

constexpr int32_t kMost = std::numeric_limits<int32_t>::max();

GenerationShape ReadGenerationShape(const Napi::Object& options) {
  GenerationShape shape;
  shape.context_tokens = arguments::Integer(options, "contextTokens", 1, kMost);
  shape.max_sequences =
      arguments::Integer(options, "maxSequences", 1, static_cast<int32_t>(llama_max_parallel_sequences()));
  shape.batch_tokens = arguments::Integer(options, "batchTokens", 1, shape.context_tokens);
  shape.max_rows = arguments::Integer(options, "maxRows", 1, shape.batch_tokens);
  shape.threads = arguments::Integer(options, "threads", 1, 512);
  shape.fused_lora = arguments::Boolean(options, "fusedLora");
  shape.resumes = arguments::Boolean(options, "resumes");
  shape.own_sums = arguments::Boolean(options, "ownSums");
  return shape;
}

int32_t ReadSlot(const Napi::Object& options, const Generation& generation, const char* name = "slot") {
  return arguments::Integer(options, name, 0, generation.shape().max_sequences - 1);
}

float ReadNumber(const Napi::Object& options, const char* name, double low, double high, const char* expected) {
  Napi::Value value = options.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= low && number <= high)) arguments::Fail(options.Env(), name, expected);
  return static_cast<float>(number);
}

template <typename Array, typename Source, typename Read>
Array ArrayOf(Napi::Env env, const std::vector<Source>& source, Read read) {
  Array array = Array::New(env, source.size());
  std::transform(source.begin(), source.end(), array.Data(), read);
  return array;
}

Napi::Value ResultOf(Napi::Env env, const GenerationResult& result) {
  const auto same = [](auto value) { return value; };
  Napi::Object value = Napi::Object::New(env);
  value.Set("counts", ArrayOf<Napi::Int32Array>(env, result.counts, same));
  value.Set("tokens", ArrayOf<Napi::Int32Array>(env, result.choices, [](const TokenChoice& c) { return c.token; }));
  value.Set("runnersUp",
            ArrayOf<Napi::Int32Array>(env, result.choices, [](const TokenChoice& c) { return c.runner_up; }));
  value.Set("margins", ArrayOf<Napi::Float32Array>(env, result.choices, [](const TokenChoice& c) { return c.margin; }));
  value.Set("ended", ArrayOf<Napi::Uint8Array>(env, result.ended, same));
  value.Set("lost", ArrayOf<Napi::Uint8Array>(env, result.lost, same));
  value.Set("kept", ArrayOf<Napi::Int32Array>(env, result.kept, same));
  value.Set("seconds", result.seconds);
  return value;
}

// The generation refuses other calls while a job runs.
class Busy {
 public:
  explicit Busy(Generation& generation) : generation_(generation) {}
  ~Busy() { generation_.busy = false; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Generation& generation_;
};

}  // namespace

Napi::Function Generator::Define(Napi::Env env) {
  return DefineClass(
      env, "Generator",
      {InstanceMethod<&Generator::SetStrengths>("setStrengths"), InstanceMethod<&Generator::StartSlot>("start"),
       InstanceMethod<&Generator::ClearSlot>("clear"), InstanceMethod<&Generator::Step>("step"),
       InstanceMethod<&Generator::SetOpening>("setOpening"), InstanceMethod<&Generator::Open>("open"),
       InstanceMethod<&Generator::Copy>("copy"), InstanceMethod<&Generator::Dispose>("dispose")});
}

Napi::Value Generator::Create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  auto* model = arguments::Instance<BaseModel>(options, "model", AddonData::Of(env).base_model);
  return PromiseWorker<std::shared_ptr<Generation>>::Start(
      env, options,
      [handle = model->handle(env), shape = ReadGenerationShape(options)] {
        return std::make_shared<Generation>(handle, shape);
      },
      [](Napi::Env e, std::shared_ptr<Generation>&& generation) {
        return AddonData::Of(e).generator.New({Napi::External<std::shared_ptr<Generation>>::New(e, &generation)});
      });
}

Generator::Generator(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Generator>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Use createGenerator() to make a Generator");
  }
  generation_ = *info[0].As<Napi::External<std::shared_ptr<Generation>>>().Data();
}

const std::shared_ptr<Generation>& Generator::Idle(Napi::Env env) const {
  arguments::RequireUsable(env, "generator", generation_ != nullptr, generation_ && generation_->busy);
  return generation_;
}

Napi::Value Generator::SetStrengths(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Generation& generation = *Idle(env);
  Napi::Object options = arguments::Options(info, 0);
  std::shared_ptr<AdapterParts> parts;
  std::vector<float> strengths;
  if (!options.Get("adapter").IsNull()) {
    auto* adapter = arguments::Instance<LayeredAdapter>(options, "adapter", AddonData::Of(env).layered_adapter);
    parts = adapter->parts(env);
    strengths = arguments::Floats(options, "strengths");
    if (strengths.size() != parts->parts.size()) {
      arguments::Fail(env, "strengths", "one number per part of the adapter");
    }
    for (const float strength : strengths) {
      if (!std::isfinite(strength)) arguments::Fail(env, "strengths", "finite numbers");
    }
  }
  if (parts && parts->model != generation.model()) arguments::Fail(env, "adapter", "an adapter of the same model");
  try {
    generation.SetStrengths(std::move(parts), strengths);
  } catch (const NativeError& error) {
    arguments::Throw(env, error.code(), error.what());
  }
  return env.Undefined();
}

Napi::Value Generator::StartSlot(const Napi::CallbackInfo& info) {
  Generation& generation = *Idle(info.Env());
  Napi::Object options = arguments::Options(info, 0);
  const int32_t slot = ReadSlot(options, generation);
  const float temperature = ReadNumber(options, "temperature", 0, 1e6, "a number from 0");
  const float top_p = ReadNumber(options, "topP", 0, 1, "a number from 0 to 1");
  const auto seed = static_cast<uint32_t>(arguments::Integer(options, "seed", 0, kMost));
  generation.Clear(slot);
  generation.SetSampler(slot, temperature == 0 ? nullptr : MakeSampler(temperature, top_p, seed));
  return info.Env().Undefined();
}

Napi::Value Generator::ClearSlot(const Napi::CallbackInfo& info) {
  Generation& generation = *Idle(info.Env());
  generation.Clear(ReadSlot(arguments::Options(info, 0), generation));
  return info.Env().Undefined();
}

Napi::Value Generator::Step(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<Generation> generation = Idle(env);
  Napi::Object options = arguments::Options(info, 0);
  GenerationStep step;
  step.slots = arguments::Int32s(options, "slots");
  step.offsets = arguments::Int32s(options, "offsets");
  step.tokens = arguments::Int32s(options, "tokens");
  step.drafts = arguments::Int32s(options, "drafts");
  const auto job = arguments::Instance<JobControl>(options, "control", AddonData::Of(env).job_control)->state();
  generation->busy = true;
  return PromiseWorker<GenerationResult>::Start(
      env, options,
      [generation, step = std::move(step), job] {
        const Busy busy(*generation);
        return generation->Run(step, *job);
      },
      [](Napi::Env e, GenerationResult&& result) { return ResultOf(e, result); });
}

Napi::Value Generator::SetOpening(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Generation& generation = *Idle(env);
  Napi::Object options = arguments::Options(info, 0);
  try {
    generation.SetOpening(MakeOpening(arguments::Int32s(options, "slots"), arguments::Int32s(options, "offsets"),
                                      arguments::Int32s(options, "tokens"), arguments::Int32s(options, "batches")));
  } catch (const NativeError& error) {
    arguments::Throw(env, error.code(), error.what());
  }
  return env.Undefined();
}

Napi::Value Generator::Open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<Generation> generation = Idle(env);
  Napi::Object options = arguments::Options(info, 0);
  const int32_t top = llama_model_n_layer(generation->model().get()) - 1;
  const int32_t resume_at = arguments::Integer(options, "resumeAt", 0, top);
  std::vector<size_t> keep_at;
  for (const int32_t layer : arguments::Int32s(options, "keepAt")) {
    if (layer <= resume_at || layer > top) arguments::Fail(env, "keepAt", "layers above `resumeAt`");
    keep_at.push_back(static_cast<size_t>(layer));
  }
  const auto job = arguments::Instance<JobControl>(options, "control", AddonData::Of(env).job_control)->state();
  generation->busy = true;
  return PromiseWorker<GenerationResult>::Start(
      env, options,
      [generation, resume_at = static_cast<size_t>(resume_at), keep_at = std::move(keep_at), job] {
        const Busy busy(*generation);
        return generation->Open(resume_at, keep_at, *job);
      },
      [](Napi::Env e, GenerationResult&& result) { return ResultOf(e, result); });
}

Napi::Value Generator::Copy(const Napi::CallbackInfo& info) {
  Generation& generation = *Idle(info.Env());
  Napi::Object options = arguments::Options(info, 0);
  const int32_t from = ReadSlot(options, generation, "from");
  const int32_t to = ReadSlot(options, generation, "to");
  if (from == to) arguments::Fail(info.Env(), "to", "another slot");
  generation.Copy(from, to);
  return info.Env().Undefined();
}

Napi::Value Generator::Dispose(const Napi::CallbackInfo& info) {
  if (generation_) Idle(info.Env());
  generation_.reset();
  return info.Env().Undefined();
}
