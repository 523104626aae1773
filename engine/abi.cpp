// What the host sees. One instance is one network: room() for the spec's text, describe(), allocate(), then the rest.
// Functions that can refuse return 0 when they did; text_at() and text_size() then give the sentence, and after
// describe() and allocate() the report (JSON: shapes, blocks of parameters, addresses of buffers).
#include "network.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

static u8 network_room[sizeof(Network)] __attribute__((aligned(16)));
static Network *network = nullptr;
static char *spec = nullptr;

EXPORT char *room(i32 bytes) { return spec = make<char>(bytes + 1); }

EXPORT i32 describe(i32 size, i32 labels, i32 batch) {
  network = new (network_room) Network;
  if (!network->describe(spec, size, labels, batch)) return 0;
  network->report();
  return 1;
}

EXPORT i32 allocate() {
  network->text.clear();
  if (!network->allocate()) return 0;
  network->clear();
  network->report();
  return 1;
}

EXPORT const char *text_at() { return network->text.at(); }
EXPORT i32 text_size() { return network->text.size(); }
EXPORT double loss() { return network->loss(); }
EXPORT i32 wrong() { return network->wrong(); }

EXPORT void initial(u32 seed_low, u32 seed_high) { network->initial({seed_low, seed_high}); }
EXPORT i32 load() { return network->load(); }
EXPORT void clear() { network->clear(); }
EXPORT void save() { network->save(); }

EXPORT void begin_local() { network->begin_local(); }
EXPORT i32 local_step(i32 count, float rate, float momentum, float l2) {
  return network->local_step(count, rate, momentum, l2);
}
EXPORT void local_difference() { network->local_difference(); }

// `floats`: the pixels are float32, 0 … 1, instead of bytes
static Pass pass_of(i32 floats) {
  Pass pass;
  if (floats) pass.floats = (const float *)network->pixels;
  else pass.bytes = network->pixels;
  pass.labels = network->labels;
  pass.keys = network->keys;
  return pass;
}

EXPORT i32 gradient(i32 count, i32 floats, u32 seed_low, u32 seed_high, u32 iteration) {
  Pass pass = pass_of(floats);
  pass.seed = {seed_low, seed_high};
  pass.iteration = iteration;
  return network->gradient(pass, count);
}
EXPORT i32 evaluate(i32 count, i32 floats) { return network->evaluate(pass_of(floats), count); }
EXPORT i32 probabilities(i32 count, i32 floats) { return network->probabilities(pass_of(floats), count); }
EXPORT i32 activations(i32 layer, i32 count, i32 floats) { return network->activations(layer, pass_of(floats), count); }
