#pragma once

#include <napi.h>

// Loading of ggml backends and what they offer. Backends are per process: they are loaded once, whoever asks.
namespace backends {

// loadBackends(directory): loads every ggml backend library of a folder.
Napi::Value Load(const Napi::CallbackInfo& info);

// devices(): [{ name, description, type, backend, memoryFree, memoryTotal }]
Napi::Value Devices(const Napi::CallbackInfo& info);

// versions(): { llamaCpp, systemInfo }
Napi::Value Versions(const Napi::CallbackInfo& info);

}  // namespace backends
