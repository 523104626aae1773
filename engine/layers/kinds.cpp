// All types of layers: the one list to which a new layer is added.
#include "conv.h"
#include "layers.h"

const Kind KINDS[] = {
    {"input", make_layer<Input>},
    {"conv", make_layer<Conv>},
    {"max_pool", make_layer<MaxPool>},
    {"fully_connected", make_layer<FullyConnected>},
    {"relu", make_layer<Relu>},
    {"softmax", make_layer<Softmax>},
};
const i32 KINDS_COUNT = sizeof(KINDS) / sizeof(*KINDS);
