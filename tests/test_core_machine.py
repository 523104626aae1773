"""Anything may happen, in any order: a hypothesis state machine drives the core; core_world.py checks every effect.

What must always hold: no hang, no lost shard while room exists, no idle trainer while data exists, iterations only
grow, nothing is computed twice within one, what is refused changes nothing, and everything goes on once people behave.
"""

from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlitb.core import messages as m
from mlitb.core.events import Attached, Disconnected
from mlitb.core.members import Trainer
from mlitb.core.project import Phase, Project
from mlitb.core.refusal import Refusal
from tests.core_world import Browser, World, manifest

NAMES = ("p", "q")
some = st.integers(0, 1000)


def fingerprint(project: Project) -> Any:
    """Everything of a project that a refused message must leave alone."""
    pool, opened = project.crew.pool, project.open
    browsers = project.crew.browsers.values()
    return deepcopy(
        (
            project.phase, project.iteration, project.learning_rate, project.labels, project.settings, project.running,
            opened and (opened.vectors, opened.loss, opened.present, set(opened.awaiting)),
            [(key, list(holder.shards), holder.vectors) for key, holder in pool.holders.items()],
            [(b.client, b.answered, b.silent, b.misses, sorted(b.orders)) for b in browsers],
            [(w.number, w.paused, w.failure, w.intensity) for b in browsers for w in b.workers.values()],
            [(t.cursor, t.power, t.seed, t.order) for b in browsers for t in b.trainers],
        )
    )  # fmt: skip


