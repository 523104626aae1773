"""The asyncio shell around the core: events in, effects performed in order, one timer.

Rules of this file:
- `feed` is the whole loop: handle an event, perform its effects, arm the timer for the core's deadline. No domain here.
- It owns the long vectors (vectors.py). What takes long runs as slices between events, per project in order.
- Disk work is done by disk.py, in order, off the event loop; trouble there is shown and training goes on.
- One process, one event loop, one Master: nothing here is safe to call from another thread.
- A Refusal goes back to who asked. Any other exception is our own bug: it stops the server, loudly (`failed`).
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from mlitb import wire
from mlitb.core.events import (
    Add,
    Broadcast,
    Close,
    Connected,
    Disconnected,
    Draining,
    Effect,
    Event,
    Forget,
    Initialise,
    Issued,
    Level,
    Log,
    Received,
    Record,
    RecordTest,
    Restore,
    Save,
    Send,
    Step,
    Stepped,
    Ticked,
)
from mlitb.core.master import SAVE_EVERY_S, Master
from mlitb.core.messages import PROTOCOL, Answer, Bye, FromClient, Hello, Orders, Parameters, Roster, Status, ToClient
from mlitb.core.optimizer import Hyper
from mlitb.core.refusal import Refusal
from mlitb.engine import Engine
from mlitb.outbox import TOO_SLOW, Outbox
from mlitb.traffic import Traffic
from mlitb.vectors import Jobs, Vector, Vectors

log = logging.getLogger("mlitb")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
CLOSE_CODE = 1008
"""WebSocket's "policy violation": the reason says which."""

RETURN_MS = 2000
"""When browsers are to come back to a master that is stopped: they spread over one to two times this."""

STOPPING = "the server is being stopped; it will be back"


