"""Anything may happen, in any order: a hypothesis state machine drives the core; core_world.py checks every effect.

What must always hold: no hang, no lost shard while room exists, no idle trainer while data exists, iterations only
grow, nothing is computed twice within one, what is refused changes nothing, and everything goes on once people behave.
"""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlitb.core import messages as m
from mlitb.core.events import Attached, Disconnected, Restored
from mlitb.core.members import Trainer
from mlitb.core.project import Phase, Project
from mlitb.core.refusal import Refusal
from tests.core_picture import picture
from tests.core_world import Browser, World, manifest

NAMES = ("p", "q")
some = st.integers(0, 1000)


def progress(project: Project) -> Any:
    """What training has come to: no answer that is refused, late or wrong, may move it."""
    opened, crew = project.open, project.crew
    return picture(
        (
            project.phase, project.iteration, project.learning_rate, project.labels, project.seed, project.settings,
            project.running, project.stepping, opened and {k: getattr(opened, k) for k in opened.__dataclass_fields__},
            [(b.client, b.answered, sorted(b.orders)) for b in crew.browsers.values()],
            [(t.cursor, t.seed, t.order, t.uncredited) for b in crew.browsers.values() for t in b.trainers],
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

    @initialize(
        running=st.booleans(),
        saturated=st.booleans(),
        cap=st.sampled_from([0, 5]),
        local=st.booleans(),
        crowd=st.integers(0, 4),
        share=st.sampled_from([0.1, 1.0]),
    )
    def begin(self, running: bool, saturated: bool, cap: int, local: bool, crowd: int, share: float) -> None:
        """Begin with nothing at all, or with a few who train already."""
        settings = {"period": 1.0, "close_when_saturated": saturated, "vectors": cap}
        for name in NAMES:
            self.world.create(name, running or crowd > 0, **settings, local_steps=local)
        for number in range(crowd):
            name = NAMES[number % 2]
            if number < 2:
                self.world.attach(f"first {name}", counts=[20, 10, 30], name=name)
            browser = self.world.worker(name, intensity=share)
            assert browser.welcome is not None
            self.tokens.append(browser.welcome.resume)

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
        before, had = self.everything(), len(browser.refused)
        self.world.say(browser, message, values, finite)
        assert len(browser.refused) == had + 1, f"{message} was accepted"
        assert before == self.everything()

    def everything(self) -> Any:
        """All that is kept of all projects, and of their vectors: what one project is told is nothing to another."""
        vectors = [(name, v.added, v.steps, v.labels, v.under_way) for name, v in self.world.vectors.items()]
        return picture((self.world.master._projects, vectors))

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
            self.unpack_of(browser, most)

    def unpack_of(self, browser: Browser, most: int) -> None:
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

    @rule(
        number=some,
        worker=st.integers(0, 5),
        paused=st.booleans(),
        capacity=st.sampled_from([1, 64, 3000]),
        share=st.sampled_from([0.01, 0.5, 1.0]),
    )
    def tune(self, number: int, worker: int, paused: bool, capacity: int, share: float) -> None:
        if browser := self.pick(number):
            self.world.say(browser, m.Tune(worker, capacity, 10**6, share, paused))

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
    def all_goes_well(self) -> None:
        """Steps end, shards are unpacked, everyone answers, the time passes."""
        for name in list(self.world.vectors):
            self.world.step(name)
        for browser in self.alive():
            self.unpack_of(browser, 1000)
        self.everyone_answers()
        if self.world.master.deadline() is not None:
            self.world.tick()
        for name in list(self.world.vectors):
            self.world.step(name)

    @rule()
    def everyone_answers(self) -> None:
        while found := self.working(0):
            before = self.world.project(found[1]).iteration
            had = len(found[0].refused)
            self.world.answer(*found)
            assert len(found[0].refused) == had, found[0].refused[-1]
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
            more = browser.orders[name].orders[0].limit + 1
            change: dict[str, Any] = {"many": {"count": more}, "figures": {"wrong": first.count + 1}}[kind]
            wrong = m.Result(**{**{k: getattr(first, k) for k in first.__dataclass_fields__}, **change})
            self.refused(browser, m.Answer(name, good.iteration, (wrong, *good.results[1:])), values)

    @rule(number=some)
    def claim_more_than_a_processor_can(self, number: int) -> None:
        if not (found := self.working(number)):
            return
        browser, name = found
        order = browser.orders[name].orders[0]
        if order.limit < 10**9 or self.world.now - browser.received_at[name] > 0.01:
            return  # there is no need for so much: it is local steps without a cap that may take any number
        claim = m.Result(order.worker, 10**9, 1.0, 0, 1.0)
        good, values = self.world.good_answer(browser, name)
        self.refused(browser, m.Answer(name, good.iteration, (claim, *good.results[1:])), values)
        assert "FLOP" in browser.refused[-1].reason

    @rule(number=some, name=st.sampled_from(NAMES))
    def answer_an_old_order(self, number: int, name: str) -> None:
        browser = self.pick(number)
        if not browser or name not in browser.orders or name not in self.world.vectors:
            return
        if browser.orders[name].iteration < self.world.project(name).iteration:
            good, values = self.world.good_answer(browser, name)
            had, added = len(browser.refused), self.world.vectors[name].added
            before = progress(self.world.project(name))
            self.world.say(browser, good, values)
            assert len(browser.refused) == had + 1
            assert progress(self.world.project(name)) == before
            assert self.world.vectors[name].added == added

    @rule(number=some)
    def answer_with_the_length_before_a_growth(self, number: int) -> None:
        if not (found := self.working(number)):
            return
        browser, name = found
        good, values = self.world.good_answer(browser, name)
        project = self.world.project(name)
        if values and project._sizes:
            before, added = progress(project), self.world.vectors[name].added
            self.world.say(browser, good, min(project._sizes))
            assert browser.refused[-1].status == 409, "a slow browser is no liar"
            assert (progress(project), self.world.vectors[name].added) == (before, added)

    # --------------------------------------------------------------------------------------------- the owner
    @rule(name=st.sampled_from(NAMES), action=st.sampled_from(["start", "start", "pause", "reboot"]))
    def control(self, name: str, action: m.Action) -> None:
        if name in self.world.vectors:
            self.world.control(action, name)

    @rule(
        name=st.sampled_from(NAMES),
        period=st.sampled_from([0.2, 1.0, 5.0]),
        grace=st.sampled_from([0.0, 0.05, 3.0]),
        rate=st.sampled_from([0.1, 0.01]),
        local=st.booleans(),
    )
    def set(self, name: str, period: float, grace: float, rate: float, local: bool) -> None:
        if name in self.world.vectors:
            self.world.control("set", name, period=period, grace=grace, learning_rate=rate, local_steps=local)

    @rule(name=st.sampled_from(NAMES), fewer=st.integers(0, 2), seed=st.integers(0, 5))
    def restore(self, name: str, fewer: int, seed: int) -> None:
        """Back to a checkpoint, of before or after the newest labels came."""
        project = self.world.project(name) if name in self.world.vectors else None
        if project and project.initialised:
            labels = project._admitted[: max(1, len(project._admitted) - fewer)]
            self.world.feed(Restored(name, labels, seed, 0.05))

    @rule(name=st.sampled_from(NAMES))
    def restore_wrongly(self, name: str) -> None:
        if name in self.world.vectors:
            before = self.everything()
            with pytest.raises(Refusal, match="other labels"):
                self.world.feed(Restored(name, ("never seen",), 0, 0.05))
            assert self.everything() == before

    @rule(name=st.sampled_from(NAMES))
    def set_wrongly(self, name: str) -> None:
        if name in self.world.vectors:
            before = self.everything()
            with pytest.raises(Refusal, match="period"):
                self.world.control("set", name, period=-1)
            assert self.everything() == before

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
        records, others = len(world.vectors[name].records), len(project.crew.browsers) - 1
        for _ in range(8):
            self.answer_if_ordered(helper, name)
            world.close(name)
            world.unpack(helper)
        took = [record["seconds"] for record in world.vectors[name].records[records:]]
        period, grace = project.settings.period, project.settings.grace_s
        assert sum(took) <= len(took) * period + others * grace + 1e-6, "a silent client costs one grace in total"
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
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
