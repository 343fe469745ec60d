#pragma once

#include <stdexcept>
#include <string>
#include <utility>

// What native code throws. `code` is stable and reaches JavaScript as `error.code`; engine/ turns it into the error
// family.
class NativeError : public std::runtime_error {
 public:
  NativeError(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};
