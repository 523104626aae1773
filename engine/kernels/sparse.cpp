// Linear combinations of a few rows. After max pooling at most one position of each window has a gradient (and none where
// relu is dead), so the backward pass of the convolution before it runs over lists instead of planes: the same sums
// without the zeros.
#include "tile.h"

namespace {
template <int R, int NV> void tile(const Combination &c, const float *from, float *to) {
  v4 sum[R][NV];
  clear(sum);
  const i32 count = c.count, from_row = c.from_row, *places = c.at;
  const float *factors = c.factor;
  for (i32 i = 0; i < count; i++) {
    const float *p = from + places[i];
    const v4 s = splat(factors[i]);
    EACH(r, R) {
      EACH(n, NV) {
        sum[r][n] += s * load(p + n * LANES);
        PIN(sum[r][n]);
      }
      p += from_row;
    }
  }
  EACH(r, R) EACH(n, NV) {
    float *at = to + r * c.to_row + n * LANES;
    store(at, load(at) + sum[r][n]);
  }
}

constexpr int MOST_SUMS = 12;

// Short rows: several of them in one tile
template <int NV> void rows_together(const Combination &c) {
  constexpr int LARGEST = MOST_SUMS / NV > 5 ? 5 : MOST_SUMS / NV;
  for (i32 r = 0, part; r < c.rows; r += part) {
    part = even_part(c.rows - r, LARGEST);
    with_constant<LARGEST>(part, [&]<int R>() { tile<R, NV>(c, c.from + r * c.from_row, c.to + r * c.to_row); });
  }
}

// Long rows: one after another, in parts of up to 12 vectors
void rows_apart(const Combination &c) {
  for (i32 r = 0; r < c.rows; r++)
    for (i32 v = 0, part; v < c.vectors; v += part) {
      part = even_part(c.vectors - v, MOST_SUMS);
      const i32 at = v * LANES;
      with_constant<MOST_SUMS>(part, [&]<int NV>() {
        tile<1, NV>(c, c.from + r * c.from_row + at, c.to + r * c.to_row + at);
      });
    }
}
} // namespace

void add_combination(const Combination &c) {
  switch (c.vectors) {
  case 1: return rows_together<1>(c);
  case 2: return rows_together<2>(c);
  case 3: return rows_together<3>(c);
  case 4: return rows_together<4>(c);
  default: return rows_apart(c);
  }
}
