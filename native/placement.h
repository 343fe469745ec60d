#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "llama.h"

// Where a model is computed, as JavaScript says it: { gpuLayers, devices, splitMode, tensorSplit }.
class Placement {
 public:
  static Placement Read(const Napi::Object& options);

  // Fills in the parameters; they point into this object, which must outlive the load. Throws NativeError NO_DEVICE.
  void Apply(llama_model_params& parameters);

 private:
  int32_t gpu_layers_ = 0;
  std::vector<std::string> names_;
  int32_t split_mode_ = LLAMA_SPLIT_MODE_LAYER;
  std::vector<float> tensor_split_;
  std::vector<ggml_backend_dev_t> devices_;
};
