#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "ggml-backend.h"

// Loading of ggml backends and what they offer. Backends are per process: they are loaded once, whoever asks.
namespace backends {

// loadBackends(directory): loads every ggml backend library of a folder.
Napi::Value Load(const Napi::CallbackInfo& info);

// loadBackend(path): loads one more backend library, such as libggml-vulkan; its devices are listed afterwards.
Napi::Value LoadBackend(const Napi::CallbackInfo& info);

// devices(): [{ name, description, type, backend, memoryFree, memoryTotal }]
Napi::Value Devices(const Napi::CallbackInfo& info);

// versions(): { llamaCpp, systemInfo }
Napi::Value Versions(const Napi::CallbackInfo& info);

// Devices by name for llama_model_params.devices, with its closing null; an empty list is the CPU alone. Throws
// NativeError NO_DEVICE.
std::vector<ggml_backend_dev_t> Find(const std::vector<std::string>& names);

}  // namespace backends
