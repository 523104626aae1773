"""The reduce: gradient sums in the order of acceptance, slice by slice.

Rules of this file:
- The sum is float64 and grows in the order in which answers were accepted; the master logs that order.
- It is rounded once, inside the optimizer's step. Any order agrees within 1 float32 ulp, the logged order in all bits.
- Pure over arrays: who owns the sum (the runtime) passes it in.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLICE = 1_000_000
FLOAT32_MAX = float(np.finfo(np.float32).max)


def zeros(size: int) -> NDArray[np.float64]:
    """Make an empty sum."""
    return np.zeros(size, np.float64)


def usable(gradient: NDArray[np.float32], times: int = 1) -> bool:
    """Tell whether optimizers can take a gradient: all values finite, and the sum of their squares a float32, too.

    1e30 is finite, but AdaGrad's sum of squares would not be after it, and training would be over for everybody.
    With `times`: whether the sum of so many vectors that pass is usable (it is at most so many times as long).
    """
    return float(np.vdot(gradient, gradient)) * times**2 <= FLOAT32_MAX  # vdot, unlike dot, warns of nothing


def add(total: NDArray[np.float64], gradient: NDArray[np.float32], size: int = SLICE) -> Iterator[None]:
    """Add one answer's gradient to the sum in place, stopping after each slice so that something else may run."""
    assert total.size == gradient.size, f"{gradient.size} gradients for a sum of {total.size}"
    for start in range(0, total.size, size):
        total[start : start + size] += gradient[start : start + size]
        yield


def combine(gradients: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Add the vectors of one device's trainers in worker order, in float64, and round once: what a boss sends."""
    total = zeros(gradients[0].size)
    for gradient in gradients:
        total += gradient
    return total.astype(np.float32)


def grown(values: NDArray[Any], places: NDArray[np.int64], fresh: NDArray[Any]) -> NDArray[Any]:
    """Place old values bit-equal into a fresh vector of the new layout; `places` comes from core.network.growth."""
    assert values.size == places.size, f"{values.size} values for {places.size} places"
    result = fresh.copy()
    result[places] = values
    return result
