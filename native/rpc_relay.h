#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "tcp_socket.h"

// Stands between llama.cpp and one RPC server, in this process. llama.cpp's RPC client aborts the process where a
// server cannot be reached or goes away; here it always talks to this relay on 127.0.0.1. The relay passes every
// request on; once the server is gone it answers with zeros of the right length itself, so that what runs ends, and
// everything can be freed. Whoever uses results asks `lost()` afterwards.
class RpcRelay {
 public:
  // Connects, says hello and takes the answer as the proof that an RPC server of this protocol listens there. Throws
  // std::runtime_error with the reason.
  RpcRelay(const std::string& host, int port, int milliseconds);
  RpcRelay(const RpcRelay&) = delete;
  RpcRelay& operator=(const RpcRelay&) = delete;

  const std::string& host() const { return host_; }
  int port() const { return port_; }
  // As the user wrote it, `host:port`.
  const std::string& name() const { return name_; }
  // What llama.cpp connects to, `127.0.0.1:port`.
  const std::string& endpoint() const { return endpoint_; }
  // Whether the server is gone for good: it does not come back by itself with what it held.
  bool gone() const { return gone_; }
  // Whether it is gone and something here still builds on it.
  bool lost() const { return gone_ && served_; }

  // Serves llama.cpp's connections one after another, for ever: on a thread of its own.
  void Serve();

 private:
  struct Request;
  void ServeClient(const TcpSocket& client);
  bool Forward(const Request& request, const TcpSocket& client, const TcpSocket& server);
  bool AnswerItself(const Request& request, const TcpSocket& client, uint64_t sent) const;

  std::string host_;
  int port_;
  int milliseconds_;
  std::string name_;
  std::string endpoint_;
  TcpSocket listener_;
  // The server's answer to the hello, to be given again.
  std::vector<uint8_t> hello_;
  std::atomic<bool> gone_{false};
  std::atomic<bool> served_{false};
};
