#pragma once

#include <cstddef>
#include <cstdint>

#include "quant_operands.h"

// Products of Q4_1 weights.
namespace quant_kernel {

// Whether this processor can run the kernel.
bool HasInstructions();
// Bytes of memory that one thread works in.
size_t ScratchBytes(size_t width);
// Columns from..to of the product. Weights are unpacked once for many rows; each result is summed as llama.cpp's kernel
// for AVX2 does it, so it has the same bits.
void Multiply(const QuantOperands& product, size_t from, size_t to, uint8_t* scratch);

}  // namespace quant_kernel
