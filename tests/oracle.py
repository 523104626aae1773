"""A slow, obvious network in float64 numpy: what the engine is checked against.

Rules of this file:
- Written from the formulas, window by window; nothing is clever, nothing is shared with the engine.
- Arrays are (vector, y, x, channel). `backward` follows `forward` and returns the gradient of the input.
- A layer with parameters keeps them in `values` and its gradient in `gradients`, in the order of the flat vector.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Spec = Mapping[str, Any]
Shape = tuple[int, int, int]


# ------------------------------------------------------------------------------------------------ random numbers
def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Philox-4x32-10 of Salmon et al. 2011, in Python's integers."""
    mask = 0xFFFFFFFF
    (low, high), (a, b, c, d) = key, counter
    for _ in range(10):
        p, q = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (q >> 32) ^ b ^ low, q & mask, (p >> 32) ^ d ^ high, p & mask
        low, high = (low + 0x9E3779B9) & mask, (high + 0xBB67AE85) & mask
    return a, b, c, d


# ------------------------------------------------------------------------------------------------------- windows
def pair(value: Any) -> tuple[int, int]:
    """Return (x, y) of one number or [x, y]."""
    return (value[0], value[1]) if isinstance(value, (list, tuple)) else (value, value)


class Windows:
    """Where the windows of a convolution or a pool lie along both axes."""

    def __init__(self, spec: Spec, key: str, shape: Shape, stride: Any) -> None:
        (self.kx, self.ky), (self.sx, self.sy) = pair(spec[key]), pair(spec.get("stride", stride))
        self.px, self.py = pair(spec.get("padding", 0))
        self.height, self.width, _ = shape
        rounds = spec.get("rounding") == "round"
        self.down = self.count(self.height, self.ky, self.sy, self.py, rounds)
        self.across = self.count(self.width, self.kx, self.sx, self.px, rounds)

    @staticmethod
    def count(size: int, kernel: int, step: int, pad: int, rounds: bool) -> int:
        room = size + 2 * pad - kernel
        assert room >= 0, "the window does not fit"
        assert pad < kernel, "the padding is too wide"
        return (2 * room + step) // (2 * step) + 1 if rounds else room // step + 1

    def inside(self) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield each output's place and the part of its window that lies in the input (if none: the nearest edge)."""
        for y in range(self.down):
            for x in range(self.across):
                yield y, x, self.part(y * self.sy - self.py, self.ky, self.height), \
                    self.part(x * self.sx - self.px, self.kx, self.width)  # fmt: skip

    @staticmethod
    def part(start: int, kernel: int, size: int) -> slice:
        first = min(max(start, 0), size - 1)
        return slice(first, max(min(start + kernel, size), first + 1))


# -------------------------------------------------------------------------------------------------------- layers
class Layer:
    """One layer: made from its spec and the shape of its input; `shape` is that of its output."""

    parameters: tuple[tuple[int, ...], ...] = ()
    shape: Shape
    input: Shape
    x: Array
    y: Array
    p: Array
    slope: Array
    normal: Array
    deviation: Array
    padded: Array

    def __init__(self, spec: Spec, shape: Shape, labels: int) -> None:
        self.spec, self.shape, self.labels = spec, shape, labels
        self.values: list[Array] = []
        self.gradients: list[Array] = []
        self.index = 0
        self.prepare(shape)

    def prepare(self, shape: Shape) -> None:
        """Read the spec; the layer's output has its input's shape unless this says otherwise."""

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, d: Array) -> Array:
        raise NotImplementedError


