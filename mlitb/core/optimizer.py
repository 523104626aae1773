"""Optimizers: `init` makes the state, `update` takes one step over a slice of the arrays.

Rules of this file:
- State and parameters are float32 between steps; float64 exists only inside one step. Nothing here is random.
- `update` is pure: it reads slices and returns new ones: a step can be walked in pieces, and dropped if it diverged.
- The gradient that comes in is a sum over vectors; here it becomes a mean, then gets its decay terms, then the rule.
- The step count lives in the state (one value), so that a restored checkpoint goes on exactly; up to 2²⁴.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite, sqrt
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mlitb.core.refusal import Refusal

Array = NDArray[np.float32]
Wide = NDArray[np.float64]
State = dict[str, Array]
Rule = Literal["adagrad", "sgd", "nesterov", "rmsprop", "adam"]

SLICE = 1_000_000
"""Entries walked between two looks at the event loop: about 10 ms."""

BLOCK = 32_768
"""Entries computed at once: what a step makes on the way stays in the cache (5 times as fast as 1,000,000)."""

SLOTS: dict[str, tuple[str, ...]] = {
    "adagrad": ("squares",), "sgd": ("velocity",), "nesterov": ("velocity",), "rmsprop": ("squares", "velocity"),
    "adam": ("mean", "squares"),
}  # fmt: skip
"""What each rule remembers, one float32 per parameter each."""


@dataclass(frozen=True, slots=True)
class Hyper:
    """Hyper-parameters of the reduce step; a plain dict of these travels in Step.settings."""

    optimizer: Rule = "adagrad"
    learning_rate: float = 0.01
    momentum: float = 0.0  # sgd, nesterov, rmsprop
    rho: float = 0.99  # rmsprop: how much of the old mean square stays
    beta1: float = 0.9  # adam
    beta2: float = 0.999
    epsilon: float = 1e-8
    l1: float = 0.0
    l2: float = 0.0
    clip: float = 0.0  # largest norm of the mean gradient, 0: any
    decay: float = 1.0  # the learning rate is multiplied by this …
    decay_interval: int = 0  # … each time so many steps are done, 0: never …
    decay_floor: float = 0.0  # … but not below this
    warmup: int = 0  # steps over which the rate rises from nothing
    multipliers: tuple[
        tuple[int, int, float, float], ...
    ] = ()  # start, stop, × rate, × decay: core.network.multipliers

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "Hyper":
        """Read a plain dict; raises Refusal(422) with a sentence that names the hyper-parameter."""
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise Refusal(422, f"there is no setting {sorted(unknown)[0]!r}")
        rule = values.get("optimizer", "adagrad")
        if rule not in get_args(Rule):
            raise Refusal(422, f"optimizer must be one of {', '.join(get_args(Rule))}, not {rule!r}")
        numbers = {key: _number(key, values[key]) for key in _BOUNDS if key in values}
        rows = tuple(cast("tuple[int, int, float, float]", tuple(row)) for row in values.get("multipliers", ()))
        return cls(optimizer=rule, multipliers=rows, **cast("dict[str, Any]", numbers))

    def plain(self) -> dict[str, Any]:
        """Give the plain dict that `parse` reads."""
        return asdict(self)


_BOUNDS: dict[str, tuple[float, float]] = {
    "learning_rate": (0.0, 1000.0), "momentum": (0.0, 0.99999), "rho": (0.0, 0.99999), "beta1": (0.0, 0.99999),
    "beta2": (0.0, 0.9999999), "epsilon": (1e-30, 1.0), "l1": (0.0, 1000.0), "l2": (0.0, 1000.0), "clip": (0.0, 1e30),
    "decay": (0.0, 1.0), "decay_interval": (0, 10**9), "decay_floor": (0.0, 1000.0), "warmup": (0, 10**7),
}  # fmt: skip
_RATE, _DECAY = 2, 3  # columns of a multiplier
_WHOLE = ("decay_interval", "warmup")


def _number(key: str, value: Any) -> float | int:
    low, high = _BOUNDS[key]
    kinds = (int,) if key in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not isfinite(value) or not low <= value <= high:
        kind = "a whole number" if key in _WHOLE else "a number"
        raise Refusal(422, f"{key} must be {kind} from {low:g} to {high:g}, not {value!r}")
    return value


def init(hyper: Hyper, size: int) -> State:
    """Make the state before the first step: zeros, one array per slot, and the step count."""
    return {"step": np.zeros(1, np.float32), **{slot: np.zeros(size, np.float32) for slot in SLOTS[hyper.optimizer]}}


def adapted(state: State, hyper: Hyper, size: int) -> State:
    """Keep what another rule's state has in common with this rule's, for a change of optimizer while training."""
    return {name: state.get(name, zeros) for name, zeros in init(hyper, size).items()}


def next_learning_rate(hyper: Hyper, learning_rate: float, steps: int) -> float:
    """Decay the learning rate after step number `steps` (the first is 1) since the parameters were made."""
    if not hyper.decay_interval or steps % hyper.decay_interval:
        return learning_rate
    return max(learning_rate * hyper.decay, min(hyper.decay_floor, learning_rate))


class Update:
    """One optimizer step over whole vectors, walked in slices; the old arrays stay as they are.

    After `walk` is exhausted: `parameters` and `state` are the new arrays and `finite` tells whether to keep them.
    """

    def __init__(
        self, hyper: Hyper, parameters: Array, gradient: NDArray[Any], state: State, vectors: int, learning_rate: float
    ) -> None:
        assert vectors > 0, "a step needs vectors to divide by"
        assert parameters.size == gradient.size, f"{gradient.size} gradients for {parameters.size} parameters"
        self.hyper = hyper
        self.vectors = vectors
        self.learning_rate = learning_rate
        self.parameters = np.empty_like(parameters)
        self.state = {name: np.empty_like(values) for name, values in state.items()}
        self.finite = True
        self._old = (parameters, gradient, state)

    def walk(self, size: int = SLICE) -> Iterator[None]:
        """Do the step, stopping after each slice so that something else may run."""
        parameters, gradient, state = self._old
        slices = [slice(i, min(i + size, parameters.size)) for i in range(0, parameters.size, size)]
        scale = 1.0 / self.vectors
        if self.hyper.clip:
            total = 0.0
            for part in slices:
                total += squared_norm(gradient[part])
                yield
            scale *= clip_factor(self.hyper.clip, sqrt(total) / self.vectors)
        step = int(state["step"][0]) + 1
        self.state["step"][0] = step
        for part in slices:
            for start in range(part.start, part.stop, BLOCK):
                self._block(slice(start, min(start + BLOCK, part.stop)), scale, step)
            yield

    def _block(self, part: slice, scale: float, step: int) -> None:
        parameters, gradient, state = self._old
        old = {name: values[part] for name, values in state.items() if name != "step"}
        new, slots = update(
            self.hyper, parameters[part], gradient[part], old, scale, self.learning_rate, step, part.start
        )
        self.parameters[part] = new
        for name, values in slots.items():
            self.state[name][part] = values
        self.finite = self.finite and bool(np.isfinite(new).all())


def squared_norm(gradient: NDArray[Any]) -> float:
    """Sum the squares of a slice, in float64."""
    wide = gradient.astype(np.float64)
    return float(wide @ wide)


def clip_factor(limit: float, norm: float) -> float:
    """Give the factor that brings a norm down to the limit, 1 when it is below."""
    return 1.0 if norm <= limit else limit / norm


def update(
    hyper: Hyper,
    parameters: Array,
    gradient: NDArray[Any],
    state: State,
    scale: float,
    rate: float,
    step: int,
    start: int = 0,
) -> tuple[Array, State]:
    """Take one step over a slice that begins at entry `start`: new parameters and new state, float32.

    `gradient` is a sum over vectors and `scale` what makes it a (clipped) mean; `step` counts from 1.
    """
    wide = parameters.astype(np.float64)
    mean = gradient.astype(np.float64) * scale
    rates = _multiplied(hyper, start, parameters.size, _RATE)
    if hyper.l1 or hyper.l2:
        decays = _multiplied(hyper, start, parameters.size, _DECAY)
        mean += decays * (hyper.l2 * wide + hyper.l1 * np.sign(wide))
    if hyper.warmup and step < hyper.warmup:
        rate *= step / hyper.warmup
    old = {name: values.astype(np.float64) for name, values in state.items()}
    change, new = _RULES[hyper.optimizer](hyper, mean, old, rate * rates, step)
    with np.errstate(over="ignore", invalid="ignore"):  # a step that leaves float32 is reported by `finite`
        stepped = (wide - change).astype(np.float32)
        if isinstance(rates, np.ndarray):  # what is frozen keeps its bits: -0.0 - -0.0 is 0.0
            stepped = np.where(rates == 0.0, parameters, stepped)
        return stepped, {name: values.astype(np.float32) for name, values in new.items()}


def _multiplied(hyper: Hyper, start: int, size: int, column: int) -> Wide | float:
    """Spread a column of the multipliers over a slice; plain 1 where none departs from it, which costs nothing."""
    rows = [row for row in hyper.multipliers if row[0] < start + size and row[1] > start and row[column] != 1.0]
    if not rows:
        return 1.0
    spread = np.ones(size)
    for row in rows:
        spread[max(row[0] - start, 0) : row[1] - start] = row[column]
    return spread


# --------------------------------------------------------------- the rules: (change of the parameters, new state)
Wides = dict[str, Wide]


def _adagrad(hyper: Hyper, g: Wide, state: Wides, rate: Wide | float, _step: int) -> tuple[Wide, Wides]:
    """Duchi, Hazan, Singer 2011; epsilon outside the root, as the prototype and PyTorch have it."""
    squares = state["squares"] + g * g
    return rate * g / (np.sqrt(squares) + hyper.epsilon), {"squares": squares}


def _sgd(hyper: Hyper, g: Wide, state: Wides, rate: Wide | float, _step: int) -> tuple[Wide, Wides]:
    """Polyak's momentum; the rate stays outside the velocity, so that a change of rate acts at once."""
    velocity = hyper.momentum * state["velocity"] + g
    return rate * velocity, {"velocity": velocity}


