#include <napi.h>

#include <memory>

#include "addon_data.h"
#include "backends.h"
#include "base_model.h"
#include "generator.h"
#include "job_control.h"
#include "layered_adapter.h"
#include "memory_simulation.h"
#include "rpc_servers.h"
#include "scorer.h"

namespace {

Napi::Object Register(Napi::Env env, Napi::Object exports) {
  auto data = std::make_unique<AddonData>();
  const Napi::Function job_control = JobControl::Define(env);
  data->job_control = Napi::Persistent(job_control);
  data->base_model = Napi::Persistent(BaseModel::Define(env));
  data->layered_adapter = Napi::Persistent(LayeredAdapter::Define(env));
  data->scorer = Napi::Persistent(Scorer::Define(env));
  data->generator = Napi::Persistent(Generator::Define(env));
  env.SetInstanceData(data.release());

  exports.Set("JobControl", job_control);
  exports.Set("loadBackends", Napi::Function::New<backends::Load>(env, "loadBackends"));
  exports.Set("loadBackend", Napi::Function::New<backends::LoadBackend>(env, "loadBackend"));
  exports.Set("addServer", Napi::Function::New<rpc_servers::Add>(env, "addServer"));
  exports.Set("lostServers", Napi::Function::New<rpc_servers::Lost>(env, "lostServers"));
  exports.Set("devices", Napi::Function::New<backends::Devices>(env, "devices"));
  exports.Set("versions", Napi::Function::New<backends::Versions>(env, "versions"));
  exports.Set("loadModel", Napi::Function::New<BaseModel::Load>(env, "loadModel"));
  exports.Set("loadAdapter", Napi::Function::New<LayeredAdapter::Load>(env, "loadAdapter"));
  exports.Set("loadWholeAdapter", Napi::Function::New<LayeredAdapter::LoadWhole>(env, "loadWholeAdapter"));
  exports.Set("createGenerator", Napi::Function::New<Generator::Create>(env, "createGenerator"));
  exports.Set("createScorer", Napi::Function::New<Scorer::Create>(env, "createScorer"));
  exports.Set("simulateMemory", Napi::Function::New<SimulateMemory>(env, "simulateMemory"));
  return exports;
}

}  // namespace

NODE_API_MODULE(lora_boundary, Register)
