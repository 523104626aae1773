// The inner loops: all that is heavy in the engine is one of these. Convolutions and fully connected layers are
// phrased as them without copying patches: a patch of k_y × k_x pixels is k_y runs of k_x · channels floats in place.
#pragma once
#include "../base.h"

// `segments` runs of `length` contiguous floats, `stride` apart: what one output position reads
struct Patch {
  i32 segments, length, stride;
  i32 depth() const { return segments * length; }
};

// A matrix [depth][columns], packed for the kernel: panels of up to 5 vectors of columns, each [depth][width of panel].
// Columns are filled up with zeros to a multiple of 4.
struct Panels {
  float *data = nullptr;
  i32 depth = 0, columns = 0;

  i32 vectors() const { return (columns + LANES - 1) / LANES; }
  i32 room() const { return depth * vectors() * LANES; }
  template <class At> void pack(At at) { // at(k, column) is the matrix
    float *to = data;
    for (i32 v = 0, width; v < vectors(); v += width) {
      width = panel_width(vectors() - v);
      for (i32 k = 0; k < depth; k++)
        for (i32 c = v * LANES; c < (v + width) * LANES; c++) *to++ = c < columns ? at(k, c) : 0;
    }
  }
  // 5 vectors where they are the rest, because 2 + 2 + 1 would end in a slow tile; else 3 or pairs
  static i32 panel_width(i32 left) { return left == 5 || left == 3 ? left : left >= 2 ? 2 : 1; }
};

// out[p][column] = Σ_k in[p][k] · matrix[k][column], for positions p given by their offsets
struct Positions {
  const float *in;
  const i32 *in_at;
  float *out;
  const i32 *out_at;
  i32 count;
  Patch patch;
};
struct Finish {
  const float *bias = nullptr; // one for each column, in whole vectors
  bool relu = false;
  bool add = false; // to what is there
};
void multiply(const Positions &, const Panels &, const Finish &);

// sum[r][column] += Σ_(y,x) a[r at (y,x)] · d[column at (y,x)]: rows r are those of a patch that slides over a, with
// steps a_row and a_step; d has steps d_row and d_step. sum is [rows][columns filled up to whole vectors].
struct Outer {
  const float *a;
  Patch patch;
  i32 a_row, a_step;
  const float *d;
  i32 d_row, d_step;
  i32 height, width;
  float *sum;
  i32 columns;
};
void add_outer(const Outer &);

// multiply() and max pooling in one go: a window is `area` positions, and only the largest of each column goes out.
struct PooledPositions {
  const float *in;
  const i32 *in_at; // [window][area]
  i32 area, count;
  Patch patch;
  float *out;
  const i32 *out_at; // of each window
  u8 *winners;       // [window][columns in whole vectors]: which of the window's positions was the largest; `area`: none,
};                   // for relu made it 0
constexpr i32 LEAST_POOLED_AREA = 3, LARGEST_POOLED_AREA = 64;
void multiply_and_pool(const PooledPositions &, const Panels &, const Finish &);

// Max pooling of one window: the largest of each channel, and where it was (mark + y · mark_row + x · mark_column)
struct PoolWindow {
  const float *values;
  i32 row, channels;
  i32 y0, y1, x0, x1;
  i32 mark, mark_row, mark_column;
};
void pool(const PoolWindow &, float *out, i32 *winner);

// to[r][·] += Σ_i factor[i] · from[at[i] + r · from_row + ·], over `rows` rows of whole vectors: what is left of a
// product when all but a few of its factors are zero
struct Combination {
  const float *from;
  const i32 *at;
  const float *factor;
  i32 count, from_row;
  float *to;
  i32 to_row, rows, vectors;
};
void add_combination(const Combination &);

// The list of what is left of one column: where it reads (in_at[winner] of its window) and its factor, where it is not
// dead. The list has room for one entry more than it can get.
struct Winners {
  const u8 *winner;
  const i32 *in_at; // may be read one window behind the last
  const float *factor;
  i32 dead;                                           // the winner that is none
  i32 winner_step, in_at_step, factor_step, factor_row; // from one window to the next, from one row of windows to the next
  i32 height, width;
  i32 *list_at;
  float *list_factor;
};
i32 list_winners(const Winners &); // returns how many
float total(const float *values, i32 count);

// to[i] = table[i mod channels][bytes[i]]: pixels to numbers
void look_up(const float *table, const u8 *bytes, float *to, i32 count, i32 channels);
