#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

// One TCP connection, closed with its owner. A call that fails leaves it unusable; nothing here throws but where it
// says so.
class TcpSocket {
 public:
#ifdef _WIN32
  using Handle = uintptr_t;
#else
  using Handle = int;
#endif

  TcpSocket() = default;
  explicit TcpSocket(Handle handle);
  ~TcpSocket();
  TcpSocket(TcpSocket&& other) noexcept;
  TcpSocket& operator=(TcpSocket&& other) noexcept;
  TcpSocket(const TcpSocket&) = delete;
  TcpSocket& operator=(const TcpSocket&) = delete;

  // Tries every address of a host name until `milliseconds` are over. Throws std::runtime_error with the system's
  // reason.
  static TcpSocket Connect(const std::string& host, int port, int milliseconds);
  // Listens on 127.0.0.1, on a port that the system picks. Throws std::runtime_error.
  static TcpSocket ListenOnLoopback();

  bool valid() const { return handle_ != kNone; }
  int port() const;
  TcpSocket Accept() const;
  bool ReadAll(void* data, size_t size) const;
  bool WriteAll(const void* data, size_t size) const;
  // A read that waits longer fails; 0: waits as long as the other side lives.
  void LimitReads(int milliseconds) const;
  // Notices within about ten seconds that the other machine is gone, also where it could not say so.
  void KeepAlive() const;

 private:
  static constexpr Handle kNone = static_cast<Handle>(-1);
  void Close();
  Handle handle_ = kNone;
};
