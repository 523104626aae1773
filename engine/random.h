// Random numbers as a function of a counter and a key: Philox-4x32-10 (Salmon et al., "Parallel random numbers: as
// easy as 1, 2, 3", 2011). Nothing is drawn in sequence, so any device can make any number again.
#pragma once
#include "base.h"

enum Purpose : u32 { INITIAL_VALUES = 1, DROPOUT = 2, AUGMENTATION = 3 };

struct Seed {
  u32 low = 0, high = 0;
};

struct Random4 {
  u32 word[4];
};

INLINE Random4 random4(Seed seed, u32 a, u32 b, u32 c, Purpose purpose) {
  Random4 x{{a, b, c, purpose}};
  u32 low = seed.low, high = seed.high;
  for (i32 round = 0; round < 10; round++) {
    u64 p = (u64)x.word[0] * 0xD2511F53u, q = (u64)x.word[2] * 0xCD9E8D57u;
    x = {{(u32)(q >> 32) ^ x.word[1] ^ low, (u32)q, (u32)(p >> 32) ^ x.word[3] ^ high, (u32)p}};
    low += 0x9E3779B9u;
    high += 0xBB67AE85u;
  }
  return x;
}

// 0 ≤ x < 1, in steps of 2^-24 (exact in a float)
INLINE float unit(u32 word) { return (float)(word >> 8) * (1.0f / 16777216); }
