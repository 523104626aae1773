// Maxout: channels are taken in groups of `groups` neighbours; the largest of each group goes on.
#include "layers.h"

bool Maxout::configure(Options &options, i32) {
  if (!options.integer("groups", groups, 1, 255)) return false;
  out->shape = {in->shape.height, in->shape.width, in->shape.channels / groups};
  if (in->shape.channels % groups == 0) return true;
  options.wrong() << in->shape.channels << " channels cannot be divided into groups of " << groups;
  return false;
}

void Maxout::plan() { winners_ = ::plan<u8>((u64)out->shape.size() * (u64)batch); }

void Maxout::forward(const Pass &, i32 first, i32 count) {
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = in->value.of(n) + y * in->value.row;
      float *to = out->value.of(n) + y * out->value.row;
      u8 *winner = winners_ + n * out->shape.size() + y * row;
      for (i32 i = 0; i < row; i++, from += groups) {
        i32 best = 0;
        for (i32 g = 1; g < groups; g++)
          if (from[g] > from[best]) best = g;
        to[i] = from[best];
        winner[i] = (u8)best;
      }
    }
}

void Maxout::backward(const Pass &, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++) {
    if (!adds) in->clear_gradient(n);
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = out->gradient.of(n) + y * out->gradient.row;
      float *to = in->gradient.of(n) + y * in->gradient.row;
      const u8 *winner = winners_ + n * out->shape.size() + y * row;
      for (i32 i = 0; i < row; i++) to[i * groups + winner[i]] += from[i];
    }
  }
}
