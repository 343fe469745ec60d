#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"

// As GGUF stores 32 weights of this type.
struct BlockOfQ4_1 {
  static constexpr size_t kSize = 32;
  uint16_t scale;
  uint16_t least;
  uint8_t quants[kSize / 2];
};

// Rows of numbers times quantised weights; all rows are contiguous.
struct QuantOperands {
  ggml_type type;       // of the weights
  const void* weights;  // [count][width / 32] blocks
  const float* x;       // [rows][width]
  float* out;           // [rows][count]
  size_t width;
  size_t rows;
  size_t count;
};
