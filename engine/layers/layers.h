// The declarations of all layers but the convolution (conv.h). Each is defined in the file that its comment names.
#pragma once
#include "../kernels/kernels.h"
#include "../layer.h"

struct Input : Layer { // input.cpp
  static constexpr i32 MOST_CHANNELS = 1024;
  bool configure(Options &, i32) override;
  void plan() override;
  void start() override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32, i32) override {}

private:
  float normal(float pixel, i32 c) const { return (pixel - mean_[c]) / deviation_[c]; }
  void normalise(const Pass &, i32 n, float *to, i32 row) const;
  void augment(const Pass &, i32 n);
  bool augments() const { return shift_x_ || shift_y_ || flip_ || crop_ < 1; }
  float mean_[MOST_CHANNELS] = {}, deviation_[MOST_CHANNELS] = {};
  i32 shift_x_ = 0, shift_y_ = 0;
  bool flip_ = false;
  double crop_ = 1;
  float *table_ = nullptr; // [channel][byte]: its normal value
  float *plain_ = nullptr; // one vector before augmentation
};

// A layer that treats every value by itself; defined in activation.cpp
template <class Function> struct Pointwise : Layer {
  Function function;
  bool configure(Options &, i32) override;
  Follower follows() const override { return Function::follower; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
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
};

struct AveragePool : Layer { // average_pool.cpp
  Window window;
  bool configure(Options &, i32) override;
  bool transparent() const override { return true; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
};

struct GlobalAveragePool : AveragePool { // average_pool.cpp: the window is the whole input
  bool configure(Options &, i32) override;
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
  void inspect(const Layer &, i32 n, float *to) override;

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

struct Maxout : Layer { // maxout.cpp
  i32 groups = 2;
  bool configure(Options &, i32) override;
  void plan() override;
  Follower follows() const override { return RECTIFIED; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;

private:
  u8 *winners_ = nullptr;
};

struct Dropout : Layer { // dropout.cpp
  double rate = 0.5;
  bool configure(Options &, i32) override;
  void plan() override;
  bool transparent() const override { return true; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;

private:
  float *scales_ = nullptr; // of each value: 0, or 1 / (1 − rate)
};

struct GroupNorm : Layer { // group_norm.cpp
  i32 groups = 1;
  bool configure(Options &, i32) override;
  void plan() override;
  bool transparent() const override { return true; }
  void initial(Seed, float *) const override;
  void adopt(const float *) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
  void clear() override;
  void deliver(float *) const override;

private:
  struct Moments {
    float mean, scale; // scale: 1 / standard deviation
  };
  Moments *moments_ = nullptr; // of each vector and group
  const float *gain_ = nullptr, *shift_ = nullptr;
  float *gain_sum_ = nullptr, *shift_sum_ = nullptr;

  i32 width() const { return in->shape.channels / groups; } // channels of a group
  Moments measure(i32 n, i32 group) const;
  void sum_parameters(i32 n);
  void input_gradient(i32 n, i32 group);
};

struct Add : Layer { // add.cpp
  bool configure(Options &, i32) override;
  bool transparent() const override { return true; }
  Tensor *second_input() override { return second_; }
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;

private:
  Tensor *second_ = nullptr;
  void give(i32 n, const Tensor &to, bool add) const;
};

struct Softmax : Loss { // loss.cpp
  bool configure(Options &, i32 labels) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
  double loss_of(const float *outputs, i32 label) const override;
};

struct SquaredError : Loss { // loss.cpp
  bool configure(Options &, i32 labels) override;
  void forward(const Pass &, i32 first, i32 count) override;
  void backward(const Pass &, i32 first, i32 count) override;
  double loss_of(const float *outputs, i32 label) const override;
};
