#include "layered_adapter.h"

#include <cerrno>
#include <cstring>
#include <limits>
#include <map>

#include "addon_data.h"
#include "arguments.h"
#include "base_model.h"
#include "log_lines.h"
#include "native_error.h"
#include "promise_worker.h"

namespace {

constexpr const char* kAlphaKey = "adapter.lora.alpha";

struct AdapterSource {
  GgmlHandle tensors;  // shapes only, no data
  GgufHandle gguf;
  FileHandle file;
};

AdapterSource OpenAdapter(const std::string& path) {
  log_lines::Collector log;
  AdapterSource source;
  ggml_context* tensors = nullptr;
  source.gguf.reset(gguf_init_from_file(path.c_str(), {/*no_alloc=*/true, &tensors}));
  source.tensors.reset(tensors);
  if (!source.gguf) throw NativeError("ADAPTER_LOAD", log.Explain("llama.cpp could not read " + path));
  source.file.reset(ggml_fopen(path.c_str(), "rb"));
  if (!source.file) throw NativeError("ADAPTER_LOAD", "Could not open " + path + ": " + std::strerror(errno));
  return source;
}

void ReadTensor(std::FILE* file, size_t offset, size_t size, uint8_t* target, const char* name) {
#ifdef _WIN32
  const int moved = _fseeki64(file, static_cast<long long>(offset), SEEK_SET);
#else
  const int moved = fseeko(file, static_cast<off_t>(offset), SEEK_SET);
#endif
  if (moved != 0 || std::fread(target, 1, size, file) != size) {
    throw NativeError("ADAPTER_LOAD", std::string("The file ends inside tensor ") + name);
  }
}

// How the factors of a pair look with a padded rank: rows of zeros at the end of A, zeros at the end of each row of B.
struct Padding {
  int64_t rank;
  int64_t padded;
  double ratio() const { return static_cast<double>(padded) / static_cast<double>(rank); }
};

std::string PairOf(const char* name) {
  const std::string text = name;
  return text.substr(0, text.rfind(".lora_"));
}

// How pairs are prepared for being computed with.
struct Preparation {
  int32_t rank_multiple;
  bool fused_lora;
};

// Rows of B can be made longer only where elements stand alone; the factors of an embedding are laid out otherwise.
Padding PaddingOf(const AdapterSource& source, const char* name, const Preparation& preparation) {
  const std::string pair = PairOf(name);
  const ggml_tensor* b = ggml_get_tensor(source.tensors.get(), (pair + ".lora_b").c_str());
  const int64_t rank = b == nullptr ? 1 : b->ne[0];
  const bool fixed = b == nullptr || ggml_blck_size(b->type) != 1 || pair.find("token_embd") != std::string::npos ||
                     (preparation.fused_lora && b->ne[2] == 1);
  const int64_t multiple = preparation.rank_multiple;
  return {rank, fixed ? rank : (rank + multiple - 1) / multiple * multiple};
}

// Reads a tensor into `data`, which is zeroed and large enough for the padded one.
void ReadPadded(const AdapterSource& source, int64_t id, const ggml_tensor* padded, std::vector<uint8_t>& data) {
  const char* name = gguf_get_tensor_name(source.gguf.get(), id);
  const size_t size = gguf_get_tensor_size(source.gguf.get(), id);
  const size_t offset = gguf_get_data_offset(source.gguf.get()) + gguf_get_tensor_offset(source.gguf.get(), id);
  std::vector<uint8_t> bytes(size);
  ReadTensor(source.file.get(), offset, size, bytes.data(), name);
  // One stretch per expert of A, per row of B.
  const bool is_a = std::strstr(name, ".lora_a") != nullptr;
  const auto stretches = static_cast<size_t>(is_a ? padded->ne[2] : padded->ne[1] * padded->ne[2]);
  const size_t from = size / stretches;
  const size_t to = data.size() / stretches;
  for (size_t i = 0; i < stretches; ++i) std::memcpy(data.data() + i * to, bytes.data() + i * from, from);
}

// Writes tensors as an adapter file of its own and loads it from there: llama.cpp's only public door. All are padded by
// the same ratio, since a file has one alpha.
AdapterHandle LoadTogether(llama_model* model, const AdapterSource& source, const std::vector<int64_t>& members,
                           const Preparation& preparation) {
  log_lines::Collector log;
  GgmlHandle shapes(ggml_init({members.size() * ggml_tensor_overhead(), nullptr, /*no_alloc=*/true}));
  GgufHandle part(gguf_init_empty());
  gguf_set_kv(part.get(), source.gguf.get());
  std::vector<std::vector<uint8_t>> data;
  for (int64_t id : members) {
    const char* name = gguf_get_tensor_name(source.gguf.get(), id);
    const Padding padding = PaddingOf(source, name, preparation);
    const ggml_tensor* original = ggml_get_tensor(source.tensors.get(), name);
    const bool is_a = std::strstr(name, ".lora_a") != nullptr;
    const bool pads = padding.padded != padding.rank;
    ggml_tensor* tensor =
        ggml_new_tensor_3d(shapes.get(), original->type, pads && !is_a ? padding.padded : original->ne[0],
                           pads && is_a ? padding.padded : original->ne[1], original->ne[2]);
    ggml_set_name(tensor, name);
    data.emplace_back(ggml_nbytes(tensor));
    ReadPadded(source, id, tensor, data.back());
    tensor->data = data.back().data();
    gguf_add_tensor(part.get(), tensor);
    if (!pads) continue;
    const float alpha = gguf_get_val_f32(source.gguf.get(), gguf_find_key(source.gguf.get(), kAlphaKey));
    gguf_set_val_f32(part.get(), kAlphaKey, static_cast<float>(static_cast<double>(alpha) * padding.ratio()));
  }

  FileHandle stream(std::tmpfile());
  if (!stream) {
    throw NativeError("TEMPORARY_FILE", std::string("Could not make a temporary file: ") + std::strerror(errno));
  }
  if (!gguf_write_to_file_ptr(part.get(), stream.get(), /*only_meta=*/false) || std::fflush(stream.get()) != 0) {
    throw NativeError("TEMPORARY_FILE", std::string("Could not write a temporary file: ") + std::strerror(errno));
  }
  std::rewind(stream.get());
  AdapterHandle adapter(llama_adapter_lora_init_from_file_ptr(model, stream.get()));
  if (!adapter) throw NativeError("ADAPTER_LOAD", log.Explain("llama.cpp refused the adapter"));
  return adapter;
}

std::vector<AdapterHandle> LoadPart(llama_model* model, const AdapterSource& source,
                                    const std::vector<int64_t>& members, const Preparation& preparation) {
  std::map<double, std::vector<int64_t>> by_ratio;
  for (int64_t id : members) {
    by_ratio[PaddingOf(source, gguf_get_tensor_name(source.gguf.get(), id), preparation).ratio()].push_back(id);
  }
  std::vector<AdapterHandle> adapters;
  for (const auto& [ratio, together] : by_ratio) {
    adapters.push_back(LoadTogether(model, source, together, preparation));
  }
  return adapters;
}

std::shared_ptr<AdapterParts> LoadParts(const ModelHandle& model, const std::string& path,
                                        const std::vector<int32_t>& part_of_tensor, int32_t per_layer,
                                        const Preparation& preparation, const JobState& job) {
  const AdapterSource source = OpenAdapter(path);
  const int64_t tensors = gguf_get_n_tensors(source.gguf.get());
  const auto part_count = static_cast<size_t>(llama_model_n_layer(model.get())) * static_cast<size_t>(per_layer) + 2;
  if (static_cast<size_t>(tensors) != part_of_tensor.size()) {
    throw NativeError("ADAPTER_LOAD", "The adapter changed on disk while it was read: " + path);
  }
  std::vector<std::vector<int64_t>> members(part_count);
  for (int64_t id = 0; id < tensors; ++id) {
    const int32_t part = part_of_tensor[static_cast<size_t>(id)];
    if (part < 0) continue;
    if (static_cast<size_t>(part) >= part_count)
      throw NativeError("BAD_ARGUMENT", "A part is beyond the model's layers");
    members[static_cast<size_t>(part)].push_back(id);
  }

  auto result = std::make_shared<AdapterParts>();
  result->model = model;
  result->per_layer = static_cast<size_t>(per_layer);
  if (preparation.fused_lora) result->sums = std::make_unique<LoraSums>();
  for (const std::vector<int64_t>& part : members) {
    if (job.aborted) throw NativeError("CANCELLED", "Cancelled while loading the adapter.");
    result->parts.push_back(LoadPart(model.get(), source, part, preparation));
  }
  return result;
}

Napi::Value Wrap(Napi::Env env, std::shared_ptr<AdapterParts>&& parts) {
  return AddonData::Of(env).layered_adapter.New({Napi::External<std::shared_ptr<AdapterParts>>::New(env, &parts)});
}

}  // namespace

