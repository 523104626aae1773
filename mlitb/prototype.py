"""Models of the prototype of 2015: `{params, configs, label2index, index2label}`, or that as `net` of `{step, net}`.

Rules of this file:
- What comes out gives the original's probabilities; what cannot be represented is a ModelError that names the layer.
- The original's volumes are planar, [channel][y][x], its pixels 0 … 255, its output sizes rounded half up.
- Outside of training the original multiplies by `drop_prob` behind a dropout, and weights by `weightMult`: both go into
  the weights here.

Source: MLITB/static/js/mlitb.js of github.com/software-engineering-amsterdam/MLitB, read for the format.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlitb.model import Model, ModelError, checked, planned

Wide = NDArray[np.float64]
Shape = tuple[int, int, int]
"""Width, height, channels."""

ACTIVATIONS = {"conv": "relu", "fc": "linear"}
"""What follows a layer when its conf names no activation."""

SIMPLE = ("relu", "sigmoid", "linear", "softmax")
SCALES = ("relu", "max_pool", "average_pool", "dropout", "linear")
"""Types through which a positive factor passes unchanged."""

MAX_LAYERS = 256
PIXEL = 1 / 255
"""With this as the spread and mean 0, a pixel enters as 0 … 255, as in the original."""


@dataclass(slots=True)
class Layer:
    """One layer on its way: our spec, and weights (out, …) with biases where it has any."""

    name: str
    type: str
    spec: dict[str, Any]
    output: Shape
    weights: Wide | None = None
    bias: Wide | None = None
    factor: float = 1.0  # of a dropout


@dataclass(slots=True)
class Reader:
    """Walks the confs and takes from the list of arrays what each needs."""

    arrays: list[Any]
    layers: list[Layer] = field(default_factory=list)
    taken: int = 0

    @property
    def shape(self) -> Shape:
        """What the last layer puts out."""
        return self.layers[-1].output

    def take(self, name: str) -> Wide:
        """Take the next array of parameters."""
        if self.taken >= len(self.arrays):
            raise ModelError(f"{name}: there are only {len(self.arrays)} arrays of parameters, and it needs more")
        self.taken += 1
        try:
            values = np.asarray(self.arrays[self.taken - 1], np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(f"{name}: its parameters cannot be read ({error})") from error
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ModelError(f"{name}: its parameters hold values that are not finite numbers")
        return values

    def add(self, name: str, kind: str, output: Shape, **options: Any) -> Layer:
        """Append a layer."""
        layer = Layer(name, kind, {"type": kind, **options}, output)
        self.layers.append(layer)
        return layer


def is_prototype(document: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object has one of the prototype's two forms."""
    inner = document.get("net", document)
    return isinstance(inner, dict) and "configs" in inner and "params" in inner


def from_prototype(document: Mapping[str, Any]) -> Model:
    """Convert a file of the prototype; raise ModelError."""
    inner: Mapping[str, Any] = document.get("net", document)
    step = document.get("step", 0)
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise ModelError(f'"step" is {step!r}; it must be a whole number')
    confs, arrays = inner["configs"], inner["params"]
    if not isinstance(confs, list) or not isinstance(arrays, list) or not 0 < len(confs) <= MAX_LAYERS:
        raise ModelError(f'"configs" must be a list of 1 to {MAX_LAYERS} layers, and "params" a list of arrays')
    reader = Reader(arrays)
    for index, conf in enumerate(confs):
        _read(reader, index, conf)
    if reader.taken < len(arrays):
        raise ModelError(f"the layers need {reader.taken} arrays of parameters, but there are {len(arrays)}")
    _fold(reader.layers)
    _freeze(reader.layers, confs)
    return _model(reader.layers, _labels(inner), step)


# ------------------------------------------------------------------------------------------------ layer by layer
def _read(reader: Reader, index: int, conf: Any) -> None:
    if not isinstance(conf, dict) or not isinstance(conf.get("type"), str):
        raise ModelError(f"layer {index} is not an object with a type")
    kind, name = conf["type"], f"{conf['type'][:40]}{index}"
    if (kind == "input") != (index == 0):
        raise ModelError(f"{name}: a network has exactly one input layer, the first")
    activation = (conf.get("activation") or ACTIVATIONS[kind]) if kind in ACTIVATIONS else "linear"
    if activation not in SIMPLE:
        raise ModelError(f"{name}: its activation {str(activation)[:40]!r} cannot be represented")
    if kind in _KINDS:
        _KINDS[kind](reader, name, conf)
    elif kind in SIMPLE:
        _activation(reader, name, kind)
    else:
        raise ModelError(f"{name}: a layer of type {kind[:40]!r} cannot be represented")
    _activation(reader, name, activation)
    if kind != "dropout" and "drop_prob" in conf:
        _dropout(reader, name, conf)


