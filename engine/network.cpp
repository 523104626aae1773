#include "network.h"

constexpr u64 MOST_BYTES = 2ull << 30; // phones give a tab about this much
constexpr i32 MOST_BATCH = 256;

// ----------------------------------------------------------------------------------------------- reading the spec
bool Network::describe(char *spec, i32 size, i32 label_count, i32 batch) {
  labels_count_ = most(1, label_count); // a project without data has a shape, too
  batch_ = batch;
  const i32 room = 3 * size + 768 * MOST_LAYERS; // names, escaped, come up to three times
  text.use((char *)arena::now((usize)room), room);
  const Json *document = read_json(spec, size, text);
  if (!document) return false;
  if (label_count < 0) return text << "a network cannot have " << label_count << " labels", false;
  if (batch < 1 || batch > MOST_BATCH) return text << "the batch must be from 1 to " << MOST_BATCH, false;
  if (!read_layers(*document) || !check_labels()) return false;
  find_followers();
  fuse();
  find_gradients();
  plan();
  if (arena::planned_bytes() <= MOST_BYTES) return true;
  text << "this network needs " << arena::planned_bytes() / 1048576 << " MB for batches of " << batch
       << " vectors; the limit is " << MOST_BYTES / 1048576 << " MB";
  return false;
}

bool Network::read_layers(const Json &document) {
  if (document.kind != Json::LIST || document.count < 2)
    return text << "a network is a list of two or more layers", false;
  if (document.count > MOST_LAYERS) return text << "a network has at most " << MOST_LAYERS << " layers", false;
  for (const Json *spec = document.first; spec; spec = spec->next)
    if (!read_layer(*spec)) return false;
  last_ = (Loss *)layers_[count_ - 1];
  return true;
}

bool Network::read_layer(const Json &spec) {
  const Json *type = spec.get("type");
  if (spec.kind != Json::OBJECT || !type || type->kind != Json::STRING)
    return text << "layer " << count_ << " has no type", false;
  const Kind *kind = nullptr;
  for (i32 i = 0; i < KINDS_COUNT; i++)
    if (type->text == span(KINDS[i].type)) kind = &KINDS[i];
  if (!kind) return text << "layer " << count_ << ": there is no layer type " << type->text, false;
  Layer &layer = *(layers_[count_] = kind->make());
  layer.type = span(kind->type);
  layer.index = count_;
  layer.batch = batch_;
  name_layer(spec, layer);
  Options options(spec, layer.name, text);
  Span name;
  if (!options.text("name", name) || !options.truth("frozen", layer.frozen)) return false;
  if (!options.real("learning_rate", layer.learning_rate_multiplier, 0, 1000)) return false;
  if (!options.real("l2", layer.l2_multiplier, 0, 1000)) return false;
  if (!connect(layer) || !layer.configure(options, labels_count_) || !options.no_more()) return false;
  const Shape s = layer.out->shape;
  const u64 pixels = (u64)s.width * (u64)s.height;
  if (pixels > Block::MOST || pixels * (u64)s.channels > Block::MOST) {
    options.wrong() << "an output of " << s.width << "×" << s.height << "×" << s.channels << " is too large";
    return false;
  }
  count_++;
  return true;
}

void Network::name_layer(const Json &spec, Layer &layer) {
  const Json *given = spec.get("name");
  if (given && given->kind == Json::STRING && given->text.size) {
    layer.name = given->text;
    return;
  }
  Text name;
  name.use(make<char>(40), 40);
  name << layer.type << layer.index;
  layer.name = {name.at(), name.size()};
}

// The first layer is the input and the last one the loss; names are used once
bool Network::connect(Layer &layer) {
  const bool input = layer.type == span("input");
  if (input != (count_ == 0)) return text << layer.name << ": the first layer, and no other, is an input", false;
  if (count_ && layers_[count_ - 1]->is_loss())
    return text << layers_[count_ - 1]->name << ": a loss is the last layer", false;
  if (layer.name.size > 64) return text << "layer " << count_ << ": a name has at most 64 bytes", false;
  for (i32 i = 0; i < count_; i++)
    if (layers_[i]->name == layer.name) return text << "two layers are named " << layer.name, false;
  if (!input) layer.in = layers_[count_ - 1]->out;
  layer.others = layers_;
  return true;
}

