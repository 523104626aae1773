// Sums of outer products: the gradients of weights.
#include "tile.h"

namespace {
// MR rows of one run of the patch lie side by side, so one pointer serves them all. Sums start at zero for each block and
// are added at its end: over thousands of vectors the running sum stays exact to 1e-5.
template <int MR, int NV> INLINE void tile(const Outer &o, const float *a, const float *d, i32 height, float *to, i32 to_row) {
  v4 sum[MR][NV];
  clear(sum);
  const i32 width = o.width, a_step = o.a_step, d_step = o.d_step;
  const i32 a_back = o.a_row - width * a_step, d_back = o.d_row - width * d_step;
  for (; height > 0; height--, a += a_back, d += d_back)
    for (i32 x = width; x > 0; x--, a += a_step, d += d_step) {
      v4 b[NV];
      EACH(n, NV) b[n] = load(d + n * LANES);
      EACH(m, MR) {
        const v4 s = splat(a[m]);
        EACH(n, NV) {
          sum[m][n] += s * b[n];
          PIN(sum[m][n]);
        }
      }
    }
  EACH(m, MR) EACH(n, NV) {
    float *at = to + m * to_row + n * LANES;
    store(at, load(at) + sum[m][n]);
  }
}

template <int NV> void panel(const Outer &o, i32 y, i32 height, i32 column, i32 columns) {
  constexpr int LARGEST = most_rows(NV);
  const float *a = o.a + y * o.a_row, *d = o.d + y * o.d_row + column;
  float *to = o.sum + column;
  for (i32 s = 0; s < o.patch.segments; s++, a += o.patch.stride)
    for (i32 r = 0, part; r < o.patch.length; r += part, to += part * columns) {
      part = even_part(o.patch.length - r, LARGEST);
      with_constant<LARGEST>(part, [&]<int MR>() { tile<MR, NV>(o, a + r, d, height, to, columns); });
    }
}

constexpr i32 BLOCK_BYTES = 24576; // of a and d together, so that both stay in the first-level cache
} // namespace

void add_outer(const Outer &o) {
  const i32 block = most(1, least(o.height, BLOCK_BYTES / most(1, 4 * (o.a_row + o.d_row))));
  const i32 vectors = (o.columns + LANES - 1) / LANES;
  for (i32 y = 0; y < o.height; y += block)
    each_panel(vectors, [&]<int NV>(i32 v) {
      panel<NV>(o, y, least(block, o.height - y), v * LANES, vectors * LANES);
    });
}