def _activation(reader: Reader, name: str, kind: str) -> None:
    if kind != "linear":
        reader.add(name, kind, reader.shape)


def _input(reader: Reader, name: str, conf: Mapping[str, Any]) -> None:
    width, height, depth = (_whole(name, conf, key, 1) for key in ("sx", "sy", "depth"))
    if depth not in (1, 3):
        raise ModelError(f"{name}: pictures have 1 or 3 channels, not {depth}")
    statistics = {"mean": [0.0] * depth, "std": [PIXEL] * depth}
    reader.add(name, "input", (width, height, depth), width=width, height=height, channels=depth, **statistics)


def _conv(reader: Reader, name: str, conf: Mapping[str, Any]) -> None:
    width, height, stride = _window(name, conf)
    filters, padding, depth = _whole(name, conf, "filters", 1), _whole(name, conf, "pad", 0, 0), reader.shape[2]
    if stride > min(width, height):
        stride = 1
    options, output = _sizes(name, reader.shape, (width, height), stride, padding)
    layer = reader.add(
        name, "conv", (*output, filters), filters=filters, kernel=[width, height], padding=padding, **options
    )
    planes = [_sized(name, reader.take(name), depth * width * height) for _ in range(filters)]
    layer.weights = np.stack(planes).reshape(filters, depth, height, width).transpose(0, 2, 3, 1) * _multiple(
        name, conf
    )
    layer.bias = _sized(name, reader.take(name), filters)


def _fc(reader: Reader, name: str, conf: Mapping[str, Any]) -> None:
    width, height, depth = reader.shape
    weights, bias = reader.take(name), reader.take(name)
    units = bias.size
    if not units:
        raise ModelError(f"{name}: it has no neurons: the model was never given a label")
    if conf.get("num_neurons") not in (None, 0, units):
        raise ModelError(f"{name}: it says {conf['num_neurons']!r} neurons, but has parameters of {units}")
    weights = _sized(name, weights, units * width * height * depth).reshape(units, depth, height, width)
    layer = reader.add(name, "fully_connected", (1, 1, units), units=units)
    layer.weights, layer.bias = weights.transpose(0, 2, 3, 1) * _multiple(name, conf), bias


def _pool(reader: Reader, name: str, conf: Mapping[str, Any]) -> None:
    width, height, stride = _window(name, conf)
    if "stride" not in conf or stride > width:
        stride = width
    if _whole(name, conf, "pad", 0, 0):
        raise ModelError(f"{name}: the original's pooling with padding reads beside the picture: not to be represented")
    options, output = _sizes(name, reader.shape, (width, height), stride, 0)
    average = conf.get("pool_type", "max") == "avg"
    over = any(
        (out - 1) * stride + size > side for out, size, side in zip(output, (width, height), reader.shape, strict=False)
    )
    if average and over:
        raise ModelError(
            f"{name}: the original's average over the edge counts what is not there: not to be represented"
        )
    kind = "average_pool" if average else "max_pool"
    reader.add(name, kind, (*output, reader.shape[2]), size=[width, height], **options)


def _dropout(reader: Reader, name: str, conf: Mapping[str, Any]) -> None:
    given = conf.get("drop_prob")
    if given is not None and (isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < 1):
        raise ModelError(f"{name}: drop_prob must be a number between 0 and 1, not {given!r}")
    rate = 0.5 if given is None else float(given)
    reader.add(name, "dropout", reader.shape, rate=rate).factor = rate


_KINDS = {"input": _input, "conv": _conv, "fc": _fc, "pool": _pool, "dropout": _dropout}


def _window(name: str, conf: Mapping[str, Any]) -> tuple[int, int, int]:
    width = _whole(name, conf, "sx", 1)
    return width, _whole(name, conf, "sy", 1, width), _whole(name, conf, "stride", 1, 1)


