// Fully connected: the micro-batch is one matrix [vector][input], so that each weight is loaded once for all of it.
#include "layers.h"

bool FullyConnected::configure(Options &options, i32 labels) {
  is_label_layer = !options.has("units");
  units = labels;
  if (!is_label_layer && !options.integer("units", units, 1, 1 << 20)) return false;
  out->shape = {1, 1, units};
  return bias.reshape(options, 1, units) && weights.reshape(options, 2, units, inputs());
}

bool FullyConnected::absorb(Layer *next) {
  if (relu_ || !(next->type == span("relu"))) return false;
  return relu_ = true;
}

void FullyConnected::plan() {
  forward_panels_ = {.depth = inputs(), .columns = units};
  forward_panels_.data = ::plan<float>(forward_panels_.room());
  weight_sum_ = ::plan<float>((u64)units * (u64)padded_inputs());
  bias_values_ = ::plan<float>((u64)up_to(units, LANES));
  bias_sum_ = ::plan<float>((u64)up_to(units, LANES));
  flat_ = in->value;
  if (!in->value.border.none()) flat_.border = {}, flat_.plan(in->shape, batch);
  flat_at_ = ::plan<i32>((u64)batch);
  value_at_ = ::plan<i32>((u64)batch);
  if (!wants_input_gradient()) return;
  backward_panels_ = {.depth = units, .columns = inputs()};
  backward_panels_.data = ::plan<float>(backward_panels_.room());
  flat_gradient_ = in->gradient;
  if (!in->gradient.border.none()) flat_gradient_.border = {}, flat_gradient_.plan(in->shape, batch);
  flat_gradient_at_ = ::plan<i32>((u64)batch);
  gradient_at_ = ::plan<i32>((u64)batch);
}

void FullyConnected::start() {
  for (i32 n = 0; n < batch; n++) {
    flat_at_[n] = n * (i32)flat_.vector;
    value_at_[n] = n * (i32)out->value.vector;
    if (!wants_input_gradient()) continue;
    flat_gradient_at_[n] = n * (i32)flat_gradient_.vector;
    gradient_at_[n] = n * (i32)out->gradient.vector;
  }
}

void FullyConnected::initial(Seed seed, float *parameters) const {
  he_or_xavier(seed, parameters + weights.offset, inputs(), units, units, true);
}

void FullyConnected::adopt(const float *parameters) {
  const float *w = parameters + weights.offset;
  forward_panels_.pack([&](i32 k, i32 c) { return w[c * forward_panels_.depth + k]; });
  if (backward_panels_.data) backward_panels_.pack([&](i32 k, i32 c) { return w[k * forward_panels_.depth + c]; });
  copy(bias_values_, parameters + bias.offset, sizeof(float) * (usize)units);
}

void FullyConnected::forward(const Pass &, i32 first, i32 count) {
  if (flat_.data != in->value.data)
    for (i32 n = first; n < first + count; n++) copy_rows(in->shape, in->value, flat_, n, false);
  const Patch patch = {1, inputs(), 0};
  multiply({flat_.data, flat_at_ + first, out->value.data, value_at_ + first, count, patch}, forward_panels_,
           {bias_values_, relu_, false});
}

void FullyConnected::inspect(const Layer &, i32 n, float *to) { // before the relu
  const i32 at = 0;
  multiply({flat_.of(n), &at, to, &at, 1, {1, inputs(), 0}}, forward_panels_, {bias_values_});
}

void FullyConnected::output_gradient(i32 n) {
  float *d = out->gradient.of(n);
  const float *v = out->value.of(n);
  for (i32 o = 0; o < units; o++) {
    if (relu_ && !(v[o] > 0)) d[o] = 0;
    bias_sum_[o] += d[o];
  }
}

void FullyConnected::backward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) output_gradient(n);
  if (!frozen) // weights are [unit][input], so the roles change: rows are units, columns are inputs
    add_outer({.a = out->gradient.of(first), .patch = {1, units, 0}, .a_row = 0, .a_step = (i32)out->gradient.vector,
               .d = flat_.of(first), .d_row = 0, .d_step = (i32)flat_.vector, .height = 1, .width = count,
               .sum = weight_sum_, .columns = inputs()});
  if (!wants_input_gradient()) return;
  const bool direct = flat_gradient_.data == in->gradient.data;
  multiply({out->gradient.data, gradient_at_ + first, flat_gradient_.data, flat_gradient_at_ + first, count,
            {1, units, 0}}, backward_panels_, {.add = direct && adds});
  if (direct) return;
  for (i32 n = first; n < first + count; n++) copy_rows(in->shape, flat_gradient_, in->gradient, n, adds);
}

void FullyConnected::clear() {
  zero(weight_sum_, sizeof(float) * (usize)units * (usize)padded_inputs());
  zero(bias_sum_, sizeof(float) * (usize)units);
}

void FullyConnected::deliver(float *gradient) const {
  for (i32 o = 0; o < units; o++)
    copy(gradient + weights.offset + o * inputs(), weight_sum_ + o * padded_inputs(), sizeof(float) * (usize)inputs());
  copy(gradient + bias.offset, bias_sum_, sizeof(float) * (usize)units);
}
