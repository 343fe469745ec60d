#pragma once

#include <cstddef>
#include <cstdint>

#include "quant_operands.h"

// Sixteen columns of a product at a time, one in each lane of a register, so that no lanes have to be summed. A result
// is summed block by block, whatever the number of rows: a row's bits do not depend on the rows beside it.
namespace column_kernel {

// Columns that are computed together; `from` and `to` are multiples.
constexpr size_t kColumns = 16;

// Whether this processor can run the kernel.
bool HasInstructions();
// Whether it knows weights of this type and number of columns.
bool Takes(ggml_type type, size_t count);
// Bytes of memory that one thread works in.
size_t ScratchBytes(size_t width);
// Columns from..to of the product.
void Multiply(const QuantOperands& product, size_t from, size_t to, uint8_t* scratch);

}  // namespace column_kernel
