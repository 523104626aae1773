// What flows between layers: for every vector of the micro-batch [y][x][channel], forward the values, backward the
// gradient of the loss. A grid may have a border of zeros, so that a convolution reads its padding in place.
#pragma once
#include "arena.h"

struct Shape {
  i32 height = 0, width = 0, channels = 0;
  i32 size() const { return height * width * channels; }
  bool operator==(const Shape &o) const { return height == o.height && width == o.width && channels == o.channels; }
};

struct Border {
  i32 top = 0, left = 0, bottom = 0, right = 0;
  void hold(Border o) { // grow to what another reader needs as well
    top = most(top, o.top), left = most(left, o.left), bottom = most(bottom, o.bottom), right = most(right, o.right);
  }
  bool none() const { return !(top | left | bottom | right); }
};

struct Grid {
  Border border;
  float *data = nullptr; // [0][0][0] of the first vector, inside the border
  i32 row = 0;           // floats from one row to the next
  usize vector = 0;      // floats from one vector to the next; 0 when all share one room

  float *of(i32 n) const { return data + (usize)n * vector; }

  void plan(Shape shape, i32 vectors) {
    row = (border.left + shape.width + border.right) * shape.channels;
    u64 rows = (u64)(border.top + shape.height + border.bottom);
    u64 room = (rows * (u64)row + SLACK + 15) / 16 * 16;
    vector = vectors > 1 ? (usize)room : 0;
    data = ::plan<float>(room * (u64)vectors) + border.top * row + border.left * shape.channels;
  }
};

struct Tensor {
  Shape shape;
  Grid value, gradient;
  bool wanted = false;  // something trained lies before: its gradient is needed
  bool by_batch = false; // a gradient that outlives one vector
  bool written = false;  // while planning: a later layer writes the gradient
  i32 readers = 0;

  void clear_gradient(i32 n) {
    for (i32 y = 0; y < shape.height; y++)
      zero(gradient.of(n) + y * gradient.row, sizeof(float) * (usize)(shape.width * shape.channels));
  }
};

// Copy (or add) one vector's rows from a grid to one with another border
inline void copy_rows(Shape shape, const Grid &from, const Grid &to, i32 n, bool add) {
  const i32 size = shape.width * shape.channels;
  for (i32 y = 0; y < shape.height; y++) {
    const float *a = from.of(n) + y * from.row;
    float *b = to.of(n) + y * to.row;
    if (!add) copy(b, a, sizeof(float) * (usize)size);
    else
      for (i32 i = 0; i < size; i++) b[i] += a[i];
  }
}
