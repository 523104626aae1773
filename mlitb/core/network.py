"""Layer specs to shapes, the layout of one flat parameter vector, and growth on new labels.

Rules of this file:
- A spec is the JSON list of docs/architecture.md; `plan` is the only way in, and refuses with a
  sentence that names the layer.
- Nothing here holds parameters: a layout says where each tensor lies, nothing more.
- Weights come before bias; conv weights are [kernel_y][kernel_x][in][out], fully connected weights [out][in].
- One layer at most has one output per label; what comes after it has no parameters, so growth touches one layer.
- The engine reads the same specs; what it refuses, this file refuses first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlitb.core.refusal import Refusal

Spec = Mapping[str, Any]
Shape = tuple[int, int, int]
"""Width, height, channels; activations lie as [y][x][channel]."""

MAX_LAYERS = 256
MAX_SIDE = 4096
MAX_CHANNELS = 65_536
MAX_PARAMETERS = 16_000_000
"""64 MB of float32: what a phone's browser holds twice (parameters, gradient); the largest frame follows from it."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named block of the flat vector, e.g. "conv1.weights" of shape (5, 5, 1, 16) at offset 0."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Count its float32 values."""
        return prod(self.shape)

    @property
    def stop(self) -> int:
        """Give the offset just behind it."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, understood: its spec, the shapes that go in and out, its tensors, its cost."""

    index: int
    name: str
    type: str
    spec: Spec
    input: Shape
    output: Shape
    tensors: tuple[Tensor, ...]
    macs: int  # multiply-adds of its forward pass for one vector
    grows: bool  # one output per label


@dataclass(frozen=True)
class Network:
    """A whole spec, understood for a number of labels."""

    layers: tuple[Layer, ...]
    labels: int

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """List every tensor in the order of the flat vector."""
        return tuple(tensor for layer in self.layers for tensor in layer.tensors)

    @cached_property
    def size(self) -> int:
        """Count the parameters."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def input(self) -> Shape:
        """Give the shape of a data vector."""
        return self.layers[0].output

    @cached_property
    def outputs(self) -> int:
        """Count what the last layer puts out."""
        return prod(self.layers[-1].output)

    @cached_property
    def grows(self) -> bool:
        """Tell whether new labels enlarge the network."""
        return any(layer.grows for layer in self.layers)

    @cached_property
    def flops(self) -> int:
        """Estimate the operations of one vector, forward and backward; the first layer needs no input gradient."""
        costs = [layer.macs for layer in self.layers if layer.macs]
        return sum((4 if i == 0 else 6) * macs for i, macs in enumerate(costs))

    def require_labels(self, labels: int) -> None:
        """Raise Refusal(422) when a network of fixed size cannot tell so many labels apart."""
        if not self.grows and labels > self.outputs:
            raise Refusal(422, f"the network has {self.outputs} outputs and cannot learn {labels} labels")


def plan(layers: Sequence[Spec], labels: int) -> Network:
    """Understand a spec for `labels` labels (0 counts as 1, so that a project without data has a shape).

    Raises Refusal(422) with a sentence that names the layer and the sizes.
    """
    if not layers or len(layers) > MAX_LAYERS:
        raise Refusal(422, f"a network has 1 to {MAX_LAYERS} layers, not {len(layers)}")
    built: list[Layer] = []
    offset = 0
    for index, spec in enumerate(layers):
        layer = _layer(index, spec, built, offset, max(1, labels))
        offset += sum(tensor.size for tensor in layer.tensors)
        if offset > MAX_PARAMETERS:
            raise Refusal(422, f"{layer.name}: the network has more than {MAX_PARAMETERS:,} parameters")
        built.append(layer)
    _check_whole(built)
    return Network(tuple(built), max(1, labels))


def growth(layers: Sequence[Spec], old: int, new: int) -> NDArray[np.int64]:
    """Map every entry of the vector for `old` labels to its place in the vector for `new` labels.

    Returns int64 of the old size: `grown[growth(...)] = parameters` keeps all old values bit-equal; the
    other entries are the new labels'.
    """
    before, after = plan(layers, old), plan(layers, new)
    assert new >= old, f"a network cannot shrink from {old} to {new} labels"
    parts = [_places(a, b) for a, b in zip(before.tensors, after.tensors, strict=True)]
    return np.concatenate([*parts, np.empty(0, np.int64)])


def filled(layers: Sequence[Spec], mean: Sequence[float], std: Sequence[float]) -> tuple[dict[str, Any], ...]:
    """Copy a spec with the input's normalisation filled in, unless it brought its own."""
    copies = tuple(dict(spec) for spec in layers)
    copies[0].setdefault("mean", list(mean))
    copies[0].setdefault("std", list(std))
    return copies


