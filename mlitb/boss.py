"""The native boss: one connection to a master, and the trainers behind it (mlitb worker).

Rules of this file:
- One connection and one answer an iteration, however many trainers: the mirror of static/js/boss.js and project.js,
  as combiner.py is of combiner.js.
- A lost connection comes back by itself as the same client; what cannot get better is one sentence and an end.
- The trainers' processes compute; here nothing takes longer than adding their vectors.
"""

import asyncio
import logging
import platform
import random
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from mlitb import wire
from mlitb.combiner import Combiner
from mlitb.core.messages import (
    PROTOCOL,
    Answer,
    Assign,
    Bye,
    Failed,
    FromClient,
    Hello,
    Holds,
    Join,
    Network,
    Orders,
    Parameters,
    Ready,
    Refused,
    Reload,
    Removed,
    ToClient,
    Welcome,
)
from mlitb.shards import Shards
from mlitb.trainer import Gradient
from mlitb.trainer_process import Assigned, Done, Ended, Job, Reply, TrainerProcess, Unpacked

log = logging.getLogger("mlitb")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
MAX_RESTARTS = 3
MOST_UNANSWERED = 2
"""A trainer with so many unanswered orders is stuck, and is not given another."""


class WorkerFailed(RuntimeError):
    """This worker cannot go on; the message is one sentence for its user."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What a volunteer gives."""

    project: str
    count: int
    capacity_vectors: int
    capacity_bytes: int
    intensity: float


@dataclass(frozen=True, slots=True)
class Place:
    """A master as it describes itself."""

    socket_url: str
    data_url: str
    engine: bytes
    engine_hash: str
    tls: ssl.SSLContext | None = None  # for wss


@dataclass(slots=True)
class Trainer:
    """One trainer as this side sees it."""

    number: int
    process: TrainerProcess
    restarts: int = 0
    unanswered: int = 0
    late: bool = False  # its time ran out, and it has not answered since
    trouble: str = ""  # why it was left out, until it is not
    assign: Assign | None = None
    before: tuple[str, ...] = ()  # shards of the assignment before
    sent: set[str] = field(default_factory=set)  # shards that its process holds


