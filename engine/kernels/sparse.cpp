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

// No branch: a dead entry is overwritten by the next, for a branch would be mispredicted one time in three
i32 list_winners(const Winners &given) {
  Winners w = given;
  i32 count = 0;
  for (i32 y = 0; y < w.height; y++) {
    const float *factor = w.factor + y * w.factor_row;
    for (i32 x = 0; x < w.width; x++) {
      const i32 winner = *w.winner;
      w.list_at[count] = w.in_at[winner];
      w.list_factor[count] = *factor;
      count += winner != w.dead;
      w.winner += w.winner_step, w.in_at += w.in_at_step, factor += w.factor_step;
    }
  }
  return count;
}

float total(const float *values, i32 count) {
  v4 sum = splat(0.0f);
  i32 i = 0;
  for (; i + LANES <= count; i += LANES) sum += load(values + i);
  float rest = 0;
  for (; i < count; i++) rest += values[i];
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}
