// A tile: MR positions × NV vectors of columns, whose sums stay in registers while the depth is walked.
//
// Why the loops look so. V8 keeps wasm's order of instructions and has 15 usable vector registers. Every step of depth
// is NV loads, MR splats and MR · NV multiply-adds. Left alone, clang unrolls, regroups the steps accumulator by
// accumulator and hoists all loads; V8 then spills. An empty asm that "changes" the accumulator after each multiply-add
// pins the order (1.2–1.5 × overall, up to 3 × in single loops). It also makes clang forget what it has read from memory:
// what the inner loops need is copied to locals first. Loops over accumulators must be unrolled fully, or the accumulators
// become an array in memory.
#pragma once
#include "kernels.h"

#define PIN(x) asm volatile("" : "+r"(x)::"memory")
#define EACH(i, n) UNROLL for (int i = 0; i < n; i++)

// The largest tile with NV vectors: 15 registers must hold its sums, a row of splats or of vectors, one of the other and
// a product
constexpr int most_rows(int vectors) { return vectors >= 4 ? 2 : vectors == 3 ? 3 : vectors == 2 ? 4 : 4; }

// How many of `left` rows the next tile takes: no tile is much smaller than the others (11 is 5 + 3 + 3, not 5 + 5 + 1)
INLINE i32 even_part(i32 left, i32 largest) {
  return left <= largest ? left : left >= 2 * largest ? largest : (left + 1) / 2;
}

// Call f<n>() for a number n of 1 … N that is known only when running
template <int N, class F> INLINE void with_constant(i32 n, F f) {
  if constexpr (N > 1)
    if (n < N) return with_constant<N - 1>(n, f);
  f.template operator()<N>();
}

template <int MR, int NV> INLINE void clear(v4 (&sum)[MR][NV]) {
  EACH(m, MR) EACH(n, NV) sum[m][n] = splat(0.0f);
}

// U steps of depth: sum[m][n] += a[m][u] · panel[u][n]
template <int U, int MR, int NV> INLINE void steps(v4 (&sum)[MR][NV], const float *const (&a)[MR], const float *panel) {
  EACH(u, U) {
    const float *row = panel + u * NV * LANES;
    if constexpr (NV > MR) {
      v4 s[MR];
      EACH(m, MR) s[m] = splat(a[m][u]);
      EACH(n, NV) {
        const v4 b = load(row + n * LANES);
        EACH(m, MR) {
          sum[m][n] += s[m] * b;
          PIN(sum[m][n]);
        }
      }
    } else {
      v4 b[NV];
      EACH(n, NV) b[n] = load(row + n * LANES);
      EACH(m, MR) {
        const v4 s = splat(a[m][u]);
        EACH(n, NV) {
          sum[m][n] += s * b[n];
          PIN(sum[m][n]);
        }
      }
    }
  }
}

// The next U steps of depth
template <int U, int MR, int NV> INLINE void advance(v4 (&sum)[MR][NV], const float *(&a)[MR], const float *&panel) {
  steps<U>(sum, a, panel);
  panel += U * NV * LANES;
  EACH(m, MR) a[m] += U;
}

// The whole depth of a patch
template <int MR, int NV>
INLINE void walk(v4 (&sum)[MR][NV], const float *(&a)[MR], const float *panel, const Patch &patch) {
  const i32 length = patch.length, back = patch.stride - length;
  for (i32 s = patch.segments; s > 0; s--) {
    for (i32 j = length; j >= 4; j -= 4) advance<4>(sum, a, panel);
    if (length & 2) advance<2>(sum, a, panel);
    if (length & 1) advance<1>(sum, a, panel);
    EACH(m, MR) a[m] += back;
  }
}

// Call f<NV>(first vector) for every panel of `vectors` vectors
template <class F> INLINE void each_panel(i32 vectors, F f) {
  for (i32 v = 0, width; v < vectors; v += width) {
    width = Panels::panel_width(vectors - v);
    switch (width) {
    case 5: f.template operator()<5>(v); break;
    case 3: f.template operator()<3>(v); break;
    case 2: f.template operator()<2>(v); break;
    default: f.template operator()<1>(v);
    }
  }
}
