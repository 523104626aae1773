"""ONNX: the network as a graph that any runtime computes, from raw pixels to probabilities. Needs the package onnx.

Rules of this file:
- The input `pixels` is uint8 [n][y][x][channel], as a decoded picture is; normalisation is in the graph.
- Inside, activations are [n][channel][y][x], as ONNX has them; weights are turned once, here.
- Where a window runs over the edge, ONNX's own sizes differ from ours: what is missing is padded for it.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlitb.core.network import Layer, plan
from mlitb.model import Model

OPSET, IR = 17, 9
"""Of 2022: what runtimes of the last years read."""

EPSILON = 1e-5
"""Of group normalisation, as in the engine."""


class Graph:
    """The nodes so far, and the name of what the last one puts out."""

    def __init__(self, model: Model) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "pixels"
        self.outputs: dict[str, str] = {}  # of our layers
        self._vector = model.parameters

    def node(self, operator: str, *more: str, **attributes: Any) -> str:
        """Append a node that takes the last output, and `more`."""
        name = "probabilities" if operator == "Identity" else f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *more], [name], **attributes))
        self.last = name
        return name

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """Add a constant; return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def parameters(self, layer: Layer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a layer's weights and bias."""
        weights, bias = (self._vector[t.offset : t.stop].reshape(t.shape) for t in layer.tensors)
        return weights, bias

    def reshape(self, *shape: int) -> None:
        """Reshape what there is; 0 keeps a side, -1 is what remains."""
        self.node("Reshape", self.constant(shape, np.int64))


def to_onnx(model: Model) -> bytes:
    """Write the network: `pixels` uint8 (n, height, width, channels) -> `probabilities` float32 (n, outputs)."""
    network = plan(model.layers, len(model.labels))
    graph = Graph(model)
    for layer in network.layers:
        _WRITERS[layer.type](graph, layer)
        graph.outputs[layer.name] = graph.last
    graph.node("Identity")
    width, height, channels = network.input
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", height, width, channels])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", network.outputs])
    name = model.name or "mlitb"
    made = helper.make_graph(graph.nodes, name, [pixels], [output], graph.constants)
    whole = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="mlitb",
        doc_string=model.about.get("description", ""),
    )  # fmt: skip
    told = {
        "labels": json.dumps(list(model.labels), ensure_ascii=False), "iteration": str(model.iteration),
        "resize": model.resize, **model.about,
    }  # fmt: skip
    helper.set_model_props(whole, told)
    onnx.checker.check_model(whole)
    return bytes(whole.SerializeToString())


# ------------------------------------------------------------------------------------------------ layer by layer
def _input(graph: Graph, layer: Layer) -> None:
    channels = layer.output[2]
    graph.node("Cast", to=TensorProto.FLOAT)
    graph.node("Div", graph.constant(255.0))
    graph.node("Sub", graph.constant(layer.spec.get("mean", [0.0] * channels)))
    graph.node("Div", graph.constant(layer.spec.get("std", [1.0] * channels)))
    graph.node("Transpose", perm=[0, 3, 1, 2])


class Window:
    """Where a layer's windows lie, as (y, x)."""

    def __init__(self, layer: Layer, key: str, stride: Any) -> None:
        self.size, self.stride = _pair(layer.spec[key]), _pair(layer.spec.get("stride", stride))
        self.padding = _pair(layer.spec.get("padding", 0))
        self.input, self.output = layer.input[1::-1], layer.output[1::-1]

    @property
    def over(self) -> tuple[int, int]:
        """How far the last window runs beyond the padding."""
        rows = zip(self.input, self.output, self.size, self.stride, self.padding, strict=True)
        y, x = (max(0, (out - 1) * step + size - side - 2 * pad) for side, out, size, step, pad in rows)
        return y, x

    @property
    def pads(self) -> list[int]:
        """ONNX's pads: begins, then ends."""
        (y, x), (over_y, over_x) = self.padding, self.over
        return [y, x, y + over_y, x + over_x]

    def shares(self, axis: int) -> NDArray[np.float32]:
        """Return how much each input counts for each output along an axis; what is beside the picture does not."""
        side, out = self.input[axis], self.output[axis]
        shares = np.zeros((out, side), np.float32)
        for i in range(out):
            start = i * self.stride[axis] - self.padding[axis]
            first = min(max(start, 0), side - 1)  # of a window wholly beside the picture: the nearest edge
            last = max(min(start + self.size[axis], side), first + 1)
            shares[i, first:last] = 1 / (last - first)
        return shares


