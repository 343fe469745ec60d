#pragma once

#include <napi.h>

// simulateMemory({ path, gpuLayers, devices, control, ...ReadShape }):
// Promise<{ computeBytes, cacheBytes }>: what a scorer's context would take, found by llama.cpp itself without
// allocating it. Compute buffers are those of the base model's graph, and hold the logits of one batch.
Napi::Value SimulateMemory(const Napi::CallbackInfo& info);
