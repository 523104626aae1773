// Convolution: every window is multiplied in place (kernels.h), forward with the weights, backward with the mirrored
// weights over the output's gradient. A relu that follows is done in the same go, and so is a max pooling (conv_pool.cpp).
#include "conv.h"

bool Conv::configure(Options &options, i32 labels) {
  is_label_layer = !options.has("filters");
  filters = labels;
  if (!is_label_layer && !options.integer("filters", filters, 1, 1 << 16)) return false;
  if (!window.read(options, "kernel", false) || !window.fit(options, in->shape, out->shape)) return false;
  out->shape.channels = filters;
  return bias.reshape(options, 1, filters) &&
         weights.reshape(options, 4, window.height, window.width, in->shape.channels, filters);
}

bool Conv::absorb(Layer *next) {
  if (pool_) return false;
  if (!relu_ && next->type == span("relu")) return relu_ = true;
  if (!(next->type == span("max_pool")) || !ConvPool::pays(*this, *(MaxPool *)next)) return false;
  pool_.take(this, (MaxPool *)next);
  return true;
}

// The taps that the pixels of input row (or column) i meet: from `tap`, every `step`, of output `last` and those before
static i32 tap_of(i32 i, i32 pad, i32 step) { return (i + pad) % step; }
static i32 taps_of(i32 tap, i32 kernel, i32 step) { return tap < kernel ? (kernel - tap + step - 1) / step : 0; }

static void gradient_border(i32 size, i32 outputs, i32 kernel, i32 step, i32 pad, i32 &before, i32 &after) {
  for (i32 i = 0; i < size; i++) {
    i32 last = (i + pad) / step, taps = taps_of(tap_of(i, pad, step), kernel, step);
    if (!taps) continue;
    before = most(before, taps - 1 - last);
    after = most(after, last - (outputs - 1));
  }
}

void Conv::borders() {
  in->value.border.hold(window.border(in->shape, plane()));
  if (!wants_input_gradient() || pool_) return;
  Border b;
  gradient_border(in->shape.height, plane().height, window.height, window.step_y, window.pad_y, b.top, b.bottom);
  gradient_border(in->shape.width, plane().width, window.width, window.step_x, window.pad_x, b.left, b.right);
  out->gradient.border.hold(b);
  make_phases();
}

void Conv::make_phases() {
  const i32 down = least(window.step_y, in->shape.height), across = least(window.step_x, in->shape.width);
  phase_count_ = down * across;
  phases_ = make<Phase>(phase_count_);
  for (i32 i = 0; i < phase_count_; i++) {
    Phase &p = phases_[i];
    p.y = i / across, p.x = i % across;
    p.tap_y = tap_of(p.y, window.pad_y, window.step_y);
    p.tap_x = tap_of(p.x, window.pad_x, window.step_x);
    p.taps_y = taps_of(p.tap_y, window.height, window.step_y);
    p.taps_x = taps_of(p.tap_x, window.width, window.step_x);
    p.panels = {.depth = p.taps_y * p.taps_x * filters, .columns = in->shape.channels};
  }
}

void Conv::plan() {
  const u64 pixels = (u64)in->shape.height * (u64)in->shape.width;
  panels_ = {.depth = patch().depth(), .columns = filters};
  panels_.data = ::plan<float>(panels_.room());
  bias_values_ = ::plan<float>((u64)padded_filters());
  bias_sum_ = ::plan<float>((u64)padded_filters());
  in_at_ = ::plan<i32>((u64)positions());
  out_at_ = ::plan<i32>((u64)positions());
  if (pool_) return pool_.plan();
  weight_sum_ = ::plan<float>(panels_.room());
  if (!phase_count_) return;
  gradient_at_ = ::plan<i32>(pixels);
  in_gradient_at_ = ::plan<i32>(pixels);
  for (i32 i = 0; i < phase_count_; i++) phases_[i].panels.data = ::plan<float>(phases_[i].panels.room());
}

void Conv::start() {
  i32 n = 0;
  for (i32 y = 0; y < plane().height; y++)
    for (i32 x = 0; x < plane().width; x++, n++) {
      in_at_[n] = y * window.step_y * in->value.row + x * window.step_x * in->shape.channels;
      out_at_[n] = y * (pool_ ? plane().width * filters : out->value.row) + x * filters;
    }
  if (pool_) return pool_.start();
  n = 0;
  for (i32 i = 0; i < phase_count_; i++) {
    phases_[i].first = n;
    n += start_phase(phases_[i], gradient_at_ + n, in_gradient_at_ + n);
    phases_[i].count = n - phases_[i].first;
  }
}

