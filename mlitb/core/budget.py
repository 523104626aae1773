"""From what a device's answers took to how long it may compute.

Rules of this file:
- overhead = (received − sent) − computed: the master's clock for the way, the browser's word only for the computing.
- Smoothed like TCP's round-trip time (Jacobson 1988): a mean, and a margin from its own spread. A jump up is believed
  sooner than a fall. A jump down does not widen the margin (Linux's estimator is as careful): a link that recovered
  would otherwise get less than before for ten iterations. What a steady link's own noise does, down or up, does.
- Milliseconds everywhere.
- Asked of everybody at each opening and answer: comparisons instead of min and max, which are calls.
"""

from dataclasses import dataclass

FLOOR_SHARE = 0.05
"""The least share of the period that a device is told to compute: below, it would only ever transfer."""

FLOOR_MS = 10.0
MARGIN_MIN_MS = 4.0
SPREADS = 3.0
"""Mean deviations of margin: late about once in a hundred answers for a steady link."""

SLOW, FAST = 0.125, 0.5
POWER_GAIN = 0.3
FIRST_OVERHEAD_SHARE = 0.1
FIRST_OVERHEAD_MS = 100.0
MAX_HALVINGS = 5
"""A thirty-second of the period is below every floor: more would only take longer to win back."""


@dataclass(slots=True)
class Link:
    """What is known of one browser's way to the master and back."""

    overhead_ms: float = -1.0  # smoothed, -1 before the first sample
    spread_ms: float = 0.0  # mean deviation
    halvings: int = 0  # one more at each missed deadline, one less at each answer in time
    late: bool = False  # the last sample was of an answer that came too late

    @property
    def known(self) -> bool:
        """Tell whether there was a sample."""
        return self.overhead_ms >= 0

    def sample(self, elapsed_ms: float, computed_ms: float, late: bool = False) -> float:
        """Learn from one answer, in time or late; return its overhead.

        What came late waited for a sleeping device or behind a crowd: the first answer in time begins anew.
        """
        overhead = elapsed_ms - computed_ms if elapsed_ms > computed_ms else 0.0
        before, self.late = self.late, late
        if self.overhead_ms < 0 or (before and not late):
            self.overhead_ms, self.spread_ms = overhead, overhead / 4
            return overhead
        error = overhead - self.overhead_ms
        size = abs(error)
        jump = size > MARGIN_MIN_MS and size > SPREADS * self.spread_ms
        self.overhead_ms += (FAST if jump and error > 0 else SLOW) * error
        if error > 0 or not jump:
            self.spread_ms += 2 * SLOW * (size - self.spread_ms)
        return overhead

    def missed(self) -> None:
        """Halve the budget after a missed deadline."""
        self.halvings = min(self.halvings + 1, MAX_HALVINGS)

    def margin_ms(self) -> float:
        """Give the time kept free for the link's own unsteadiness."""
        margin = SPREADS * self.spread_ms
        return margin if margin > MARGIN_MIN_MS else MARGIN_MIN_MS

    def reserve_ms(self, period_ms: float) -> float:
        """Give what of a period goes into transfer and margin; a guess before the first sample."""
        if self.overhead_ms < 0:
            return min(FIRST_OVERHEAD_MS, FIRST_OVERHEAD_SHARE * period_ms)
        return self.overhead_ms + self.margin_ms()

    def budget_ms(self, period_ms: float, floor: float) -> float:
        """Give how long this browser's trainers may compute in a period: halved at each miss, never below the floor.

        The period is at least the floor; `floor` is `floor_ms(period_ms)`, the same for all.
        """
        free = period_ms - self.reserve_ms(period_ms)
        if self.halvings:
            free *= 2.0 ** -min(self.halvings, MAX_HALVINGS)
        return free if free > floor else floor

    def advice(self, period_ms: float) -> str:
        """Say what period this link would need, if it needs a longer one."""
        needed = (self.overhead_ms + self.margin_ms()) * (1 + FLOOR_SHARE)
        if self.overhead_ms < 0 or needed <= period_ms:
            return ""
        return f"this link needs T ≥ {_round_up(needed / 1000)} s"


def longest_overhead_ms(longest_ms: float) -> float:
    """Give the overhead with which an answer can be expected by the end of the grace, so long after the orders."""
    return longest_ms - floor_ms(longest_ms)


def floor_ms(period_ms: float) -> float:
    """Give the shortest budget of a period."""
    return max(FLOOR_MS, FLOOR_SHARE * period_ms)


def smoothed_power(power: float, count: int, ms: float) -> float:
    """Learn vectors per second from one result; the first is believed at once, an empty one teaches nothing."""
    if count <= 0 or ms <= 0:
        return power
    sample = 1000 * count / ms
    return sample if power <= 0 else power + POWER_GAIN * (sample - power)


def _round_up(seconds: float) -> str:
    tenths = -int(-seconds * 10 // 1)
    return f"{tenths / 10:g}" if seconds < 1 else str(-int(-seconds // 1))
