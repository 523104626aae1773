// The input: pixels 0 … 255 (bytes) or 0 … 1 (floats) become (x − mean) / std, per channel.
#include "layers.h"

bool Input::configure(Options &options, i32) {
  Shape &s = out->shape;
  if (!options.integer("width", s.width, 1, 1 << 14) || !options.integer("height", s.height, 1, 1 << 14)) return false;
  if (!options.integer("channels", s.channels, 1, MOST_CHANNELS)) return false;
  for (i32 c = 0; c < s.channels; c++) deviation_[c] = 1;
  if (!options.list("mean", mean_, s.channels) || !options.list("std", deviation_, s.channels)) return false;
  for (i32 c = 0; c < s.channels; c++)
    if (!(deviation_[c] > 0)) return options.wrong("std must be above 0");
  return true;
}

template <class Pixel> void Input::normalise(const Pixel *pixels, float *to, float unit) const {
  const i32 channels = out->shape.channels;
  for (i32 x = 0; x < out->shape.width; x++)
    for (i32 c = 0; c < channels; c++) *to++ = ((float)*pixels++ * unit - mean_[c]) / deviation_[c];
}

void Input::forward(const Pass &pass, i32 first, i32 count) {
  const i32 row = out->shape.width * out->shape.channels;
  for (i32 n = first; n < first + count; n++)
    for (i32 y = 0; y < out->shape.height; y++) {
      const usize at = (usize)n * (usize)out->shape.size() + (usize)(y * row);
      float *to = out->value.of(n) + y * out->value.row;
      if (pass.bytes) normalise(pass.bytes + at, to, 1.0f / 255);
      else normalise(pass.floats + at, to, 1.0f);
    }
}
