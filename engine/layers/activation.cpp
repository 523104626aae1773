// Layers that treat every value by itself. (A relu right after a convolution is done by the convolution.)
#include "layers.h"

bool Relu::configure(Options &, i32) {
  out->shape = in->shape;
  return true;
}

void Relu::forward(const Pass &, i32 first, i32 count) {
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = in->value.of(n) + y * in->value.row;
      float *to = out->value.of(n) + y * out->value.row;
      for (i32 i = 0; i < row; i++) to[i] = from[i] > 0 ? from[i] : 0;
    }
}

void Relu::backward(const Pass &, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *value = out->value.of(n) + y * out->value.row;
      const float *from = out->gradient.of(n) + y * out->gradient.row;
      float *to = in->gradient.of(n) + y * in->gradient.row;
      for (i32 i = 0; i < row; i++) {
        const float g = value[i] > 0 ? from[i] : 0;
        to[i] = adds ? to[i] + g : g;
      }
    }
}
