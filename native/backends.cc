#include "backends.h"

#include <cstdlib>  // defines __GLIBC__
#include <mutex>
#include <string>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(_WIN32)
#include <windows.h>

#include <filesystem>
#endif

#include "arguments.h"
#include "ggml-backend.h"
#include "llama.h"
#include "log_lines.h"
#include "native_error.h"
#include "quant_product.h"
#include "rpc_servers.h"

namespace backends {

namespace {

const char* TypeName(enum ggml_backend_dev_type type) {
  switch (type) {
    case GGML_BACKEND_DEVICE_TYPE_CPU:
      return "cpu";
    case GGML_BACKEND_DEVICE_TYPE_GPU:
      return "gpu";
    case GGML_BACKEND_DEVICE_TYPE_IGPU:
      return "integrated-gpu";
    case GGML_BACKEND_DEVICE_TYPE_ACCEL:
      return "accelerator";
    default:
      return "other";
  }
}

// llama.cpp frees and allocates its buffers anew when the adapters change, and jobs run on any thread of libuv's pool.
// glibc would keep what was freed, in an arena per thread: measured, a search took twice its estimate. Blocks above
// glibc's own threshold of 128 KiB are mapped one by one and go back to the system at once; setting it stops glibc from
// raising it.
void ReturnLargeBlocks() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

// On Windows a library cannot say where its own ones lie. So the addon's calls into llama.cpp are bound when they are
// first made, to what is loaded under that name by then: this one, which finds those of ggml beside itself before any
// elsewhere.
void LoadByFullPath([[maybe_unused]] Napi::Env env, [[maybe_unused]] const std::string& directory) {
#if defined(_WIN32)
  const auto path = (std::filesystem::u8path(directory) / LLAMA_DLL).make_preferred();
  if (LoadLibraryExW(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH) != nullptr) return;
  const std::string reason = "Windows could not load " + path.u8string() + ": error " + std::to_string(GetLastError());
  arguments::Throw(env, "ADDON_FAILED", reason);
#endif
}

}  // namespace

Napi::Value Load(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 1 || !info[0].IsString()) throw Napi::TypeError::New(env, "Expected a folder as a string");
  const std::string directory = info[0].As<Napi::String>().Utf8Value();
  static std::once_flag once;
  LoadByFullPath(env, directory);
  std::call_once(once, [&directory] {
    ReturnLargeBlocks();
    log_lines::Install();
    // An application's own node-llama-cpp in this process may have registered the backends already.
    if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
      ggml_backend_load_all_from_path(directory.c_str());
    }
    llama_backend_init();
  });
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
    arguments::Throw(env, "NO_BACKEND", "No CPU backend of llama.cpp could be loaded from " + directory);
  }
  return env.Undefined();
}

Napi::Value LoadBackend(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != 1 || !info[0].IsString()) throw Napi::TypeError::New(env, "Expected a path as a string");
  log_lines::Collector log(log_lines::Collector::Level::kAll);
  ggml_backend_reg_t backend = ggml_backend_load(info[0].As<Napi::String>().Utf8Value().c_str());
  if (backend == nullptr) {
    arguments::Throw(env, "NO_BACKEND", log.Explain("llama.cpp could not load the backend"));
  }
  return Napi::String::New(env, ggml_backend_reg_name(backend));
}

std::vector<ggml_backend_dev_t> Find(const std::vector<std::string>& names) {
  std::vector<ggml_backend_dev_t> devices;
  for (const std::string& name : names) {
    devices.push_back(ggml_backend_dev_by_name(name.c_str()));
    if (devices.back() == nullptr) throw NativeError("NO_DEVICE", "There is no device " + name);
  }
  devices.push_back(nullptr);
  return devices;
}

Napi::Value Devices(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array list = Napi::Array::New(env);
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (rpc_servers::IsGone(ggml_backend_dev_description(device))) continue;
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", ggml_backend_dev_name(device));
    entry.Set("description", rpc_servers::Describe(ggml_backend_dev_description(device)));
    entry.Set("type", TypeName(ggml_backend_dev_type(device)));
    entry.Set("backend", ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)));
    entry.Set("memoryFree", static_cast<double>(free));
    entry.Set("memoryTotal", static_cast<double>(total));
    list.Set(list.Length(), entry);
  }
  return list;
}

Napi::Value Versions(const Napi::CallbackInfo& info) {
  Napi::Object versions = Napi::Object::New(info.Env());
  versions.Set("llamaCpp", llama_version());
  versions.Set("systemInfo", llama_print_system_info());
  versions.Set("quantProducts", QuantProductHook::HasLlamaBits());
  versions.Set("columnProducts", QuantProductHook::HasOwnOrder());
  return versions;
}

}  // namespace backends