class Runtime:
    """Runs one Master: sockets feed it messages, the timer feeds it ticks."""

    def __init__(
        self, engine: Engine, clock: Callable[[], float] = time.monotonic, save_every: float = SAVE_EVERY_S
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.master = Master(PROTOCOL, engine.sha256, save_every)
        self.vectors: dict[str, Vectors] = {}
        self.restored: dict[str, Vectors] = {}  # for the Restore that follows Restored
        self.bases: dict[str, Mapping[str, Vector]] = {}  # what projects begin with: blocks in place of initial values
        self.numbers: Iterator[int] = itertools.count(1)
        self.issue: Callable[[int], str] = lambda _number: secrets.token_urlsafe(24)
        self.recall: Callable[[str], int | None] = lambda _token: None  # the number that a token was issued for
        self.draining = False
        self.hurried = False  # a second signal: wait for nothing
        self.on_record: Callable[[str, dict[str, Any]], None] = lambda _project, _figures: None
        self.on_test: Callable[[str, dict[str, Any]], None] = lambda _project, _figures: None
        self.on_tested: Callable[[str], None] = lambda _project: None  # its parameters are about to be evaluated
        self.on_save: Callable[[str], None] = lambda _project: None
        self.on_forget: Callable[[str], None] = lambda _project: None
        self.on_log: Callable[[str, Level, str], None] = lambda _project, _level, _text: None
        self.traffic = Traffic()
        self.failed: asyncio.Future[None] | None = None
        self._clients: dict[int, Outbox] = {}
        self._snapshots: dict[str, tuple[Parameters, Vector, bytes]] = {}  # by project
        self._encoded: dict[type, tuple[ToClient, bytes]] = {}  # the last message of each type
        self._unsent: list[Outbox] = []  # with something to flush
        self._jobs = Jobs()
        self._stepping: set[str] = set()  # projects whose Step or Initialise is under way
        self._events: deque[tuple[Event, Vector | None]] = deque()
        self._feeding = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------------------------------------- the loop
    def feed(self, event: Event, vector: Vector | None = None) -> None:
        """Handle an event and perform its effects; raise the Refusal of a control event."""
        self._events.append((event, vector))
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                event, vector = self._events.popleft()
                for effect in self.master.handle(event, self.clock()):
                    self._perform(effect, vector)
        except Refusal:
            raise
        except Exception as error:
            self._fail(error)
            raise
        finally:
            self._feeding = False
            self._flush()
        self._arm()

    def _flush(self) -> None:
        """Send what the effects put, all of an event's at once."""
        unsent, self._unsent = self._unsent, []
        for outbox in unsent:
            outbox.flush()

    def _arm(self) -> None:
        deadline = self.master.deadline()
        if deadline == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        if deadline is not None:
            delay = max(0.0, deadline - self.clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._armed_for = None
        self.feed(Ticked())

    def _fail(self, error: Exception) -> None:
        log.critical("the master found itself in an impossible state and stops", exc_info=error)
        if self.failed is not None and not self.failed.done():
            self.failed.set_exception(error)

    def start(self) -> None:
        """Get ready to be fed, inside the event loop."""
        self.failed = asyncio.get_running_loop().create_future()

    @property
    def broken(self) -> bool:
        """Tell whether a failure of our own stopped it."""
        return self.failed is not None and self.failed.done() and self.failed.exception() is not None

    async def failure(self) -> None:
        """Wait for a failure of our own and raise it."""
        while self.failed is None:
            await asyncio.sleep(0.02)
        await asyncio.shield(self.failed)

    async def drain(self, most_s: float) -> bool:
        """Let open iterations end and open no more; tell whether all came to rest within `most_s` seconds."""
        self.draining = True
        self.feed(Draining())
        until = self.clock() + most_s
        while not (self.master.at_rest() or self.hurried) and self.clock() < until:
            await asyncio.sleep(0.01)
        return self.master.at_rest()

    async def dismiss(self, most_s: float) -> None:
        """Tell all clients to come back later, and wait until they are gone or `most_s` seconds are over."""
        self.draining = True
        for client in list(self._clients):
            self._close(client, STOPPING, RETURN_MS)
        until = self.clock() + most_s
        while self._clients and self.clock() < until:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop the timer, let running work end, say goodbye to all clients."""
        if self._timer is not None:
            self._timer.cancel()
        while self._jobs:
            self._jobs.turn()
        for task in list(self._tasks):
            task.cancel()
        for client in list(self._clients):
            self._close(client, STOPPING, RETURN_MS)
        if self.failed is not None and not self.failed.done():
            self.failed.set_result(None)

    # ------------------------------------------------------------------------------------------------- clients
    def connect(self, owner: bool) -> tuple[int, Outbox]:
        """Register a new connection; return its number and what is to be sent to it."""
        client, outbox = next(self.numbers), Outbox(self.traffic.sent)
        self._clients[client] = outbox
        self.feed(Connected(client, owner, self.issue(client)))
        if self.draining:
            self._close(client, STOPPING, RETURN_MS)
        return client, outbox

    def receive(self, client: int, message: FromClient, vector: Vector | None, finite: bool, size: int = 0) -> None:
        """Feed a client's message, whose frame had `size` bytes."""
        if isinstance(message, Answer) and message.project in self.vectors:
            self.traffic.received[message.project] += size
        if isinstance(message, Hello) and (number := self.recall(message.resume)) is not None:
            self.feed(Issued(number, message.resume))
        if client in self._clients:  # not one that was closed a moment ago
            self.feed(Received(client, message, 0 if vector is None else int(vector.size), finite), vector)

    def disconnect(self, client: int) -> None:
        """Forget a connection that ended."""
        if self._clients.pop(client, None) is not None:
            self.feed(Disconnected(client))

    def _send(self, client: int, message: ToClient) -> None:
        known = self._encoded.get(type(message))
        if known is None or known[0] is not message:  # else it goes to many
            known = self._encoded[type(message)] = message, wire.encode(message)
        self._put(client, known[1], _topic(message), getattr(message, "project", ""))

    def _put(self, client: int, frame: bytes, topic: str, project: str) -> None:
        outbox = self._clients.get(client)
        if outbox is None:
            return
        self._unsent.append(outbox)
        if not outbox.put(frame, topic, project):
            outbox.close(TOO_SLOW, "you do not read what you are sent: come back when you can", drop=True)

    def _close(self, client: int, reason: str, retry_ms: int) -> None:
        outbox = self._clients.get(client)
        if outbox is not None:
            outbox.put(wire.encode(Bye(reason, retry_ms)))
            outbox.close(CLOSE_CODE, reason)

    # ------------------------------------------------------------------------------------------------- effects
    def _perform(self, effect: Effect, vector: Vector | None) -> None:
        match effect:
            case Send(client, message):
                self._send(client, message)
            case Broadcast():
                self._broadcast(effect)
            case Close(client, reason, retry_ms):
                self._close(client, reason, retry_ms)
            case Add(project):
                assert vector is not None, effect
                self._work(project, self.vectors[project].add(vector))
            case Step():
                self._step(effect)
            case Initialise():
                self._stepping.add(effect.project)
                self._spawn(self._initialise(effect))
            case Record(project, figures):
                self.on_record(project, {**figures, **self.traffic.take(project)})
            case RecordTest(project, figures):
                self.on_test(project, figures)
            case Save(project):
                self.on_save(project)
            case Forget(project):
                self._forget(project)
            case Restore(project):
                self.vectors[project] = self.restored.pop(project)
            case Log(level, text, project):
                log.log(LEVELS[level], "%s%s", f"{project}: " if project else "", text)
                self.on_log(project, level, text)
            case _:
                raise AssertionError(effect)

    def _forget(self, project: str) -> None:
        self._jobs.forget(project)
        self.vectors.pop(project, None)
        self.restored.pop(project, None)
        self.bases.pop(project, None)
        self._snapshots.pop(project, None)
        self.on_forget(project)
        if project in self._stepping:  # dropped, but the core still waits to hear of it
            self._stepped(project, False, 0.0)

    def _stepped(self, project: str, finite: bool, learning_rate: float, steps: int = 0) -> None:
        self._stepping.discard(project)
        self.feed(Stepped(project, finite, learning_rate, steps))

    def _broadcast(self, effect: Broadcast) -> None:
        frame = self._snapshot(Parameters(effect.project, effect.iteration, effect.version))
        for client in effect.clients:
            self._put(client, frame, f"parameters {effect.project}", effect.project)
        if effect.tested:
            self.on_tested(effect.project)

    def _snapshot(self, head: Parameters) -> bytes:
        """Encode parameters once: the same bytes object as long as they and what is said of them are the same."""
        parameters, known = self.vectors[head.project].parameters, self._snapshots.get(head.project)
        if known is None or known[0] != head or known[1] is not parameters:
            known = self._snapshots[head.project] = head, parameters, wire.encode(head, parameters)
        return known[2]

    def _step(self, effect: Step) -> None:
        def done(finite: bool, steps: int) -> None:
            self._stepped(effect.project, finite, effect.learning_rate, steps)

        self._stepping.add(effect.project)
        vectors = self.vectors[effect.project]
        hyper = Hyper.parse(effect.settings)
        self._work(effect.project, vectors.step(hyper, effect.vectors, effect.learning_rate, done))

    async def _initialise(self, effect: Initialise) -> None:
        if not effect.grow_from:
            self._jobs.forget(effect.project)
            self.vectors[effect.project] = Vectors()
        vectors = self.vectors[effect.project]
        arrays = await asyncio.to_thread(self._fresh, effect, vectors)
        if self.vectors.get(effect.project) is not vectors:
            return  # removed, or begun again, meanwhile
        vectors.restore(arrays, effect.labels)
        self._stepped(effect.project, True, effect.learning_rate)

    def _fresh(self, effect: Initialise, vectors: Vectors) -> dict[str, Vector]:
        network = self.engine.network(effect.layers, effect.labels, 1)
        fresh, base = network.initial(effect.seed), self.bases.get(effect.project, {})
        for block in network.layout:
            if block.name in base:
                fresh[block.offset : block.offset + block.size] = base[block.name].reshape(-1)
        return vectors.grown(effect.layers, fresh, effect.labels) if effect.grow_from else {"parameters": fresh}

    # ------------------------------------------------------------------------------------------ work in slices
    def _work(self, project: str, work: Any) -> None:
        """Do a first slice at once if nothing waits before it, the rest between events."""
        idle = not self._jobs
        if idle and any(next(work, self) is self for _ in range(2)):
            return  # it was one slice, and its end
        self._jobs.put(project, work)
        if idle:
            self._spawn(self._pump())

    async def _pump(self) -> None:
        while self._jobs:
            self._jobs.turn()
            await asyncio.sleep(0)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with contextlib.suppress(asyncio.CancelledError):
            error = task.exception()
            if isinstance(error, Exception):
                self._fail(error)


def _topic(message: ToClient) -> str:
    """Name the snapshot that a message is, so that a newer one replaces it while it waits; empty: it is none."""
    if isinstance(message, Status | Roster | Orders):
        return f"{type(message).__name__.lower()} {message.project}"
    return ""
