#pragma once
#include "layers.h"

// For one function of Pointwise: its options, its value, and its slope as a function of its value
struct ReluFunction {
  static constexpr Follower follower = RECTIFIED;
  bool configure(Options &);
  v4 value(v4 x) const;
  v4 slope(v4 y) const;
};

struct LeakyReluFunction {
  static constexpr Follower follower = RECTIFIED;
  double below = 0.01;
  bool configure(Options &);
  v4 value(v4 x) const;
  v4 slope(v4 y) const;
};

struct TanhFunction {
  static constexpr Follower follower = SATURATING;
  bool configure(Options &);
  v4 value(v4 x) const;
  v4 slope(v4 y) const;
};

struct SigmoidFunction {
  static constexpr Follower follower = SATURATING;
  bool configure(Options &);
  v4 value(v4 x) const;
  v4 slope(v4 y) const;
};
