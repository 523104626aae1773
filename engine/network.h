// A network: the list of layers, the plan of its memory, and what one can ask of it.
#pragma once
#include "layer.h"

class Network {
public:
  // Read a spec (its text is changed) and plan the memory; false: `text` holds a sentence. Nothing is allocated yet.
  bool describe(char *spec, i32 size, i32 labels, i32 batch);
  bool allocate(); // false: `text` holds a sentence
  void report();   // write what the network is and where its buffers are into `text`, as JSON

  void initial(Seed); // values into vector
  bool load();        // vector becomes the parameters; false: a value is not finite, and nothing changed
  void clear();       // the gradient sum
  bool gradient(Pass, i32 count);     // add; false (and nothing added): a pixel, a label or the loss is wrong
  bool evaluate(Pass, i32 count);     // loss and wrong
  bool probabilities(Pass, i32 count); // into outputs
  bool activations(i32 layer, Pass, i32 count); // into outputs
  void save(); // the gradient sum into vector

  // Local steps: SGD with momentum on the parameters themselves, then the way that they went
  void begin_local();
  bool local_step(i32 count, float rate, float momentum, float l2); // with the gradient sum, which it clears
  void local_difference();                                         // into vector

  Text text;
  float *vector = nullptr; // parameters on their way in, gradients on their way out
  float *outputs = nullptr;
  u8 *pixels = nullptr; // or floats
  i32 *labels = nullptr;
  u32 *keys = nullptr;
  double loss() const { return last_->loss; }
  i32 wrong() const { return last_->wrong; }

private:
  static constexpr i32 MOST_LAYERS = 256;

  bool read_layers(const Json &);
  bool read_layer(const Json &);
  bool connect(Layer &);
  bool check_labels();
  bool check_input(const Pass &, i32 count);
  bool check_finite(const float *, i32 size, const char *what);
  void step_block(const Block &, float scale, float rate, float momentum, float l2);
  bool check_block(const Block &, Span layer, const char *kind);
  void name_layer(const Json &, Layer &);
  void find_followers();
  void fuse();
  void find_gradients();
  void plan();
  void plan_grids();
  void adopt();
  usize bytes() const { return sizeof(float) * (usize)parameter_count_; }
  void forward(const Pass &, i32 count);
  void backward(const Pass &, i32 count);
  i32 first_dense() const; // layers before it work vector by vector
  void report_blocks();
  void report_block(const Layer &, const Block &, const char *suffix, bool &first);

  Layer *layers_[MOST_LAYERS] = {};
  float *parameters_ = nullptr, *start_ = nullptr, *velocity_ = nullptr;
  i32 count_ = 0, parameter_count_ = 0, labels_count_ = 0, batch_ = 0, outputs_size_ = 0;
  Loss *last_ = nullptr;
};
