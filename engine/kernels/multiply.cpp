// A matrix times patches: the forward pass of convolutions and fully connected layers, and the gradients of their inputs.
#include "tile.h"

namespace {
template <int MR, int NV>
INLINE void tile(const Positions &p, i32 first, const float *panel, const Finish &finish, i32 column, i32 columns) {
  v4 sum[MR][NV];
  const float *a[MR];
  EACH(n, NV) {
    v4 start = finish.bias ? load(finish.bias + column + n * LANES) : splat(0.0f);
    EACH(m, MR) sum[m][n] = start;
  }
  EACH(m, MR) a[m] = p.in + p.in_at[first + m];
  walk(sum, a, panel, p.patch);
  EACH(m, MR) {
    float *to = p.out + p.out_at[first + m] + column;
    EACH(n, NV) {
      v4 v = sum[m][n];
      if (finish.add) v += load(to + n * LANES);
      if (finish.relu) v = larger(splat(0.0f), v);
      store_lanes(to + n * LANES, v, columns - column - n * LANES);
    }
  }
}
} // namespace

void multiply(const Positions &p, const Panels &panels, const Finish &finish) {
  each_panel(panels.vectors(), [&]<int NV>(i32 v) {
    const float *panel = panels.data + panels.depth * v * LANES;
    constexpr int LARGEST = most_rows(NV);
    for (i32 i = 0, part; i < p.count; i += part) {
      part = even_part(p.count - i, LARGEST);
      with_constant<LARGEST>(part, [&]<int MR>() { tile<MR, NV>(p, i, panel, finish, v * LANES, panels.columns); });
    }
  });
}
