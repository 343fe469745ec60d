#pragma once

#include <cstddef>

#include "ggml.h"

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