bool Network::check_labels() {
  if (!last_->is_loss()) return text << "the last layer must be softmax or squared_error", false;
  const Layer *label_layer = nullptr;
  for (i32 i = 0; i < count_; i++) {
    const Layer &layer = *layers_[i];
    if (label_layer && layer.weights.size) {
      text << layer.name << ": nothing after " << label_layer->name << ", which has one output per label, may have parameters";
      return false;
    }
    if (layer.is_label_layer) label_layer = &layer;
  }
  return true;
}

// ------------------------------------------------------------------------------------------------------- planning
void Network::find_followers() {
  for (i32 i = 0; i < count_; i++) {
    i32 next = i + 1;
    while (next < count_ && layers_[next]->transparent()) next++;
    layers_[i]->follower = next < count_ ? layers_[next]->follows() : LINEAR;
  }
}

void Network::fuse() {
  for (i32 i = 1; i < count_; i++) {
    layers_[i]->in->readers++;
    if (Tensor *second = layers_[i]->second_input()) second->readers++;
  }
  for (i32 i = 1, next; i < count_; i = next)
    for (next = i + 1; next < count_ && layers_[next]->in->readers == 1 && layers_[i]->absorb(layers_[next]); next++) {
      layers_[next]->absorbed_by = layers_[i];
      layers_[i]->out = layers_[next]->out;
    }
}

// Which gradients are needed, who writes them first, and which must be kept for a whole batch
void Network::find_gradients() {
  const i32 dense = first_dense();
  for (i32 i = 1; i < count_; i++) {
    Layer &layer = *layers_[i];
    if (layer.absorbed_by) continue;
    Tensor *second = layer.second_input();
    layer.out->wanted = layer.in->wanted || (second && second->wanted) || layer.trained();
  }
  for (i32 i = count_ - 1; i > 0; i--) {
    Layer &layer = *layers_[i];
    if (layer.absorbed_by) continue;
    layer.adds = layer.in->written;
    layer.in->written = true;
    if (i >= dense) layer.in->by_batch = layer.out->by_batch = true;
    Tensor *second = layer.second_input();
    if (!second) continue;
    layer.adds_second = second->written;
    second->written = true;
    if (i >= dense) second->by_batch = true;
  }
}

i32 Network::first_dense() const {
  for (i32 i = 0; i < count_; i++)
    if (layers_[i]->is_dense()) return i;
  return count_;
}

void Network::plan() {
  for (i32 i = 0; i < count_; i++) {
    Layer &layer = *layers_[i];
    layer.weights.offset = parameter_count_;
    layer.bias.offset = parameter_count_ + layer.weights.size;
    parameter_count_ += layer.weights.size + layer.bias.size;
    outputs_size_ = most(outputs_size_, layer.out_room.shape.size());
    if (!layer.absorbed_by) layer.borders();
  }
  arena::begin_plan();
  const u64 pixel_count = (u64)layers_[0]->out->shape.size() * (u64)batch_;
  for (float **room : {&vector, &parameters_, &start_, &velocity_}) *room = ::plan<float>((u64)parameter_count_);
  outputs = ::plan<float>((u64)outputs_size_ * (u64)batch_);
  pixels = ::plan<u8>(pixel_count * sizeof(float));
  labels = ::plan<i32>((u64)batch_);
  keys = ::plan<u32>((u64)batch_);
  plan_grids();
}

void Network::plan_grids() {
  for (i32 i = 0; i < count_; i++) {
    if (layers_[i]->absorbed_by) continue;
    Tensor &out = *layers_[i]->out;
    out.value.plan(out.shape, batch_);
    if (out.wanted) out.gradient.plan(out.shape, out.by_batch ? batch_ : 1);
  }
  for (i32 i = 0; i < count_; i++)
    if (!layers_[i]->absorbed_by) layers_[i]->plan();
}

