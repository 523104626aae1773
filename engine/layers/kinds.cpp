// All types of layers: the one list to which a new layer is added.
#include "activation.h"
#include "conv.h"

const Kind KINDS[] = {
    {"input", make_layer<Input>},
    {"conv", make_layer<Conv>},
    {"max_pool", make_layer<MaxPool>},
    {"average_pool", make_layer<AveragePool>},
    {"global_average_pool", make_layer<GlobalAveragePool>},
    {"fully_connected", make_layer<FullyConnected>},
    {"relu", make_layer<Pointwise<ReluFunction>>},
    {"leaky_relu", make_layer<Pointwise<LeakyReluFunction>>},
    {"tanh", make_layer<Pointwise<TanhFunction>>},
    {"sigmoid", make_layer<Pointwise<SigmoidFunction>>},
    {"maxout", make_layer<Maxout>},
    {"dropout", make_layer<Dropout>},
    {"group_norm", make_layer<GroupNorm>},
    {"add", make_layer<Add>},
    {"softmax", make_layer<Softmax>},
    {"squared_error", make_layer<SquaredError>},
};
const i32 KINDS_COUNT = sizeof(KINDS) / sizeof(*KINDS);
