// Average pooling: the mean of each window, channel by channel; padding is not counted.
#include "layers.h"

bool AveragePool::configure(Options &options, i32) {
  out->shape = in->shape;
  return window.read(options, "size", true) && window.fit(options, in->shape, out->shape);
}

bool GlobalAveragePool::configure(Options &, i32) {
  out->shape = {1, 1, in->shape.channels};
  window.width = window.step_x = in->shape.width;
  window.height = window.step_y = in->shape.height;
  return true;
}

static float share(const Area &a) { return 1.0f / (float)((a.y1 - a.y0) * (a.x1 - a.x0)); }

static void average(const Grid &from, i32 n, const Area &a, i32 channels, float *to) {
  for (i32 c = 0; c < channels; c += LANES) {
    v4 sum = splat(0.0f);
    for (i32 y = a.y0; y < a.y1; y++)
      for (i32 x = a.x0; x < a.x1; x++) sum += load(from.of(n) + y * from.row + x * channels + c);
    store_lanes(to + c, sum * splat(share(a)), channels - c);
  }
}

static void spread(const float *from, const Area &a, i32 channels, const Grid &to, i32 n) {
  for (i32 c = 0; c < channels; c += LANES) {
    const v4 part = load(from + c) * splat(share(a));
    for (i32 y = a.y0; y < a.y1; y++)
      for (i32 x = a.x0; x < a.x1; x++) {
        float *at = to.of(n) + y * to.row + x * channels + c;
        store_lanes(at, load(at) + part, channels - c);
      }
  }
}

void AveragePool::forward(const Pass &, i32 first, i32 count) {
  const i32 channels = in->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++)
      for (i32 x = 0; x < out->shape.width; x++)
        average(in->value, n, window.area(y, x, in->shape), channels,
                out->value.of(n) + y * out->value.row + x * channels);
}

void AveragePool::backward(const Pass &, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  const i32 channels = in->shape.channels;
  for (i32 n = first; n < first + count; n++) {
    if (!adds) in->clear_gradient(n);
    for (i32 y = 0; y < out->shape.height; y++)
      for (i32 x = 0; x < out->shape.width; x++)
        spread(out->gradient.of(n) + y * out->gradient.row + x * channels, window.area(y, x, in->shape), channels,
               in->gradient, n);
  }
}
