"""One project as a state machine: IDLE, RUNNING, REDUCING, PAUSED.

Rules of this file:
- Every method takes the time and puts effects into `out`; the order in `out` is the order in which they are performed.
- At most one Step or Initialise is under way (REDUCING); what is wished meanwhile waits for its Stepped.
- The close, in this order: new data and labels are admitted, misses counted, Step; then, between two iterations,
  growth, new settings, trainers and their shards, budgets, one broadcast, orders.
- The vector grows after the step of the iteration that closes: its gradient still has the old layout.
- An iteration number is never used for two sets of orders, except when all left without an answer: then it goes on.
- Parameters that left float32 in a step are dropped by the runtime; the project pauses and says so.
"""

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import Any

from mlitb.core import config, network, optimizer
from mlitb.core.agenda import NEVER
from mlitb.core.answers import ACCEPTED, Expected, Verdict, judge, longest_ms
from mlitb.core.crew import Crew
from mlitb.core.dataset import Cut, fresh, merged
from mlitb.core.events import (
    Add,
    Attached,
    Broadcast,
    Created,
    Effect,
    HeldBack,
    Initialise,
    Log,
    Record,
    RecordTest,
    Restore,
    Restored,
    Save,
    Send,
    Step,
    Stepped,
)
from mlitb.core.iteration import Iteration, WorkLog
from mlitb.core.members import Browser, Trainer
from mlitb.core.messages import Action, Answer, Failed, Join, Network, Ready, Refused, Report, Tune
from mlitb.core.places import Places
from mlitb.core.refusal import Refusal

Settings = config.Settings


class Phase(Enum):
    """What the project is at; whether it is to run at all is `running`."""

    RESTING = "resting"
    RUNNING = "running"
    REDUCING = "reducing"


