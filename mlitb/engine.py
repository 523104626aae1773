"""The engine from Python: engine.wasm through wasmtime, the same module and the same bits as in a browser.

Rules of this file:
- No arithmetic on parameters, pixels or gradients here: the module does it, or bits would differ between hosts.
- One wasm instance is one network; dropping the EngineNetwork frees its memory.
- What the engine refuses is an EngineError with the engine's own sentence.
- The mirror for browsers is static/js/engine/wasm.js; docs/engine.md describes the interface of the module.
"""

import ctypes
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import wasmtime

Floats = npt.NDArray[np.float32]
Integers = npt.ArrayLike


class EngineError(ValueError):
    """The engine refused a network or an input; the message is one sentence that names what was wrong."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the flat parameter vector: `vector[offset : offset + size].reshape(shape)`."""

    name: str  # "conv1.weights"
    shape: tuple[int, ...]
    offset: int
    size: int
    frozen: bool = False
    learning_rate_multiplier: float = 1.0
    l2_multiplier: float = 1.0


class Engine:
    """Compile engine.wasm once, from a path or its bytes; networks are made from it."""

    def __init__(self, source: str | Path | bytes) -> None:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._engine = wasmtime.Engine()
        self._module = wasmtime.Module(self._engine, content)

    def network(self, layers: Sequence[dict[str, Any]], labels: int, batch: int = 16) -> "EngineNetwork":
        """Make a network for micro-batches of up to `batch` vectors; raise EngineError when it cannot be."""
        store = wasmtime.Store(self._engine)
        return EngineNetwork(store, wasmtime.Instance(store, self._module, []), layers, labels, batch)