def multipliers(network: Network) -> tuple[tuple[int, int, float, float], ...]:
    """List what departs from rate 1 and decay 1, as (start, stop, rate multiplier, decay multiplier).

    Biases are never decayed; a frozen layer has rate 0.
    """
    rows: list[tuple[int, int, float, float]] = []
    for layer in network.layers:
        rate = 0.0 if layer.spec.get("frozen", False) else float(layer.spec.get("learning_rate", 1.0))
        for tensor in layer.tensors:
            decay = float(layer.spec.get("l2", 1.0)) if tensor.name.endswith(".weights") else 0.0
            rows.append((tensor.offset, tensor.stop, rate, decay))
    return tuple(rows)


def _places(old: Tensor, new: Tensor) -> NDArray[np.int64]:
    indices = np.arange(new.size, dtype=np.int64).reshape(new.shape)
    return indices[tuple(slice(0, side) for side in old.shape)].ravel() + new.offset


TUNABLE = ("learning_rate", "l2", "frozen")
"""What of a layer may change while it is trained: the layout and the meaning of its parameters stay."""


def tuned(layers: Sequence[Spec], changes: Any, labels: int) -> tuple[dict[str, Any], ...]:
    """Copy a spec with some layers' TUNABLE keys changed: {name: {key: value}}. Raises Refusal(422)."""
    known = {layer.name: layer for layer in plan(layers, labels).layers}
    copies = [dict(spec) for spec in layers]
    if not isinstance(changes, Mapping):
        raise Refusal(422, f"layers must be an object of layer names, not {changes!r}")
    for name, change in changes.items():
        if name not in known or not known[name].tensors:
            some = ", ".join(key for key, layer in known.items() if layer.tensors)
            raise Refusal(422, f"layers: {name!r} is no layer with parameters; those are {some}")
        if not isinstance(change, Mapping) or set(change) - set(TUNABLE):
            raise Refusal(422, f"layers: of {name} may be changed {', '.join(TUNABLE)}, not {change!r}")
        copies[known[name].index].update(change)
    plan(copies, labels)
    return tuple(copies)


