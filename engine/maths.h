// exp, log and tanh of the engine's own: the host's differ from browser to browser in the last bits.
// Series, not tables; the error of each is below that of rounding to float32.
#pragma once
#include "base.h"

INLINE v4 exp4(v4 x) {
  x = larger(splat(-87.3f), x); // e^x is 1e-38 there; the order of arguments lets a NaN through
  x = __builtin_wasm_pmin_f32x4(x, splat(88.3f));
  const v4 magic = splat(12582912.0f); // adding 1.5 * 2^23 rounds to an integer
  v4 n = (x * splat(1.44269504f) + magic) - magic;
  v4 r = (x - n * splat(0.693145752f)) - n * splat(1.42860677e-6f); // ln 2 in two parts
  v4 p = splat(1.0f / 5040);
  const float factorials[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  UNROLL for (float c : factorials) p = p * r + splat(c);
  i4 power = (i4)__builtin_wasm_trunc_saturate_s_i32x4_f32x4(n);
  return p * (v4)((power + splat(127)) << 23);
}

INLINE v4 tanh4(v4 x) {
  v4 size = (v4)((i4)x & splat(0x7fffffff));
  v4 e = exp4(splat(-2.0f) * size);
  v4 large = (splat(1.0f) - e) / (splat(1.0f) + e);
  v4 square = x * x; // near 0 the quotient cancels: the Taylor series
  v4 p = splat(-1382.0f / 155925);
  const float taylor[] = {62.0f / 2835, -17.0f / 315, 2.0f / 15, -1.0f / 3, 1.0f};
  UNROLL for (float c : taylor) p = p * square + splat(c);
  v4 signed_large = (v4)((i4)large | ((i4)x & splat((i32)0x80000000)));
  return select(size < splat(0.35f), x * p, signed_large);
}

INLINE v4 sigmoid4(v4 x) { return splat(1.0f) / (splat(1.0f) + exp4(-x)); }

// The natural logarithm of a positive, finite number, to about 1e-15
INLINE double log_of(double x) {
  u64 bits = __builtin_bit_cast(u64, x);
  i32 exponent = (i32)(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull); // 1 … 2
  if (m > 1.4142135623730951) m /= 2, exponent++;
  double f = (m - 1) / (m + 1), square = f * f, sum = 0;
  for (i32 k = 19; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return exponent * 0.6931471805599453 + 2 * f * sum;
}
