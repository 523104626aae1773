"""One trainer in a process of its own: what computes must not wait for what receives, nor for another trainer.

Rules of this file:
- Processes, not threads: with small networks most of the time is Python's own, and threads would take turns at it.
- Messages are values over one pipe, in order, so a shard that was sent is there when an order needs it.
- A newer order ends the one at work, which is answered with what it has.
- Whoever holds the other end of the pipe decides; when it is gone, the process ends.
"""

import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection

from mlitb.core.messages import Network, Order, Shard
from mlitb.engine import Engine, EngineError
from mlitb.trainer import Gradient, Outcome, Pictures, Trainer

STOP_S = 2.0
"""An idle trainer ends at once, one at work after its micro-batch; then it is killed."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """Hold these shards from now on."""

    assignment: int
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A shard's pictures."""

    hash: str
    pictures: Pictures


@dataclass(frozen=True, slots=True)
class Job:
    """An order with the parameters that it is for."""

    iteration: int
    version: int
    order: Order
    parameters: Gradient


@dataclass(frozen=True, slots=True)
class Done:
    """What a job came to."""

    iteration: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """The process is gone, or cannot go on; why, as a sentence."""

    reason: str


Task = Network | Assigned | Unpacked | Job
Reply = Done | Ended


class Desk:
    """The process's side: tasks come in, are done in order, and jobs are answered."""

    def __init__(self, pipe: Connection, engine: bytes) -> None:
        self._pipe = pipe
        self._trainer = Trainer(Engine(engine), time.monotonic)
        self._waiting: deque[Task] = deque()

    def run(self) -> None:
        """Work until the pipe's other end is closed."""
        try:
            while True:
                self._do(self._waiting.popleft() if self._waiting else self._pipe.recv())
        except EngineError as error:
            self._pipe.send(Ended(str(error)))
        except (EOFError, BrokenPipeError):
            return

    def _do(self, task: Task) -> None:
        match task:
            case Network():
                self._trainer.network(task)
            case Assigned(assignment, shards):
                self._trainer.assign(assignment, shards)
            case Unpacked(hash_, pictures):
                self._trainer.shard(hash_, pictures)
            case Job(iteration, version, order, parameters):
                outcome = self._trainer.compute(order, iteration, version, parameters, self._interrupted)
                self._pipe.send(Done(iteration, outcome))
            case _:
                raise AssertionError(task)

    def _interrupted(self) -> bool:
        """Take in what waits; tell whether it is a newer order, or a network, which end the one at work."""
        while self._pipe.poll():
            task = self._pipe.recv()
            if isinstance(task, Job | Network):
                self._waiting.append(task)
                return True
            self._do(task)
        return False


def _main(pipe: Connection, engine: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started us ends us in order
    Desk(pipe, engine).run()


class TrainerProcess:
    """The other side: start a trainer, send it tasks, be told its replies (from a thread of its own)."""

    def __init__(self, engine: bytes, tell: Callable[[Reply], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, engine), daemon=True)
        self._process.start()
        theirs.close()
        self._tell = tell
        self._stopped = False
        self._sender = ThreadPoolExecutor(1)  # a pipe that is full must not hold up the event loop
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Give the process's number."""
        return self._process.pid or 0

    def send(self, task: Task) -> None:
        """Send a task behind those that were sent before; to one that is being ended nothing is sent any more."""
        if not self._stopped:
            self._sender.submit(self._send, task)

    def _send(self, task: Task) -> None:
        try:
            self._pipe.send(task)
        except OSError:
            return  # the process is gone: the reading side tells

    def _read(self) -> None:
        while True:
            try:
                reply = self._pipe.recv()
            except (EOFError, OSError):
                reply = Ended(f"its process ended with code {self._exit_code()}")
            if not self._stopped:
                self._tell(reply)
            if isinstance(reply, Ended):
                return

    def _exit_code(self) -> int | None:
        self._process.join(STOP_S)
        return self._process.exitcode

    def stop(self) -> None:
        """End the process."""
        self._stopped = True
        self._process.terminate()
        self._process.join(STOP_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._reader.join()
        self._sender.shutdown()
        self._pipe.close()
