// The declarations of all layers but the convolution (conv.h). Each is defined in the file of its name.
#pragma once
#include "../kernels.h"
#include "../layer.h"

struct Input : Layer {
  static constexpr i32 MOST_CHANNELS = 64;
  bool configure(Options &, i32) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32, i32) override {}

private:
  template <class Pixel> void normalise(const Pixel *, float *to, float unit) const;
  float mean_[MOST_CHANNELS] = {}, deviation_[MOST_CHANNELS] = {};
};

struct MaxPool : Layer { // max_pool.cpp
  Window window;
  bool configure(Options &, i32) override;
  void plan() override;
  bool transparent() const override { return true; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;

private:
  i32 *winners_ = nullptr; // of each output: where in the input's gradient the largest came from
  void pool(i32 n, i32 y, i32 x);
};

struct FullyConnected : Layer { // fully_connected.cpp
  i32 units = 0;
  bool configure(Options &, i32 labels) override;
  void plan() override;
  void start() override;
  bool absorb(Layer *) override;
  bool is_dense() const override { return true; }
  void initial(Seed, float *) const override;
  void adopt(const float *) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
  void clear() override;
  void deliver(float *) const override;

private:
  bool relu_ = false;
  Panels forward_panels_, backward_panels_;
  float *bias_values_ = nullptr, *weight_sum_ = nullptr, *bias_sum_ = nullptr;
  Grid flat_, flat_gradient_; // the input and its gradient without a border
  i32 *value_at_ = nullptr, *flat_at_ = nullptr, *flat_gradient_at_ = nullptr, *gradient_at_ = nullptr;

  i32 inputs() const { return in->shape.size(); }
  i32 padded_inputs() const { return up_to(inputs(), LANES); }
  void output_gradient(i32 n);
};

struct Relu : Layer { // activation.cpp
  bool configure(Options &, i32) override;
  Follower follows() const override { return RECTIFIED; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
};

struct Softmax : Loss { // loss.cpp
  bool configure(Options &, i32 labels) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
  double loss_of(const float *outputs, i32 label) const override;
};