def _pair(value: Any) -> tuple[int, int]:
    """Return (y, x) of one number or [x, y]."""
    return (value[1], value[0]) if isinstance(value, (list, tuple)) else (value, value)


def _conv(graph: Graph, layer: Layer) -> None:
    weights, bias = graph.parameters(layer)
    window = Window(layer, "kernel", 1)
    turned, shift = graph.constant(weights.transpose(3, 2, 0, 1)), graph.constant(bias)
    graph.node("Conv", turned, shift, kernel_shape=window.size, strides=window.stride, pads=window.pads)


def _max_pool(graph: Graph, layer: Layer) -> None:
    window = Window(layer, "size", layer.spec["size"])
    y, x, below, right = window.pads
    if any(window.pads):  # the edge's values once more never change a maximum over a window that holds the edge
        pads = graph.constant([0, 0, y, x, 0, 0, below, right], np.int64)
        graph.node("Pad", pads, mode="edge")
    graph.node("MaxPool", kernel_shape=window.size, strides=window.stride)


def _average_pool(graph: Graph, layer: Layer) -> None:
    window = Window(layer, "size", layer.spec["size"])
    if not any(window.pads):
        graph.node("AveragePool", kernel_shape=window.size, strides=window.stride)
        return
    graph.node("MatMul", graph.constant(window.shares(1).T))  # along x, then along y
    before = graph.last
    graph.last = graph.constant(window.shares(0))
    graph.node("MatMul", before)


def _global_average_pool(graph: Graph, _: Layer) -> None:
    graph.node("GlobalAveragePool")


def _fully_connected(graph: Graph, layer: Layer) -> None:
    weights, bias = graph.parameters(layer)
    graph.node("Transpose", perm=[0, 2, 3, 1])
    graph.node("Flatten")
    graph.node("Gemm", graph.constant(weights), graph.constant(bias), transB=1)
    graph.reshape(0, len(bias), 1, 1)


def _leaky_relu(graph: Graph, layer: Layer) -> None:
    graph.node("LeakyRelu", alpha=float(layer.spec.get("slope", 0.01)))


def _maxout(graph: Graph, layer: Layer) -> None:
    width, height, channels = layer.output
    graph.reshape(0, channels, layer.input[2] // channels, height * width)
    graph.node("ReduceMax", axes=[2], keepdims=0)
    graph.reshape(0, channels, height, width)


def _group_norm(graph: Graph, layer: Layer) -> None:
    width, height, channels = layer.output
    groups = int(layer.spec.get("groups", 1))
    weights, bias = graph.parameters(layer)
    graph.reshape(0, groups, -1)
    one, none = graph.constant(np.ones(groups)), graph.constant(np.zeros(groups))
    graph.node("InstanceNormalization", one, none, epsilon=EPSILON)
    graph.reshape(0, channels, height, width)
    graph.node("Mul", graph.constant(weights.reshape(-1, 1, 1)))
    graph.node("Add", graph.constant(bias.reshape(-1, 1, 1)))


def _add(graph: Graph, layer: Layer) -> None:
    graph.node("Add", graph.outputs[layer.spec["from"]])


def _dropout(_: Graph, __: Layer) -> None:
    """Outside of training it does nothing."""


def _softmax(graph: Graph, _: Layer) -> None:
    graph.node("Flatten")
    graph.node("Softmax", axis=1)


def _squared_error(graph: Graph, _: Layer) -> None:
    graph.node("Flatten")


def _plainly(operator: str) -> Callable[[Graph, Layer], None]:
    def write(graph: Graph, _: Layer) -> None:
        graph.node(operator)

    return write


_WRITERS: dict[str, Callable[[Graph, Layer], None]] = {
    "input": _input, "conv": _conv, "max_pool": _max_pool, "average_pool": _average_pool,
    "fully_connected": _fully_connected, "relu": _plainly("Relu"), "leaky_relu": _leaky_relu, "tanh": _plainly("Tanh"),
    "sigmoid": _plainly("Sigmoid"), "maxout": _maxout, "dropout": _dropout, "group_norm": _group_norm, "add": _add,
    "global_average_pool": _global_average_pool, "softmax": _softmax, "squared_error": _squared_error,
}  # fmt: skip
