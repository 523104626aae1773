// The last layer: what the network says becomes a loss. Losses are summed in float64.
#include "../maths.h"
#include "layers.h"

void Loss::count(const Pass &pass, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) {
    const float *z = in->value.of(n);
    i32 best = 0;
    for (i32 c = 1; c < in->shape.channels; c++)
      if (z[c] > z[best]) best = c;
    wrong += best != pass.labels[n];
    loss += loss_of(z, pass.labels[n]);
  }
}

static bool one_output_per_label(Options &options, Shape in, i32 labels) {
  if (in.height != 1 || in.width != 1 || in.channels < labels) {
    options.wrong() << "needs one output for each of the " << labels << " labels and gets " << in.width << "×"
                    << in.height << "×" << in.channels << "; end with a fully_connected or a global_average_pool";
    return false;
  }
  return true;
}

static double exponential_sum(const float *z, i32 n, float largest) {
  double sum = 0;
  for (i32 c = 0; c < n; c++) sum += exp4(splat(z[c] - largest))[0];
  return sum;
}

static float largest_of(const float *z, i32 n) {
  float largest = z[0];
  for (i32 c = 1; c < n; c++) largest = z[c] > largest ? z[c] : largest;
  return largest;
}

bool Softmax::configure(Options &options, i32 labels) {
  out->shape = in->shape;
  return one_output_per_label(options, in->shape, labels);
}

void Softmax::forward(const Pass &, i32 first, i32 count) {
  const i32 classes = in->shape.channels;
  for (i32 n = first; n < first + count; n++) {
    const float *z = in->value.of(n), largest = largest_of(z, classes);
    float *p = out->value.of(n);
    double sum = 0;
    for (i32 c = 0; c < classes; c++) sum += p[c] = exp4(splat(z[c] - largest))[0];
    for (i32 c = 0; c < classes; c++) p[c] = (float)(p[c] / sum);
  }
}

double Softmax::loss_of(const float *z, i32 label) const {
  const float largest = largest_of(z, in->shape.channels);
  return log_of(exponential_sum(z, in->shape.channels, largest)) - ((double)z[label] - largest);
}

void Softmax::backward(const Pass &pass, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  for (i32 n = first; n < first + count; n++) {
    const float *p = out->value.of(n);
    float *d = in->gradient.of(n);
    double others = 0; // p − 1 at the label would cancel when the network is sure
    for (i32 c = 0; c < in->shape.channels; c++)
      if (c != pass.labels[n]) others += d[c] = p[c];
    d[pass.labels[n]] = (float)-others;
  }
}

bool SquaredError::configure(Options &options, i32 labels) {
  out->shape = in->shape;
  return one_output_per_label(options, in->shape, labels);
}

void SquaredError::forward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) copy_rows(out->shape, in->value, out->value, n, false);
}

static float target(i32 output, i32 label) { return output == label ? 1.0f : 0.0f; }

// Half the squared distance to a one at the label and zeros elsewhere
double SquaredError::loss_of(const float *z, i32 label) const {
  double sum = 0;
  for (i32 c = 0; c < in->shape.channels; c++) {
    const double distance = (double)z[c] - target(c, label);
    sum += distance * distance;
  }
  return sum / 2;
}

void SquaredError::backward(const Pass &pass, i32 first, i32 count) {
  if (!wants_input_gradient()) return;
  for (i32 n = first; n < first + count; n++)
    for (i32 c = 0; c < in->shape.channels; c++)
      in->gradient.of(n)[c] = in->value.of(n)[c] - target(c, pass.labels[n]);
}
