#pragma once

#include <cstdio>
#include <memory>

#include "ggml-backend.h"
#include "ggml.h"
#include "gguf.h"
#include "llama.h"

// Ownership by type: every object of llama.cpp and ggml lives in one of these.

struct ModelDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
struct AdapterDeleter {
  void operator()(llama_adapter_lora* adapter) const { llama_adapter_lora_free(adapter); }
};
struct GgufDeleter {
  void operator()(gguf_context* gguf) const { gguf_free(gguf); }
};
struct GgmlDeleter {
  void operator()(ggml_context* context) const { ggml_free(context); }
};
struct BackendDeleter {
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
};
struct BufferDeleter {
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
};
struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Shared: contexts and adapters must not outlive their model.
using ModelHandle = std::shared_ptr<llama_model>;
using ContextHandle = std::unique_ptr<llama_context, ContextDeleter>;
using AdapterHandle = std::unique_ptr<llama_adapter_lora, AdapterDeleter>;
using GgufHandle = std::unique_ptr<gguf_context, GgufDeleter>;
using GgmlHandle = std::unique_ptr<ggml_context, GgmlDeleter>;
using BackendHandle = std::unique_ptr<ggml_backend, BackendDeleter>;
using BufferHandle = std::unique_ptr<ggml_backend_buffer, BufferDeleter>;
using FileHandle = std::unique_ptr<std::FILE, FileCloser>;
