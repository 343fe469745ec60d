#include "placement.h"

#include <limits>

#include "arguments.h"
#include "backends.h"

Placement Placement::Read(const Napi::Object& options) {
  Placement placement;
  placement.gpu_layers_ = arguments::Integer(options, "gpuLayers", -1, std::numeric_limits<int32_t>::max());
  placement.names_ = arguments::Strings(options, "devices");
  if (!options.Get("splitMode").IsUndefined()) {
    placement.split_mode_ = arguments::Integer(options, "splitMode", LLAMA_SPLIT_MODE_NONE, LLAMA_SPLIT_MODE_TENSOR);
  }
  if (!options.Get("tensorSplit").IsUndefined()) placement.tensor_split_ = arguments::Floats(options, "tensorSplit");
  if (placement.tensor_split_.size() > llama_max_devices() || placement.names_.size() > llama_max_devices()) {
    arguments::Fail(options.Env(), "devices", "no more devices than llama.cpp takes");
  }
  return placement;
}

void Placement::Apply(llama_model_params& parameters) {
  devices_ = backends::Find(names_);
  parameters.devices = devices_.data();
  parameters.n_gpu_layers = gpu_layers_;
  parameters.split_mode = static_cast<llama_split_mode>(split_mode_);
  if (tensor_split_.empty()) return;
  // llama.cpp reads as many as it may have devices.
  tensor_split_.resize(llama_max_devices(), 0);
  parameters.tensor_split = tensor_split_.data();
}
