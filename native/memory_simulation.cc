#include "memory_simulation.h"

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>

#include "addon_data.h"
#include "arguments.h"
#include "context_shape.h"
#include "graph_loss.h"
#include "handles.h"
#include "log_lines.h"
#include "native_error.h"
#include "placement.h"
#include "promise_worker.h"

namespace {

struct SimulatedMemory {
  double compute_bytes = 0;
  double cache_bytes = 0;
};

constexpr double kMebibyte = 1024.0 * 1024.0;

// llama.cpp v0.5.0 tells these sizes in its log only: "CPU compute buffer size = 97.26 MiB", and for the caches
// "size = 11.25 MiB (512 cells, 30 layers, ...)".
SimulatedMemory ReadSizes(const std::string& log) {
  SimulatedMemory memory;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find("size = ");
    if (at == std::string::npos || line.find(" MiB", at) == std::string::npos) continue;
    const double bytes = std::strtod(line.c_str() + at + 7, nullptr) * kMebibyte;
    if (line.find("compute buffer size") != std::string::npos) memory.compute_bytes += bytes;
    if (line.find(" MiB (", at) != std::string::npos) memory.cache_bytes += bytes;
  }
  return memory;
}

SimulatedMemory Simulate(const std::string& path, Placement placement, const ScorerShape& shape, JobState& job) {
  log_lines::Collector log(log_lines::Collector::Level::kAll);
  llama_model_params parameters = llama_model_default_params();
  placement.Apply(parameters);
  parameters.no_alloc = true;
  parameters.load_mode = LLAMA_LOAD_MODE_NONE;
  parameters.progress_callback = [](float, void* data) { return !static_cast<JobState*>(data)->aborted; };
  parameters.progress_callback_user_data = &job;
  const ModelHandle model(llama_model_load_from_file(path.c_str(), parameters), ModelDeleter());
  if (job.aborted) throw NativeError("CANCELLED", "Cancelled.");
  if (!model) throw NativeError("MODEL_LOAD", "llama.cpp could not read " + path);
  llama_context_params layout = ContextParameters(shape);
  std::unique_ptr<GraphLoss> loss;
  if (shape.loss_in_graph) {
    loss = std::make_unique<GraphLoss>(shape.max_sequences);
    layout.samplers = loss->configs().data();
    layout.n_samplers = loss->configs().size();
  }
  const ContextHandle context(llama_init_from_model(model.get(), layout));
  if (!context) throw NativeError("CONTEXT", "llama.cpp could not lay out a context");
  return ReadSizes(log.text());
}

}  // namespace

Napi::Value SimulateMemory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  auto* control = arguments::Instance<JobControl>(options, "control", AddonData::Of(env).job_control);
  return PromiseWorker<SimulatedMemory>::Start(
      env, options,
      [path = arguments::String(options, "path"), placement = Placement::Read(options), shape = ReadShape(options),
       job = control->state()] { return Simulate(path, placement, shape, *job); },
      [](Napi::Env e, SimulatedMemory&& memory) -> Napi::Value {
        Napi::Object value = Napi::Object::New(e);
        value.Set("computeBytes", memory.compute_bytes);
        value.Set("cacheBytes", memory.cache_bytes);
        return value;
      });
}
