#pragma once

#include <string>

// llama.cpp says why something failed only in its log. Lines are kept per thread, so a job sees those of its own calls.
namespace log_lines {

// Starts routing; later calls do nothing. llama.cpp's logger is one per process.
void Install();

// Collects this thread's lines while it lives: warnings and errors, or everything.
class Collector {
 public:
  enum class Level { kErrors, kAll };
  explicit Collector(Level level = Level::kErrors);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  const std::string& text() const { return text_; }
  // "message: line; line", or the message alone where llama.cpp said nothing.
  std::string Explain(const std::string& message) const;

 private:
  friend void Receive(int level, const char* text);
  Level level_;
  std::string text_;
  Collector* outer_;
};

}  // namespace log_lines
