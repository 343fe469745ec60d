#include "tcp_socket.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#endif

namespace {

#ifdef _WIN32
constexpr int kNoSignal = 0;
void Start() {
  static const int started = [] {
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data);
  }();
  static_cast<void>(started);
}
bool Interrupted() { return WSAGetLastError() == WSAEINTR; }
std::string Reason() { return "error " + std::to_string(WSAGetLastError()) + " of Windows"; }
void SetBlocking(TcpSocket::Handle handle, bool blocking) {
  u_long on = blocking ? 0 : 1;
  ioctlsocket(handle, FIONBIO, &on);
}
int Poll(WSAPOLLFD* entry, int milliseconds) { return WSAPoll(entry, 1, milliseconds); }
using PollEntry = WSAPOLLFD;
using Length = int;
#else
#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;
#endif
void Start() {}
bool Interrupted() { return errno == EINTR; }
std::string Reason() { return std::strerror(errno); }
void SetBlocking(TcpSocket::Handle handle, bool blocking) {
  const int flags = fcntl(handle, F_GETFL, 0);
  fcntl(handle, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}
int Poll(pollfd* entry, int milliseconds) { return poll(entry, 1, milliseconds); }
using PollEntry = pollfd;
using Length = size_t;
#endif

void SetOption(TcpSocket::Handle handle, int level, int name, int value) {
  setsockopt(handle, level, name, reinterpret_cast<const char*>(&value), sizeof(value));
}

// Both sides speak in short requests and answers.
void Prepare(TcpSocket::Handle handle) {
  SetOption(handle, IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef SO_NOSIGPIPE
  SetOption(handle, SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
}

// Empty where the connection stands.
std::string ConnectTo(TcpSocket::Handle handle, const addrinfo& address, int milliseconds) {
  SetBlocking(handle, false);
  if (connect(handle, address.ai_addr, static_cast<socklen_t>(address.ai_addrlen)) != 0) {
    PollEntry entry = {};
    entry.fd = handle;
    entry.events = POLLOUT;
    if (Poll(&entry, milliseconds) <= 0) return "no answer within " + std::to_string(milliseconds) + " ms";
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(handle, SOL_SOCKET, SO_ERROR, reinterpret_cast<char*>(&error), &size);
    if (error != 0) return std::strerror(error);
  }
  SetBlocking(handle, true);
  Prepare(handle);
  return "";
}

}  // namespace

TcpSocket::TcpSocket(Handle handle) : handle_(handle) {}
TcpSocket::~TcpSocket() { Close(); }
TcpSocket::TcpSocket(TcpSocket&& other) noexcept : handle_(std::exchange(other.handle_, kNone)) {}
TcpSocket& TcpSocket::operator=(TcpSocket&& other) noexcept {
  if (this != &other) {
    Close();
    handle_ = std::exchange(other.handle_, kNone);
  }
  return *this;
}

void TcpSocket::Close() {
  if (handle_ == kNone) return;
#ifdef _WIN32
  closesocket(handle_);
#else
  close(handle_);
#endif
  handle_ = kNone;
}

TcpSocket TcpSocket::Connect(const std::string& host, int port, int milliseconds) {
  Start();
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0) throw std::runtime_error("the name " + host + " is not known: " + gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  std::string reason = "it has no address";
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    TcpSocket candidate(static_cast<Handle>(socket(address->ai_family, address->ai_socktype, address->ai_protocol)));
    if (!candidate.valid()) {
      reason = Reason();
      continue;
    }
    reason = ConnectTo(candidate.handle_, *address, static_cast<int>(left.count()));
    if (reason.empty()) return candidate;
  }
  throw std::runtime_error(reason);
}

TcpSocket TcpSocket::ListenOnLoopback() {
  Start();
  TcpSocket listener(static_cast<Handle>(socket(AF_INET, SOCK_STREAM, 0)));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!listener.valid() || bind(listener.handle_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener.handle_, 4) != 0) {
    throw std::runtime_error(Reason());
  }
  return listener;
}

int TcpSocket::port() const {
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

TcpSocket TcpSocket::Accept() const {
  TcpSocket client(static_cast<Handle>(accept(handle_, nullptr, nullptr)));
  if (client.valid()) Prepare(client.handle_);
  return client;
}

bool TcpSocket::ReadAll(void* data, size_t size) const {
  auto* to = static_cast<char*>(data);
  while (size > 0) {
    const auto count = recv(handle_, to, static_cast<Length>(std::min<size_t>(size, 1 << 30)), 0);
    if (count < 0 && Interrupted()) continue;
    if (count <= 0) return false;
    to += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

bool TcpSocket::WriteAll(const void* data, size_t size) const {
  const auto* from = static_cast<const char*>(data);
  while (size > 0) {
    const auto count = send(handle_, from, static_cast<Length>(std::min<size_t>(size, 1 << 30)), kNoSignal);
    if (count < 0 && Interrupted()) continue;
    if (count <= 0) return false;
    from += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

void TcpSocket::LimitReads(int milliseconds) const {
#ifdef _WIN32
  SetOption(handle_, SOL_SOCKET, SO_RCVTIMEO, milliseconds);
#else
  timeval limit = {};
  limit.tv_sec = milliseconds / 1000;
  limit.tv_usec = (milliseconds % 1000) * 1000;
  setsockopt(handle_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
#endif
}

void TcpSocket::KeepAlive() const {
  SetOption(handle_, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
  SetOption(handle_, IPPROTO_TCP, TCP_KEEPIDLE, 4);
#endif
#ifdef TCP_KEEPINTVL
  SetOption(handle_, IPPROTO_TCP, TCP_KEEPINTVL, 2);
#endif
#ifdef TCP_KEEPCNT
  SetOption(handle_, IPPROTO_TCP, TCP_KEEPCNT, 3);
#endif
#ifdef TCP_USER_TIMEOUT
  // What was sent and never confirmed counts as well.
  SetOption(handle_, IPPROTO_TCP, TCP_USER_TIMEOUT, 10'000);
#endif
}