# ------------------------------------------------------------------------------------------------- one layer
@dataclass(slots=True)
class _Draft:
    """What a layer type's function reads and fills in."""

    name: str
    spec: Spec
    input: Shape
    labels: int
    earlier: list[Layer]
    output: Shape = (0, 0, 0)
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    macs: int = 0
    grows: bool = False

    def refuse(self, what: str) -> Refusal:
        return Refusal(422, f"{self.name}: {what}")

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        return self.check_whole(key, self.spec.get(key, default), low, high)

    def check_whole(self, key: str, value: Any, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(f"{key} must be a whole number from {low} to {high}, not {value!r}")
        return value

    def pair(self, key: str, low: int, default: int | tuple[int, int] | None = None) -> tuple[int, int]:
        value = self.spec.get(key, default)
        if not isinstance(value, (list, tuple)):
            value = (value, value)
        if len(value) != 2:
            raise self.refuse(f"{key} must be a number or [width, height], not {list(value)!r}")
        x, y = (self.check_whole(key, side, low, MAX_SIDE) for side in value)
        return x, y

    def flag(self, key: str) -> bool:
        value = self.spec.get(key, False)
        if not isinstance(value, bool):
            raise self.refuse(f"{key} must be true or false, not {value!r}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self.spec.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.refuse(f"{key} must be a number from {low} to {high}, not {value!r}")
        return float(value)


def _input(draft: _Draft) -> None:
    width, height = draft.whole("width", 1, MAX_SIDE), draft.whole("height", 1, MAX_SIDE)
    channels = draft.whole("channels", 1, 1024)
    for key in ("mean", "std"):
        values = draft.spec.get(key)
        if values is not None:
            _check_statistics(draft, key, values, channels)
    draft.pair("shift", 0, 0)
    draft.flag("flip")
    draft.number("crop", 1.0, 0.1, 1.0)
    draft.output = (width, height, channels)


def _check_statistics(draft: _Draft, key: str, values: Any, channels: int) -> None:
    fits = isinstance(values, (list, tuple)) and len(values) == channels
    if not fits or not all(isinstance(v, (int, float)) and not isinstance(v, bool) and isfinite(v) for v in values):
        raise draft.refuse(f"{key} must be {channels} finite numbers, one per channel, not {values!r}")
    if key == "std" and min(values) <= 0:
        raise draft.refuse(f"std must be above 0, not {values!r}")


def _window(draft: _Draft, key: str, stride: tuple[int, int] | int) -> tuple[int, int]:
    """Give width and height of what a sliding window puts out; `rounding: round` lets it run over the edge, half up."""
    kernel, steps, padding = draft.pair(key, 1), draft.pair("stride", 1, stride), draft.pair("padding", 0, 0)
    rounding = draft.spec.get("rounding", "floor")
    if rounding not in ("floor", "round"):
        raise draft.refuse(f'rounding must be "floor" or "round", not {rounding!r}')
    sizes = []
    for side, k, s, p in zip(draft.input, kernel, steps, padding, strict=False):
        room = side + 2 * p - k
        if room < 0:
            raise draft.refuse(
                f"a {key} of {k} does not fit into {side} + 2 × {p} (its input is {_words(draft.input)})"
            )
        if p >= k:
            raise draft.refuse(f"padding {p} must be smaller than the {key} {k}")
        sizes.append((2 * room + s) // (2 * s) + 1 if rounding == "round" else room // s + 1)
    return sizes[0], sizes[1]


def _units(draft: _Draft, key: str) -> int:
    draft.grows = key not in draft.spec
    return draft.labels if draft.grows else draft.whole(key, 1, MAX_CHANNELS)


def _conv(draft: _Draft) -> None:
    width, height = _window(draft, "kernel", 1)
    (kernel_x, kernel_y), channels, filters = draft.pair("kernel", 1), draft.input[2], _units(draft, "filters")
    draft.output = (width, height, filters)
    draft.shapes = (("weights", (kernel_y, kernel_x, channels, filters)), ("bias", (filters,)))
    draft.macs = width * height * kernel_x * kernel_y * channels * filters


def _pool(draft: _Draft) -> None:
    width, height = _window(draft, "size", draft.pair("size", 1))
    draft.output = (width, height, draft.input[2])


def _fully_connected(draft: _Draft) -> None:
    units, inputs = _units(draft, "units"), prod(draft.input)
    draft.output = (1, 1, units)
    draft.shapes = (("weights", (units, inputs)), ("bias", (units,)))
    draft.macs = units * inputs


def _same(draft: _Draft) -> None:
    draft.output = draft.input


def _leaky_relu(draft: _Draft) -> None:
    draft.number("slope", 0.01, 0.0, 1.0)
    _same(draft)


def _dropout(draft: _Draft) -> None:
    if draft.number("rate", 0.5, 0.0, 1.0) >= 1.0:
        raise draft.refuse("rate must be below 1, else nothing is left")
    _same(draft)


def _maxout(draft: _Draft) -> None:
    width, height, channels = draft.input
    groups = draft.whole("groups", 1, MAX_CHANNELS, 2)
    if channels % groups:
        raise draft.refuse(f"{channels} channels cannot be divided into groups of {groups}")
    draft.output = (width, height, channels // groups)


def _group_norm(draft: _Draft) -> None:
    channels, groups = draft.input[2], draft.whole("groups", 1, MAX_CHANNELS, 1)
    if channels % groups:
        raise draft.refuse(f"{channels} channels cannot be divided into {groups} groups")
    draft.shapes = (("weights", (channels,)), ("bias", (channels,)))
    _same(draft)


def _add(draft: _Draft) -> None:
    name = draft.spec.get("from")
    other = next((layer for layer in draft.earlier if layer.name == name), None)
    if other is None:
        raise draft.refuse(f'"from" must name an earlier layer, not {name!r}')
    if other.output != draft.input:
        raise draft.refuse(
            f"{other.name} puts out {_words(other.output)}, which cannot be added to {_words(draft.input)}"
        )
    _same(draft)


def _global_average_pool(draft: _Draft) -> None:
    draft.output = (1, 1, draft.input[2])


def _loss(draft: _Draft) -> None:
    if draft.input[:2] != (1, 1):
        raise draft.refuse(f"needs one value per label, but its input is {_words(draft.input)}")
    _same(draft)


TYPES: dict[str, Callable[[_Draft], None]] = {
    "input": _input, "conv": _conv, "max_pool": _pool, "average_pool": _pool, "fully_connected": _fully_connected,
    "relu": _same, "leaky_relu": _leaky_relu, "tanh": _same, "sigmoid": _same, "maxout": _maxout, "dropout": _dropout,
    "group_norm": _group_norm, "add": _add, "global_average_pool": _global_average_pool, "softmax": _loss,
    "squared_error": _loss,
}  # fmt: skip
"""Every layer type and the function that understands it."""

LOSSES = ("softmax", "squared_error")
_FREE_AFTER_GROWTH = {
    "relu",
    "leaky_relu",
    "tanh",
    "sigmoid",
    "dropout",
    "max_pool",
    "average_pool",
    "global_average_pool",
}

COMMON_KEYS = {"type", "name", "frozen", "learning_rate", "l2"}
_WINDOW = {"stride", "padding", "rounding"}
KEYS: dict[str, set[str]] = {
    "input": {"width", "height", "channels", "mean", "std", "shift", "flip", "crop"},
    "conv": {"filters", "kernel"} | _WINDOW,
    "max_pool": {"size"} | _WINDOW, "average_pool": {"size"} | _WINDOW, "fully_connected": {"units"},
    "leaky_relu": {"slope"}, "maxout": {"groups"}, "dropout": {"rate"}, "group_norm": {"groups"}, "add": {"from"},
}  # fmt: skip
"""What each type's spec may say beside the common keys."""


def _layer(index: int, spec: Any, earlier: list[Layer], offset: int, labels: int) -> Layer:
    kind, name = _kind_and_name(index, spec, earlier)
    draft = _Draft(name, spec, earlier[-1].output if earlier else (0, 0, 0), labels, earlier)
    draft.number("learning_rate", 1.0, 0.0, 1000.0)
    draft.number("l2", 1.0, 0.0, 1000.0)
    draft.flag("frozen")
    TYPES[kind](draft)
    if draft.output[2] > MAX_CHANNELS:
        raise draft.refuse(f"{draft.output[2]} channels are more than {MAX_CHANNELS}")
    tensors = []
    for part, shape in draft.shapes:
        tensors.append(Tensor(f"{name}.{part}", shape, offset))
        offset += tensors[-1].size
    return Layer(index, name, kind, spec, draft.input, draft.output, tuple(tensors), draft.macs, draft.grows)


def _kind_and_name(index: int, spec: Any, earlier: list[Layer]) -> tuple[str, str]:
    if not isinstance(spec, Mapping):
        raise Refusal(422, f"layer {index} must be an object with a type, not {spec!r}")
    kind = spec.get("type")
    if kind not in TYPES:
        raise Refusal(422, f"layer {index}: unknown type {kind!r}; known are {', '.join(TYPES)}")
    name = spec.get("name", f"{kind}{index}")
    if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= 64:
        raise Refusal(422, f"layer {index}: its name must be a text of 1 to 64 bytes, not {name!r}")
    if any(layer.name == name for layer in earlier):
        raise Refusal(422, f"layer {index}: the name {name} is used twice")
    if unknown := set(spec) - COMMON_KEYS - KEYS.get(kind, set()):
        raise Refusal(422, f"{name}: a {kind} layer has no {sorted(map(str, unknown))[0]!r}")
    if (kind == "input") != (index == 0):
        raise Refusal(422, f"{name}: a network has exactly one input layer, the first")
    return kind, name


def _check_whole(layers: list[Layer]) -> None:
    for layer in layers[:-1]:
        if layer.type in LOSSES:
            raise Refusal(422, f"{layer.name}: only the last layer may be a loss")
    if layers[-1].type not in LOSSES:
        raise Refusal(422, f"{layers[-1].name}: the last layer must be softmax or squared_error, not {layers[-1].type}")
    if not any(layer.tensors for layer in layers):
        raise Refusal(422, "the network has nothing to train: no layer has parameters")
    growing = [layer for layer in layers if layer.grows]
    if len(growing) > 1:
        raise Refusal(
            422, f"{growing[1].name}: only one layer may have one output per label, and {growing[0].name} has"
        )
    for layer in layers[growing[0].index + 1 : -1] if growing else ():
        if layer.type not in _FREE_AFTER_GROWTH:
            raise Refusal(
                422, f"{layer.name}: a {layer.type} cannot follow {growing[0].name}, which grows with the labels"
            )


def _words(shape: Shape) -> str:
    return "×".join(map(str, shape))