class Conv(Layer):
    def prepare(self, shape: Shape) -> None:
        self.windows = w = Windows(self.spec, "kernel", shape, 1)
        filters = self.spec.get("filters", self.labels)
        self.parameters = ((w.ky, w.kx, shape[2], filters), (filters,))
        self.shape = (w.down, w.across, filters)

    def patch(self, y: int, x: int) -> tuple[slice, slice]:
        w = self.windows
        return slice(y * w.sy, y * w.sy + w.ky), slice(x * w.sx, x * w.sx + w.kx)

    def forward(self, x: Array) -> Array:
        w, (weights, bias) = self.windows, self.values
        far_y, far_x = w.down * w.sy + w.ky, w.across * w.sx + w.kx  # zeros enough for windows over the edge
        self.padded = np.pad(x, ((0, 0), (w.py, far_y), (w.px, far_x), (0, 0)))
        out = np.empty((len(x), *self.shape))
        for y in range(w.down):
            for x_ in range(w.across):
                rows, columns = self.patch(y, x_)
                out[:, y, x_] = np.tensordot(self.padded[:, rows, columns], weights, 3) + bias
        return out

    def backward(self, d: Array) -> Array:
        w, weights = self.windows, self.values[0]
        dw, dx = np.zeros_like(weights), np.zeros_like(self.padded)
        for y in range(w.down):
            for x in range(w.across):
                rows, columns = self.patch(y, x)
                dw += np.tensordot(self.padded[:, rows, columns], d[:, y, x], (0, 0))
                dx[:, rows, columns] += np.tensordot(d[:, y, x], weights, (1, 3))
        self.gradients = [dw, d.sum((0, 1, 2))]
        return dx[:, w.py : w.py + w.height, w.px : w.px + w.width]


class MaxPool(Layer):
    def prepare(self, shape: Shape) -> None:
        self.windows = Windows(self.spec, "size", shape, self.spec["size"])
        self.shape = (self.windows.down, self.windows.across, shape[2])

    def forward(self, x: Array) -> Array:
        self.x, out = x, np.empty((len(x), *self.shape))
        for y, x_, rows, columns in self.windows.inside():
            out[:, y, x_] = x[:, rows, columns].max((1, 2))
        return out

    def backward(self, d: Array) -> Array:
        dx = np.zeros_like(self.x)
        n, c = np.indices((len(d), self.shape[2]))
        for y, x, rows, columns in self.windows.inside():
            area = self.x[:, rows, columns]
            winner = area.reshape(len(d), -1, self.shape[2]).argmax(1)
            np.add.at(dx[:, rows, columns], (n, winner // area.shape[2], winner % area.shape[2], c), d[:, y, x])
        return dx


class AveragePool(Layer):
    def prepare(self, shape: Shape) -> None:
        self.windows = Windows(self.spec, "size", shape, self.spec["size"])
        self.input, self.shape = shape, (self.windows.down, self.windows.across, shape[2])

    def forward(self, x: Array) -> Array:
        out = np.empty((len(x), *self.shape))
        for y, x_, rows, columns in self.windows.inside():
            out[:, y, x_] = x[:, rows, columns].mean((1, 2))
        return out

    def backward(self, d: Array) -> Array:
        dx = np.zeros((len(d), *self.input))
        for y, x, rows, columns in self.windows.inside():
            area = dx[:, rows, columns]
            area += d[:, y, x][:, None, None] / (area.shape[1] * area.shape[2])
        return dx


class GlobalAveragePool(Layer):
    def prepare(self, shape: Shape) -> None:
        self.input, self.shape = shape, (1, 1, shape[2])

    def forward(self, x: Array) -> Array:
        return np.asarray(x.mean((1, 2), keepdims=True))

    def backward(self, d: Array) -> Array:
        return np.broadcast_to(d / (self.input[0] * self.input[1]), (len(d), *self.input)).copy()


class FullyConnected(Layer):
    def prepare(self, shape: Shape) -> None:
        self.input, units = shape, self.spec.get("units", self.labels)
        self.parameters = ((units, shape[0] * shape[1] * shape[2]), (units,))
        self.shape = (1, 1, units)

    def forward(self, x: Array) -> Array:
        self.x = x.reshape(len(x), -1)
        return (self.x @ self.values[0].T + self.values[1])[:, None, None]

    def backward(self, d: Array) -> Array:
        d = d[:, 0, 0]
        self.gradients = [d.T @ self.x, d.sum(0)]
        return (d @ self.values[0]).reshape(len(d), *self.input)


class LeakyRelu(Layer):
    def forward(self, x: Array) -> Array:
        below = 0.0 if self.spec["type"] == "relu" else self.spec.get("slope", 0.01)
        self.slope = np.where(x > 0, 1.0, below)
        return x * self.slope

    def backward(self, d: Array) -> Array:
        return d * self.slope


class Tanh(Layer):
    def forward(self, x: Array) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, d: Array) -> Array:
        return d * (1 - self.y**2)


class Sigmoid(Layer):
    def forward(self, x: Array) -> Array:
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, d: Array) -> Array:
        return d * self.y * (1 - self.y)


