"""A slow, obvious forward pass as the prototype of 2015 had it, in float64, and files as it wrote them.

Rules of this file:
- Volumes are flat lists, planar: value (x, y, d) lies at x + width · y + width · height · d. Pixels are 0 … 255.
- Nothing is shared with mlitb/prototype.py or the engine, and nothing is copied: written from what the format means.
"""

import math
from typing import Any

import numpy as np

Volume = tuple[int, int, int, list[float]]
"""Width, height, depth, values."""

Conf = dict[str, Any]


def half_up(x: float) -> int:
    """Round as JavaScript does."""
    return math.floor(x + 0.5)


def at(volume: Volume, x: int, y: int, d: int) -> float | None:
    """Return a value, None beside the picture."""
    width, height, _, values = volume
    return values[x + width * y + width * height * d] if 0 <= x < width and 0 <= y < height else None


def conv(conf: Conf, volume: Volume, filters: list[list[float]], biases: list[float]) -> Volume:
    width, height, depth, _ = volume
    sx: int = conf["sx"]
    sy: int = conf.get("sy", sx)
    stride, pad = conf.get("stride", 1), conf.get("pad", 0)
    stride = stride if stride <= min(sx, sy) else 1
    across, down = half_up((width + 2 * pad - sx) / stride + 1), half_up((height + 2 * pad - sy) / stride + 1)
    out = []
    for weights, bias in zip(filters, biases, strict=True):
        for oy in range(down):
            for ox in range(across):
                total = 0.0
                for d in range(depth):
                    for fy in range(sy):
                        for fx in range(sx):
                            value = at(volume, ox * stride - pad + fx, oy * stride - pad + fy, d)
                            total += 0.0 if value is None else value * weights[fx + sx * fy + sx * sy * d]
                out.append(total * conf.get("weightMult", 1) + bias)
    return across, down, len(filters), out


def fc(conf: Conf, volume: Volume, weights: list[float], biases: list[float]) -> Volume:
    values = volume[3]
    n = len(values)
    sums = [sum(values[j] * weights[i * n + j] for j in range(n)) for i in range(len(biases))]
    out = [total * conf.get("weightMult", 1) + bias for total, bias in zip(sums, biases, strict=True)]
    return 1, 1, len(biases), out


def pool(conf: Conf, volume: Volume) -> Volume:
    width, height, depth, _ = volume
    sx: int = conf["sx"]
    sy: int = conf.get("sy", sx)
    stride = conf["stride"] if conf.get("stride", sx + 1) <= sx else sx
    across, down = half_up((width - sx) / stride + 1), half_up((height - sy) / stride + 1)
    out = []
    for d in range(depth):
        for oy in range(down):
            for ox in range(across):
                window = [at(volume, ox * stride + x, oy * stride + y, d) for y in range(sy) for x in range(sx)]
                inside = [value for value in window if value is not None]
                out.append(sum(inside) / len(window) if conf.get("pool_type") == "avg" else max(inside))
    return across, down, depth, out


def activate(kind: str, volume: Volume) -> Volume:
    width, height, depth, values = volume
    match kind:
        case "linear":
            return volume
        case "relu":
            return width, height, depth, [max(0.0, value) for value in values]
        case "sigmoid":
            return width, height, depth, [1 / (1 + math.exp(-value)) for value in values]
        case "softmax":
            powers = [math.exp(value - max(values)) for value in values]
            return 1, 1, len(values), [power / sum(powers) for power in powers]
    raise AssertionError(kind)


def scaled(volume: Volume, factor: float) -> Volume:
    width, height, depth, values = volume
    return width, height, depth, [value * factor for value in values]


def probabilities(file: dict[str, Any], pixels: Any) -> list[float]:
    """Return what the prototype says of a picture: uint8 (height, width, channels)."""
    inner = file.get("net", file)
    arrays = iter(inner["params"])
    height, width, depth = pixels.shape
    volume: Volume = (width, height, depth, [float(value) for value in pixels.transpose(2, 0, 1).reshape(-1)])
    for conf in inner["configs"]:
        match conf["type"]:
            case "conv":
                filters = [next(arrays) for _ in range(conf["filters"])]
                volume = activate(conf.get("activation", "relu"), conv(conf, volume, filters, next(arrays)))
            case "fc":
                volume = activate(conf.get("activation", "linear"), fc(conf, volume, next(arrays), next(arrays)))
            case "pool":
                volume = pool(conf, volume)
            case "relu" | "sigmoid" | "softmax" | "linear":
                volume = activate(conf["type"], volume)
        if "drop_prob" in conf or conf["type"] == "dropout":
            volume = scaled(volume, conf.get("drop_prob", 0.5))
    return volume[3]


def sizes(confs: list[Conf]) -> list[tuple[int, int, int]]:
    """Return width, height and depth behind each conf, by running it on nothing."""
    found = []
    width, height, depth = confs[0]["sx"], confs[0]["sy"], confs[0]["depth"]
    volume: Volume = (width, height, depth, [0.0] * (width * height * depth))
    for conf in confs:
        match conf["type"]:
            case "conv":
                weights = [[0.0] * (conf["sx"] * conf.get("sy", conf["sx"]) * volume[2])] * conf["filters"]
                volume = conv(conf, volume, weights, [0.0] * conf["filters"])
            case "fc":
                n = conf["num_neurons"]
                volume = fc(conf, volume, [0.0] * (n * len(volume[3])), [0.0] * n)
            case "pool":
                volume = pool(conf, volume)
        found.append(volume[:3])
    return found


def some(random: np.random.Generator, n: int, spread: float) -> list[float]:
    return [float(value) * spread for value in random.normal(size=n)]


def file_of(confs: list[Conf], labels: list[str], seed: int = 0) -> dict[str, Any]:
    """Make a file as the prototype wrote it, with weights that keep its values moderate."""
    random = np.random.default_rng(seed)
    shapes = sizes(confs)
    params: list[list[float]] = []
    first = True
    for index, conf in enumerate(confs):
        before = shapes[max(0, index - 1)]
        spread = 1 / 255 if first else 1.0  # its pixels are large
        if conf["type"] == "conv":
            fan = conf["sx"] * conf.get("sy", conf["sx"]) * before[2]
            params += [some(random, fan, spread * 2 / math.sqrt(fan)) for _ in range(conf["filters"])]
            params.append(some(random, conf["filters"], 1.0))
            first = False
        if conf["type"] == "fc":
            fan, n = math.prod(before), conf["num_neurons"]
            params += [some(random, fan * n, spread * 2 / math.sqrt(fan)), some(random, n, 1.0)]
            first = False
    index2label = {str(index): label for index, label in enumerate(labels)}
    return {
        "params": params, "configs": confs, "index2label": index2label,
        "label2index": {label: index for index, label in enumerate(labels)},
    }  # fmt: skip
