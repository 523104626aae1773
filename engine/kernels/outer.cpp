// Sums of outer products: the gradients of weights.
#include "tile.h"

namespace {
// Sums start at zero for each block and are added at its end: over thousands of vectors the sum stays exact to 1e-5
template <int MR, int NV> INLINE void tile(const Outer &o, i32 row, i32 y, i32 y_end, i32 column, i32 columns) {
  v4 sum[MR][NV];
  clear(sum);
  const float *a[MR], *d = o.d + y * o.d_row + column;
  EACH(m, MR) a[m] = o.a + y * o.a_row + (row + m) / o.patch.length * o.patch.stride + (row + m) % o.patch.length;
  const i32 width = o.width, a_step = o.a_step, d_step = o.d_step;
  const i32 a_back = o.a_row - width * a_step, d_back = o.d_row - width * d_step;
  for (; y < y_end; y++) {
    for (i32 x = width; x > 0; x--) {
      steps<1>(sum, a, d);
      EACH(m, MR) a[m] += a_step;
      d += d_step;
    }
    EACH(m, MR) a[m] += a_back;
    d += d_back;
  }
  EACH(m, MR) {
    float *to = o.sum + (row + m) * columns + column;
    EACH(n, NV) store(to + n * LANES, load(to + n * LANES) + sum[m][n]);
  }
}

constexpr i32 BLOCK_BYTES = 24576; // of a and d together, so that both stay in the first-level cache
} // namespace

void add_outer(const Outer &o) {
  const i32 block = most(1, least(o.height, BLOCK_BYTES / most(1, 4 * (o.a_row + o.d_row))));
  const i32 vectors = (o.columns + LANES - 1) / LANES, rows = o.patch.depth();
  for (i32 y = 0; y < o.height; y += block)
    each_panel(vectors, [&]<int NV>(i32 v) {
      constexpr int LARGEST = most_rows(NV);
      for (i32 r = 0, part; r < rows; r += part) {
        part = even_part(rows - r, LARGEST);
        with_constant<LARGEST>(part, [&]<int MR>() {
          tile<MR, NV>(o, r, y, least(o.height, y + block), v * LANES, vectors * LANES);
        });
      }
    });
}
