#pragma once
#include "layers.h"

struct Conv;

// The gradient of the input of a convolution with steps > 1 falls into step_y × step_x phases: the pixels that meet the
// same taps of the kernel. Each is a plain convolution of the output's gradient with those taps, mirrored.
struct Phase {
  i32 y, x;           // the first such pixel
  i32 tap_y, tap_x;   // the first tap of the kernel that they meet
  i32 taps_y, taps_x; // how many
  i32 first, count;   // of the positions
  Panels panels;
};

// What a convolution does when it is computed together with the max pooling that follows: conv_pool.cpp
class ConvPool {
public:
  static bool pays(const Conv &, const MaxPool &);
  void take(Conv *conv, const MaxPool *pool) { conv_ = conv, pool_ = pool; }
  explicit operator bool() const { return pool_; }
  void plan();
  void start();
  void adopt(const float *weights);
  void forward(i32 n);
  void backward(i32 n);
  void clear();
  void deliver(float *weights) const;

private:
  Conv *conv_ = nullptr;
  const MaxPool *pool_ = nullptr;
  bool fused_ = false;         // windows neither overlap nor leave the plane
  i32 *in_at_ = nullptr;       // [window][area]
  i32 *out_at_ = nullptr;      // of each window
  u8 *winners_ = nullptr;      // [vector][window][filters in whole vectors], 0 … area − 1; area: none
  i32 *marks_ = nullptr;       // of one window, where it is not fused
  float *dense_ = nullptr;     // one vector's plane before pooling, where it is not fused
  i32 *list_at_ = nullptr;       // of one filter: where in the input its winners read,
  float *list_factor_ = nullptr; // and their gradients
  i32 *group_at_ = nullptr, *group_count_ = nullptr; // of one window: its filters by winner
  float *group_factor_ = nullptr;
  float *weights_ = nullptr, *weight_sum_ = nullptr; // [filter][kernel_y][run]
  Grid spread_;                                      // the input's gradient, one vector's, with its border

  i32 area() const;
  i32 windows() const;
  i32 run() const; // floats of one row of the kernel, in whole vectors
  i32 filter_room() const;
  i32 list_winners(i32 n, i32 filter);
  void weight_gradient(i32 n);
  void input_gradient(i32 n);
  const float *gradient(i32 n, i32 window) const;
  void pool_plane(i32 n, i32 window);
  void window_gradient(i32 window, const float *d, const u8 *winner);
};

struct Conv : Layer {
  i32 filters = 0;
  Window window;

  bool configure(Options &, i32 labels) override;
  void borders() override;
  void plan() override;
  void start() override;
  bool absorb(Layer *) override;
  void initial(Seed, float *) const override;
  void adopt(const float *) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
  void clear() override;
  void deliver(float *) const override;
  void inspect(const Layer &, i32 n, float *to) override;

private:
  friend class ConvPool;
  bool relu_ = false;
  ConvPool pool_;
  Panels panels_;
  Phase *phases_ = nullptr;
  i32 phase_count_ = 0;
  float *bias_values_ = nullptr, *weight_sum_ = nullptr, *bias_sum_ = nullptr;
  i32 *in_at_ = nullptr, *out_at_ = nullptr;               // of each output position
  i32 *gradient_at_ = nullptr, *in_gradient_at_ = nullptr; // of each input position, phase by phase

  Shape plane() const { return out_room.shape; } // the convolution's own output, before pooling
  i32 positions() const { return plane().height * plane().width; }
  i32 padded_filters() const { return up_to(filters, LANES); }
  Patch patch() const { return {window.height, window.width * in->shape.channels, in->value.row}; }
  i32 corner_at() const { return -window.pad_y * in->value.row - window.pad_x * in->shape.channels; }
  float *corner(i32 n) const { return in->value.of(n) + corner_at(); } // the first pixel of the first window
  void make_phases();
  i32 start_phase(const Phase &, i32 *from, i32 *to) const;
  void output_gradient(i32 n); // relu's mask, and the bias
  void weight_gradient(i32 n);
  void input_gradient(i32 n, const Phase &);
};
