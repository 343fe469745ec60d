#pragma once

#include <napi.h>

// Constructors of this environment: every worker thread that loads the addon has its own.
struct AddonData {
  Napi::FunctionReference job_control;
  Napi::FunctionReference base_model;
  Napi::FunctionReference layered_adapter;
  Napi::FunctionReference scorer;
  Napi::FunctionReference generator;

  static AddonData& Of(Napi::Env env) { return *env.GetInstanceData<AddonData>(); }
};
