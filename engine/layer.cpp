// What all layers share: reading options, sliding windows, initial values.
#include "layer.h"

// ------------------------------------------------------------------------------------------------------- options
const Json *Options::take(const char *key) {
  if (taken_count_ < (i32)(sizeof(taken_) / sizeof(*taken_))) taken_[taken_count_++] = key;
  const Json *value = spec_.get(key);
  return value && value->kind != Json::NOTHING ? value : nullptr;
}

bool Options::number(const Json *from, const char *key, double &value, double lowest, double highest) {
  if (from->kind == Json::NUMBER && from->number >= lowest && from->number <= highest) return value = from->number, true;
  wrong() << key << " must be a number from " << lowest << " to " << highest;
  if (from->kind == Json::NUMBER) problem_ << ", not " << from->number;
  return false;
}

bool Options::real(const char *key, double &value, double lowest, double highest) {
  const Json *from = take(key);
  return !from || number(from, key, value, lowest, highest);
}

bool Options::integer(const char *key, i32 &value, i32 lowest, i32 highest) {
  const Json *from = take(key);
  double number = value;
  if (!from && value < lowest) return wrong() << "needs " << key, false;
  if (from && !this->number(from, key, number, lowest, highest)) return false;
  value = (i32)number;
  if (value != number) return wrong() << key << " must be a whole number, not " << number, false;
  return true;
}

bool Options::pair(const char *key, i32 &x, i32 &y, i32 lowest, i32 highest) {
  const Json *from = take(key);
  if (!from) return (x >= lowest && y >= lowest) || (wrong() << "needs " << key, false);
  const bool two = from->kind == Json::LIST && from->count == 2;
  if (from->kind != Json::NUMBER && !two) return wrong() << key << " must be a number or [width, height]", false;
  double first = 0, second = 0;
  if (!number(two ? from->first : from, key, first, lowest, highest)) return false;
  if (!number(two ? from->first->next : from, key, second, lowest, highest)) return false;
  x = (i32)first, y = (i32)second;
  if (x != first || y != second) return wrong() << key << " must be whole numbers", false;
  return true;
}

bool Options::truth(const char *key, bool &value) {
  const Json *from = take(key);
  if (!from) return true;
  if (from->kind != Json::BOOLEAN) return wrong() << key << " must be true or false", false;
  value = from->truth;
  return true;
}

bool Options::text(const char *key, Span &value) {
  const Json *from = take(key);
  if (!from) return true;
  if (from->kind != Json::STRING) return wrong() << key << " must be text", false;
  value = from->text;
  return true;
}

bool Options::list(const char *key, float *values, i32 count) {
  const Json *from = take(key);
  if (!from) return true;
  const bool one = from->kind == Json::NUMBER;
  if (!one && (from->kind != Json::LIST || from->count != count)) {
    wrong() << key << " must be one number or a list of " << count;
    return false;
  }
  const Json *member = one ? from : from->first;
  for (i32 i = 0; i < count; i++, member = one ? from : member->next) {
    double value = 0;
    if (!number(member, key, value, -1e6, 1e6)) return false;
    values[i] = (float)value;
  }
  return true;
}

bool Options::no_more() {
  for (const Json *value = spec_.first; value; value = value->next) {
    bool known = false;
    for (i32 i = 0; i < taken_count_ && !known; i++) known = value->key == span(taken_[i]);
    if (!known) return wrong() << "there is no option " << value->key, false;
  }
  return true;
}

// -------------------------------------------------------------------------------------------------------- windows
bool Window::read(Options &options, const char *size_key, bool step_is_size) {
  if (!options.pair(size_key, width, height, 1, 1 << 12)) return false;
  if (step_is_size) step_x = width, step_y = height;
  if (!options.pair("stride", step_x, step_y, 1, 1 << 12)) return false;
  if (!options.pair("padding", pad_x, pad_y, 0, 1 << 12)) return false;
  Span rounding = span("floor");
  if (!options.text("rounding", rounding)) return false;
  round = rounding == span("round");
  if (!round && !(rounding == span("floor"))) return options.wrong("rounding must be floor or round");
  if (pad_x < width && pad_y < height) return true;
  return options.wrong("padding must be smaller than the window");
}

// How many windows fit: (size + 2 padding − window) / step + 1, rounded down or to the nearest
static i32 fitting(i32 size, i32 window, i32 step, i32 pad, bool round) {
  const i32 room = size + 2 * pad - window;
  if (room < 0) return 0;
  return (round ? (2 * room + step) / (2 * step) : room / step) + 1;
}

bool Window::fit(Options &options, Shape in, Shape &out) const {
  out.width = fitting(in.width, width, step_x, pad_x, round);
  out.height = fitting(in.height, height, step_y, pad_y, round);
  if (out.width > 0 && out.height > 0) return true;
  options.wrong() << "a window of " << width << "×" << height << " with padding " << pad_x << "×" << pad_y
                  << " does not fit its input of " << in.width << "×" << in.height << " (width×height)";
  return false;
}

Area Window::area(i32 y, i32 x, Shape in) const {
  const i32 top = y * step_y - pad_y, left = x * step_x - pad_x;
  Area a = {most(top, 0), least(top + height, in.height), most(left, 0), least(left + width, in.width)};
  a.y0 = least(a.y0, in.height - 1), a.x0 = least(a.x0, in.width - 1); // rounding can put a window wholly outside:
  a.y1 = most(a.y1, a.y0 + 1), a.x1 = most(a.x1, a.x0 + 1);            // it reads the nearest edge
  return a;
}

Border Window::border(Shape in, Shape out) const {
  const i32 bottom = (out.height - 1) * step_y + height - pad_y - in.height;
  const i32 right = (out.width - 1) * step_x + width - pad_x - in.width;
  return {pad_y, pad_x, most(bottom, 0), most(right, 0)};
}

bool Block::reshape(Options &options, i32 dimensions, i32 a, i32 b, i32 c, i32 d) {
  const u64 values = (u64)a * (u64)b, more = (u64)c * (u64)d;
  if (values > MOST || more > MOST || values * more > MOST) {
    options.wrong() << "a block of " << a << "×" << b << "×" << c << "×" << d
                    << " parameters is too large (at most " << MOST << ")";
    return false;
  }
  *this = {.size = (i32)(values * more), .rank = dimensions, .shape = {a, b, c, d}};
  return true;
}

// -------------------------------------------------------------------------------------------------- initial values
static double root(double x) { return __builtin_sqrt(x); }

// Uniform in ±limit. He et al. 2015 before rectifiers, Glorot and Bengio 2010 before tanh, sigmoid and linear outputs.
// The label layer's limit depends on its fan-in alone (LeCun), for it must not change when labels are added; every
// value is a function of (seed, layer, output, input) for the same reason.
void Layer::he_or_xavier(Seed seed, float *to, i32 fan_in, i32 fan_out, i32 outputs, bool output_first) const {
  const double limit = is_label_layer            ? root(3.0 / fan_in)
                       : follower == RECTIFIED ? root(6.0 / fan_in)
                                               : root(6.0 / ((double)fan_in + fan_out));
  for (i32 o = 0; o < outputs; o++)
    for (i32 i = 0; i < fan_in; i++) {
      const u32 word = random4(seed, (u32)i, (u32)o, (u32)index, INITIAL_VALUES).word[0];
      to[output_first ? o * fan_in + i : i * outputs + o] = (float)(limit * (2.0 * unit(word) - 1.0));
    }
}
