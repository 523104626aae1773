// Layers that treat every value by itself: relu, leaky relu, tanh, sigmoid. Each is a function of four values and its
// slope, told from what the function gave. (A relu right after a convolution is done by the convolution.)
#include "activation.h"
#include "../maths.h"

bool ReluFunction::configure(Options &) { return true; }
v4 ReluFunction::value(v4 x) const { return larger(splat(0.0f), x); }
v4 ReluFunction::slope(v4 y) const { return select(y > splat(0.0f), splat(1.0f), splat(0.0f)); }

bool LeakyReluFunction::configure(Options &options) { return options.real("slope", below, 0, 1); }
v4 LeakyReluFunction::value(v4 x) const { return select(x > splat(0.0f), x, x * splat((float)below)); }
v4 LeakyReluFunction::slope(v4 y) const { return select(y > splat(0.0f), splat(1.0f), splat((float)below)); }

bool TanhFunction::configure(Options &) { return true; }
v4 TanhFunction::value(v4 x) const { return tanh4(x); }
v4 TanhFunction::slope(v4 y) const { return splat(1.0f) - y * y; }

bool SigmoidFunction::configure(Options &) { return true; }
v4 SigmoidFunction::value(v4 x) const { return sigmoid4(x); }
v4 SigmoidFunction::slope(v4 y) const { return y * (splat(1.0f) - y); }

template <class Function> bool Pointwise<Function>::configure(Options &options, i32) {
  out->shape = in->shape;
  return function.configure(options);
}

template <class Function> void Pointwise<Function>::forward(const Pass &, i32 first, i32 count) {
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = in->value.of(n) + y * in->value.row;
      float *to = out->value.of(n) + y * out->value.row;
      for (i32 i = 0; i < row; i += LANES) store_lanes(to + i, function.value(load(from + i)), row - i);
    }
}

template <class Function> void Pointwise<Function>::backward(const Pass &, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *value = out->value.of(n) + y * out->value.row;
      const float *from = out->gradient.of(n) + y * out->gradient.row;
      float *to = in->gradient.of(n) + y * in->gradient.row;
      for (i32 i = 0; i < row; i += LANES) {
        v4 g = load(from + i) * function.slope(load(value + i));
        store_lanes(to + i, adds ? load(to + i) + g : g, row - i);
      }
    }
}

template struct Pointwise<ReluFunction>;
template struct Pointwise<LeakyReluFunction>;
template struct Pointwise<TanhFunction>;
template struct Pointwise<SigmoidFunction>;
