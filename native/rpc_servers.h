#pragma once

#include <napi.h>

#include <string>

// RPC servers of llama.cpp, as devices of this process; each behind a relay that outlives its loss.
namespace rpc_servers {

// addServer({ host, port, milliseconds }): Promise of the names of the server's devices. A server that is known and
// alive is not added again. Codes NO_BACKEND (no RPC backend is loaded), SERVER_UNREACHABLE.
Napi::Value Add(const Napi::CallbackInfo& info);

// lostServers(): [host:port] of the servers that went away while something loaded here builds on them. What was
// computed meanwhile is worth nothing.
Napi::Value Lost(const Napi::CallbackInfo& info);

// Whether this description of a device is that of a server that went away.
bool IsGone(const std::string& description);

// The server as the user named it, for the description of one of its devices; any other description as it is.
std::string Describe(const std::string& description);

}  // namespace rpc_servers
