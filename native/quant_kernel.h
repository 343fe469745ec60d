#pragma once

#include <cstddef>
#include <cstdint>

// Rows of numbers times Q4_1 weights; all rows are contiguous.
struct QuantProduct {
  const void* weights;  // [count][width / 32], blocks of Q4_1
  const float* x;       // [rows][width]
  float* out;           // [rows][count]
  size_t width;
  size_t rows;
  size_t count;
};

namespace quant_kernel {

// Whether this processor can run the kernel.
bool HasInstructions();
// Bytes of memory that one thread works in.
size_t ScratchBytes(size_t width);
// Columns from..to of the product. Weights are unpacked once for many rows; each result is summed as llama.cpp's kernel
// for AVX2 does it, so it has the same bits.
void Multiply(const QuantProduct& product, size_t from, size_t to, uint8_t* scratch);

}  // namespace quant_kernel
