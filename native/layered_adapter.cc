#include "layered_adapter.h"

#include <cerrno>
#include <cstring>
#include <limits>

#include "addon_data.h"
#include "arguments.h"
#include "base_model.h"
#include "log_lines.h"
#include "native_error.h"
#include "promise_worker.h"

namespace {

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

// Writes the tensors of one part as an adapter file of its own and loads it from there: llama.cpp's only public door.
AdapterHandle LoadPart(llama_model* model, const AdapterSource& source, const std::vector<int64_t>& members) {
  log_lines::Collector log;
  size_t bytes = 0;
  for (int64_t id : members) bytes += gguf_get_tensor_size(source.gguf.get(), id);
  std::vector<uint8_t> data(bytes);

  GgufHandle part(gguf_init_empty());
  gguf_set_kv(part.get(), source.gguf.get());
  size_t used = 0;
  for (int64_t id : members) {
    const char* name = gguf_get_tensor_name(source.gguf.get(), id);
    const size_t size = gguf_get_tensor_size(source.gguf.get(), id);
    const size_t offset = gguf_get_data_offset(source.gguf.get()) + gguf_get_tensor_offset(source.gguf.get(), id);
    ReadTensor(source.file.get(), offset, size, data.data() + used, name);
    ggml_tensor* tensor = ggml_get_tensor(source.tensors.get(), name);
    tensor->data = data.data() + used;
    gguf_add_tensor(part.get(), tensor);
    used += size;
  }

  FileHandle stream(std::tmpfile());
  if (!stream)
    throw NativeError("TEMPORARY_FILE", std::string("Could not make a temporary file: ") + std::strerror(errno));
  if (!gguf_write_to_file_ptr(part.get(), stream.get(), /*only_meta=*/false) || std::fflush(stream.get()) != 0) {
    throw NativeError("TEMPORARY_FILE", std::string("Could not write a temporary file: ") + std::strerror(errno));
  }
  std::rewind(stream.get());
  AdapterHandle adapter(llama_adapter_lora_init_from_file_ptr(model, stream.get()));
  if (!adapter) throw NativeError("ADAPTER_LOAD", log.Explain("llama.cpp refused the adapter"));
  return adapter;
}

std::shared_ptr<AdapterParts> LoadParts(const ModelHandle& model, const std::string& path,
                                        const std::vector<int32_t>& part_of_tensor, const JobState& job) {
  const AdapterSource source = OpenAdapter(path);
  const int64_t tensors = gguf_get_n_tensors(source.gguf.get());
  const auto part_count = static_cast<size_t>(llama_model_n_layer(model.get())) + 2;
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
  for (const std::vector<int64_t>& part : members) {
    if (job.aborted) throw NativeError("CANCELLED", "Cancelled while loading the adapter.");
    result->parts.push_back(part.empty() ? nullptr : LoadPart(model.get(), source, part));
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
    if (!parts[part] || strengths[part] == 0.0f) continue;
    adapters.push_back(parts[part].get());
    scales.push_back(strengths[part]);
  }
  if (llama_set_adapters_lora(context, adapters.data(), adapters.size(), scales.data()) != 0) {
    throw NativeError("DECODE", "llama.cpp refused the adapter strengths");
  }
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
       job = control->state()] { return LoadParts(handle, path, part_of_tensor, *job); },
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
        parts->parts.emplace_back(llama_adapter_lora_init(handle.get(), path.c_str()));
        if (!parts->parts.front()) throw NativeError("ADAPTER_LOAD", log.Explain("llama.cpp refused " + path));
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
  if (!parts_) {
    Napi::Error error = Napi::Error::New(env, "The adapter has been disposed of");
    error.Set("code", "DISPOSED");
    throw error;
  }
  return parts_;
}

Napi::Value LayeredAdapter::Dispose(const Napi::CallbackInfo& info) {
  parts_.reset();
  return info.Env().Undefined();
}