class Maxout(Layer):
    def prepare(self, shape: Shape) -> None:
        self.groups = self.spec.get("groups", 2)
        self.shape = (*shape[:2], shape[2] // self.groups)

    def forward(self, x: Array) -> Array:
        self.x = x.reshape(len(x), *self.shape, self.groups)
        return np.asarray(self.x.max(-1))

    def backward(self, d: Array) -> Array:
        first = np.arange(self.groups) == self.x.argmax(-1)[..., None]
        return np.asarray((d[..., None] * first).reshape(len(d), *self.shape[:2], -1))


class Dropout(Layer):
    masks: Array | None = None  # (vector, y, x, channel), set by Network for a training pass

    def mask(self, n: int, keys: Sequence[int], seed: int, iteration: int) -> None:
        rate, size = self.spec.get("rate", 0.5), int(np.prod(self.shape))
        halves = seed & 0xFFFFFFFF, seed >> 32
        rows = []
        for key in keys[:n]:
            words = [philox(halves, (i | self.index << 24, key, iteration, 2)) for i in range(0, size, 4)]
            rows.append((np.ravel(words)[:size] >> 8) / 2**24)
        self.masks = (np.array(rows).reshape(n, *self.shape) >= np.float32(rate)) / (1 - rate)

    def forward(self, x: Array) -> Array:
        return x if self.masks is None else x * self.masks

    def backward(self, d: Array) -> Array:
        return d if self.masks is None else d * self.masks


class GroupNorm(Layer):
    def prepare(self, shape: Shape) -> None:
        self.groups = self.spec.get("groups", 1)
        self.parameters = ((shape[2],), (shape[2],))

    def split(self, x: Array) -> Array:
        return x.reshape(*x.shape[:3], self.groups, -1)

    def forward(self, x: Array) -> Array:
        x = self.split(x)
        over = (1, 2, 4)
        self.deviation = np.sqrt(x.var(over, keepdims=True) + 1e-5)
        self.normal = (x - x.mean(over, keepdims=True)) / self.deviation
        return self.normal.reshape(len(x), *self.shape) * self.values[0] + self.values[1]

    def backward(self, d: Array) -> Array:
        normal = self.normal.reshape(d.shape)
        self.gradients = [(d * normal).sum((0, 1, 2)), d.sum((0, 1, 2))]
        g, over = self.split(d * self.values[0]), (1, 2, 4)
        along = (g * self.normal).mean(over, keepdims=True)
        return np.asarray(((g - g.mean(over, keepdims=True) - self.normal * along) / self.deviation).reshape(d.shape))


class Add(Layer):
    def forward(self, x: Array) -> Array:
        return x  # Network adds the other one

    def backward(self, d: Array) -> Array:
        return d


class Softmax(Layer):
    def forward(self, x: Array) -> Array:
        z = np.exp(x - x.max(-1, keepdims=True))
        self.p = z / z.sum(-1, keepdims=True)
        return self.p

    def losses(self, labels: NDArray[np.int64]) -> Array:
        return np.asarray(-np.log(self.p[np.arange(len(labels)), 0, 0, labels]))

    def backward(self, d: Array) -> Array:
        return self.p - d


class SquaredError(Layer):
    def forward(self, x: Array) -> Array:
        self.y = x
        return x

    def losses(self, labels: NDArray[np.int64]) -> Array:
        return np.asarray(((self.y[:, 0, 0] - np.eye(self.shape[2])[labels]) ** 2).sum(-1) / 2)

    def backward(self, d: Array) -> Array:
        return self.y - d


TYPES: dict[str, type[Layer]] = {
    "conv": Conv, "max_pool": MaxPool, "average_pool": AveragePool, "global_average_pool": GlobalAveragePool,
    "fully_connected": FullyConnected, "relu": LeakyRelu, "leaky_relu": LeakyRelu, "tanh": Tanh, "sigmoid": Sigmoid,
    "maxout": Maxout, "dropout": Dropout, "group_norm": GroupNorm, "add": Add, "softmax": Softmax,
    "squared_error": SquaredError,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------- network
class Network:
    """A whole network; `outputs` are the activations of every layer after a forward pass, the input's first."""

    def __init__(self, layers: Sequence[Spec], labels: int) -> None:
        self.input = layers[0]
        shape = (self.input["height"], self.input["width"], self.input["channels"])
        self.layers: list[Layer] = []
        self.names = [str(spec.get("name", f"{spec['type']}{i}")) for i, spec in enumerate(layers)]
        for index, spec in enumerate(layers[1:], 1):
            self.layers.append(TYPES[spec["type"]](spec, shape, labels))
            self.layers[-1].index = index
            shape = self.layers[-1].shape
        self.shapes = [(self.input["height"], self.input["width"], self.input["channels"])]
        self.shapes += [layer.shape for layer in self.layers]
        self.size = sum(int(np.prod(shape)) for layer in self.layers for shape in layer.parameters)

    def set_parameters(self, vector: Any) -> None:
        """Take the flat vector apart."""
        rest = np.asarray(vector, np.float64)
        assert len(rest) == self.size
        for layer in self.layers:
            layer.values = []
            for shape in layer.parameters:
                n = int(np.prod(shape))
                layer.values.append(rest[:n].reshape(shape))
                rest = rest[n:]

    def train_with(self, keys: Sequence[int], seed: int, iteration: int) -> None:
        """Draw the masks of a training pass."""
        for layer in self.layers:
            if isinstance(layer, Dropout):
                layer.mask(len(keys), keys, seed, iteration)

    def forward(self, pixels: NDArray[Any]) -> Array:
        """Return the last layer's outputs for uint8 or 0 … 1 pixels."""
        x = pixels / 255 if pixels.dtype == np.uint8 else pixels.astype(np.float64)
        self.outputs = [(x - np.asarray(self.input.get("mean", 0.0))) / np.asarray(self.input.get("std", 1.0))]
        for layer in self.layers:
            y = layer.forward(self.outputs[-1])
            if isinstance(layer, Add):
                y = y + self.outputs[self.names.index(layer.spec["from"])]
            self.outputs.append(y)
        return np.asarray(self.outputs[-1])

    def loss(self, pixels: NDArray[Any], labels: NDArray[np.int64]) -> float:
        """Return the loss summed over the vectors."""
        self.forward(pixels)
        last = self.layers[-1]
        assert isinstance(last, (Softmax, SquaredError))
        return float(last.losses(labels).sum())

    def gradient(self, pixels: NDArray[Any], labels: NDArray[np.int64]) -> tuple[float, Array]:
        """Return the summed loss and the flat gradient sum; the blocks of frozen layers are zero."""
        loss = self.loss(pixels, labels)
        waiting: dict[int, Array] = {}  # gradients that an add sends to an earlier layer's output
        d: Array = np.eye(self.shapes[-1][2])[labels][:, None, None]
        for position in range(len(self.layers), 0, -1):
            layer = self.layers[position - 1]
            d = d + waiting.get(position, 0.0)
            if isinstance(layer, Add):
                other = self.names.index(layer.spec["from"])
                waiting[other] = waiting.get(other, 0.0) + d
            d = layer.backward(d)
        return loss, np.concatenate([self.block(layer) for layer in self.layers] or [np.empty(0)])

    @staticmethod
    def block(layer: Layer) -> Array:
        parts = [g.ravel() * (not layer.spec.get("frozen", False)) for g in layer.gradients]
        return np.concatenate([*parts, np.empty(0)])