def _sizes(
    name: str, shape: Shape, window: tuple[int, int], stride: int, padding: int
) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return stride and rounding for our spec, and the width and height that come out, rounded half up."""
    rooms = [side + 2 * padding - size for side, size in zip(shape, window, strict=False)]
    if min(rooms) < 0:
        raise ModelError(f"{name}: a window of {window[0]}×{window[1]} does not fit into {shape[0]}×{shape[1]}")
    width, height = ((2 * room + stride) // (2 * stride) + 1 for room in rooms)
    rounding = {"rounding": "round"} if any(room % stride for room in rooms) else {}
    return {"stride": stride, **rounding}, (width, height)


def _whole(name: str, conf: Mapping[str, Any], key: str, low: int, default: int | None = None) -> int:
    value = conf.get(key, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value < 2**16 or value != int(value):
        raise ModelError(f"{name}: {key} must be a whole number from {low}, not {value!r}")
    return int(value)


def _multiple(name: str, conf: Mapping[str, Any]) -> float:
    value = conf.get("weightMult", 1)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ModelError(f"{name}: weightMult must be a number, not {value!r}")
    return float(value)


def _sized(name: str, values: Wide, size: int) -> Wide:
    if values.size != size:
        raise ModelError(f"{name}: its shapes disagree: {values.size} parameters where {size} are needed")
    return values


# ------------------------------------------------------------------------------------------------- the whole
def _fold(layers: list[Layer]) -> None:
    """Put each dropout's factor into the weights behind it, else into those before it."""
    for place, layer in enumerate(layers):
        if layer.type != "dropout":
            continue
        behind, before = _weights(layers[place + 1 :]), _weights(layers[:place][::-1])
        if behind is not None:
            assert behind.weights is not None
            behind.weights = behind.weights * layer.factor
        elif before is not None:
            assert before.weights is not None
            assert before.bias is not None
            before.weights, before.bias = before.weights * layer.factor, before.bias * layer.factor
        else:
            raise ModelError(f"{layer.name}: the original's dropout between these layers cannot be represented")


def _weights(layers: list[Layer]) -> Layer | None:
    """Return the first layer with weights that a factor reaches unchanged."""
    for layer in layers:
        if layer.weights is not None:
            return layer
        if layer.type not in SCALES:
            return None
    return None


def _freeze(layers: list[Layer], confs: list[Any]) -> None:
    """Freeze what the original froze: a layer with `is_train: false`, and all before it."""
    last = max((i for i, conf in enumerate(confs) if conf.get("is_train") is False), default=-1)
    names = {f"{conf['type']}{i}" for i, conf in enumerate(confs[: last + 1])}
    for layer in layers:
        if layer.name in names and layer.weights is not None:
            layer.spec["frozen"] = True


def _labels(inner: Mapping[str, Any]) -> tuple[str, ...]:
    given, other = inner.get("index2label"), inner.get("label2index", {})
    if not isinstance(given, dict) or not given or not isinstance(other, dict):
        raise ModelError('"index2label" must map numbers to labels: the file has no labels')
    if set(given) != {str(index) for index in range(len(given))}:
        raise ModelError('"index2label" must number the labels from 0 on')
    labels = tuple(str(given[str(index)]) for index in range(len(given)))
    for index, label in enumerate(labels):
        if other and other.get(label) != index:
            raise ModelError(
                f"the label {label!r} is number {index} in index2label and {other.get(label)!r} in label2index"
            )
    return labels


def _model(layers: list[Layer], labels: tuple[str, ...], step: int) -> Model:
    with_weights = [layer for layer in layers if layer.weights is not None]
    if not with_weights:
        raise ModelError("the network has nothing to train: no layer has parameters")
    last, outputs = with_weights[-1], layers[-1].output
    if outputs[0] * outputs[1] * outputs[2] != len(labels):
        raise ModelError(f"the labels disagree with the outputs: {len(labels)} labels, {last.name} has {outputs[2]}")
    last.spec.pop("units", None)
    last.spec.pop("filters", None)
    specs = [layer.spec for layer in layers]
    if layers[-1].type != "softmax":
        specs.append({"type": "squared_error"})
    network = planned(specs, labels)
    parts = [part for layer in with_weights for part in (_ours(layer), layer.bias)]
    values = [checked(tensor, part) for tensor, part in zip(network.tensors, parts, strict=True)]
    parameters = np.concatenate([value.reshape(-1) for value in values])
    return Model("MLitB 2015", tuple(specs), labels, parameters, step)


def _ours(layer: Layer) -> Wide:
    """Return weights in our order: conv [y][x][in][out], fully connected [out][in]."""
    assert layer.weights is not None
    return layer.weights.transpose(1, 2, 3, 0) if layer.type == "conv" else layer.weights
