// Max pooling, alone and fused with the product before it: a tile is then (a part of) a pooling window, so that what
// loses is never stored.
#include "tile.h"

namespace {
// The best of a window so far waits here while the next part of it is computed: its registers are needed
v4 best_room[5];
i4 winner_room[5];

// The largest of MR members of a window, and which
template <int MR, int NV>
INLINE void part(const PooledPositions &p, const i32 *member, const float *panel, v4 (&best)[NV], i4 (&winner)[NV]) {
  v4 sum[MR][NV];
  const float *a[MR];
  clear(sum);
  EACH(m, MR) a[m] = p.in + p.in_at[member[m]];
  walk<true>(sum, a, panel, p.patch);
  EACH(n, NV) best[n] = sum[0][n], winner[n] = splat(member[0]);
  EACH(m, MR - 1) EACH(n, NV) {
    winner[n] = select(sum[m + 1][n] > best[n], splat(member[m + 1]), winner[n]);
    best[n] = larger(sum[m + 1][n], best[n]);
  }
}

template <int MR, int NV>
INLINE void tile(const PooledPositions &p, i32 window, const float *panel, const Finish &finish, i32 column, i32 columns) {
  v4 best[NV];
  i4 winner[NV];
  const i32 *members = p.members + window * p.area;
  for (i32 r = 0; r < p.area; r += MR) {
    part<MR>(p, members + least(r, p.area - MR), panel, best, winner); // the last part may repeat a few: no harm
    EACH(n, NV) {
      if (r > 0) {
        winner[n] = select(best[n] > best_room[n], winner[n], winner_room[n]);
        best[n] = larger(best[n], best_room[n]);
      }
      best_room[n] = best[n], winner_room[n] = winner[n];
    }
  }
  float *out = p.out + p.out_at[window] + column;
  i32 *winners = p.winners + window * up_to(columns, LANES) + column;
  EACH(n, NV) {
    v4 v = best_room[n] + load(finish.bias + column + n * LANES);
    if (finish.relu) v = larger(splat(0.0f), v);
    store_lanes(out + n * LANES, v, columns - column - n * LANES);
    store(winners + n * LANES, winner_room[n]);
  }
}
} // namespace

void multiply_and_pool(const PooledPositions &p, const Panels &panels, const Finish &finish) {
  each_panel(panels.vectors(), [&]<int NV>(i32 v) {
    constexpr int EVEN = NV >= 3 ? 2 : 4, THREES = NV > 3 ? 2 : 3;
    const float *panel = panels.data + panels.depth * v * LANES;
    for (i32 w = 0; w < p.count; w++)
      if (p.area % 3) tile<EVEN, NV>(p, w, panel, finish, v * LANES, panels.columns);
      else tile<THREES, NV>(p, w, panel, finish, v * LANES, panels.columns);
  });
}

void pool(const PoolWindow &w, float *out, i32 *winner) {
  for (i32 c = 0; c < w.channels; c += LANES) {
    v4 best = splat(-__builtin_inff());
    i4 at = splat(w.y0 * w.mark_row + w.x0 * w.mark_column);
    for (i32 y = w.y0; y < w.y1; y++)
      for (i32 x = w.x0; x < w.x1; x++) {
        const v4 value = load(w.values + y * w.row + x * w.channels + c);
        at = select(value > best, splat(y * w.mark_row + x * w.mark_column), at);
        best = larger(value, best);
      }
    store_lanes(out + c, best, w.channels - c);
    store_lanes(winner + c, at, w.channels - c);
  }
}
