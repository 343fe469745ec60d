#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "job_control.h"

// Checked readers of what JavaScript passes. TypeScript has validated values already; here wrong types throw and
// nothing is guessed.
namespace arguments {

[[noreturn]] inline void Fail(Napi::Env env, const std::string& name, const char* expected) {
  throw Napi::TypeError::New(env, "Expected " + std::string(expected) + " for `" + name + "`");
}

// An error that JavaScript sees with this code.
[[noreturn]] inline void Throw(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  throw error;
}

// Methods of an object that was disposed of, or that a job is using, fail so.
inline void RequireUsable(Napi::Env env, const char* name, bool is_there, bool is_busy = false) {
  if (!is_there) Throw(env, "DISPOSED", std::string("The ") + name + " has been disposed of");
  if (is_busy) Throw(env, "BUSY", std::string("The ") + name + " is busy");
}

inline Napi::Object Options(const Napi::CallbackInfo& info, size_t index) {
  if (info.Length() <= index || !info[index].IsObject())
    Fail(info.Env(), "argument " + std::to_string(index), "an object");
  return info[index].As<Napi::Object>();
}

inline std::string String(const Napi::Object& options, const char* name) {
  Napi::Value value = options.Get(name);
  if (!value.IsString()) Fail(options.Env(), name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

inline bool Boolean(const Napi::Object& options, const char* name) {
  Napi::Value value = options.Get(name);
  if (!value.IsBoolean()) Fail(options.Env(), name, "true or false");
  return value.As<Napi::Boolean>().Value();
}

inline std::vector<std::string> Strings(const Napi::Object& options, const char* name) {
  Napi::Value value = options.Get(name);
  if (!value.IsArray()) Fail(options.Env(), name, "an array of strings");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    if (!array.Get(i).IsString()) Fail(options.Env(), name, "an array of strings");
    strings.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  }
  return strings;
}

inline int32_t Integer(const Napi::Env& env, const Napi::Value& value, const std::string& name, int32_t low,
                       int32_t high) {
  if (!value.IsNumber()) Fail(env, name, "an integer");
  const double number = value.As<Napi::Number>().DoubleValue();
  const auto integer = static_cast<int32_t>(number >= -2147483648.0 && number <= 2147483647.0 ? number : 0);
  if (static_cast<double>(integer) != number || integer < low || integer > high) {
    Fail(env, name, ("an integer from " + std::to_string(low) + " to " + std::to_string(high)).c_str());
  }
  return integer;
}

inline int32_t Integer(const Napi::Object& options, const char* name, int32_t low, int32_t high) {
  return Integer(options.Env(), options.Get(name), name, low, high);
}

// Copies a typed array of exactly type T out of JavaScript's memory.
template <typename T>
std::vector<T> Array(const Napi::Object& options, const char* name, napi_typedarray_type type, const char* expected) {
  Napi::Value value = options.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    Fail(options.Env(), name, expected);
  auto array = value.As<Napi::TypedArrayOf<T>>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}

inline std::vector<int32_t> Int32s(const Napi::Object& options, const char* name) {
  return Array<int32_t>(options, name, napi_int32_array, "an Int32Array");
}
inline std::vector<uint8_t> Bytes(const Napi::Object& options, const char* name) {
  return Array<uint8_t>(options, name, napi_uint8_array, "a Uint8Array");
}
inline std::vector<float> Floats(const Napi::Object& options, const char* name) {
  return Array<float>(options, name, napi_float32_array, "a Float32Array");
}

// A prototype can be given to any object, so the constructor proves which copy of the addon made it and the tag what it
// wraps.
template <typename Wrapped>
Wrapped* Instance(const Napi::Object& options, const char* name, const Napi::FunctionReference& constructor) {
  Napi::Value value = options.Get(name);
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor.Value()) ||
      !value.As<Napi::Object>().CheckTypeTag(&Wrapped::kTypeTag)) {
    Fail(options.Env(), name, "an object made by this addon");
  }
  return Wrapped::Unwrap(value.As<Napi::Object>());
}

}  // namespace arguments
