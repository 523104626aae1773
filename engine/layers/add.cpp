// Residual add (He et al. 2016): the input plus the output of an earlier layer, `from`, of the same shape.
#include "layers.h"

bool Add::configure(Options &options, i32) {
  out->shape = in->shape;
  Span from;
  if (!options.text("from", from)) return false;
  const Layer *other = nullptr;
  for (i32 i = 0; i < index; i++)
    if (others[i]->name == from) other = others[i];
  if (!other) return options.wrong() << "\"from\" must name an earlier layer, not \"" << from << "\"", false;
  second_ = other->out;
  const Shape s = other->out->shape;
  if (s == in->shape) return true;
  options.wrong() << other->name << " puts out " << s.width << "×" << s.height << "×" << s.channels
                  << ", which cannot be added to " << in->shape.width << "×" << in->shape.height << "×"
                  << in->shape.channels;
  return false;
}

void Add::forward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) {
    copy_rows(out->shape, in->value, out->value, n, false);
    copy_rows(out->shape, second_->value, out->value, n, true);
  }
}

void Add::give(i32 n, const Tensor &to, bool add) const {
  if (to.wanted) copy_rows(out->shape, out->gradient, to.gradient, n, add);
}

void Add::backward(const Pass &, i32 first, i32 count) {
  for (i32 n = first; n < first + count; n++) {
    give(n, *in, adds);
    give(n, *second_, adds_second);
  }
}
