#include "rpc_servers.h"

#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "arguments.h"
#include "ggml-backend.h"
#include "ggml-rpc.h"
#include "native_error.h"
#include "promise_worker.h"
#include "rpc_relay.h"

namespace rpc_servers {

namespace {

struct Server {
  RpcRelay* relay;
  std::vector<std::string> devices;
};

std::mutex adding;
std::mutex guard;

// Never freed: llama.cpp keeps devices until the process ends, and their relays run as long.
std::vector<Server>& Servers() {
  static auto* servers = new std::vector<Server>();
  return *servers;
}

template <typename Matches>
const Server* FindServer(Matches matches) {
  for (const Server& server : Servers()) {
    if (matches(server)) return &server;
  }
  return nullptr;
}

std::unique_ptr<RpcRelay> Connect(const std::string& host, int port, int milliseconds) {
  try {
    return std::make_unique<RpcRelay>(host, port, milliseconds);
  } catch (const std::runtime_error& error) {
    throw NativeError("SERVER_UNREACHABLE", error.what());
  }
}

std::vector<std::string> AddServer(const std::string& host, int port, int milliseconds) {
  const std::lock_guard<std::mutex> one_at_a_time(adding);
  ggml_backend_reg_t backend = ggml_backend_reg_by_name("RPC");
  if (backend == nullptr) throw NativeError("NO_BACKEND", "llama.cpp's RPC backend is not loaded");
  auto* add_server = reinterpret_cast<decltype(&ggml_backend_rpc_add_server)>(
      ggml_backend_reg_get_proc_address(backend, "ggml_backend_rpc_add_server"));
  if (add_server == nullptr) throw NativeError("NO_BACKEND", "llama.cpp's RPC backend cannot add servers");
  {
    const std::lock_guard<std::mutex> lock(guard);
    const Server* known = FindServer([&](const Server& server) {
      return !server.relay->gone() && server.relay->host() == host && server.relay->port() == port;
    });
    if (known != nullptr) return known->devices;
  }
  RpcRelay* relay = Connect(host, port, milliseconds).release();
  std::thread([relay] { relay->Serve(); }).detach();
  ggml_backend_reg_t server = add_server(relay->endpoint().c_str());
  if (server == nullptr || relay->gone()) throw NativeError("SERVER_UNREACHABLE", "it offers no device");
  ggml_backend_register(server);
  std::vector<std::string> devices;
  for (size_t i = 0; i < ggml_backend_reg_dev_count(server); ++i) {
    devices.emplace_back(ggml_backend_dev_name(ggml_backend_reg_dev_get(server, i)));
  }
  const std::lock_guard<std::mutex> lock(guard);
  Servers().push_back({relay, devices});
  return devices;
}

const Server* FindEndpoint(const std::string& description) {
  return FindServer([&](const Server& server) { return server.relay->endpoint() == description; });
}

}  // namespace

Napi::Value Add(const Napi::CallbackInfo& info) {
  Napi::Object options = arguments::Options(info, 0);
  return PromiseWorker<std::vector<std::string>>::Start(
      info.Env(), options,
      [host = arguments::String(options, "host"), port = arguments::Integer(options, "port", 1, 65535),
       milliseconds = arguments::Integer(options, "milliseconds", 1, 600'000)] {
        return AddServer(host, port, milliseconds);
      },
      [](Napi::Env env, std::vector<std::string>&& devices) -> Napi::Value {
        Napi::Array names = Napi::Array::New(env);
        for (const std::string& device : devices) names.Set(names.Length(), device);
        return names;
      });
}

Napi::Value Lost(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  const std::lock_guard<std::mutex> lock(guard);
  for (const Server& server : Servers()) {
    if (server.relay->lost()) names.Set(names.Length(), server.relay->name());
  }
  return names;
}

bool IsGone(const std::string& description) {
  const std::lock_guard<std::mutex> lock(guard);
  const Server* server = FindEndpoint(description);
  return server != nullptr && server->relay->gone();
}

std::string Describe(const std::string& description) {
  const std::lock_guard<std::mutex> lock(guard);
  const Server* server = FindEndpoint(description);
  return server == nullptr ? description : server->relay->name();
}

}  // namespace rpc_servers