class Project:
    """One network being trained, without its vectors."""

    def __init__(self, created: Created, save_every: float, now: float) -> None:
        """Read an event; raises Refusal."""
        self.settings = Settings.parse({**created.settings, "seed": created.seed})
        self.network = network.plan(created.layers, len(created.labels))
        self.network.require_labels(len(created.labels))
        self.id, self.name = created.project, created.name
        self.layers = created.layers
        self.seed = created.seed
        self.labels = created.labels  # those that the parameters know
        self.iteration = created.iteration
        self.learning_rate = (
            self.settings.hyper.learning_rate if created.learning_rate is None else created.learning_rate
        )
        self.running = created.running
        self.version = 1
        self.initialised = bool(created.labels)
        self.phase = Phase.RESTING
        self.open: Iteration | None = None
        self.last: dict[str, Any] = {}  # the figures of the last iteration that had vectors
        self.trouble = ""  # why it paused itself
        self.cuts: list[Cut] = []
        self.refusals: Counter[str] = Counter()
        self.crew = Crew(created.project, created.seed)
        self.places = Places()
        self.log = WorkLog()
        self.out: list[Effect] = []
        self._admitted = created.labels  # labels including those that the parameters do not know yet
        self._attached: list[Cut] = []
        self._sizes: set[int] = set()  # of earlier layouts
        self._judged_by = Expected(-1, False, 0, frozenset(), 0)
        self._settings: Settings | None = None  # wished for the next close
        self._tuned: dict[str, dict[str, Any]] = {}  # wished likewise: rate, decay, frozen of some layers
        self._initialise = False  # wished: back to the seed
        self._restored: Restored | None = None  # wished: back to a checkpoint
        self.draining = False  # the master is to be stopped: nothing opens any more
        self.stepping = ""  # what is under way: "step" or "initialise"
        self._save_every, self._saved_at, self._save = save_every, now, False
        if self.initialised:
            self._introduce()

    @property
    def state(self) -> str:
        """Name the state as the wire does."""
        resting = "idle" if self.running else "paused"
        return resting if self.phase is Phase.RESTING else str(self.phase.value)

    # -------------------------------------------------------------------------------------------- time
    def deadline(self) -> float:
        """Tell when it must be looked at again, if nothing happens before."""
        return self.open.deadline() if self.open else NEVER

    # -------------------------------------------------------------------------------------------- the crew
    def join(self, browser: Browser, join: Join) -> None:
        """Let a worker in; raises Refusal."""
        worker = self.crew.join(browser, join)
        if isinstance(worker, Trainer):
            self._tell()
        else:
            self.out += self.crew.greet(browser, worker)
            self._show([browser])

    def leave(self, browser: Browser, number: int) -> None:
        """Let a worker go."""
        gone = len(browser.workers) == 1
        self.crew.leave(browser, number)
        if gone:
            self._gone(browser)
        self._tell()

    def drop(self, client: int) -> None:
        """Let a browser go with all its workers."""
        browser = self.crew.browsers.get(client)
        if browser:
            self.crew.drop(client)
            self._gone(browser)
            self._tell()

    def tune(self, browser: Browser, tune: Tune, now: float) -> None:
        """Change what a worker gives; raises Refusal."""
        self.crew.tune(browser, tune, now)
        self._tell()
        self._try_open(now)

    def failed(self, browser: Browser, failed: Failed) -> None:
        """Note that a worker stopped with an error."""
        self.out.append(self.crew.failed(browser, failed))
        self._tell()

    def ready(self, browser: Browser, ready: Ready, now: float) -> None:
        """Count on what a worker has unpacked; raises Refusal."""
        if self.crew.ready(browser, ready):
            self._try_open(now)
        elif browser.wants_snapshot((self.iteration, self.version)):
            self._show([browser])

    def report(self, browser: Browser, report: Report) -> None:
        """Take a statistics worker's report, or raise Refusal."""
        held_out = self.crew.held_out
        held_out.judge(report, browser.workers[report.worker], (self.iteration, self.version), len(self.labels))
        self.out.append(RecordTest(self.id, held_out.accept(report)))

    def _tell(self) -> None:
        """After a change of the crew: hand out what lies free, tell those who do not compute."""
        if self.stepping == "initialise":
            return  # shards of labels that the network does not have yet: `_between` tells
        if not self.open:
            self.crew.pool.settle()
        self.out += self.crew.tell(everyone=self.open is None)

    def _gone(self, browser: Browser) -> None:
        if self.open and browser.orders:
            self.open.awaiting.discard(browser.client)
            self.open.present -= 1

    # -------------------------------------------------------------------------------------------- answers
    def answer(self, browser: Browser, answer: Answer, values: int, finite: bool, now: float) -> None:
        """Take an answer, or refuse it, which changes nothing."""
        elapsed_s = now - browser.sent_at
        verdict = judge(answer, browser, values, finite, self._expected(), elapsed_s)
        if verdict is not ACCEPTED:
            self._refuse(browser, answer, verdict, now)
            return
        assert self.open is not None
        if len(answer.results) == len(browser.orders):  # else a straggler was cut off, which says nothing of the link
            self.open.overhead_ms += browser.link.sample(1000 * elapsed_s, longest_ms(answer))
        if browser.link.halvings:
            browser.link.halvings -= 1
        browser.answered = True
        if browser.silent:
            self.crew.alive(browser)
        if values:
            self.out.append(Add(self.id))
        self.open.accept(browser, answer)

    def _expected(self) -> Expected:
        """Make what answers are judged by; the same object as long as the iteration is open."""
        is_open, known = self.open is not None, self._judged_by
        if known.iteration == self.iteration and known.is_open is is_open:
            return known
        size, flops = self.network.size, self.network.flops
        self._judged_by = Expected(self.iteration, is_open, size, frozenset(self._sizes), flops)
        return self._judged_by

    def _refuse(self, browser: Browser, answer: Answer, verdict: Verdict, now: float) -> None:
        self.refusals[verdict.reason] += 1
        self.out += self.crew.refused(browser, verdict.sentence, misbehaved=verdict.status == 422)
        if verdict.late:
            sent_at = browser.missed.pop(answer.iteration, browser.sent_at)  # not missed: only of a stale length
            if answer.results:
                browser.link.sample(1000 * (now - sent_at), longest_ms(answer), late=True)
            self.places.late += browser.silent  # else it was broken off
            self.crew.alive(browser)
            self._tell()
        self.out.append(Send(browser.client, Refused(verdict.status, verdict.sentence, "Answer")))

    # -------------------------------------------------------------------------------------------- the close
    def close(self, now: float) -> None:
        """Close the open iteration: it is due."""
        assert self.open is not None
        iteration, self.open = self.open, None
        if not iteration.present and not iteration.vectors:
            self.phase = Phase.RESTING  # all left without an answer: the same iteration goes on when one returns
            self._end_orders(count_misses=False)
            self._between(now)
            return
        hyper = {**self.settings.hyper.plain(), "multipliers": network.multipliers(self.network)}
        terms = {"hyper": hyper, "labels": len(self.labels), "seed": self.seed}
        figures = {**iteration.figures(now, self.learning_rate), **self.crew.latencies(), **self.log.news(terms)}
        if crowded := self.places.closed(iteration):
            self.out.append(Log("warning", f"{crowded}, they take turns; a longer T helps", self.id))
        self.out.append(Record(self.id, figures))
        self._end_orders(count_misses=True)
        if not iteration.vectors:
            self.iteration += 1
            self.phase = Phase.RESTING
            self._between(now)
            return
        self.last = figures
        self._admit()
        self._begin("step", Step(self.id, hyper, self.iteration, iteration.vectors, self.learning_rate))

    def _end_orders(self, count_misses: bool) -> None:
        for browser in self.crew.browsers.values():
            missed = bool(browser.orders) and not browser.answered
            if missed and count_misses:
                self.out += self.crew.missed(browser)
            browser.end_orders(self.iteration, missed)

    def _begin(self, what: str, effect: Effect) -> None:
        assert not self.stepping, f"{what} while {self.stepping} is under way"
        self.stepping = what
        self.phase = Phase.REDUCING
        self.out.append(effect)

    def stepped(self, event: Stepped, now: float) -> None:
        """Go on after a Step or an Initialise."""
        assert self.stepping, f"{self.id} was told of a step that it did not ask for"
        what, self.stepping = self.stepping, ""
        self.phase = Phase.RESTING
        if what == "step":
            self._step_done(event)
        else:
            self._initialise_done()
        self._between(now)

    def _step_done(self, event: Stepped) -> None:
        self.iteration += 1
        if event.finite:
            self.learning_rate = optimizer.next_learning_rate(self.settings.hyper, self.learning_rate, event.steps)
            return
        self.running = False
        self.trouble = (
            "the last step gave values that are not finite and was dropped; lower the learning rate or reboot"
        )
        self._save = True
        self.out.append(Log("error", self.trouble, self.id))

    def _initialise_done(self) -> None:
        self.initialised = True
        self.labels = self._admitted
        self.out.append(Log("info", f"the network has {len(self.labels)} labels", self.id))
        self._replan()
        self._save = True

    def _introduce(self) -> None:
        self.crew.network = Network(self.id, self.version, self.layers, self.labels, self.seed)
        self.crew.seed = self.seed
        self.out += self.crew.hold_out(self.cuts, self.labels)

    # -------------------------------------------------------------------------------------------- between two
    def _between(self, now: float) -> None:
        """Do what waits for the end of an iteration, then open the next one or rest."""
        assert self.phase is Phase.RESTING
        assert self.open is None
        self._apply_settings()
        self._admit()
        if self._restored:
            self._take_back(self._restored)
        if self._initialise:
            self._reboot()
            return
        if self._admitted != self.labels:
            before = len(self.labels)
            self._begin(
                "initialise",
                Initialise(self.id, self.layers, len(self._admitted), self.seed, before, self.learning_rate),
            )
            return
        self.out += self.crew.introduce_all()
        if self._save or (self.initialised and now - self._saved_at >= self._save_every and self.last):
            self._save, self._saved_at = False, now
            self.out.append(Save(self.id))
        self._try_open(now)
        if not self.open:
            self._tell_resting()

    def _tell_resting(self) -> None:
        self.crew.pool.settle()
        self.out += self.crew.tell(everyone=True)
        self._show(self.crew.browsers.values())

    def _apply_settings(self) -> None:
        if self._settings is None:
            return
        old, new, self._settings = self.settings, self._settings, None
        if new.hyper.learning_rate != old.hyper.learning_rate:  # what decayed so far stays decayed
            share = self.learning_rate / old.hyper.learning_rate if old.hyper.learning_rate else 1.0
            self.learning_rate = new.hyper.learning_rate * share
        self.settings = new
        if told := config.differences(old, new, self._tuned):
            self.out.append(Log("info", f"settings: {told}", self.id))
        if self._tuned:
            self.layers, self._tuned = network.tuned(self.layers, self._tuned, len(self.labels)), {}
            self._replan()

    def _replan(self) -> None:
        """Make the network of the layers and labels as they are; who computes is told it before the next order."""
        self._sizes.add(self.network.size)
        self.network = network.plan(self.layers, len(self.labels))
        self._sizes.discard(self.network.size)
        self.version += 1
        if self.initialised:
            self._introduce()

    def _admit(self) -> None:
        for cut in self._attached:
            self.layers = network.filled(self.layers, cut.mean, cut.std)
            self._admitted = merged(self._admitted, cut.labels)
            older = [other for other in self.cuts if other.dataset == cut.dataset]
            self.cuts = [other for other in self.cuts if other not in older] + [cut]
            gone = [row.hash for other in older for row in other.shards]
            self.crew.pool.renew(gone, cut.stocks(self._admitted))
        if self._attached:
            self.out += self.crew.hold_out(self.cuts, self.labels)
        self._attached = []

    def _reboot(self) -> None:
        self._initialise = False
        self.seed = self.settings.seed
        self.learning_rate = self.settings.hyper.learning_rate
        self.last, self.crew.held_out.last, self.trouble = {}, {}, ""
        if self._admitted:
            self._begin(
                "initialise", Initialise(self.id, self.layers, len(self._admitted), self.seed, 0, self.learning_rate)
            )

    def _take_back(self, to: Restored) -> None:
        """Stand where a checkpoint stood; the iteration goes on counting, because a number is never used twice."""
        self._restored = None
        self.iteration += 1
        self.labels, self.seed, self.learning_rate = to.labels, to.seed, to.learning_rate
        self.last, self.crew.held_out.last, self.trouble = {}, {}, ""
        self._replan()
        self._save = True
        self.out.append(Restore(self.id))

    # -------------------------------------------------------------------------------------------- the opening
    def _try_open(self, now: float) -> None:
        """Open the next iteration if somebody has something to compute."""
        wanted = (
            self.running
            and not self.draining
            and self.initialised
            and self.phase is Phase.RESTING
            and self._admitted == self.labels
        )
        if not wanted or not any(browser.could_work() for browser in self.crew.browsers.values()):
            return
        self.crew.settle(now)
        self.out += self.crew.tell(everyone=True)
        opened = Iteration(self.iteration, now, self.settings)
        orders = []
        for browser in self.places.taken(self.crew.browsers.values()):
            browser.awaited = False
            order = opened.order(self.id, browser, self.seed, self.network.flops)
            if order is None:
                continue
            self._await(opened, browser, now)
            orders.append(Send(browser.client, order))
        if not orders:
            return
        self.open, self.phase = opened, Phase.RUNNING
        self._show(self.crew.browsers.values())
        self.out += orders

    def _await(self, opened: Iteration, browser: Browser, now: float) -> None:
        browser.sent_at = now
        opened.present += 1
        opened.ordered += 1
        browser.awaited = not browser.silent and browser.link.overhead_ms <= opened.bearable_ms
        if browser.awaited:
            opened.awaiting.add(browser.client)

    def _show(self, browsers: Iterable[Browser]) -> None:
        """Broadcast the parameters to those of them that compute, and to free trackers, which then are busy."""
        newest = (self.iteration, self.version)
        if not self.initialised or self.phase is Phase.REDUCING:
            return
        clients, tested = [], False
        for browser in browsers:
            if not (browser.orders or browser.wants_snapshot(newest)):
                continue
            clients.append(browser.client)
            if browser.knows_version != self.version:
                self.out += self.crew.introduce(browser)
            if len(browser.workers) > len(browser.trainers):
                tested |= browser.show(newest)
        if clients:
            self.out.append(Broadcast(self.id, *newest, tuple(clients), tested))

    # -------------------------------------------------------------------------------------------- wishes
    def attach(self, event: Attached, now: float) -> None:
        """Take in a cut, in place of an older one of its data set, at the next close or at rest; raises Refusal."""
        cut = fresh(event.manifest, self.id, (*self.cuts, *self._attached), self.network.input)
        self.crew.held_out.require_apart(cut)
        labels = merged(self._admitted, *(other.labels for other in (*self._attached, cut)))
        self.network.require_labels(len(labels))
        network.plan(self.layers, len(labels))
        self._attached.append(cut)
        if self.phase is Phase.RESTING:
            self._between(now)

    def testing(self, event: HeldBack) -> None:
        """Take another test set, at once: nobody trains on it; raises Refusal."""
        self.crew.held_out.choose(event.part, event.manifest, self.network.input, (*self.cuts, *self._attached))
        self.out += self.crew.hold_out(self.cuts, self.labels)

    def wish(self, action: Action, settings: dict[str, Any], now: float) -> None:
        """Do what the owner wishes; raises Refusal. Removal is the master's."""
        match action:
            case "start":
                self.running, self.trouble = True, ""
            case "pause":
                self.running = False
            case "reboot":
                self._initialise = True
            case "set":
                self._set(settings)
            case _:
                raise AssertionError(action)
        self._save = True
        if action in ("pause", "reboot") and self.open:
            self._break_off(now)
        elif self.phase is Phase.RESTING:
            self._between(now)

    def _set(self, wished: dict[str, Any]) -> None:
        own = {key: value for key, value in wished.items() if key != "layers"}
        settings = (self._settings or self.settings).changed(own)
        if "layers" in wished:
            network.tuned(self.layers, wished["layers"], len(self.labels))
            self._tuned |= {name: {**self._tuned.get(name, {}), **change} for name, change in wished["layers"].items()}
        self._settings = settings

    def restore(self, event: Restored, now: float) -> None:
        """Go back to a checkpoint, between this iteration and the next; raises Refusal."""
        if not self.initialised or self._admitted[: len(event.labels)] != event.labels:
            raise Refusal(409, f"this checkpoint has other labels than {self.id} has now: branch it instead")
        self._restored, self._initialise = event, False
        if self.open:
            self._break_off(now)
        elif self.phase is Phase.RESTING:
            self._between(now)

    def _break_off(self, now: float) -> None:
        """End the open iteration at once: what was answered counts, what was not is stale; nobody missed anything."""
        assert self.open is not None
        for browser in self.crew.browsers.values():
            if browser.orders and not browser.answered:
                browser.excuse(self.iteration)
        if not self.open.vectors:
            self._end_orders(count_misses=False)
            self.open, self.phase = None, Phase.RESTING
            self.iteration += 1
            self._between(now)
            return
        self.close(now)
