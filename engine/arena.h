// Where the instance's memory goes. First the description (text, JSON, layers) which exists at once, then the plan:
// addresses given out before the memory exists, so that a network's needs are known and can be refused.
#pragma once
#include "base.h"

namespace arena {
void *now(usize bytes);      // zeroed memory at once; traps only when not even the description fits
void *planned(u64 bytes);    // an address; memory from begin_plan() to here exists after commit()
void begin_plan();           // no more now() after this
u64 planned_bytes();         // what the plan needs so far, with what is used already
bool commit();               // get the planned memory; false when the host gives none
} // namespace arena

template <class T> T *make(i32 count = 1) { return (T *)arena::now(sizeof(T) * (usize)count); }
template <class T> T *plan(u64 count) { return (T *)arena::planned(sizeof(T) * count); }