void AdapterParts::Apply(llama_context* context, const std::vector<float>& strengths, size_t first) const {
  std::vector<llama_adapter_lora*> adapters;
  std::vector<float> scales;
  for (size_t part = first; part < parts.size(); ++part) {
    if (strengths[part] == 0.0f) continue;
    for (const AdapterHandle& adapter : parts[part]) {
      adapters.push_back(adapter.get());
      scales.push_back(strengths[part]);
    }
  }
  if (llama_set_adapters_lora(context, adapters.data(), adapters.size(), scales.data()) != 0) {
    throw NativeError("DECODE", "llama.cpp refused the adapter strengths");
  }
}

std::string StructureOf(const AdapterParts* adapter, const std::vector<float>& strengths, size_t first) {
  if (adapter == nullptr) return "base";
  std::string parts;
  bool any = false;
  for (size_t part = first; part < strengths.size(); ++part) {
    const bool used = !adapter->parts[part].empty() && strengths[part] != 0.0f;
    parts += used ? '1' : '0';
    any = any || used;
  }
  if (!any) return "base";
  return std::to_string(reinterpret_cast<uintptr_t>(adapter)) + ":" + std::to_string(first) + ":" + parts;
}

Napi::Function LayeredAdapter::Define(Napi::Env env) {
  return DefineClass(env, "LayeredAdapter", {InstanceMethod<&LayeredAdapter::Dispose>("dispose")});
}

