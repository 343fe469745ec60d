#pragma once

#include <cstddef>
#include <cstdint>

// The cells of the memory that one row may read.
struct AttentionCells {
  const int32_t* index;
  const float* bias;  // added to what the row makes of the cell
  size_t count;
};

// One head of one row.
struct AttentionHead {
  const float* q;    // [key_width]
  const uint8_t* k;  // F16, key_width of them in each cell
  const uint8_t* v;  // F16, value_width of them in each cell
  size_t k_stride;   // bytes from cell to cell
  size_t v_stride;
  size_t key_width;  // multiples of kStep
  size_t value_width;
  float scale;
};

namespace attention_kernel {

constexpr size_t kStep = 8;

// Whether this processor can run the kernel.
bool HasInstructions();
// Cells whose mask, F16, is not -infinity; writes up to `count` of them, and returns how many.
size_t FindCells(const uint16_t* mask, size_t count, int32_t* index, float* bias);
// Softmax of q k over the cells, times v. Sums over cells are of double precision, so that the order in which the cells
// lie leaves no trace. `weights` has room for all cells and kStep more; `out` [value_width].
void Attend(const AttentionHead& head, const AttentionCells& cells, float* weights, float* out);

}  // namespace attention_kernel