class Anything(RuleBasedStateMachine):
    """Browsers good and bad, an owner who changes his mind, a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.seen: dict[str, int] = {}
        self.cuts = 0
        self.tokens: list[str] = []

    @initialize(running=st.booleans(), saturated=st.booleans(), cap=st.sampled_from([0, 5]))
    def begin(self, running: bool, saturated: bool, cap: int) -> None:
        for name in NAMES:
            self.world.create(name, running, period=1.0, close_when_saturated=saturated, vectors=cap)

    # --------------------------------------------------------------------------------------------- choosing
    def alive(self) -> list[Browser]:
        return [browser for browser in self.world.browsers.values() if not browser.closed]

    def pick(self, number: int) -> Browser | None:
        browsers = self.alive()
        return browsers[number % len(browsers)] if browsers else None

    def working(self, number: int) -> tuple[Browser, str] | None:
        """A browser with an order of an open iteration that it has not answered."""
        found = []
        for name, project in self.world.master._projects.items():
            for b in project.crew.browsers.values():
                if project.open and b.orders and not b.answered:
                    found.append((self.world.browsers[b.client], name))
        return found[number % len(found)] if found else None

    def refused(self, browser: Browser, message: m.FromClient, values: int = 0, finite: bool = True) -> None:
        """Say something wrong, at this very moment: it is refused, and nothing changes."""
        project = self.world.master._projects.get(getattr(message, "project", "p"))
        before = project and fingerprint(project)
        had = len(browser.refused)
        self.world.say(browser, message, values, finite)
        assert len(browser.refused) == had + 1, f"{message} was accepted"
        assert before == (project and fingerprint(project))

    # --------------------------------------------------------------------------------------------- people
    @rule(resume=st.booleans(), number=some, owner=st.booleans())
    def connect(self, resume: bool, number: int, owner: bool) -> None:
        token = self.tokens[number % len(self.tokens)] if resume and self.tokens else ""
        browser = self.world.connect(owner, token)
        assert browser.welcome is not None
        assert not token or browser.welcome.resume == token
        self.tokens.append(browser.welcome.resume)

    @rule(number=some)
    def leave_without_a_word(self, number: int) -> None:
        if browser := self.pick(number):
            self.world.drop(browser)

    @rule()
    def half_leave_in_one_moment(self) -> None:
        for browser in self.alive()[::2]:
            browser.closed = True
            self.world.feed(Disconnected(browser.number))

    @rule(
        number=some, name=st.sampled_from(NAMES), worker=st.integers(0, 2), capacity=st.sampled_from([1, 40, 100, 3000])
    )
    def join(self, number: int, name: str, worker: int, capacity: int) -> None:
        if (browser := self.pick(number)) and name in self.world.vectors:
            self.world.say(browser, m.Join(name, worker, "trainer", capacity))

    @rule(number=some, worker=st.integers(3, 5), role=st.sampled_from(["tracker", "statistics", "classify"]))
    def look_on(self, number: int, worker: int, role: m.Role) -> None:
        if (browser := self.pick(number)) and "p" in self.world.vectors:
            self.world.say(browser, m.Join("p", worker, role))

    @rule(number=some, worker=st.integers(3, 5))
    def look_again(self, number: int, worker: int) -> None:
        if browser := self.pick(number):
            self.world.say(browser, m.Ready(worker, 0, ()))

    @rule(number=some, most=st.integers(1, 3))
    def unpack(self, number: int, most: int) -> None:
        if browser := self.pick(number):
            for worker in list(browser.assigns):
                if worker in self.world.master._clients.by_number[browser.number].workers:
                    self.world.unpack(browser, worker, most)

    @rule(number=some, worker=st.integers(0, 5))
    def leave(self, number: int, worker: int) -> None:
        if browser := self.pick(number):
            self.world.say(browser, m.Leave(worker))

    @rule(number=some, worker=st.integers(0, 5))
    def fail(self, number: int, worker: int) -> None:
        if browser := self.pick(number):
            self.world.say(browser, m.Failed(worker, "out of memory"))

    @rule(number=some, worker=st.integers(0, 5), paused=st.booleans(), capacity=st.sampled_from([1, 64, 3000]))
    def tune(self, number: int, worker: int, paused: bool, capacity: int) -> None:
        if browser := self.pick(number):
            self.world.say(browser, m.Tune(worker, capacity, 10**6, 0.5, paused))

    @rule(number=some, name=st.sampled_from(["", *NAMES]))
    def watch(self, number: int, name: str) -> None:
        if browser := self.pick(number):
            self.world.say(browser, m.Watch(name))

    # --------------------------------------------------------------------------------------------- answers
    @rule(number=some, count=st.sampled_from([None, 0, 1, 7]), ms=st.sampled_from([0.0, 1.0, 500.0, 1e7]))
    def answer(self, number: int, count: int | None, ms: float) -> None:
        if found := self.working(number):
            browser, name = found
            had = len(browser.refused)
            self.world.answer(browser, name, count, ms)
            assert len(browser.refused) == had

    @rule()
    def everyone_answers(self) -> None:
        while found := self.working(0):
            before = self.world.project(found[1]).iteration
            self.world.answer(*found)
            if (
                self.world.project(found[1]).phase is not Phase.RUNNING
                or self.world.project(found[1]).iteration != before
            ):
                break

    @rule(
        number=some,
        kind=st.sampled_from(["twice", "early", "forged", "short", "long", "nan", "many", "double", "figures"]),
    )
    def answer_badly(self, number: int, kind: str) -> None:
        if not (found := self.working(number)):
            return
        browser, name = found
        good, values = self.world.good_answer(browser, name)
        first = good.results[0]
        if kind == "twice":
            self.world.say(browser, good, values)
            if self.world.project(name).open is None:
                return
            self.refused(browser, good, values)
        elif kind == "early":
            self.refused(browser, m.Answer(name, good.iteration + 1, good.results), values)
        elif kind == "forged":
            self.refused(browser, m.Answer(name, good.iteration, (m.Result(77, 1, 1.0, 0, 1.0),)), values)
        elif kind in ("short", "long"):
            self.refused(browser, good, values - 1 if kind == "short" else 10**8)
        elif kind == "nan":
            self.refused(browser, good, values, finite=False)
        elif kind == "double":
            self.refused(browser, m.Answer(name, good.iteration, (*good.results, first)), values)
        else:
            change: dict[str, Any] = {"many": {"count": first.count + 1}, "figures": {"wrong": first.count + 1}}[kind]
            wrong = m.Result(**{**{k: getattr(first, k) for k in first.__dataclass_fields__}, **change})
            self.refused(browser, m.Answer(name, good.iteration, (wrong, *good.results[1:])), values)

    @rule(number=some, name=st.sampled_from(NAMES))
    def answer_an_old_order(self, number: int, name: str) -> None:
        browser = self.pick(number)
        if not browser or name not in browser.orders or name not in self.world.vectors:
            return
        if browser.orders[name].iteration < self.world.project(name).iteration:
            good, values = self.world.good_answer(browser, name)
            had = len(browser.refused)
            self.world.say(browser, good, values)
            assert len(browser.refused) == had + 1

    # --------------------------------------------------------------------------------------------- the owner
    @rule(name=st.sampled_from(NAMES), action=st.sampled_from(["start", "start", "pause", "reboot"]))
    def control(self, name: str, action: m.Action) -> None:
        if name in self.world.vectors:
            self.world.control(action, name)

    @rule(name=st.sampled_from(NAMES), period=st.sampled_from([0.2, 1.0, 5.0]), rate=st.sampled_from([0.1, 0.01]))
    def set(self, name: str, period: float, rate: float) -> None:
        if name in self.world.vectors:
            self.world.control("set", name, period=period, learning_rate=rate)

    @rule(name=st.sampled_from(NAMES))
    def set_wrongly(self, name: str) -> None:
        if name in self.world.vectors:
            before = fingerprint(self.world.project(name))
            with pytest.raises(Refusal, match="period"):
                self.world.control("set", name, period=-1)
            assert fingerprint(self.world.project(name)) == before

    @rule(name=st.sampled_from(NAMES), running=st.booleans())
    def remove_or_create(self, name: str, running: bool) -> None:
        if name in self.world.vectors:
            self.world.control("remove", name)
            self.seen.pop(name, None)
        else:
            self.world.create(name, running, period=1.0)

    @rule(
        name=st.sampled_from(NAMES),
        label=st.sampled_from("abcdef"),
        counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    )
    def attach(self, name: str, label: str, counts: list[int]) -> None:
        if name in self.world.vectors:
            self.cuts += 1
            self.world.feed(Attached(name, manifest(f"c{self.cuts}", ["a", label] if label != "a" else ["a"], counts)))

    @rule(name=st.sampled_from(NAMES), label=st.sampled_from("abcdef"), more=st.integers(1, 40), gone=st.integers(0, 2))
    def a_newer_version(self, name: str, label: str, more: int, gone: int) -> None:
        project = self.world.project(name) if name in self.world.vectors else None
        newest = [*project.cuts, *project._attached][-1:] if project else []
        for old in newest:
            self.cuts += 1
            version = manifest(f"c{self.cuts}", list(dict.fromkeys((*old.labels, label))), [more])
            rows = [asdict(row) for row in old.shards[gone:]]
            for row in rows:
                row["labels"] += (0,) * (len(version["labels"]) - len(row["labels"]))
            self.world.feed(Attached(name, {**version, "dataset": old.dataset, "shards": rows + version["shards"]}))

    @rule(number=some)
    def a_visitor_controls(self, number: int) -> None:
        browser = self.pick(number)
        if browser and browser.welcome and not browser.welcome.owner:
            self.refused(browser, m.Control("p", "pause"))
            assert browser.refused[-1].status == 403

    # --------------------------------------------------------------------------------------------- time
    @rule()
    def tick(self) -> None:
        if self.world.master.deadline() is not None:
            self.world.tick()

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 1.0, 10.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.world.later(seconds)

    @rule()
    def the_clock_goes_back(self) -> None:
        self.world.now -= 5.0
        self.world.later(0.0)
        self.world.now += 5.0

    @rule(name=st.sampled_from(NAMES), finite=st.sampled_from([True, True, True, False]))
    @precondition(lambda self: any(v.under_way for v in self.world.vectors.values()))
    def the_step_is_done(self, name: str, finite: bool) -> None:
        if name in self.world.vectors and self.world.vectors[name].under_way:
            self.world.finish(name, finite)

    # --------------------------------------------------------------------------------------------- always
    @invariant()
    def iterations_only_grow(self) -> None:
        for name, project in self.world.master._projects.items():
            assert project.iteration >= self.seen.get(name, 0)
            self.seen[name] = project.iteration

    def teardown(self) -> None:
        """Once people behave, every project that can run goes on, on time."""
        for name in list(self.world.vectors):
            self.world.step(name)
            self.world.control("start", name)
            self.world.step(name)
            self.goes_on(name)

    def goes_on(self, name: str) -> None:
        world, project = self.world, self.world.project(name)
        helper = world.worker(name)
        if not project.initialised:
            assert project.state == "idle"
            return
        world.close(name)
        world.unpack(helper)
        for _ in range(8):
            self.answer_if_ordered(helper, name)
            world.close(name)
            world.unpack(helper)
        held = project.crew.browsers[helper.number].workers[1]
        assert isinstance(held, Trainer)
        if not held.shards:
            assert not any(stock.splits() for stock in project.crew.pool.shards.values())
            return
        self.answer_if_ordered(helper, name)
        world.close(name)
        steps, before = world.vectors[name].steps, world.now
        for _ in range(3):
            assert project.open is not None
            world.answer(helper, name)
            world.close(name)
        assert world.vectors[name].steps == steps + 3
        assert world.now - before <= 3 * (project.settings.period + project.settings.grace_s) + 1e-6

    def answer_if_ordered(self, helper: Browser, name: str) -> None:
        project = self.world.project(name)
        mine = project.crew.browsers.get(helper.number)
        if project.open and mine and mine.orders and not mine.answered:
            self.world.answer(helper, name)


TestAnything = Anything.TestCase
TestAnything.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
