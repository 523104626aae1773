// Max pooling: the largest of each window, channel by channel; what is outside the input never wins.
#include "layers.h"

bool MaxPool::configure(Options &options, i32) {
  out->shape = in->shape;
  return window.read(options, "size", true) && window.fit(options, in->shape, out->shape);
}

void MaxPool::plan() { winners_ = ::plan<i32>((u64)out->shape.size() * (u64)batch); }

void MaxPool::forward(const Pass &, i32 first, i32 count) {
  const i32 channels = out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++)
      for (i32 x = 0; x < out->shape.width; x++) {
        const auto [y0, y1, x0, x1] = window.area(y, x, in->shape);
        i32 *winner = winners_ + n * out->shape.size() + (y * out->shape.width + x) * channels;
        ::pool({in->value.of(n), in->value.row, channels, y0, y1, x0, x1, 0, in->gradient.row, channels},
               out->value.of(n) + y * out->value.row + x * channels, winner);
      }
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
