#pragma once
#include "../kernels.h"
#include "../layer.h"

// The gradient of the input of a convolution with steps > 1 falls into step_y × step_x phases: the pixels that meet the
// same taps of the kernel. Each is a plain convolution of the output's gradient with those taps, mirrored.
struct Phase {
  i32 y, x;           // the first such pixel
  i32 tap_y, tap_x;   // the first tap of the kernel that they meet
  i32 taps_y, taps_x; // how many
  i32 first, count;   // of the positions
  Panels panels;
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

private:
  bool relu_ = false;
  Panels panels_;
  Phase *phases_ = nullptr;
  i32 phase_count_ = 0;
  float *bias_values_ = nullptr, *weight_sum_ = nullptr, *bias_sum_ = nullptr;
  i32 *in_at_ = nullptr, *out_at_ = nullptr;             // of each output position
  i32 *gradient_at_ = nullptr, *in_gradient_at_ = nullptr; // of each input position, phase by phase

  i32 padded_filters() const { return up_to(filters, LANES); }
  Patch patch() const { return {window.height, window.width * in->shape.channels, in->value.row}; }
  float *corner(i32 n) const; // the first pixel of the first window, in the border where there is padding
  void make_phases();
  i32 start_phase(const Phase &, i32 *from, i32 *to) const;
  void output_gradient(i32 n); // relu's mask, and the bias
  void input_gradient(i32 n, const Phase &);
};