Napi::Value LayeredAdapter::Load(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  auto* control = arguments::Instance<JobControl>(options, "control", AddonData::Of(env).job_control);
  auto* model = arguments::Instance<BaseModel>(options, "model", AddonData::Of(env).base_model);
  return PromiseWorker<std::shared_ptr<AdapterParts>>::Start(
      env, options,
      [handle = model->handle(env), path = arguments::String(options, "path"),
       part_of_tensor = arguments::Int32s(options, "partOfTensor"),
       per_layer = arguments::Integer(options, "partsPerLayer", 1, 2),
       preparation =
           Preparation{arguments::Integer(options, "rankMultiple", 1, 1024), arguments::Boolean(options, "fusedLora")},
       job = control->state()] { return LoadParts(handle, path, part_of_tensor, per_layer, preparation, *job); },
      Wrap);
}

Napi::Value LayeredAdapter::LoadWhole(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = arguments::Options(info, 0);
  auto* model = arguments::Instance<BaseModel>(options, "model", AddonData::Of(env).base_model);
  return PromiseWorker<std::shared_ptr<AdapterParts>>::Start(
      env, options,
      [handle = model->handle(env), path = arguments::String(options, "path")] {
        log_lines::Collector log;
        auto parts = std::make_shared<AdapterParts>();
        parts->model = handle;
        AdapterHandle whole(llama_adapter_lora_init(handle.get(), path.c_str()));
        if (!whole) throw NativeError("ADAPTER_LOAD", log.Explain("llama.cpp refused " + path));
        parts->parts.resize(1);
        parts->parts.front().push_back(std::move(whole));
        return parts;
      },
      Wrap);
}

LayeredAdapter::LayeredAdapter(const Napi::CallbackInfo& info) : Napi::ObjectWrap<LayeredAdapter>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "Use loadAdapter() to make a LayeredAdapter");
  }
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  parts_ = *info[0].As<Napi::External<std::shared_ptr<AdapterParts>>>().Data();
}

const std::shared_ptr<AdapterParts>& LayeredAdapter::parts(Napi::Env env) const {
  arguments::RequireUsable(env, "adapter", parts_ != nullptr);
  return parts_;
}

Napi::Value LayeredAdapter::Dispose(const Napi::CallbackInfo& info) {
  parts_.reset();
  return info.Env().Undefined();
}