class EngineNetwork:
    """One network in one wasm instance; not for use by two threads at once."""

    def __init__(
        self,
        store: wasmtime.Store,
        instance: wasmtime.Instance,
        layers: Sequence[dict[str, Any]],
        labels: int,
        batch: int,
    ) -> None:
        self._store, self._exports = store, instance.exports(store)
        self._memory = cast(wasmtime.Memory, self._exports["memory"])
        spec = json.dumps(list(layers)).encode()
        self._view(np.uint8, self._call("room", len(spec)), len(spec))[:] = np.frombuffer(spec, np.uint8)
        self._checked("describe", len(spec), labels, batch)
        report = json.loads(self._text())
        self._checked("allocate")
        self.batch, self.labels = batch, labels
        self.bytes: int = report["bytes"]
        self.parameter_count: int = report["parameters"]
        self.names: list[str] = [layer["name"] for layer in report["layers"]]
        self.shapes: list[tuple[int, int, int]] = [tuple(layer["shape"]) for layer in report["layers"]]
        self.layout = [_block(block) for block in report["blocks"]]
        self._vector = self._view(np.float32, report["at_vector"], self.parameter_count)
        self._outputs = self._view(np.float32, report["at_outputs"], report["outputs"] * batch)
        self._bytes = self._view(np.uint8, report["at_pixels"], batch * int(np.prod(self.shapes[0])))
        self._floats = self._view(np.float32, report["at_pixels"], batch * int(np.prod(self.shapes[0])))
        self._labels = self._view(np.int32, report["at_labels"], batch)
        self._keys = self._view(np.uint32, report["at_keys"], batch)

    def initial(self, seed: int) -> Floats:
        """Return the initial values for a seed (0 … 2⁶⁴ − 1): float32, (parameter_count,)."""
        self._call("initial", *_halves(seed))
        return self._vector.copy()

    def set_parameters(self, vector: npt.ArrayLike) -> None:
        """Use these parameters from now on: (parameter_count,); raise EngineError when one is not finite."""
        values = np.asarray(vector, np.float32)
        if values.shape != (self.parameter_count,):
            raise EngineError(f"this network has {self.parameter_count} parameters, not {values.size}")
        self._vector[:] = values
        self._checked("load")

    def clear(self) -> None:
        """Set the gradient sum to zero."""
        self._call("clear")

    def gradient(
        self, pixels: npt.ArrayLike, labels: Integers, keys: Integers | None = None, seed: int = 0, iteration: int = 0
    ) -> tuple[float, int]:
        """Add the gradients of a micro-batch to the sum; return the summed loss and the number of wrong answers.

        `pixels` are (n, height, width, channels), uint8 or float32 in 0 … 1; `labels` and `keys` (n,). (seed,
        iteration, key of the vector) decide dropout and augmentation. Raise EngineError, and add nothing, when a
        pixel, a label or the loss is wrong.
        """
        n, floats = self._put(pixels, labels)
        self._keys[:n] = 0 if keys is None else np.asarray(keys, np.uint32)
        self._checked("gradient", n, floats, *_halves(seed), iteration & 0xFFFFFFFF)
        return self._loss()

    def gradient_sum(self) -> Floats:
        """Return the sum of the gradients since `clear`: float32, (parameter_count,)."""
        self._call("save")
        return self._vector.copy()

    def begin_local(self) -> None:
        """Begin local steps at the present parameters, without momentum, with an empty gradient sum."""
        self._call("begin_local")

    def local_step(self, vectors: int, learning_rate: float, momentum: float = 0.9, l2: float = 0.0) -> None:
        """Take a step of SGD with momentum along the mean of the gradient sum over `vectors`, and clear the sum."""
        self._checked("local_step", vectors, learning_rate, momentum, l2)

    def local_difference(self) -> Floats:
        """Return the parameters minus those at `begin_local`: float32, (parameter_count,)."""
        self._call("local_difference")
        return self._vector.copy()

    def evaluate(self, pixels: npt.ArrayLike, labels: Integers) -> tuple[float, int]:
        """Return the summed loss and the number of wrong answers, without dropout and without a gradient."""
        self._checked("evaluate", *self._put(pixels, labels))
        return self._loss()

    def probabilities(self, pixels: npt.ArrayLike) -> Floats:
        """Return what the last layer says: float32, (n, outputs)."""
        n, floats = self._put(pixels)
        self._checked("probabilities", n, floats)
        return self._out(n, len(self.shapes) - 1).reshape(n, -1)

    def activations(self, layer: str, pixels: npt.ArrayLike) -> Floats:
        """Return the values that a layer computes: float32, (n, height, width, channels)."""
        if layer not in self.names:
            raise EngineError(f"there is no layer {layer!r}; there are {', '.join(self.names)}")
        index = self.names.index(layer)
        n, floats = self._put(pixels)
        self._checked("activations", index, n, floats)
        return self._out(n, index)

    @property
    def memory_bytes(self) -> int:
        """The size of the instance's memory: fixed once the network is made."""
        return self._memory.data_len(self._store)

    def _put(self, pixels: npt.ArrayLike, labels: Integers | None = None) -> tuple[int, int]:
        values = np.asarray(pixels)
        n = len(values) if values.ndim else 0
        if not 1 <= n <= self.batch or values.size != n * int(np.prod(self.shapes[0])):
            size = "×".join(map(str, self.shapes[0]))
            raise EngineError(f"pixels must be 1 to {self.batch} vectors of {size}, not an array of {values.shape}")
        floats = values.dtype != np.uint8
        (self._floats if floats else self._bytes)[: values.size] = values.reshape(-1)
        if labels is not None:
            chosen = np.asarray(labels, np.int32)
            if chosen.shape != (n,):
                raise EngineError(f"{n} vectors need {n} labels, not an array of {chosen.shape}")
            self._labels[:n] = chosen
        return n, int(floats)

    def _out(self, n: int, layer: int) -> Floats:
        shape = self.shapes[layer]
        return self._outputs[: n * int(np.prod(shape))].reshape(n, *shape).copy()

    def _loss(self) -> tuple[float, int]:
        return float(self._call("loss")), int(self._call("wrong"))

    def _view(self, kind: Any, at: int, count: int) -> npt.NDArray[Any]:
        base = ctypes.addressof(self._memory.data_ptr(self._store).contents) + at
        room = (ctypes.c_ubyte * (count * np.dtype(kind).itemsize)).from_address(base)
        return np.frombuffer(room, kind)

    def _text(self) -> str:
        at = self._call("text_at")
        return bytes(self._memory.read(self._store, at, at + self._call("text_size"))).decode(errors="replace")

    def _call(self, name: str, *arguments: float) -> Any:
        function = cast(wasmtime.Func, self._exports[name])
        signed = [value - (1 << 32) if value >= 1 << 31 else value for value in arguments]
        return function(self._store, *signed)

    def _checked(self, name: str, *arguments: float) -> None:
        if not self._call(name, *arguments):
            raise EngineError(self._text())


def _halves(seed: int) -> tuple[int, int]:
    return seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF


def _block(said: dict[str, Any]) -> Block:
    multipliers = said["learning_rate_multiplier"], said["l2_multiplier"]
    name = f"{said['layer']}.{said['kind']}"
    return Block(name, tuple(said["shape"]), said["offset"], said["size"], said["frozen"], *multipliers)
