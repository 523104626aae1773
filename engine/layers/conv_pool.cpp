// A convolution and the max pooling after it in one go. Forward, what does not win is not stored. Backward, at most one
// position of each window and filter has a gradient (none where relu is dead): instead of a plane of mostly zeros, lists
// of winners are multiplied. Exact, and 1.2–2 × as fast over the whole network.
#include "conv.h"

// When overlapping windows have so many winners that the lists are no shorter than the plane, it does not
bool ConvPool::pays(const Conv &conv, const MaxPool &pool) {
  const Window &w = pool.window;
  const Shape s = pool.out_room.shape, plane = conv.out_room.shape;
  const i32 area = w.width * w.height;
  if ((s.width - 1) * w.step_x - w.pad_x >= plane.width || (s.height - 1) * w.step_y - w.pad_y >= plane.height)
    return false; // rounding has put a window wholly outside
  return area >= LEAST_POOLED_AREA && area <= LARGEST_POOLED_AREA && s.height * s.width * 5 <= plane.height * plane.width * 2;
}

i32 ConvPool::area() const { return pool_->window.width * pool_->window.height; }
i32 ConvPool::windows() const { return conv_->out->shape.height * conv_->out->shape.width; }
i32 ConvPool::run() const { return up_to(conv_->window.width * conv_->in->shape.channels, LANES); }
i32 ConvPool::filter_room() const { return conv_->window.height * run(); }

void ConvPool::plan() {
  const Window &w = pool_->window;
  const Shape plane = conv_->plane(), out = conv_->out->shape;
  fused_ = w.step_x == w.width && w.step_y == w.height && !w.pad_x && !w.pad_y && out.width * w.width <= plane.width &&
           out.height * w.height <= plane.height;
  const u64 filters = (u64)conv_->filters;
  in_at_ = ::plan<i32>((u64)windows() * (u64)area() + 1);
  out_at_ = ::plan<i32>((u64)windows());
  winners_ = ::plan<u8>((u64)windows() * (u64)conv_->padded_filters() * (u64)conv_->batch);
  if (!fused_) dense_ = ::plan<float>((u64)plane.size() + SLACK), marks_ = ::plan<i32>((u64)conv_->padded_filters());
  list_at_ = ::plan<i32>((u64)windows() + 1);
  list_factor_ = ::plan<float>((u64)windows() + 1);
  weight_sum_ = ::plan<float>(filters * (u64)filter_room());
  if (!conv_->wants_input_gradient()) return;
  group_at_ = ::plan<i32>(filters * (u64)(area() + 1));
  group_factor_ = ::plan<float>(filters * (u64)(area() + 1));
  group_count_ = ::plan<i32>((u64)area() + 1);
  weights_ = ::plan<float>(filters * (u64)filter_room());
  spread_.border = conv_->in->value.border;
  spread_.plan(conv_->in->shape, 1);
}

void ConvPool::start() {
  const Shape out = conv_->out->shape, plane = conv_->plane();
  const Window &w = pool_->window;
  i32 *at = in_at_;
  for (i32 y = 0; y < out.height; y++)
    for (i32 x = 0; x < out.width; x++) {
      out_at_[y * out.width + x] = y * conv_->out->value.row + x * conv_->filters;
      for (i32 i = 0; i < area(); i++) { // members outside never win; their places are any
        const i32 v = least(most(y * w.step_y - w.pad_y + i / w.width, 0), plane.height - 1);
        const i32 u = least(most(x * w.step_x - w.pad_x + i % w.width, 0), plane.width - 1);
        *at++ = conv_->in_at_[v * plane.width + u];
      }
    }
}

// The weights with the filter outermost: what one winner adds to the input's gradient lies together
void ConvPool::adopt(const float *w) {
  const i32 length = conv_->patch().length, filters = conv_->filters;
  for (i32 f = 0; weights_ && f < filters; f++)
    for (i32 y = 0; y < conv_->window.height; y++)
      for (i32 j = 0; j < length; j++)
        weights_[f * filter_room() + y * run() + j] = w[(y * length + j) * filters + f];
}

void ConvPool::forward(i32 n) {
  Conv &c = *conv_;
  const Finish finish = {c.bias_values_, c.relu_};
  u8 *winners = winners_ + n * windows() * c.padded_filters();
  if (fused_)
    return multiply_and_pool({c.corner(n), in_at_, area(), windows(), c.patch(), c.out->value.of(n), out_at_, winners},
                             c.panels_, finish);
  multiply({c.corner(n), c.in_at_, dense_, c.out_at_, c.positions(), c.patch()}, c.panels_, finish);
  for (i32 w = 0; w < windows(); w++) pool_plane(n, w);
}

