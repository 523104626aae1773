// Dropout (Srivastava et al. 2014), inverted: while training each value is dropped with probability `rate` and the
// others grow by 1 / (1 − rate), so that evaluation changes nothing. Which ones is decided by (seed, iteration, key of
// the vector, place of the value): the same on every device.
#include "layers.h"

bool Dropout::configure(Options &options, i32) {
  out->shape = in->shape;
  return options.real("rate", rate, 0, 0.999999);
}

void Dropout::plan() { scales_ = ::plan<float>((u64)up_to(out->shape.size(), LANES) * (u64)batch); }

void Dropout::forward(const Pass &pass, i32 first, i32 count) {
  const i32 size = out->shape.size(), row = out->shape.width * out->shape.channels;
  const float grown = (float)(1 / (1 - rate));
  for (i32 n = first; n < first + count; n++) {
    float *scale = scales_ + n * up_to(size, LANES);
    for (i32 i = 0; pass.training && i < size; i += LANES) {
      const Random4 r = random4(pass.seed, (u32)i | (u32)index << 24, pass.keys[n], pass.iteration, DROPOUT);
      for (i32 k = 0; k < LANES; k++) scale[i + k] = unit(r.word[k]) < (float)rate ? 0 : grown;
    }
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = in->value.of(n) + y * in->value.row;
      float *to = out->value.of(n) + y * out->value.row;
      for (i32 i = 0; i < row; i++) to[i] = pass.training ? from[i] * scale[y * row + i] : from[i];
    }
  }
}

void Dropout::backward(const Pass &, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++) {
    const float *scale = scales_ + n * up_to(out->shape.size(), LANES);
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = out->gradient.of(n) + y * out->gradient.row;
      float *to = in->gradient.of(n) + y * in->gradient.row;
      for (i32 i = 0; i < row; i++) to[i] = from[i] * *scale++ + (adds ? to[i] : 0);
    }
  }
}
