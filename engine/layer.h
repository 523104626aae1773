// What a layer is. One file per layer under layers/, forward and backward side by side; docs/engine.md shows how to add
// one. A layer reads `in` and writes `out`; both know their geometry. Life of a layer:
//   configure (options -> shape, parameters) -> borders -> plan (memory) -> start -> adopt, forward, backward, deliver …
#pragma once
#include "json.h"
#include "random.h"
#include "tensor.h"

// The options of one layer in the spec; every read marks its key, so that a misspelt one is noticed.
class Options {
public:
  Options(const Json &spec, Span name, Text &problem) : spec_(spec), name_(name), problem_(problem) {}

  bool integer(const char *key, i32 &value, i32 lowest, i32 highest);   // false: a problem was written
  bool pair(const char *key, i32 &x, i32 &y, i32 lowest, i32 highest);  // one number, or [width, height]
  bool real(const char *key, double &value, double lowest, double highest);
  bool truth(const char *key, bool &value);
  bool text(const char *key, Span &value);
  bool list(const char *key, float *values, i32 count); // one number for all, or `count` of them
  bool has(const char *key) const { return spec_.get(key) != nullptr; }
  bool no_more(); // false when the spec has keys that nothing read

  Text &wrong() { return problem_ << name_ << ": "; } // begin a sentence about this layer
  bool wrong(const char *sentence) { return wrong() << sentence, false; }

private:
  const Json *take(const char *key);
  bool number(const Json *from, const char *key, double &value, double lowest, double highest);
  const Json &spec_;
  Span name_;
  Text &problem_;
  const char *taken_[24] = {"type"};
  i32 taken_count_ = 1;
};

struct Area {
  i32 y0, y1, x0, x1; // from 0 up to, not including, 1
};

// A window that slides over the input: the kernel of a convolution, the area of a pool
struct Window {
  i32 width = 0, height = 0, step_x = 1, step_y = 1, pad_x = 0, pad_y = 0;
  bool round = false; // the last window may run over the edge (as in the prototype of 2015)

  bool read(Options &options, const char *size_key, bool step_is_size);
  bool fit(Options &options, Shape in, Shape &out) const; // out's height and width
  Border border(Shape in, Shape out) const;               // what it reads beyond the input
  Area area(i32 y, i32 x, Shape in) const;                // the part of a window that lies inside
};

struct Block { // a part of the flat parameter vector
  static constexpr u64 MOST = 1u << 28;
  i32 offset = 0, size = 0, rank = 0;
  i32 shape[4] = {};
  bool reshape(Options &, i32 rank, i32 a, i32 b = 1, i32 c = 1, i32 d = 1); // false: too large, a problem was written
};

struct Pass { // what a forward and backward pass is told
  bool training = false;
  Seed seed;
  u32 iteration = 0;
  const u32 *keys = nullptr;        // of each vector
  const u8 *bytes = nullptr;        // the pixels, 0 … 255,
  const float *floats = nullptr;    // or 0 … 1
  const i32 *labels = nullptr;
};

enum Follower : u8 { LINEAR, RECTIFIED, SATURATING }; // what the outputs of a layer pass through: its initial values

struct Layer {
  Span type, name;
  i32 index = 0;
  i32 batch = 0;
  Tensor *in = nullptr;
  Tensor out_room, *out = &out_room;
  Layer *absorbed_by = nullptr; // computed by an earlier layer in one go
  bool is_label_layer = false, frozen = false;
  bool adds = false;        // a later reader has already written the gradient of `in`: add to it
  bool adds_second = false; // likewise of the second input
  Layer *const *others = nullptr; // all layers, of which those before this one are ready
  Follower follower = LINEAR;
  double learning_rate_multiplier = 1, l2_multiplier = 1;
  Block weights, bias;

  virtual bool configure(Options &, i32 labels) = 0;
  virtual void borders() {}
  virtual void plan() {}
  virtual void start() {}
  virtual bool absorb(Layer *) { return false; }
  virtual bool is_dense() const { return false; } // works on whole batches: all later layers do, too
  virtual Follower follows() const { return LINEAR; }
  virtual bool transparent() const { return false; } // initial values look through it to what follows
  virtual bool is_loss() const { return false; }
  virtual Tensor *second_input() { return nullptr; }
  virtual void initial(Seed, float *) const {}
  virtual void adopt(const float *) {}
  virtual void forward(const Pass &, i32 first, i32 count) = 0;
  virtual void backward(const Pass &, i32 first, i32 count) = 0;
  virtual void inspect(const Layer &, i32, float *) {} // what an absorbed layer would have put out
  virtual void clear() {}
  virtual void deliver(float *) const {} // write the gradient sum to its place in the flat vector

  bool trained() const { return weights.size && !frozen; }
  bool wants_input_gradient() const { return in->wanted; }

protected:
  void he_or_xavier(Seed seed, float *weights, i32 fan_in, i32 fan_out, i32 outputs, bool output_first) const;
};

// The last layer: outputs and labels to loss and error
struct Loss : Layer {
  bool is_loss() const override { return true; }
  double loss = 0;
  i32 wrong = 0;
  void count(const Pass &, i32 first, i32 count); // fills loss and wrong after forward
  virtual double loss_of(const float *outputs, i32 label) const = 0;
};

struct Kind {
  const char *type;
  Layer *(*make)();
};
extern const Kind KINDS[];
extern const i32 KINDS_COUNT;

template <class T> Layer *make_layer() { return new (arena::now(sizeof(T))) T; }
