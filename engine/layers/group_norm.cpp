// Group normalisation (Wu and He 2018): the values of a group of channels, over all pixels of one vector, get mean 0
// and variance 1, then a gain (the weights) and a shift (the bias) per channel. One group is layer normalisation.
#include "layers.h"

constexpr double EPSILON = 1e-5;

bool GroupNorm::configure(Options &options, i32) {
  out->shape = in->shape;
  if (!options.integer("groups", groups, 1, 1 << 16)) return false;
  if (in->shape.channels % groups)
    return options.wrong() << in->shape.channels << " channels cannot be divided into " << groups << " groups", false;
  return weights.reshape(options, 1, in->shape.channels) && bias.reshape(options, 1, in->shape.channels);
}

void GroupNorm::plan() {
  moments_ = ::plan<Moments>((u64)groups * (u64)batch);
  gain_sum_ = ::plan<float>((u64)in->shape.channels);
  shift_sum_ = ::plan<float>((u64)in->shape.channels);
}

void GroupNorm::initial(Seed, float *parameters) const {
  for (i32 c = 0; c < weights.size; c++) parameters[weights.offset + c] = 1;
}

void GroupNorm::adopt(const float *parameters) {
  gain_ = parameters + weights.offset;
  shift_ = parameters + bias.offset;
}

GroupNorm::Moments GroupNorm::measure(i32 n, i32 group) const {
  const Shape s = in->shape;
  const double count = (double)s.height * s.width * width();
  double mean = 0, variance = 0;
  for (i32 pass = 0; pass < 2; pass++) {
    double sum = 0;
    for (i32 y = 0; y < s.height; y++)
      for (i32 x = 0; x < s.width; x++)
        for (i32 c = group * width(); c < (group + 1) * width(); c++) {
          const double value = in->value.of(n)[y * in->value.row + x * s.channels + c] - mean;
          sum += pass ? value * value : value;
        }
    (pass ? variance : mean) = sum / count;
  }
  return {(float)mean, (float)(1 / __builtin_sqrt(variance + EPSILON))};
}

void GroupNorm::forward(const Pass &, i32 first, i32 count) {
  const Shape s = in->shape;
  for (i32 n = first; n < first + count; n++) {
    for (i32 g = 0; g < groups; g++) moments_[n * groups + g] = measure(n, g);
    for (i32 y = 0; y < s.height; y++)
      for (i32 x = 0; x < s.width; x++)
        for (i32 c = 0; c < s.channels; c++) {
          const Moments m = moments_[n * groups + c / width()];
          const float value = in->value.of(n)[y * in->value.row + x * s.channels + c];
          out->value.of(n)[y * out->value.row + x * s.channels + c] = (value - m.mean) * m.scale * gain_[c] + shift_[c];
        }
  }
}

void GroupNorm::sum_parameters(i32 n) {
  const Shape s = in->shape;
  for (i32 c = 0; c < s.channels; c++) {
    const Moments m = moments_[n * groups + c / width()];
    double gain = 0, shift = 0;
    for (i32 y = 0; y < s.height; y++)
      for (i32 x = 0; x < s.width; x++) {
        const float d = out->gradient.of(n)[y * out->gradient.row + x * s.channels + c];
        shift += d;
        gain += d * ((in->value.of(n)[y * in->value.row + x * s.channels + c] - m.mean) * m.scale);
      }
    gain_sum_[c] += (float)gain;
    shift_sum_[c] += (float)shift;
  }
}

// dx = scale · (d − mean(d) − x̂ · mean(d · x̂)), with d the gradient times the gain and x̂ the normalised value
void GroupNorm::input_gradient(i32 n, i32 group) {
  const Shape s = in->shape;
  const Moments m = moments_[n * groups + group];
  const double count = (double)s.height * s.width * width();
  double mean = 0, along = 0;
  for (i32 pass = 0; pass < 2; pass++)
    for (i32 y = 0; y < s.height; y++)
      for (i32 x = 0; x < s.width; x++)
        for (i32 c = group * width(); c < (group + 1) * width(); c++) {
          const double normal = (in->value.of(n)[y * in->value.row + x * s.channels + c] - m.mean) * m.scale;
          const double d = (double)out->gradient.of(n)[y * out->gradient.row + x * s.channels + c] * gain_[c];
          float &to = in->gradient.of(n)[y * in->gradient.row + x * s.channels + c];
          if (pass) to = (float)(m.scale * (d - mean - normal * along)) + (adds ? to : 0);
          else mean += d / count, along += d * normal / count;
        }
}

void GroupNorm::backward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) {
    if (!frozen) sum_parameters(n);
    for (i32 g = 0; wants_input_gradient() && g < groups; g++) input_gradient(n, g);
  }
}

void GroupNorm::clear() {
  zero(gain_sum_, sizeof(float) * (usize)in->shape.channels);
  zero(shift_sum_, sizeof(float) * (usize)in->shape.channels);
}

void GroupNorm::deliver(float *gradient) const {
  copy(gradient + weights.offset, gain_sum_, sizeof(float) * (usize)in->shape.channels);
  copy(gradient + bias.offset, shift_sum_, sizeof(float) * (usize)in->shape.channels);
}
