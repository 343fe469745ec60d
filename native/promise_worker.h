#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "native_error.h"

// The only AsyncWorker: `work` runs on a thread of libuv's pool and touches nothing of Napi; `deliver` turns its result
// into a JavaScript value on the main thread. Whatever `work` throws rejects the promise with `message` and `code`.
template <typename Result>
class PromiseWorker : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result()>;
  using Deliver = std::function<Napi::Value(Napi::Env, Result&&)>;

  // `keep_alive` holds the JavaScript objects that the work uses: they must not be collected meanwhile.
  static Napi::Promise Start(Napi::Env env, Napi::Object keep_alive, Work work, Deliver deliver) {
    // AsyncWorker deletes itself when done.
    auto* worker = new PromiseWorker(env, keep_alive, std::move(work), std::move(deliver));
    Napi::Promise promise = worker->deferred_.Promise();
    worker->Queue();
    return promise;
  }

 protected:
  void Execute() override {
    try {
      result_.emplace(work_());
    } catch (const NativeError& error) {
      code_ = error.code();
      SetError(error.what());
    } catch (const std::bad_alloc&) {
      code_ = "OUT_OF_MEMORY";
      SetError("Not enough memory for this step.");
    } catch (const std::exception& error) {
      code_ = "INTERNAL";
      SetError(error.what());
    }
    work_ = nullptr;  // drop what the job used before JavaScript hears of its end
  }

  void OnOK() override { deferred_.Resolve(deliver_(Env(), std::move(*result_))); }

  void OnError(const Napi::Error& error) override {
    Napi::Object value = error.Value();
    value.Set("code", code_);
    deferred_.Reject(value);
  }

 private:
  PromiseWorker(Napi::Env env, Napi::Object keep_alive, Work work, Deliver deliver)
      : Napi::AsyncWorker(env),
        keep_alive_(Napi::Persistent(keep_alive)),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        deliver_(std::move(deliver)) {}

  Napi::ObjectReference keep_alive_;
  Napi::Promise::Deferred deferred_;
  Work work_;
  Deliver deliver_;
  std::optional<Result> result_;
  std::string code_ = "INTERNAL";
};
