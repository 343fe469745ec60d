#pragma once

#include <napi.h>

#include <string>

#include "handles.h"

// A base model: facts, tokenizer and chat template text. Scorers and adapters share its ownership, so disposing of the
// JavaScript object frees the weights only when the last of them is gone.
class BaseModel : public Napi::ObjectWrap<BaseModel> {
 public:
  static constexpr napi_type_tag kTypeTag = {0xe21cd02977037158, 0x4704b3cd3c7bac31};
  static Napi::Function Define(Napi::Env env);
  // loadModel({ path, gpuLayers, devices, control }): Promise<BaseModel>
  static Napi::Value Load(const Napi::CallbackInfo& info);

  // Constructed by Load with an External<ModelHandle>; JavaScript cannot construct one.
  explicit BaseModel(const Napi::CallbackInfo& info);

  // Throws a JavaScript error after dispose().
  const ModelHandle& handle(Napi::Env env) const;

 private:
  Napi::Value Facts(const Napi::CallbackInfo& info);
  Napi::Value Tokenize(const Napi::CallbackInfo& info);
  Napi::Value TokenBytes(const Napi::CallbackInfo& info);
  Napi::Value IsControl(const Napi::CallbackInfo& info);
  Napi::Value Dispose(const Napi::CallbackInfo& info);

  ModelHandle model_;
};
