"""Everything that the core keeps, as plain values: to see that something left all of it alone.

Rules of this file:
- It knows no field by name, so that a new one is seen at once; only what counts refusals, or is empty between two
  events, is left out.
- Who is met a second time is named by its number: the same graph gives the same picture.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

LEFT_OUT = {"refusals", "refused", "out", "_judged_by"}
PLAIN = (str, bytes, int, float, bool, type(None), Enum)


def picture(value: Any, met: dict[int, int] | None = None) -> Any:
    """Draw a value and all that it refers to."""
    met = {} if met is None else met
    if isinstance(value, PLAIN):
        return value
    if id(value) in met:
        return f"number {met[id(value)]}"
    met[id(value)] = len(met)
    if isinstance(value, Mapping):
        return [(picture(key, met), picture(inner, met)) for key, inner in value.items()]
    if isinstance(value, (set, frozenset)):
        return sorted((picture(inner, met) for inner in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [picture(inner, met) for inner in value]
    if callable(value):
        return value.__qualname__
    fields = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())} | set(vars_of(value))
    return [
        type(value).__name__,
        *((name, picture(getattr(value, name), met)) for name in sorted(fields - LEFT_OUT) if hasattr(value, name)),
    ]


def vars_of(value: Any) -> dict[str, Any]:
    """Give the attributes of an object that has a dictionary."""
    return getattr(value, "__dict__", {})
