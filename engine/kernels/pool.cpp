// Max pooling, alone and fused with the product before it: a tile is then (a part of) a pooling window, so that what
// loses is never stored.
#include "tile.h"

namespace {
INLINE i4 load_bytes(const u8 *p) { return i4{p[0], p[1], p[2], p[3]}; }
INLINE void store_bytes(u8 *p, i4 v) {
  const b16 packed = __builtin_shufflevector((b16)v, (b16)v, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
  __builtin_memcpy(p, &packed, 4);
}

// Members r … r + MR − 1 of a window. What the members before gave lies in the outputs already.
template <int MR, int NV>
INLINE void tile(const PooledPositions &p, i32 window, i32 r, const float *panel, const Finish &finish, i32 column,
                 i32 columns) {
  v4 sum[MR][NV], best[NV];
  i4 winner[NV];
  const float *a[MR];
  clear(sum);
  EACH(m, MR) a[m] = p.in + p.in_at[window * p.area + r + m];
  walk(sum, a, panel, p.patch);
  EACH(n, NV) best[n] = sum[0][n], winner[n] = splat(0);
  EACH(m, MR - 1) EACH(n, NV) {
    winner[n] = select(sum[m + 1][n] > best[n], splat(m + 1), winner[n]);
    best[n] = larger(sum[m + 1][n], best[n]);
  }
  float *out = p.out + p.out_at[window] + column;
  u8 *winners = p.winners + window * up_to(columns, LANES) + column;
  EACH(n, NV) {
    v4 v = best[n] + load(finish.bias + column + n * LANES);
    i4 won = winner[n] + splat(r);
    if (finish.relu) {
      won = select(v > splat(0.0f), won, splat(p.area));
      v = larger(splat(0.0f), v);
    }
    if (r > 0) {
      const v4 before = load(out + n * LANES);
      won = select(v > before, won, load_bytes(winners + n * LANES));
      v = larger(v, before);
    }
    store_lanes(out + n * LANES, v, columns - column - n * LANES);
    store_bytes(winners + n * LANES, won);
  }
}

template <int MR, int NV>
void windows(const PooledPositions &p, const float *panel, const Finish &finish, i32 column, i32 columns) {
  for (i32 w = 0; w < p.count; w++) // the last part of a window may repeat a few members: no harm
    for (i32 r = 0; r < p.area; r += MR) tile<MR, NV>(p, w, least(r, p.area - MR), panel, finish, column, columns);
}
} // namespace

void multiply_and_pool(const PooledPositions &p, const Panels &panels, const Finish &finish) {
  each_panel(panels.vectors(), [&]<int NV>(i32 v) {
    constexpr int EVEN = NV >= 3 ? 2 : 4, THREES = NV > 3 ? 2 : 3;
    const float *panel = panels.data + panels.depth * v * LANES;
    if (p.area % 3) windows<EVEN, NV>(p, panel, finish, v * LANES, panels.columns);
    else windows<THREES, NV>(p, panel, finish, v * LANES, panels.columns);
  });
}

void pool(const PoolWindow &w, float *out, i32 *winner) {
  for (i32 c = 0; c < w.channels; c += LANES) {
    v4 best = splat(-__builtin_inff());
    i4 at = splat(w.mark + w.y0 * w.mark_row + w.x0 * w.mark_column);
    for (i32 y = w.y0; y < w.y1; y++)
      for (i32 x = w.x0; x < w.x1; x++) {
        const v4 value = load(w.values + y * w.row + x * w.channels + c);
        at = select(value > best, splat(w.mark + y * w.mark_row + x * w.mark_column), at);
        best = larger(value, best);
      }
    store_lanes(out + c, best, w.channels - c);
    store_lanes(winner + c, at, w.channels - c);
  }
}
