// Why the loops look so. V8 keeps wasm's order of instructions and has 15 usable vector registers. A tile of MR
// positions × NV vectors of accumulators lives in registers and every step is one load, MR splats, MR·NV multiply-adds.
// Left alone, clang unrolls, regroups the steps accumulator by accumulator and hoists all loads; V8 then spills. An
// empty asm that "changes" the accumulator after each multiply-add pins the order (1.2–1.5 × overall, up to 3 × in
// single loops). Loops over accumulators must be unrolled fully, or they become an array in memory.
#include "kernels.h"

#define PIN(x) asm volatile("" : "+r"(x)::"memory")

namespace {

// One step of depth U: sum[m][n] += a[m][u] · panel[u][n]
template <int U, int MR, int NV> INLINE void steps(v4 (&sum)[MR][NV], const float *const (&a)[MR], const float *panel) {
  UNROLL for (int u = 0; u < U; u++) {
    v4 b[NV];
    UNROLL for (int n = 0; n < NV; n++) b[n] = load(panel + (u * NV + n) * LANES);
    UNROLL for (int m = 0; m < MR; m++) {
      v4 s = splat(a[m][u]);
      UNROLL for (int n = 0; n < NV; n++) {
        sum[m][n] += s * b[n];
        PIN(sum[m][n]);
      }
    }
  }
}

template <int MR, int NV>
INLINE void walk(v4 (&sum)[MR][NV], const float *(&a)[MR], const float *panel, const Patch &patch) {
  const i32 back = patch.stride - patch.length;
  for (i32 s = patch.segments; s > 0; s--) {
    i32 j = patch.length;
    for (; j >= 4; j -= 4) {
      steps<4>(sum, a, panel);
      panel += 4 * NV * LANES;
      UNROLL for (int m = 0; m < MR; m++) a[m] += 4;
    }
    for (; j > 0; j--) {
      steps<1>(sum, a, panel);
      panel += NV * LANES;
      UNROLL for (int m = 0; m < MR; m++) a[m] += 1;
    }
    UNROLL for (int m = 0; m < MR; m++) a[m] += back;
  }
}

template <int MR, int NV>
INLINE void tile(const Positions &p, i32 first, const float *panel, const Finish &finish, i32 column, i32 columns) {
  v4 sum[MR][NV];
  const float *a[MR];
  UNROLL for (int n = 0; n < NV; n++) {
    v4 start = finish.bias ? load(finish.bias + column + n * LANES) : splat(0.0f);
    UNROLL for (int m = 0; m < MR; m++) sum[m][n] = start;
  }
  UNROLL for (int m = 0; m < MR; m++) a[m] = p.in + p.in_at[first + m];
  walk(sum, a, panel, p.patch);
  UNROLL for (int m = 0; m < MR; m++) {
    float *to = p.out + p.out_at[first + m] + column;
    UNROLL for (int n = 0; n < NV; n++) {
      v4 v = sum[m][n];
      if (finish.add) v += load(to + n * LANES);
      if (finish.relu) v = larger(splat(0.0f), v);
      store_lanes(to + n * LANES, v, columns - column - n * LANES);
    }
  }
}

template <int NV>
void multiply_panel(const Positions &p, const float *panel, const Finish &finish, i32 column, i32 columns) {
  constexpr int MR = NV >= 4 ? 2 : NV >= 2 ? 4 : 8; // accumulators + splat + panel vectors ≤ 15
  i32 i = 0;
  for (; i + MR <= p.count; i += MR) tile<MR, NV>(p, i, panel, finish, column, columns);
  if constexpr (MR > 4)
    for (; i + 4 <= p.count; i += 4) tile<4, NV>(p, i, panel, finish, column, columns);
  for (; i < p.count; i++) tile<1, NV>(p, i, panel, finish, column, columns);
}
} // namespace

void multiply(const Positions &p, const Panels &panels, const Finish &finish) {
  const float *panel = panels.data;
  for (i32 v = 0, width; v < panels.vectors(); v += width) {
    width = Panels::panel_width(panels.vectors() - v);
    const i32 column = v * LANES;
    switch (width) {
    case 5: multiply_panel<5>(p, panel, finish, column, panels.columns); break;
    case 3: multiply_panel<3>(p, panel, finish, column, panels.columns); break;
    case 2: multiply_panel<2>(p, panel, finish, column, panels.columns); break;
    default: multiply_panel<1>(p, panel, finish, column, panels.columns);
    }
    panel += panels.depth * width * LANES;
  }
}

namespace {
// Sums start at zero for each block and are added at its end: over thousands of vectors the sum stays exact to 1e-5
template <int MR, int NV> INLINE void outer_tile(const Outer &o, i32 row, i32 y, i32 y_end, i32 column, i32 columns) {
  v4 sum[MR][NV];
  const float *a[MR], *d = o.d + y * o.d_row + column;
  UNROLL for (int m = 0; m < MR; m++) {
    i32 r = row + m;
    a[m] = o.a + y * o.a_row + r / o.patch.length * o.patch.stride + r % o.patch.length;
    UNROLL for (int n = 0; n < NV; n++) sum[m][n] = splat(0.0f);
  }
  const i32 a_back = o.a_row - o.width * o.a_step, d_back = o.d_row - o.width * o.d_step;
  for (; y < y_end; y++) {
    for (i32 x = o.width; x > 0; x--) {
      v4 b[NV];
      UNROLL for (int n = 0; n < NV; n++) b[n] = load(d + n * LANES);
      UNROLL for (int m = 0; m < MR; m++) {
        v4 s = splat(*a[m]);
        UNROLL for (int n = 0; n < NV; n++) {
          sum[m][n] += s * b[n];
          PIN(sum[m][n]);
        }
        a[m] += o.a_step;
      }
      d += o.d_step;
    }
    UNROLL for (int m = 0; m < MR; m++) a[m] += a_back;
    d += d_back;
  }
  UNROLL for (int m = 0; m < MR; m++) {
    float *to = o.sum + (row + m) * columns + column;
    UNROLL for (int n = 0; n < NV; n++) store(to + n * LANES, load(to + n * LANES) + sum[m][n]);
  }
}

template <int NV> void outer_panel(const Outer &o, i32 y, i32 y_end, i32 column, i32 columns) {
  constexpr int MR = NV >= 4 ? 2 : NV >= 2 ? 4 : 8;
  const i32 rows = o.patch.depth();
  i32 r = 0;
  for (; r + MR <= rows; r += MR) outer_tile<MR, NV>(o, r, y, y_end, column, columns);
  for (; r < rows; r++) outer_tile<1, NV>(o, r, y, y_end, column, columns);
}

constexpr i32 BLOCK_BYTES = 24576; // of a and d together, so that both stay in the first-level cache
} // namespace

void add_outer(const Outer &o) {
  const i32 block = most(1, least(o.height, BLOCK_BYTES / most(1, 4 * (o.a_row + o.d_row))));
  const i32 vectors = (o.columns + LANES - 1) / LANES, columns = vectors * LANES;
  for (i32 y = 0; y < o.height; y += block) {
    const i32 y_end = least(o.height, y + block);
    for (i32 v = 0, width; v < vectors; v += width) {
      width = Panels::panel_width(vectors - v);
      switch (width) {
      case 5: outer_panel<5>(o, y, y_end, v * LANES, columns); break;
      case 3: outer_panel<3>(o, y, y_end, v * LANES, columns); break;
      case 2: outer_panel<2>(o, y, y_end, v * LANES, columns); break;
      default: outer_panel<1>(o, y, y_end, v * LANES, columns);
      }
    }
  }
}