bool Network::allocate() {
  if (!arena::commit()) {
    text << "this network needs " << arena::planned_bytes() / 1048576 << " MB, which this device does not give";
    return false;
  }
  for (i32 i = 0; i < count_; i++)
    if (!layers_[i]->absorbed_by) layers_[i]->start();
  return true;
}

// ------------------------------------------------------------------------------------------------------ computing
void Network::initial(Seed seed) {
  zero(vector, bytes());
  for (i32 i = 0; i < count_; i++) layers_[i]->initial(seed, vector);
}

bool Network::check_finite(const float *values, i32 size, const char *what) {
  for (i32 i = 0; i < size; i++)
    if (!finite(values[i])) return text.clear(), text << what << " " << i << " is not finite", false;
  return true;
}

bool Network::load() {
  for (i32 i = 0; i < count_; i++)
    if (!check_block(layers_[i]->weights, layers_[i]->name, ".weights") ||
        !check_block(layers_[i]->bias, layers_[i]->name, ".bias"))
      return false;
  copy(parameters_, vector, bytes());
  adopt();
  return true;
}

void Network::adopt() {
  for (i32 i = 0; i < count_; i++)
    if (!layers_[i]->absorbed_by) layers_[i]->adopt(parameters_);
}

bool Network::check_block(const Block &block, Span layer, const char *kind) {
  if (check_finite(vector + block.offset, block.size, "parameter")) return true;
  return text << " (in " << layer << kind << ")", false;
}

void Network::clear() {
  for (i32 i = 0; i < count_; i++)
    if (layers_[i]->trained()) layers_[i]->clear();
}

void Network::save() {
  zero(vector, bytes());
  for (i32 i = 0; i < count_; i++)
    if (layers_[i]->trained()) layers_[i]->deliver(vector);
}

void Network::begin_local() {
  copy(start_, parameters_, bytes());
  zero(velocity_, bytes());
  clear();
}

bool Network::local_step(i32 count, float rate, float momentum, float l2) {
  save();
  if (count < 1) return text.clear(), text << "a local step needs at least one vector", false;
  const float scale = 1.0f / (float)count;
  for (i32 i = 0; i < count_; i++) {
    const Layer &layer = *layers_[i];
    if (!layer.trained()) continue;
    const float layer_rate = rate * (float)layer.learning_rate_multiplier;
    step_block(layer.weights, scale, layer_rate, momentum, l2 * (float)layer.l2_multiplier);
    step_block(layer.bias, scale, layer_rate, momentum, 0);
  }
  if (!check_finite(parameters_, parameter_count_, "after a local step, parameter")) return false;
  adopt();
  clear();
  return true;
}

void Network::step_block(const Block &block, float scale, float rate, float momentum, float l2) {
  for (i32 i = block.offset; i < block.offset + block.size; i++) {
    velocity_[i] = momentum * velocity_[i] + (vector[i] * scale + l2 * parameters_[i]);
    parameters_[i] -= rate * velocity_[i];
  }
}

void Network::local_difference() {
  for (i32 i = 0; i < parameter_count_; i++) vector[i] = parameters_[i] - start_[i];
}

bool Network::check_input(const Pass &pass, i32 count) {
  text.clear();
  if (count < 1 || count > batch_) return text << "a batch has 1 to " << batch_ << " vectors, not " << count, false;
  if (pass.floats && !check_finite(pass.floats, layers_[0]->out->shape.size() * count, "pixel")) return false;
  for (i32 n = 0; pass.labels && n < count; n++)
    if (pass.labels[n] < 0 || pass.labels[n] >= labels_count_)
      return text << "label " << pass.labels[n] << " of vector " << n << " is not one of the " << labels_count_, false;
  return true;
}

void Network::forward(const Pass &pass, i32 count) {
  const i32 dense = first_dense();
  for (i32 n = 0; n < count; n++)
    for (i32 i = 0; i < dense; i++)
      if (!layers_[i]->absorbed_by) layers_[i]->forward(pass, n, 1);
  for (i32 i = dense; i < count_; i++)
    if (!layers_[i]->absorbed_by) layers_[i]->forward(pass, 0, count);
}

