#include "arena.h"

extern u8 __heap_base;

namespace arena {
static u64 top = 0;     // the first free address
static u64 planning = 0;

constexpr u64 ALIGN = 64; // a cache line
constexpr u64 PAGE = 65536;

static u64 advance(u64 bytes) {
  if (!top) top = (u64)(usize)&__heap_base;
  u64 at = (top + ALIGN - 1) / ALIGN * ALIGN;
  top = at + bytes;
  return at;
}

static bool ensure(u64 end) {
  u64 have = __builtin_wasm_memory_size(0) * PAGE;
  if (end <= have) return true;
  u64 pages = (end - have + PAGE - 1) / PAGE;
  if (pages > 65536) return false;
  return __builtin_wasm_memory_grow(0, (usize)pages) != (usize)-1;
}

void *now(usize bytes) {
  if (planning) __builtin_trap();
  u64 at = advance(bytes);
  if (!ensure(top)) __builtin_trap();
  return (void *)(usize)at;
}

void begin_plan() { planning = advance(0); }

void *planned(u64 bytes) { return (void *)(usize)advance(bytes); }

u64 planned_bytes() { return top; }

bool commit() { return ensure(top); }
} // namespace arena
