"""One open iteration: what was ordered, who is awaited, what was accepted, when it closes.

Rules of this file:
- An iteration opened at t closes at t + T when every awaited browser has answered by then, otherwise at the last
  awaited answer or at t + T + grace, whichever is first. Early only when nobody is left, or when all have used all
  they hold and the project closes when saturated.
- Sums of figures only; gradients are the runtime's.
"""

from dataclasses import dataclass, field
from typing import Any

from mlitb.core.budget import floor_ms, longest_overhead_ms, smoothed_power
from mlitb.core.config import Settings
from mlitb.core.members import SATURATED_KEPT, Browser, Trainer
from mlitb.core.messages import Answer, Order, Orders, Result
from mlitb.core.work import micro_batch_of

FIRST_FLOPS = 1e9
"""What a trainer is taken for before its first answer: a slow phone, so that its first micro-batch is not too long."""


ANY = 10**9
"""The limit of an order that may go round as often as it likes."""


MARGIN_SHARE = 0.9
"""Of the grace, for a device that waits for its own stragglers: the rest is for adding vectors, and for the link."""


@dataclass(slots=True)
class Iteration:
    """The figures of the open iteration."""

    number: int
    opened_at: float
    settings: Settings
    present: int = 0  # browsers with an order that are still here
    ordered: int = 0  # browsers that got an order
    answers: int = 0  # accepted
    overhead_ms: float = 0.0  # of these, summed
    awaiting: set[int] = field(default_factory=set)  # connections
    unfinished: int = 0  # awaited browsers whose answer left something undone
    vectors: int = 0
    distinct: int = 0  # with local steps a vector may be used again
    loss: float = 0.0
    wrong: int = 0
    trainers: int = 0
    potential: float = 0.0  # vectors that the ordered trainers could have computed in T
    work: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    lists: dict[str, Any] = field(default_factory=dict)
    end: float = field(init=False)  # t + T
    last_end: float = field(init=False)  # t + T + grace
    period_ms: float = field(init=False)
    floor_ms: float = field(init=False)  # the shortest budget
    bearable_ms: float = field(init=False)  # the overhead with which an answer can be awaited
    most: int = field(init=False)  # vectors of one order
    margin_ms: float = field(init=False)  # what a device may wait for its own stragglers

    def __post_init__(self) -> None:
        settings = self.settings
        self.end = self.opened_at + settings.period
        self.last_end = self.end + settings.grace_s
        self.period_ms = 1000 * settings.period
        self.floor_ms = floor_ms(self.period_ms)
        self.bearable_ms = longest_overhead_ms(1000 * (settings.period + settings.grace_s))
        self.most = settings.vectors or ANY
        self.margin_ms = round(1000 * MARGIN_SHARE * settings.grace_s, 3)

    def deadline(self) -> float:
        """Tell when it closes if nothing more happens."""
        return self.last_end if self.awaiting else self.end

    def is_due(self, now: float) -> bool:
        """Tell whether it is to close now."""
        if not self.present:
            return True
        if self.awaiting:
            return now >= self.last_end
        return now >= self.end or (self.settings.close_when_saturated and not self.unfinished and self.vectors > 0)

    def order(self, project: str, browser: Browser, project_seed: int, flops: int) -> Orders | None:
        """Make a browser's orders of this iteration, or None when it has nothing to compute."""
        budget_ms = browser.link.budget_ms(self.period_ms, self.floor_ms)
        orders = []
        for trainer in browser.trainers:
            if trainer.list_changed:
                trainer.relist(project_seed, browser.identity)
            if trainer.size and trainer.holder and trainer.paused_since < 0:
                orders.append(self._order(trainer, budget_ms, flops))
                browser.orders[trainer.number] = trainer
        return Orders(project, self.number, tuple(orders), self.margin_ms) if orders else None

    def _order(self, trainer: Trainer, budget_ms: float, flops: int) -> Order:
        settings, until_ms, power = self.settings, budget_ms * trainer.intensity, trainer.power
        self.potential += power * settings.period
        trainer.budget_ms = until_ms
        if settings.local_steps:
            trainer.order = Order(
                trainer.number, trainer.assignment, trainer.positions, trainer.seed, trainer.cursor,
                settings.local_batch, round(until_ms, 3), self.most, settings.local_rate, settings.local_momentum,
            )  # fmt: skip
        else:
            trainer.order = Order(
                trainer.number, trainer.assignment, trainer.positions, trainer.seed, trainer.cursor,
                micro_batch_of(until_ms, 1000 / (power or FIRST_FLOPS / flops)), round(until_ms, 3),
                trainer.size if trainer.size < self.most else self.most,
            )  # fmt: skip
        return trainer.order

    def accept(self, browser: Browser, answer: Answer) -> None:
        """Count an accepted answer."""
        self.answers += 1
        finished = len(answer.results) == len(browser.orders)  # else a straggler was left out
        for result in answer.results:
            trainer = browser.orders[result.worker]
            order, trainer.order = trainer.order, None
            assert order is not None
            if result.count < order.limit:
                finished = False
            self._accept_result(browser, trainer, order, result)
        if not finished:
            for trainer in browser.orders.values():
                trainer.order = None
        if browser.client in self.awaiting:
            self.awaiting.remove(browser.client)
            self.unfinished += not finished

    def _accept_result(self, browser: Browser, trainer: Trainer, order: Order, result: Result) -> None:
        count = result.count
        trainer.count = trainer.vectors_open = count
        if count == trainer.size:
            trainer.saturated = SATURATED_KEPT
        elif trainer.saturated:
            trainer.saturated -= 1
        trainer.cursor += count
        power = smoothed_power(trainer.power, count, result.ms)
        if not trainer.power:  # the first of a trainer was not in the potential yet
            self.potential += power * self.settings.period
        trainer.power = power
        if not count:
            return
        if trainer.logged_list != trainer.number_of_list:
            self._log_list(browser, trainer, order)
        self.work.append(
            (browser.identity, trainer.number, trainer.number_of_list, order.cursor, order.micro_batch, count)
        )
        self.vectors += count
        self.distinct += count if count < trainer.size else trainer.size
        self.loss += result.loss
        self.wrong += result.wrong
        self.trainers += 1
        trainer.uncredited += count

    def _log_list(self, browser: Browser, trainer: Trainer, order: Order) -> None:
        trainer.logged_list = trainer.number_of_list
        listed = [trainer.shards[i] for i in order.ready]
        self.lists[f"{browser.identity}.{trainer.number}.{trainer.number_of_list}"] = {
            "seed": order.seed, "shards": [[s.hash, s.count, s.offset, s.step] for s in listed],
        }  # fmt: skip

    def figures(self, now: float, learning_rate: float) -> dict[str, Any]:
        """Give what is kept of this iteration: its history and its work log, in order of acceptance."""
        seconds = max(now - self.opened_at, 1e-9)
        return {
            "iteration": self.number, "seconds": seconds, "vectors": self.vectors, "trainers": self.trainers,
            "error": self.error(), "loss": self.mean_loss(), "power": self.vectors / self._stands_for(seconds),
            "efficiency": self.efficiency(), "learning_rate": learning_rate, "work": self.work, "lists": self.lists,
            "local": [self.settings.local_rate, self.settings.local_momentum] if self.settings.local_steps else [],
        }  # fmt: skip

    def _stands_for(self, seconds: float) -> float:
        """Give the time that its vectors took: all of T where it was broken off, by a pause or as all left."""
        used_up = self.settings.close_when_saturated and self.present and not (self.awaiting or self.unfinished)
        return seconds if used_up else max(seconds, self.settings.period)

    def error(self) -> float:
        """Give the share of wrong answers, -1 without any."""
        return self.wrong / self.vectors if self.vectors else -1.0

    def mean_loss(self) -> float:
        """Give the mean loss, -1 without any."""
        return self.loss / self.vectors if self.vectors else -1.0

    def efficiency(self) -> float:
        """Give distinct vectors used / vectors that the devices could have computed in T."""
        return min(1.0, self.distinct / self.potential) if self.potential else 0.0


class WorkLog:
    """What the log was told last: what seldom changes stands in it only where it does."""

    def __init__(self) -> None:
        self._terms: dict[str, Any] = {}

    def news(self, terms: dict[str, Any]) -> dict[str, Any]:
        """Give the terms of an iteration's step (its optimizer, labels, seed) if they are new to the log."""
        if terms == self._terms:
            return {}
        self._terms = terms
        return {"terms": terms}