void Network::backward(const Pass &pass, i32 count) {
  const i32 dense = first_dense();
  for (i32 i = count_ - 1; i >= dense; i--)
    if (!layers_[i]->absorbed_by && layers_[i]->out->wanted) layers_[i]->backward(pass, 0, count);
  for (i32 n = 0; n < count; n++)
    for (i32 i = dense - 1; i > 0; i--)
      if (!layers_[i]->absorbed_by && layers_[i]->out->wanted) layers_[i]->backward(pass, n, 1);
}

bool Network::evaluate(Pass pass, i32 count) {
  last_->loss = 0;
  last_->wrong = 0;
  if (!check_input(pass, count)) return false;
  forward(pass, count);
  last_->count(pass, 0, count);
  if (finite((float)last_->loss)) return true;
  return text << "the loss is not finite: the parameters have grown too large (is the learning rate too high?)", false;
}

bool Network::gradient(Pass pass, i32 count) {
  pass.training = true;
  if (!evaluate(pass, count)) return false;
  backward(pass, count);
  return true;
}

bool Network::probabilities(Pass pass, i32 count) { return activations(count_ - 1, pass, count); }

bool Network::activations(i32 layer, Pass pass, i32 count) {
  pass.labels = nullptr;
  if (!check_input(pass, count)) return false;
  if (layer < 0 || layer >= count_) return text << "there is no layer " << layer, false;
  forward(pass, count);
  const Layer &wanted = *layers_[layer];
  Layer &computes = wanted.absorbed_by ? *wanted.absorbed_by : *layers_[layer];
  for (i32 n = 0; n < count; n++) {
    Grid to;
    to.data = outputs + n * wanted.out_room.shape.size();
    to.row = wanted.out_room.shape.width * wanted.out_room.shape.channels;
    Grid from = wanted.out_room.value;
    from.data = from.of(n);
    if (computes.out == &wanted.out_room) copy_rows(wanted.out_room.shape, from, to, 0, false);
    else computes.inspect(wanted, n, to.data);
  }
  return true;
}

// ------------------------------------------------------------------------------------------------------- reporting
static Text &number(Text &text, const char *key, double value) { return text << ",\"" << key << "\":" << value; }

void Network::report() {
  text.clear();
  text << "{\"parameters\":" << parameter_count_;
  number(text, "labels", labels_count_);
  number(text, "batch", batch_);
  number(text, "bytes", (double)arena::planned_bytes());
  number(text, "outputs", outputs_size_);
  number(text, "at_vector", (double)(usize)vector);
  number(text, "at_outputs", (double)(usize)outputs);
  number(text, "at_pixels", (double)(usize)pixels);
  number(text, "at_labels", (double)(usize)labels);
  number(text, "at_keys", (double)(usize)keys);
  text << ",\"layers\":[";
  for (i32 i = 0; i < count_; i++) {
    const Layer &layer = *layers_[i];
    const Shape s = layer.out_room.shape;
    text << (i ? "," : "") << "{\"name\":";
    text.quoted(layer.name) << ",\"type\":";
    text.quoted(layer.type) << ",\"shape\":[" << s.height << "," << s.width << "," << s.channels << "]}";
  }
  text << "],\"blocks\":[";
  report_blocks();
  text << "]}";
}

void Network::report_blocks() {
  bool first = true;
  for (i32 i = 0; i < count_; i++) {
    report_block(*layers_[i], layers_[i]->weights, ".weights", first);
    report_block(*layers_[i], layers_[i]->bias, ".bias", first);
  }
}

void Network::report_block(const Layer &layer, const Block &block, const char *suffix, bool &first) {
  if (!block.size) return;
  text << (first ? "" : ",") << "{\"layer\":";
  first = false;
  text.quoted(layer.name) << ",\"kind\":";
  text.quoted(span(suffix + 1)) << ",\"shape\":[";
  for (i32 d = 0; d < block.rank; d++) text << (d ? "," : "") << block.shape[d];
  text << "]";
  number(text, "offset", block.offset);
  number(text, "size", block.size);
  text << ",\"frozen\":" << (layer.frozen ? "true" : "false");
  number(text, "learning_rate_multiplier", layer.learning_rate_multiplier);
  number(text, "l2_multiplier", layer.l2_multiplier);
  text << "}";
}
