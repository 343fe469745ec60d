#pragma once

#include <napi.h>

#include <atomic>
#include <memory>

// Shared between a running job and JavaScript: the one may be told to stop, the other reads how far it is.
struct JobState {
  std::atomic<bool> aborted{false};
  std::atomic<float> progress{0.0f};
};

// JavaScript: `new JobControl()`, `abort()`, `progress()` in 0..1. Methods only: V8 checks the receiver of a method,
// not of an accessor.
class JobControl : public Napi::ObjectWrap<JobControl> {
 public:
  static constexpr napi_type_tag kTypeTag = {0x56d923eac5191fa0, 0x590ebe24f98c5098};
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(
        env, "JobControl",
        {InstanceMethod<&JobControl::Abort>("abort"), InstanceMethod<&JobControl::Progress>("progress")});
  }

  explicit JobControl(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JobControl>(info) {
    info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  }

  const std::shared_ptr<JobState>& state() const { return state_; }

 private:
  Napi::Value Abort(const Napi::CallbackInfo& info) {
    state_->aborted = true;
    return info.Env().Undefined();
  }
  Napi::Value Progress(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), state_->progress); }

  std::shared_ptr<JobState> state_ = std::make_shared<JobState>();
};
