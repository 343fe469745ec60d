#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "handles.h"
#include "job_control.h"
#include "lora_sum.h"

// llama.cpp has one strength per adapter, so an adapter becomes one small llama adapter per part: part 0 is what lies
// below layer 0 (`token_embd`), then P parts per layer, and the last part is what lies above the last layer (`output`).
struct AdapterParts {
  ModelHandle model;     // declared first: adapters are freed before their model
  size_t per_layer = 1;  // P
  // [P L + 2], empty where the adapter has nothing; [1] for an adapter loaded whole. A part is one llama adapter, or
  // several where its ranks are padded by different ratios.
  std::vector<std::vector<AdapterHandle>> parts;
  std::unique_ptr<LoraSums> sums;  // null: llama.cpp's own nodes compute what a pair adds

  // The lowest part that acts in layer `layer` or above it.
  size_t FirstOf(size_t layer) const { return 1 + layer * per_layer; }

  // Sets one strength per part (0 leaves a part out, at no cost) for parts from `first` on.
  void Apply(llama_context* context, const std::vector<float>& strengths, size_t first) const;
};

// Names the set of adapters that parts from `first` on bring in; null: the base model. Graphs with the same adapters
// have the same nodes, whatever the strengths.
std::string StructureOf(const AdapterParts* adapter, const std::vector<float>& strengths, size_t first);

class LayeredAdapter : public Napi::ObjectWrap<LayeredAdapter> {
 public:
  static constexpr napi_type_tag kTypeTag = {0x9873c0d0e61e4c5a, 0xa48d0dd669828b13};
  static Napi::Function Define(Napi::Env env);
  // loadAdapter({ model, path, partOfTensor: Int32Array, partsPerLayer, rankMultiple, fusedLora, control }):
  // Promise<LayeredAdapter>
  // partOfTensor holds, per tensor in file order, its part 0..P L+1, or -1 for a tensor that llama.cpp does not use.
  // Ranks inside the layers are padded with zeros to a multiple of rankMultiple, with alpha in the same ratio: the same
  // function in other roundings, but long enough rows for the CPU's matrix kernels. 1 leaves every bit as it is.
  // fusedLora: what a pair adds is computed as in lora_sum.h, for a model that is on the CPU alone; then only
  // experts' pairs are padded.
  static Napi::Value Load(const Napi::CallbackInfo& info);

  // loadWholeAdapter({ model, path, control }): Promise<LayeredAdapter> of one part, as llama.cpp's own programs load
  // it.
  static Napi::Value LoadWhole(const Napi::CallbackInfo& info);

  explicit LayeredAdapter(const Napi::CallbackInfo& info);
  const std::shared_ptr<AdapterParts>& parts(Napi::Env env) const;

 private:
  Napi::Value Dispose(const Napi::CallbackInfo& info);

  std::shared_ptr<AdapterParts> parts_;
};
