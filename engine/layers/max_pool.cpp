// Max pooling: the largest of each window, channel by channel; what is outside the input never wins.
#include "layers.h"

bool MaxPool::configure(Options &options, i32) {
  out->shape = in->shape;
  return window.read(options, "size", true) && window.fit(options, in->shape, out->shape);
}

void MaxPool::plan() { winners_ = ::plan<i32>((u64)out->shape.size() * (u64)batch); }

void MaxPool::pool(i32 n, i32 y, i32 x) {
  const i32 channels = out->shape.channels;
  const auto [y0, y1, x0, x1] = window.area(y, x, in->shape);
  float *out_at = out->value.of(n) + y * out->value.row + x * channels;
  i32 *winner = winners_ + n * out->shape.size() + (y * out->shape.width + x) * channels;
  const float *values = in->value.of(n);
  i32 c = 0;
  for (; c + LANES <= channels; c += LANES) {
    v4 best = load(values + y0 * in->value.row + x0 * channels + c);
    i4 at = splat(y0 * in->gradient.row + x0 * channels);
    for (i32 v = y0; v < y1; v++)
      for (i32 u = x0; u < x1; u++) {
        v4 value = load(values + v * in->value.row + u * channels + c);
        i4 better = value > best;
        at = select(better, splat(v * in->gradient.row + u * channels), at);
        best = larger(value, best);
      }
    store(out_at + c, best);
    store(winner + c, at);
  }
  for (; c < channels; c++) {
    out_at[c] = values[y0 * in->value.row + x0 * channels + c];
    winner[c] = y0 * in->gradient.row + x0 * channels;
    for (i32 v = y0; v < y1; v++)
      for (i32 u = x0; u < x1; u++) {
        const float value = values[v * in->value.row + u * channels + c];
        if (value > out_at[c]) out_at[c] = value, winner[c] = v * in->gradient.row + u * channels;
      }
  }
}

void MaxPool::forward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++)
      for (i32 x = 0; x < out->shape.width; x++) pool(n, y, x);
}

void MaxPool::backward(const Pass &, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  const i32 channels = out->shape.channels;
  for (i32 n = first; n < first + count; n++) {
    if (!adds) in->clear_gradient(n);
    float *to = in->gradient.of(n);
    const i32 *winner = winners_ + n * out->shape.size();
    for (i32 y = 0; y < out->shape.height; y++) {
      const float *from = out->gradient.of(n) + y * out->gradient.row;
      for (i32 x = 0; x < out->shape.width; x++)
        for (i32 c = 0; c < channels; c++) to[*winner++ + c] += *from++;
    }
  }
}
