"""Python's collector of cyclic garbage, told not to look at ten thousand workers every few hundred orders.

Rules of this file:
- A server calls `spare` once, when everything is loaded; what only runs for a while runs within `seldom`.
- Memory is freed by reference counts as ever; only cycles wait.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SURPLUS = 100_000
"""Objects made and not freed before young ones are looked at (Python's own: 700): more than an opening makes for ten
thousand workers, and less than 30 MB of garbage at worst."""

YOUNG, MIDDLE = 20, 20
"""Looks at the young before one at the middle-aged, and so on: a look at everything takes 50 ms with 10,000 workers."""


def spare() -> None:
    """Take what is loaded by now out of the collector's sight, and let it look seldom at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(SURPLUS, YOUNG, MIDDLE)


@contextmanager
def seldom() -> Iterator[None]:
    """Let it look seldom within a block."""
    before = gc.get_threshold()
    gc.set_threshold(SURPLUS, YOUNG, MIDDLE)
    try:
        yield
    finally:
        gc.set_threshold(*before)
