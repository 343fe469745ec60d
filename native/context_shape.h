#pragma once

#include <napi.h>

#include "llama.h"

// How large a context is made, and what llama.cpp may choose in it.
struct ScorerShape {
  int32_t max_tokens;
  int32_t max_sequences;
  int32_t max_rows;
  int32_t rows_of_sequence;  // scored tokens of the sample that has most
  int32_t threads;
  bool loss_in_graph;
  llama_flash_attn_type flash_attention;
  ggml_type key_type;
  ggml_type value_type;
};

// Reads maxTokens, maxSequences, maxRows, rowsOfSequence, threads, lossInGraph, flashAttention, keyType, valueType.
ScorerShape ReadShape(const Napi::Object& options);
llama_context_params ContextParameters(const ScorerShape& shape);