class Boss:
    """One connection's worth of trainers for one project."""

    def __init__(self, place: Place, lent: Lent, shards: Shards) -> None:
        self._place, self._lent, self._shards = place, lent, shards
        self._loop = asyncio.get_running_loop()
        self._token = ""
        self._network: Network | None = None
        self._parameters: tuple[Parameters, Gradient] | None = None
        self._combiner: Combiner | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._socket: ClientConnection | None = None
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._leaving: bytes | None = None  # an answer with a vector that has not left
        self._busy_told = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._retry_s = FIRST_WAIT_S
        self.iterations = 0
        self.trainers = {number: Trainer(number, self._start(number)) for number in range(1, lent.count + 1)}

    # ------------------------------------------------------------------------------------------- the connection
    async def run(self) -> None:
        """Work until it is over; raise WorkerFailed."""
        while True:
            try:
                async with connect(
                    self._place.socket_url, ssl=self._place.tls, max_size=None, compression=None, proxy=None
                ) as socket:
                    await self._converse(socket)
            except (OSError, InvalidHandshake, ConnectionClosed) as error:
                log.warning("no connection to the master, again in %.1f s: %s", self._retry_s, error)
            self._abandon()
            await asyncio.sleep(self._retry_s * random.uniform(0.5, 1.0))
            self._retry_s = min(2 * self._retry_s, LONGEST_WAIT_S)

    async def _converse(self, socket: ClientConnection) -> None:
        self._outgoing, self._leaving = asyncio.Queue(), None
        sending = asyncio.create_task(self._send_all(socket, self._outgoing))
        reading = asyncio.create_task(self._read_all(socket))
        device = f"native worker on {platform.node()}, {self._lent.count} trainers"
        self._send(Hello(PROTOCOL, self._place.engine_hash, self._token, device))
        try:
            await asyncio.wait({reading, sending, self._over}, return_when=asyncio.FIRST_COMPLETED)
            for done in (self._over, reading, sending):
                if done.done():
                    done.result()
        finally:
            for task in (reading, sending):
                task.cancel()
            await asyncio.gather(reading, sending, return_exceptions=True)

    async def _read_all(self, socket: ClientConnection) -> None:
        async for data in socket:
            if not isinstance(data, bytes):
                raise WorkerFailed("the master sent text: is this the address of an MLitB master?")
            self._receive(*wire.decode_server(data))

    async def _send_all(self, socket: ClientConnection, outgoing: asyncio.Queue[bytes]) -> None:
        while True:
            frame = await outgoing.get()
            await socket.send(frame)
            if frame is self._leaving:
                self._leaving = None

    def _send(self, message: FromClient, vector: Gradient | None = None) -> None:
        frame = wire.encode(message, vector)
        if vector is not None:
            self._leaving = frame
        self._outgoing.put_nowait(frame)

    def _abandon(self) -> None:
        """Forget what the lost connection wanted."""
        if self._timer is not None:
            self._timer.cancel()
        self._combiner = self._timer = None

    def _fail(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_exception(WorkerFailed(reason))

    # ------------------------------------------------------------------------------------------- what is said
    def _receive(self, message: ToClient, vector: Gradient | None) -> None:
        match message:
            case Welcome():
                self._welcome(message)
            case Network():
                self._network = message
                self._tell_all(message)
            case Assign():
                self._assigned(message)
            case Parameters():
                assert vector is not None, message
                self._parameters = message, vector
            case Orders():
                self._ordered(message)
            case Refused():
                self._refused(message)
            case Bye(reason, retry_ms):
                log.info("the master closes the connection: %s", reason)
                self._retry_s = retry_ms / 1000
                if retry_ms < 0:
                    self._fail(f"the master does not want this worker any more: {reason}")
            case Reload(reason):
                self._fail(reason)
            case Removed(project):
                self._fail(f"the project {project!r} was removed")

    def _welcome(self, welcome: Welcome) -> None:
        self._token, self._retry_s = welcome.resume, FIRST_WAIT_S
        held = self._shards.held()
        if held:
            self._send(Holds(held))
        for number in self.trainers:
            self._join(number)

    def _join(self, number: int) -> None:
        lent = self._lent
        limits = lent.capacity_vectors, lent.capacity_bytes, lent.intensity
        self._send(Join(lent.project, number, "trainer", *limits))

    def _refused(self, refused: Refused) -> None:
        if refused.about == "Join":
            self._fail(f"the master takes no worker: {refused.reason}")
        log.info("%s was refused: %s", refused.about, refused.reason)

    def _tell_all(self, network: Network) -> None:
        for trainer in self.trainers.values():
            trainer.process.send(network)

    # ------------------------------------------------------------------------------------------- shards
    def _assigned(self, assign: Assign) -> None:
        trainer = self.trainers[assign.worker]
        trainer.before = tuple(shard.hash for shard in trainer.assign.shards) if trainer.assign else ()
        trainer.assign = assign
        trainer.process.send(Assigned(assign.assignment, assign.shards))
        trainer.sent &= {*trainer.before, *(shard.hash for shard in assign.shards)}
        self._shards.keep(_hashes(self.trainers.values()))
        for shard in assign.shards:
            self._spawn(self._supply(trainer, assign, shard.hash))

    async def _supply(self, trainer: Trainer, assign: Assign, name: str) -> None:
        try:
            pictures = await self._shards.get(name)
        except asyncio.CancelledError:
            return  # nobody holds it any more
        if trainer.assign is not assign:
            return  # a newer assignment asks for itself
        if name not in trainer.sent:
            trainer.process.send(Unpacked(name, pictures))
            trainer.sent.add(name)
        self._send(Ready(assign.worker, assign.assignment, (name,)))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------------------------------------- iterations
    def _ordered(self, orders: Orders) -> None:
        self._supersede()
        assert self._parameters is not None, "orders before parameters"
        head, vector = self._parameters
        ours = [order for order in orders.orders if self.trainers[order.worker].unanswered < MOST_UNANSWERED]
        silent = {order.worker for order in ours if self.trainers[order.worker].late}
        self._combiner = Combiner(orders.iteration, tuple(order.worker for order in ours), vector.size, silent)
        for order in ours:
            trainer = self.trainers[order.worker]
            trainer.unanswered += 1
            trainer.process.send(Job(orders.iteration, head.version, order, vector))
        longest = max((order.until_ms for order in ours), default=0.0) / 1000
        self._timer = self._loop.call_later(longest, self._budget_over, self._combiner, orders.margin_ms / 1000)
        self._close_if_complete()

    def _budget_over(self, combiner: Combiner, margin: float) -> None:
        """Give the margin to those who answered before; who was cut already had it."""
        combiner.over = True
        if combiner.complete:
            self._close()
        else:
            self._timer = self._loop.call_later(margin, self._close)

    def _supersede(self) -> None:
        """End the iteration at work: newer orders came, and the master refuses what comes after its close."""
        if self._combiner is not None:
            self._send(Answer(self._lent.project, self._combiner.iteration, ()))  # a sign of life
            self._abandon()

    def _close(self) -> None:
        """Answer with what has come, once: all have answered, or the time is up."""
        combiner = self._combiner
        if combiner is None:
            return
        answer, vector, left_out = combiner.finish(self._lent.project)
        if vector is not None and self._leaving is not None:
            self._tell_busy()
            answer, vector = replace(answer, results=()), None
        self._send(answer, vector)
        self.iterations += 1
        self._abandon()
        for number in combiner.workers:
            why = left_out.get(number, "")
            self.trainers[number].late |= why == "late"
            self._tell_left_out(self.trainers[number], why, combiner.iteration)

    def _tell_busy(self) -> None:
        if not self._busy_told:
            log.warning("this link is slower than an answer takes: a longer T or a smaller network helps")
        self._busy_told = True

    def _tell_left_out(self, trainer: Trainer, why: str, iteration: int) -> None:
        if why and why != trainer.trouble:  # said once, not in each iteration
            log.warning("trainer %s was left out of iteration %s: its answer was %s", trainer.number, iteration, why)
        trainer.trouble = why

    def _close_if_complete(self) -> None:
        if self._combiner is not None and self._combiner.complete:
            self._close()

    def _reply(self, number: int, reply: Reply) -> None:
        trainer = self.trainers[number]
        match reply:
            case Done(iteration, outcome):
                trainer.unanswered -= 1
                trainer.late = False
                if self._combiner is not None:
                    self._combiner.hear(number)
                    if self._combiner.iteration == iteration:
                        self._combiner.accept(number, outcome)
                    self._close_if_complete()
            case Ended(reason):
                self._ended(trainer, reason)

    # ------------------------------------------------------------------------------------------- processes
    def _start(self, number: int) -> TrainerProcess:
        def tell(reply: Reply) -> None:
            self._loop.call_soon_threadsafe(self._reply, number, reply)

        return TrainerProcess(self._place.engine, tell)

    def _ended(self, trainer: Trainer, reason: str) -> None:
        log.error("trainer %s failed: %s", trainer.number, reason)
        self._send(Failed(trainer.number, reason))
        if self._combiner is not None:
            self._combiner.drop(trainer.number)
            self._close_if_complete()
        if trainer.restarts >= MAX_RESTARTS:
            self._fail(f"trainer {trainer.number} failed {MAX_RESTARTS + 1} times: {reason}")
            return
        trainer.process.stop()
        self.trainers[trainer.number] = Trainer(trainer.number, self._start(trainer.number), trainer.restarts + 1)
        if self._network is not None:
            self.trainers[trainer.number].process.send(self._network)
        self._join(trainer.number)

    def stop(self) -> None:
        """End all trainers."""
        self._abandon()
        for task in self._tasks:
            task.cancel()
        for trainer in self.trainers.values():
            trainer.process.stop()


def _hashes(trainers: Iterable[Trainer]) -> Iterable[str]:
    return (shard.hash for trainer in trainers if trainer.assign for shard in trainer.assign.shards)