def _nesterov(hyper: Hyper, g: Wide, state: Wides, rate: Wide | float, _step: int) -> tuple[Wide, Wides]:
    """Nesterov's momentum in the form of Sutskever et al. 2013."""
    velocity = hyper.momentum * state["velocity"] + g
    return rate * (g + hyper.momentum * velocity), {"velocity": velocity}


def _rmsprop(hyper: Hyper, g: Wide, state: Wides, rate: Wide | float, _step: int) -> tuple[Wide, Wides]:
    """Tieleman and Hinton 2012, with momentum over the scaled gradient."""
    squares = hyper.rho * state["squares"] + (1 - hyper.rho) * g * g
    velocity = hyper.momentum * state["velocity"] + g / (np.sqrt(squares) + hyper.epsilon)
    return rate * velocity, {"squares": squares, "velocity": velocity}


def _adam(hyper: Hyper, g: Wide, state: Wides, rate: Wide | float, step: int) -> tuple[Wide, Wides]:
    """Kingma and Ba 2015, Algorithm 1."""
    mean = hyper.beta1 * state["mean"] + (1 - hyper.beta1) * g
    squares = hyper.beta2 * state["squares"] + (1 - hyper.beta2) * g * g
    direction = mean / (1 - hyper.beta1**step)
    spread = np.sqrt(squares / (1 - hyper.beta2**step))
    return rate * direction / (spread + hyper.epsilon), {"mean": mean, "squares": squares}


_RULES = {"adagrad": _adagrad, "sgd": _sgd, "nesterov": _nesterov, "rmsprop": _rmsprop, "adam": _adam}
