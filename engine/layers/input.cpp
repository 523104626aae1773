// The input: pixels 0 … 255 (bytes) or 0 … 1 (floats) become (x − mean) / std, per channel. While training it can
// also shift, mirror and crop each vector, decided by (seed, iteration, key of the vector).
#include "layers.h"

bool Input::configure(Options &options, i32) {
  Shape &s = out->shape;
  if (!options.integer("width", s.width, 1, 1 << 12) || !options.integer("height", s.height, 1, 1 << 12)) return false;
  if (!options.integer("channels", s.channels, 1, MOST_CHANNELS)) return false;
  for (i32 c = 0; c < s.channels; c++) deviation_[c] = 1;
  if (!options.list("mean", mean_, s.channels) || !options.list("std", deviation_, s.channels)) return false;
  for (i32 c = 0; c < s.channels; c++)
    if (!(deviation_[c] > 0)) return options.wrong("std must be above 0");
  return options.pair("shift", shift_x_, shift_y_, 0, 1 << 12) && options.truth("flip", flip_) &&
         options.real("crop", crop_, 0.1, 1);
}

void Input::plan() {
  table_ = ::plan<float>(256 * (u64)out->shape.channels);
  if (augments()) plain_ = ::plan<float>((u64)out->shape.size());
}

void Input::start() {
  for (i32 c = 0; c < out->shape.channels; c++)
    for (i32 byte = 0; byte < 256; byte++) table_[c * 256 + byte] = normal((float)byte / 255, c);
}

void Input::normalise(const Pass &pass, i32 n, float *to, i32 row) const {
  const i32 channels = out->shape.channels;
  const i32 size = out->shape.width * channels;
  usize at = (usize)n * (usize)out->shape.size();
  for (i32 y = 0; y < out->shape.height; y++, to += row, at += (usize)size)
    if (pass.bytes) look_up(table_, pass.bytes + at, to, size, channels);
    else
      for (i32 i = 0; i < size; i++) to[i] = normal(pass.floats[at + (usize)i], i % channels);
}

void Input::forward(const Pass &pass, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++)
    if (pass.training && augments()) augment(pass, n);
    else normalise(pass, n, out->value.of(n), out->value.row);
}

// A straight line through the source: coordinate i of the result is read at start + i · step, between two pixels
struct Line {
  float start, step;
  i32 size;
};

// A window of a share between `crop` and 1 of the side, anywhere inside, then moved by whole pixels
static Line choose(i32 size, i32 shift, float share, u32 place, u32 move) {
  const float window = 1 + (float)(size - 1) * share;
  const i32 by = (i32)(unit(move) * (float)(2 * shift + 1)) - shift;
  return {((float)size - window) * unit(place) + (float)by, share, size};
}

// The pixel at a whole coordinate; outside is the mean, which is 0 after normalisation
static float pixel(const float *plain, Shape s, i32 y, i32 x, i32 c) {
  if (y < 0 || x < 0 || y >= s.height || x >= s.width) return 0;
  return plain[(y * s.width + x) * s.channels + c];
}

void Input::augment(const Pass &pass, i32 n) {
  const Shape s = out->shape;
  normalise(pass, n, plain_, s.width * s.channels);
  const Random4 a = random4(pass.seed, pass.keys[n], pass.iteration, 0, AUGMENTATION);
  const Random4 b = random4(pass.seed, pass.keys[n], pass.iteration, 1, AUGMENTATION);
  const float share = (float)(1 - (1 - crop_) * unit(a.word[0]));
  const bool mirror = flip_ && a.word[1] >> 31;
  const Line down = choose(s.height, shift_y_, share, b.word[0], b.word[1]);
  const Line across = choose(s.width, shift_x_, share, b.word[2], b.word[3]);
  for (i32 y = 0; y < s.height; y++)
    for (i32 x = 0; x < s.width; x++) {
      const float fy = down.start + (float)y * down.step;
      const float fx = across.start + (float)(mirror ? s.width - 1 - x : x) * across.step;
      const i32 top = (i32)__builtin_floorf(fy), left = (i32)__builtin_floorf(fx);
      const float v = fy - (float)top, u = fx - (float)left;
      float *to = out->value.of(n) + y * out->value.row + x * s.channels;
      for (i32 c = 0; c < s.channels; c++) {
        const float upper = pixel(plain_, s, top, left, c) * (1 - u) + pixel(plain_, s, top, left + 1, c) * u;
        const float lower = pixel(plain_, s, top + 1, left, c) * (1 - u) + pixel(plain_, s, top + 1, left + 1, c) * u;
        to[c] = upper * (1 - v) + lower * v;
      }
    }
}