void ConvPool::pool_plane(i32 n, i32 w) {
  const Conv &c = *conv_;
  const Window &window = pool_->window;
  const i32 y = w / c.out->shape.width, x = w % c.out->shape.width;
  const i32 first = (y * window.step_y - window.pad_y) * window.width + (x * window.step_x - window.pad_x);
  const auto [y0, y1, x0, x1] = window.area(y, x, c.plane());
  float *out = c.out->value.of(n) + out_at_[w];
  pool({dense_, c.plane().width * c.filters, c.filters, y0, y1, x0, x1, -first, window.width, 1}, out, marks_);
  u8 *winner = winners_ + (n * windows() + w) * c.padded_filters();
  for (i32 f = 0; f < c.filters; f++) winner[f] = (u8)(c.relu_ && !(out[f] > 0) ? area() : marks_[f]);
}

const float *ConvPool::gradient(i32 n, i32 w) const {
  const Tensor &out = *conv_->out;
  return out.gradient.of(n) + w / out.shape.width * out.gradient.row + w % out.shape.width * conv_->filters;
}

void ConvPool::backward(i32 n) {
  if (!conv_->frozen) weight_gradient(n);
  if (conv_->wants_input_gradient()) input_gradient(n);
}

i32 ConvPool::list_winners(i32 n, i32 filter) {
  const Tensor &out = *conv_->out;
  const u8 *winner = winners_ + n * windows() * conv_->padded_filters() + filter;
  return ::list_winners({winner, in_at_, out.gradient.of(n) + filter, area(), conv_->padded_filters(), area(),
                         conv_->filters, out.gradient.row, out.shape.height, out.shape.width, list_at_, list_factor_});
}

void ConvPool::weight_gradient(i32 n) {
  const Conv &c = *conv_;
  for (i32 f = 0; f < c.filters; f++) {
    const i32 count = list_winners(n, f);
    c.bias_sum_[f] += total(list_factor_, count);
    add_combination({c.corner(n), list_at_, list_factor_, count, c.in->value.row, weight_sum_ + f * filter_room(), run(),
                     c.window.height, run() / LANES});
  }
}

void ConvPool::input_gradient(i32 n) {
  const Conv &c = *conv_;
  const u8 *winner = winners_ + n * windows() * c.padded_filters();
  const Border b = spread_.border;
  float *start = spread_.data - b.top * spread_.row - b.left * c.in->shape.channels;
  zero(start, sizeof(float) * (usize)((b.top + c.in->shape.height + b.bottom) * spread_.row));
  for (i32 w = 0; w < windows(); w++, winner += c.padded_filters()) window_gradient(w, gradient(n, w), winner);
  copy_rows(c.in->shape, spread_, c.in->gradient, n, c.adds); // spread_ is the same room for every n
}

// Sort the filters of one window by the position that won, and let each position add its filters' weights in one go
void ConvPool::window_gradient(i32 w, const float *d, const u8 *winner) {
  const Conv &c = *conv_;
  zero(group_count_, sizeof(i32) * (usize)(area() + 1));
  for (i32 f = 0; f < c.filters; f++) {
    const i32 at = winner[f] * c.filters + group_count_[winner[f]]++; // the last group is of the dead
    group_at_[at] = f * filter_room();
    group_factor_[at] = d[f];
  }
  for (i32 r = 0; r < area(); r++)
    if (group_count_[r])
      add_combination({weights_, group_at_ + r * c.filters, group_factor_ + r * c.filters, group_count_[r], run(),
                       spread_.data + c.corner_at() + in_at_[w * area() + r], c.in->value.row, c.window.height,
                       run() / LANES});
}

void ConvPool::clear() { zero(weight_sum_, sizeof(float) * (usize)(conv_->filters * filter_room())); }

void ConvPool::deliver(float *weights) const {
  const i32 length = conv_->patch().length, filters = conv_->filters;
  for (i32 f = 0; f < filters; f++)
    for (i32 y = 0; y < conv_->window.height; y++)
      for (i32 j = 0; j < length; j++)
        weights[(y * length + j) * filters + f] = weight_sum_[f * filter_room() + y * run() + j];
}
