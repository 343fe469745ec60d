#include "rpc_relay.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>

#include "ggml-rpc.h"

// The protocol, from ggml-rpc.cpp of the same llama.cpp: a request is one byte, the length of its data (8 bytes), and
// the data; most requests are answered by a length (8 bytes) and data, the others by nothing.
static_assert(RPC_PROTO_MAJOR_VERSION == 7 && RPC_PROTO_MINOR_VERSION == 0, "compare the table with ggml-rpc.cpp");

namespace {

enum Command : uint8_t {
  kAllocBuffer = 0,
  kGetAlignment = 1,
  kGetMaxSize = 2,
  kBufferGetBase = 3,
  kSetTensorHash = 7,
  kGetTensor = 8,
  kCopyTensor = 9,
  kGetDeviceMemory = 11,
  kGetAllocSize = 13,
  kHello = 14,
  kDeviceCount = 15,
};

constexpr uint64_t kVaries = std::numeric_limits<uint64_t>::max();

// Length of the answer in bytes; 0: there is none.
uint64_t AnswerLength(uint8_t command) {
  switch (command) {
    case kAllocBuffer:
    case kGetDeviceMemory:
      return 16;
    case kGetAlignment:
    case kGetMaxSize:
    case kBufferGetBase:
    case kGetAllocSize:
      return 8;
    case kDeviceCount:
      return 4;
    case kSetTensorHash:
    case kCopyTensor:
      return 1;
    case kHello:
      return 28;
    case kGetTensor:
      return kVaries;
    default:
      return 0;
  }
}

constexpr size_t kCapabilities = 24;
constexpr size_t kChunk = 256 * 1024;
// Of a request's data, what answering it may need; only tensors to write are longer.
constexpr size_t kHead = 8 * 1024;
// Where nothing is stored any more, every place is as good; not null, which llama.cpp refuses.
constexpr uint64_t kNowhere = 1 << 16;

template <typename T>
T ReadAt(const std::vector<uint8_t>& bytes, size_t offset) {
  T value = 0;
  if (offset + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

void Append(std::vector<uint8_t>& bytes, uint64_t value) {
  const auto* data = reinterpret_cast<const uint8_t*>(&value);
  bytes.insert(bytes.end(), data, data + sizeof(value));
}

std::vector<uint8_t> HelloRequest() {
  std::vector<uint8_t> request = {kHello};
  Append(request, kCapabilities);
  // No capabilities: a faster transport than TCP would pass the relay by.
  request.resize(request.size() + kCapabilities, 0);
  return request;
}

std::string NameOf(const std::string& host, int port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

bool SayHello(const TcpSocket& server, int milliseconds, std::vector<uint8_t>& answer) {
  const std::vector<uint8_t> request = HelloRequest();
  uint64_t length = 0;
  answer.resize(AnswerLength(kHello));
  server.LimitReads(milliseconds);
  const bool answered = server.WriteAll(request.data(), request.size()) && server.ReadAll(&length, sizeof(length)) &&
                        length == answer.size() && server.ReadAll(answer.data(), answer.size());
  server.LimitReads(0);
  return answered;
}

}  // namespace

struct RpcRelay::Request {
  uint8_t command = 0;
  uint64_t length = 0;
  // The first bytes of the data.
  std::vector<uint8_t> head;
};

RpcRelay::RpcRelay(const std::string& host, int port, int milliseconds)
    : host_(host), port_(port), milliseconds_(milliseconds), name_(NameOf(host, port)) {
  const TcpSocket server = TcpSocket::Connect(host, port, milliseconds);
  if (!SayHello(server, milliseconds, hello_)) {
    throw std::runtime_error(
        "it takes connections but does not answer: it serves another client, or is no RPC server of llama.cpp");
  }
  if (hello_[0] != RPC_PROTO_MAJOR_VERSION || hello_[1] > RPC_PROTO_MINOR_VERSION) {
    throw std::runtime_error("it speaks version " + std::to_string(hello_[0]) + "." + std::to_string(hello_[1]) +
                             " of the protocol, this build " + std::to_string(RPC_PROTO_MAJOR_VERSION) + "." +
                             std::to_string(RPC_PROTO_MINOR_VERSION) + "; build both from one lora-boundary");
  }
  std::fill(hello_.begin() + 4, hello_.end(), static_cast<uint8_t>(0));
  listener_ = TcpSocket::ListenOnLoopback();
  endpoint_ = "127.0.0.1:" + std::to_string(listener_.port());
}

void RpcRelay::Serve() {
  while (true) {
    const TcpSocket client = listener_.Accept();
    if (!client.valid()) {
      // No file handle is left, say: it may get better.
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    served_ = true;
    ServeClient(client);
    served_ = false;
  }
}

void RpcRelay::ServeClient(const TcpSocket& client) {
  TcpSocket server;
  if (!gone_) {
    try {
      std::vector<uint8_t> answer;
      server = TcpSocket::Connect(host_, port_, milliseconds_);
      server.KeepAlive();
      gone_ = !SayHello(server, milliseconds_, answer);
    } catch (const std::exception&) {
      gone_ = true;
    }
  }
  while (true) {
    Request request;
    if (!client.ReadAll(&request.command, 1) || !client.ReadAll(&request.length, sizeof(request.length))) return;
    request.head.resize(static_cast<size_t>(std::min<uint64_t>(request.length, kHead)));
    if (!client.ReadAll(request.head.data(), request.head.size())) return;
    if (!Forward(request, client, server)) return;
  }
}

// False where llama.cpp itself has closed the connection.
bool RpcRelay::Forward(const Request& request, const TcpSocket& client, const TcpSocket& server) {
  const bool hello = request.command == kHello;
  const auto send = [&](const void* data, size_t size) {
    if (!gone_ && !hello && !server.WriteAll(data, size)) gone_ = true;
  };
  // In one piece: each write is a packet of its own.
  std::vector<uint8_t> chunk = {request.command};
  Append(chunk, request.length);
  chunk.insert(chunk.end(), request.head.begin(), request.head.end());
  send(chunk.data(), chunk.size());
  chunk.resize(sizeof(request.length) + kChunk);
  for (uint64_t left = request.length - request.head.size(); left > 0;) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(left, kChunk));
    if (!client.ReadAll(chunk.data(), size)) return false;
    send(chunk.data(), size);
    left -= size;
  }
  if (AnswerLength(request.command) == 0) return true;
  if (hello || gone_) return AnswerItself(request, client, 0);
  uint64_t length = 0;
  if (!server.ReadAll(&length, sizeof(length))) {
    gone_ = true;
    return AnswerItself(request, client, 0);
  }
  const uint64_t total = sizeof(length) + length;
  std::memcpy(chunk.data(), &length, sizeof(length));
  for (uint64_t sent = 0; sent < total;) {
    const size_t prefix = sent == 0 ? sizeof(length) : 0;
    const auto size = static_cast<size_t>(std::min<uint64_t>(total - sent, chunk.size()));
    if (!server.ReadAll(chunk.data() + prefix, size - prefix)) {
      gone_ = true;
      return AnswerItself(request, client, sent);
    }
    if (!client.WriteAll(chunk.data(), size)) return false;
    sent += size;
  }
  return true;
}

// What llama.cpp can go on with, though nothing is computed any more; `sent` bytes of an answer, its length included,
// have been passed on already.
bool RpcRelay::AnswerItself(const Request& request, const TcpSocket& client, uint64_t sent) const {
  std::vector<uint8_t> answer;
  uint64_t zeros = 0;
  switch (request.command) {
    case kHello:
      answer = hello_;
      break;
    case kAllocBuffer:  // { device 4, size 8 } -> { place, size }
      Append(answer, kNowhere);
      Append(answer, ReadAt<uint64_t>(request.head, 4));
      break;
    case kGetAlignment:
      Append(answer, 128);
      break;
    case kGetMaxSize:
      Append(answer, std::numeric_limits<uint64_t>::max());
      break;
    case kBufferGetBase:
      Append(answer, kNowhere);
      break;
    case kGetDeviceMemory:
      Append(answer, uint64_t{1} << 30);
      Append(answer, uint64_t{1} << 30);
      break;
    case kGetAllocSize: {  // { device 4, tensor { id 8, type 4, buffer 8, ne 4 x 4, nb 4 x 4, .. } } -> at least its
                           // bytes
      uint64_t bytes = 0;
      for (size_t i = 0; i < 4; ++i) {
        const uint64_t elements = ReadAt<uint32_t>(request.head, 24 + 4 * i);
        bytes = std::max(bytes, elements * ReadAt<uint32_t>(request.head, 40 + 4 * i));
      }
      Append(answer, bytes);
      break;
    }
    case kDeviceCount:
      answer = {1, 0, 0, 0};
      break;
    case kGetTensor:  // { tensor, offset 8, size 8 } -> size bytes
      zeros = request.length < 8 ? 0 : ReadAt<uint64_t>(request.head, request.head.size() - 8);
      break;
    default:
      zeros = AnswerLength(request.command);
  }
  const uint64_t length = answer.size() + zeros;
  if (sent == 0 && !client.WriteAll(&length, sizeof(length))) return false;
  uint64_t left = length - (sent == 0 ? 0 : sent - sizeof(length));
  if (zeros == 0) return client.WriteAll(answer.data() + (answer.size() - left), static_cast<size_t>(left));
  const std::vector<uint8_t> nothing(kChunk, 0);
  while (left > 0) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(left, kChunk));
    if (!client.WriteAll(nothing.data(), size)) return false;
    left -= size;
  }
  return true;
}
