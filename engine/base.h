// The words every file of the engine uses: number types, the vector of four floats, memory.
//
// Rules of the engine:
// - No host imports, no libc: the module must give the same bits in every browser and in Python.
// - Plain SIMD128, no relaxed instructions, no fused multiply-add, no fast-math: a NaN stays a NaN.
// - One network per instance. Memory is planned once; nothing is allocated while computing.
// - Clients' mistakes are sentences (Text), never traps; a trap is a bug of ours.
#pragma once

using u8 = unsigned char;
using u32 = unsigned;
using i32 = int;
using u64 = unsigned long long;
using usize = unsigned long;

typedef float v4 __attribute__((vector_size(16)));
typedef float v4_anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef long i4 __attribute__((vector_size(16))); // long is 32 bits here, and what comparing two v4 gives
typedef u8 b16 __attribute__((vector_size(16)));

constexpr i32 LANES = 4;  // floats in a vector
constexpr i32 SLACK = 32; // floats that a kernel may read (never write) beyond the end of a grid

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE v4 load(const float *p) { return (v4) * (const v4_anywhere *)p; }
INLINE void store(float *p, v4 v) { *(v4_anywhere *)p = (v4_anywhere)v; }
// The last vector of a row may be ragged: only its first `lanes` belong to it
INLINE void store_lanes(float *to, v4 v, i32 lanes) {
  if (lanes >= LANES) return store(to, v);
  to[0] = v[0];
  if (lanes > 1) to[1] = v[1];
  if (lanes > 2) to[2] = v[2];
}
INLINE void store_lanes(i32 *to, i4 v, i32 lanes) { store_lanes((float *)to, (v4)v, lanes); }
INLINE v4 splat(float x) { return v4{x, x, x, x}; }
INLINE i4 splat(i32 x) { return i4{x, x, x, x}; }
INLINE v4 select(i4 mask, v4 yes, v4 no) { return (v4)((mask & (i4)yes) | (~mask & (i4)no)); }
INLINE i4 select(i4 mask, i4 yes, i4 no) { return (mask & yes) | (~mask & no); }
// a > b ? a : b, lane by lane: one instruction (f32x4.pmax), where clang makes four of the select
INLINE v4 larger(v4 a, v4 b) { return __builtin_wasm_pmax_f32x4(b, a); }

INLINE i32 least(i32 a, i32 b) { return a < b ? a : b; }
INLINE i32 most(i32 a, i32 b) { return a > b ? a : b; }
INLINE i32 up_to(i32 n, i32 multiple) { return (n + multiple - 1) / multiple * multiple; }
INLINE void zero(void *p, usize bytes) { __builtin_memset(p, 0, bytes); }
INLINE void copy(void *to, const void *from, usize bytes) { __builtin_memcpy(to, from, bytes); }

// Whether a float is neither infinite nor NaN, by its bits
INLINE bool finite(float x) {
  u32 bits = __builtin_bit_cast(u32, x);
  return (bits & 0x7f800000u) != 0x7f800000u;
}

// What clang needs for `for (x : {a, b})` in a world without a standard library
namespace std {
template <class T> class initializer_list {
  const T *first_ = nullptr;
  usize size_ = 0;

public:
  constexpr const T *begin() const { return first_; }
  constexpr const T *end() const { return first_ + size_; }
};
} // namespace std

inline void *operator new(usize, void *at) noexcept { return at; }
