#include "log_lines.h"

#include <cstdio>
#include <mutex>
#include <string>

#include "ggml.h"
#include "llama.h"

namespace log_lines {

namespace {
thread_local Collector* innermost = nullptr;
constexpr size_t kMaxText = 1 << 20;  // a runaway log must not eat the memory
}  // namespace

void Receive(int level, const char* text) {
  static thread_local int previous = GGML_LOG_LEVEL_NONE;
  // GGML_LOG_LEVEL_CONT continues the line before it, at that line's level.
  const int effective = level == GGML_LOG_LEVEL_CONT ? previous : level;
  previous = effective;
  if (innermost == nullptr) return;
  if (innermost->level_ == Collector::Level::kErrors && effective < GGML_LOG_LEVEL_ERROR) return;
  if (innermost->text_.size() < kMaxText) innermost->text_ += text;
}

void Install() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set([](ggml_log_level level, const char* text, void*) { Receive(level, text); }, nullptr);
    // Where ggml ends the process, a driver's own words are in the lines before, which nobody will ask for any more.
    ggml_set_abort_callback([](const char* message) {
      std::fprintf(stderr, "%s%s\n", innermost == nullptr ? "" : innermost->text().c_str(), message);
    });
  });
}

Collector::Collector(Level level) : level_(level), outer_(innermost) { innermost = this; }

Collector::~Collector() { innermost = outer_; }

std::string Collector::Explain(const std::string& message) const {
  std::string line = text_;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  for (char& character : line) {
    if (character == '\n') character = ';';
  }
  return line.empty() ? message : message + ": " + line;
}

}  // namespace log_lines
