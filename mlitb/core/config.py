"""A project's settings: what the owner may change, validated.

Rules of this file:
- A flat dict on the outside (REST, Control, SQLite), a frozen Settings inside; `parse` refuses with a sentence
  that names the setting.
- Hyper-parameters of the reduce are in Hyper (optimizer.py) and share the flat dict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any

from mlitb.core.optimizer import Hyper
from mlitb.core.refusal import Refusal

PERIODS = (0.2, 60.0)
GRACE_SHARE = 0.1
GRACE_MIN = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """How a project is trained."""

    period: float = 4.0  # T, seconds
    grace: float = 0.0  # seconds after T that an awaited answer may take; 0: 10 % of T, at least 0.1 s
    seed: int = 0  # of parameters, orders, dropout; a change acts at the next reboot
    close_when_saturated: bool = False  # close early once all have used all they hold
    vectors: int = 0  # the most that one trainer computes in one iteration, 0: any
    local_steps: bool = False  # trainers take steps of their own and answer with the difference
    local_rate: float = 0.01  # with momentum 0.9; on 3,000 digits 0.03 and more never settle
    local_momentum: float = 0.9
    local_batch: int = 16  # 1, 4 or 16 vectors a local step
    volunteers_teach: bool = False  # whether visitors may add pictures and labels
    hyper: Hyper = field(default_factory=Hyper)

    @property
    def grace_s(self) -> float:
        """Give the grace in seconds."""
        return self.grace or max(GRACE_MIN, GRACE_SHARE * self.period)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "Settings":
        """Read a flat dict; raises Refusal(422)."""
        return Settings().changed(values)

    def changed(self, values: Mapping[str, Any]) -> "Settings":
        """Apply some new values over these; raises Refusal(422) and changes nothing."""
        merged = {**self.plain(), **values}
        own = {key: merged.pop(key) for key in _OWN}
        if "multipliers" in merged:
            raise Refusal(422, "there is no setting 'multipliers': per-layer rates belong to the layers")
        return Settings(
            period=_number("period", own["period"], *PERIODS),
            grace=_number("grace", own["grace"], 0.0, PERIODS[1]),
            seed=_whole("seed", own["seed"], 2**32 - 1),
            close_when_saturated=_flag("close_when_saturated", own["close_when_saturated"]),
            vectors=_whole("vectors", own["vectors"], 10**9),
            local_steps=_flag("local_steps", own["local_steps"]),
            local_rate=_share("local_rate", own["local_rate"], 1e-9, 10.0),
            local_momentum=_share("local_momentum", own["local_momentum"], 0.0, 0.99999),
            local_batch=_batch(own["local_batch"]),
            volunteers_teach=_flag("volunteers_teach", own["volunteers_teach"]),
            hyper=Hyper.parse(merged),
        )

    def plain(self) -> dict[str, Any]:
        """Give the flat dict that `parse` reads, plain JSON values only."""
        hyper = self.hyper.plain()
        del hyper["multipliers"]
        return {**{key: getattr(self, key) for key in _OWN}, **hyper}


def differences(old: Settings, new: Settings, layers: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what changed, for the log: "period 1.0 → 2.0, conv1 frozen True"; empty when nothing did."""
    before, after = old.plain(), new.plain()
    told = [f"{key} {before[key]} → {after[key]}" for key in after if after[key] != before[key]]
    told += [f"{name} {key} {value}" for name, change in layers.items() for key, value in change.items()]
    return ", ".join(told)


_OWN = tuple(f.name for f in fields(Settings) if f.name != "hyper")


def _number(key: str, value: Any, low: float, high: float) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not isfinite(value)
        or not low <= value <= high
    ):
        raise Refusal(422, f"{key} must be a number of seconds from {low:g} to {high:g}, not {value!r}")
    return float(value)


def _share(key: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Refusal(422, f"{key} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)


def _batch(value: Any) -> int:
    if isinstance(value, bool) or value not in (1, 4, 16):
        raise Refusal(422, f"local_batch must be 1, 4 or 16, not {value!r}")
    return int(value)


def _whole(key: str, value: Any, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise Refusal(422, f"{key} must be a whole number from 0 to {high}, not {value!r}")
    return value


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refusal(422, f"{key} must be true or false, not {value!r}")
    return value