// List the pixels of a phase: where its taps begin in the output's gradient, and where the result belongs
i32 Conv::start_phase(const Phase &p, i32 *from, i32 *to) const {
  i32 n = 0;
  for (i32 y = p.y; y < in->shape.height; y += window.step_y)
    for (i32 x = p.x; x < in->shape.width; x += window.step_x, n++) {
      const i32 top = (y + window.pad_y) / window.step_y - (p.taps_y - 1);
      const i32 left = (x + window.pad_x) / window.step_x - (p.taps_x - 1);
      from[n] = p.panels.depth ? top * out->gradient.row + left * filters : 0;
      to[n] = y * in->gradient.row + x * in->shape.channels;
    }
  return n;
}

void Conv::initial(Seed seed, float *parameters) const {
  const i32 taps = window.height * window.width;
  he_or_xavier(seed, parameters + weights.offset, taps * in->shape.channels, taps * filters, filters, false);
}

void Conv::adopt(const float *parameters) {
  const float *w = parameters + weights.offset;
  panels_.pack([&](i32 k, i32 c) { return w[k * filters + c]; });
  copy(bias_values_, parameters + bias.offset, sizeof(float) * (usize)filters);
  if (pool_) return pool_.adopt(w);
  for (i32 i = 0; i < phase_count_; i++) {
    Phase &p = phases_[i];
    p.panels.pack([&](i32 k, i32 channel) {
      const i32 filter = k % filters, u = k / filters;
      const i32 y = p.tap_y + window.step_y * (p.taps_y - 1 - u / p.taps_x);
      const i32 x = p.tap_x + window.step_x * (p.taps_x - 1 - u % p.taps_x);
      return w[((y * window.width + x) * in->shape.channels + channel) * filters + filter];
    });
  }
}

void Conv::forward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++)
    if (pool_) pool_.forward(n);
    else multiply({corner(n), in_at_, out->value.of(n), out_at_, positions(), patch()}, panels_, {bias_values_, relu_});
}

// For those who look inside: what lies before a relu or a pooling that is computed in the same go
void Conv::inspect(const Layer &layer, i32 n, float *to) {
  const i32 width = plane().width;
  for (i32 y = 0; y < plane().height; y++, to += width * filters) // the first row's places fit every row
    multiply({corner(n), in_at_ + y * width, to, out_at_, width, patch()}, panels_, {bias_values_, &layer != this});
}

void Conv::backward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) {
    if (pool_) {
      pool_.backward(n);
      continue;
    }
    output_gradient(n);
    if (!frozen) weight_gradient(n);
    for (i32 i = 0; i < phase_count_; i++) input_gradient(n, phases_[i]);
  }
}

void Conv::weight_gradient(i32 n) {
  const i32 a_row = window.step_y * in->value.row, a_step = window.step_x * in->shape.channels;
  add_outer({corner(n), patch(), a_row, a_step, out->gradient.of(n), out->gradient.row, filters, plane().height,
             plane().width, weight_sum_, filters});
}

void Conv::input_gradient(i32 n, const Phase &p) {
  const Patch patch = {p.taps_y, p.taps_x * filters, out->gradient.row};
  const i32 *from = gradient_at_ + p.first, *to = in_gradient_at_ + p.first;
  multiply({out->gradient.of(n), from, in->gradient.of(n), to, p.count, patch}, p.panels, {.add = adds});
}

void Conv::output_gradient(i32 n) {
  const i32 whole = filters / LANES * LANES;
  for (i32 y = 0; y < out->shape.height; y++) {
    float *d = out->gradient.of(n) + y * out->gradient.row;
    const float *v = out->value.of(n) + y * out->value.row;
    for (i32 x = 0; x < out->shape.width; x++, d += filters, v += filters) {
      for (i32 c = 0; c < whole; c += LANES) {
        v4 g = load(d + c);
        if (relu_) store(d + c, g = (v4)((i4)g & (load(v + c) > splat(0.0f))));
        store(bias_sum_ + c, load(bias_sum_ + c) + g);
      }
      for (i32 c = whole; c < filters; c++) {
        if (relu_ && !(v[c] > 0)) d[c] = 0;
        bias_sum_[c] += d[c];
      }
    }
  }
}

void Conv::clear() {
  zero(bias_sum_, sizeof(float) * (usize)padded_filters());
  if (pool_) return pool_.clear();
  zero(weight_sum_, sizeof(float) * (usize)panels_.room());
}

void Conv::deliver(float *gradient) const {
  copy(gradient + bias.offset, bias_sum_, sizeof(float) * (usize)filters);
  if (pool_) return pool_.deliver(gradient + weights.offset);
  for (i32 k = 0; k < panels_.depth; k++)
    copy(gradient + weights.offset + k * filters, weight_sum_ + k * padded_filters(), sizeof(float) * (usize)filters);
}
