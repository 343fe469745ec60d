#pragma once

#include <napi.h>

#include <memory>

#include "generation.h"

// JavaScript's side of a Generation. TypeScript calls one method at a time; a busy or disposed one refuses.
class Generator : public Napi::ObjectWrap<Generator> {
 public:
  static Napi::Function Define(Napi::Env env);
  // createGenerator({ model, contextTokens, maxSequences, batchTokens, maxRows, threads, fusedLora, resumes,
  // ownSums }):
  // Promise<Generator>
  static Napi::Value Create(const Napi::CallbackInfo& info);

  explicit Generator(const Napi::CallbackInfo& info);

 private:
  // setStrengths({ adapter, strengths }): empties every slot.
  Napi::Value SetStrengths(const Napi::CallbackInfo& info);
  // start({ slot, temperature, topP, seed }): empties a slot for a sequence; temperature 0 is greedy.
  Napi::Value StartSlot(const Napi::CallbackInfo& info);
  // clear({ slot }): its sequence has ended.
  Napi::Value ClearSlot(const Napi::CallbackInfo& info);
  // step({ slots, offsets, tokens, drafts, control }):
  // Promise<{ counts, tokens, runnersUp, margins, ended, lost, seconds }>
  Napi::Value Step(const Napi::CallbackInfo& info);
  // setOpening({ slots, offsets, tokens, batches }): prompts, one per slot; batch i decodes batches[i] .. batches[i +
  // 1].
  Napi::Value SetOpening(const Napi::CallbackInfo& info);
  // open({ resumeAt, keepAt: Int32Array, control }): as `step`, one choice per prompt, and which layers were kept.
  Napi::Value Open(const Napi::CallbackInfo& info);
  // copy({ from, to }): empties a slot for a sequence that goes on as another one.
  Napi::Value Copy(const Napi::CallbackInfo& info);
  Napi::Value Dispose(const Napi::CallbackInfo& info);

  const std::shared_ptr<Generation>& Idle(Napi::Env env) const;

  std::shared_ptr<Generation> generation_;
};
