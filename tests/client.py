"""A scripted client on a bare socket: a good one computes real gradients by its orders, a bad one what a test says.

Rules of this file:
- The WebSocket is websockets' protocol without its threads: nothing is read, sent or answered but when a test says so.
- Identity, orders and shards come over the wire and over HTTP, as a browser gets them.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, TypeVar

import httpx
import numpy as np
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from mlitb import resources, wire
from mlitb.core import network, optimizer
from mlitb.core.messages import (
    PROTOCOL,
    Answer,
    Assign,
    FromClient,
    Hello,
    Join,
    Network,
    Order,
    Orders,
    Parameters,
    Ready,
    Refused,
    Result,
    ToClient,
    Welcome,
)
from mlitb.core.optimizer import Hyper
from mlitb.engine import Engine
from mlitb.trainer import Gradient, Outcome, Pictures, Trainer, unpack
from mlitb.vectors import Vectors

WAIT_S = 20.0
CHUNK = 1 << 16
ENGINE = Engine(resources.engine())
Kind = TypeVar("Kind")
Received = tuple[ToClient, Gradient | None]


@cache
def fetched(url: str) -> Pictures:
    """Fetch and unpack a shard, once for all clients here, as browsers do it beside their training."""
    with httpx.Client(trust_env=False, timeout=WAIT_S, verify=False) as http:
        return unpack(http.get(url).raise_for_status().content)


class Gone(Exception):
    """The server closed the connection; code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Client:
    """One connection and one trainer behind it."""

    def __init__(self, port: int, receive_buffer: int = 0, hello: bool = True, token: str = "") -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/ws"), max_size=None)
        request = self.protocol.connect()
        if token:
            request.headers["authorization"] = f"Bearer {token}"
        self.protocol.send_request(request)
        self._flush()
        self.pinged = 0
        self.last: dict[type, Received] = {}  # the newest message of each kind
        self.trainer = Trainer(ENGINE, time.monotonic)
        self._frames: list[bytes] = []
        while not self.protocol.handshake_exc and self.protocol.state.name == "CONNECTING":
            self._read(WAIT_S)
        if hello:
            self.send(Hello(PROTOCOL, ENGINE.sha256, device="scripted"))
            self.wait(Welcome)

    # ------------------------------------------------------------------------------------------------ the wire
    def send(self, message: FromClient, vector: Any = None) -> None:
        self.send_bytes(wire.encode(message, vector))

    def send_bytes(self, data: bytes) -> None:
        self.protocol.send_binary(data)
        self._flush()

    def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)

    def _read(self, timeout_s: float) -> None:
        """Wait for bytes and take in what they hold, answering pings as every browser's network stack does."""
        self.socket.settimeout(max(timeout_s, 0.001))
        try:
            data = self.socket.recv(CHUNK)
        except TimeoutError:
            return
        except ConnectionError:
            raise Gone(1006, "cut off") from None
        finally:
            self.socket.settimeout(WAIT_S)
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        self._events()
        self._flush()
        if not data:
            raise Gone(self.protocol.close_code or 1006, self.protocol.close_reason or "")

    def _events(self) -> None:
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                assert event.status_code == 101, event
            elif isinstance(event, Frame) and event.opcode is Opcode.PING:
                self.pinged += 1
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                assert event.fin
                self._frames.append(bytes(event.data))
            elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                raise Gone(self.protocol.close_code or 1006, self.protocol.close_reason or "")

    def receive(self, timeout_s: float = WAIT_S) -> ToClient | None:
        """Give the next message, None when none comes in time; raise Gone."""
        end = time.monotonic() + timeout_s
        while not self._frames:
            if time.monotonic() >= end:
                return None
            self._read(end - time.monotonic())
        message, vector = wire.decode_server(self._frames.pop(0))
        self.last[type(message)] = (message, vector)
        return message

    def wait(self, kind: type[Kind], timeout_s: float = WAIT_S) -> Kind:
        """Read until a message of this kind comes."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            message = self.receive(end - time.monotonic())
            if isinstance(message, kind):
                return message
        raise AssertionError(f"no {kind.__name__} within {timeout_s} s")

    def pump(self, seconds: float) -> None:
        """Let the network stack live, and pings be answered, without looking at any message."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read(end - time.monotonic())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection as a closed tab does."""
        self.socket.close()

    def vanish(self) -> None:
        """End the connection with a reset, without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # ------------------------------------------------------------------------------------------------ training
    def join(self, project: str, data_server: str = "", worker: int = 1) -> None:
        """Lend a trainer, and be ready with what is assigned; without a data server only say so."""
        self.send(Join(project, worker))
        self.take(self.wait(Assign), data_server)

    def take(self, assign: Assign, data_server: str = "") -> None:
        """Fetch and unpack an assignment, and say Ready."""
        self.trainer.assign(assign.assignment, assign.shards)
        if data_server:
            self.trainer.network(self._network())
            for shard in assign.shards:
                self.trainer.shard(shard.hash, fetched(f"{data_server}/shards/{shard.hash}.zip"))
        if assign.shards:
            self.send(Ready(assign.worker, assign.assignment, tuple(shard.hash for shard in assign.shards)))

    def _network(self) -> Network:
        message, _ = self.last[Network]
        assert isinstance(message, Network)
        return message

    @property
    def parameters(self) -> tuple[Parameters, Gradient]:
        """Give the newest snapshot."""
        message, vector = self.last[Parameters]
        assert isinstance(message, Parameters)
        assert vector is not None
        return message, vector

    def compute(self, orders: Orders) -> tuple[Answer, Outcome]:
        """Do what was ordered, and make the answer without sending it."""
        order: Order = orders.orders[0]
        head, parameters = self.parameters
        assert head.iteration == orders.iteration, f"orders of {orders.iteration}, parameters of {head.iteration}"
        outcome = self.trainer.compute(order, orders.iteration, head.version, parameters)
        assert outcome.count, "the order could not be done"
        return Answer(orders.project, orders.iteration, (outcome.result(order.worker),)), outcome

    def forged(self, orders: Orders, gradient: Any, iteration: int | None = None, count: int = 1) -> tuple[Answer, Any]:
        """Make an answer that claims anything."""
        number = orders.iteration if iteration is None else iteration
        results = (Result(orders.orders[0].worker, count, 1.0, 0, 5.0),)
        return Answer(orders.project, number, results), np.asarray(gradient, np.float32)


@dataclass
class Volunteer:
    """A good client that trains in a thread of its own, and checks that nobody but it moves the parameters."""

    port: int
    project: str
    data_server: str
    alone: bool = True  # only its own answers are accepted: the parameters must follow from them, bit for bit
    answered: list[int] = field(default_factory=list)  # iterations
    refusals: list[Refused] = field(default_factory=list)
    steps: int = 0  # parameters that followed from its own gradient
    trouble: BaseException | None = None
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Train until stopped."""
        try:
            self._train()
        except BaseException as error:  # noqa: BLE001 - shown by stop() in the test's own thread
            self.trouble = error

    def _train(self) -> None:
        replay = Replay()
        with Client(self.port) as client:
            client.join(self.project, self.data_server)
            while not self._end.is_set():
                self._do(client, client.receive(0.1), replay)

    def _do(self, client: Client, message: ToClient | None, replay: "Replay") -> None:
        match message:
            case Assign():
                client.take(message, self.data_server)
            case Refused():
                self.refusals.append(message)
            case Parameters():
                self.steps += self.alone and replay.follows(client.parameters[1])
            case Orders():
                answer, outcome = client.compute(message)
                client.send(answer, outcome.gradient)
                self.answered.append(message.iteration)
                replay.answered(client, outcome)

    def stop(self) -> None:
        """End it; raise what went wrong there."""
        self._end.set()
        if self.trouble is not None:
            raise self.trouble


class Replay:
    """The reduce done again from one client's own gradients, with the default settings of a project."""

    def __init__(self) -> None:
        self._vectors: Vectors | None = None
        self._next: Vectors | None = None

    def answered(self, client: Client, outcome: Outcome) -> None:
        """Take the step that the master must take if it accepts this answer and no other."""
        assert outcome.gradient is not None
        before, (_, parameters) = self._vectors, client.parameters
        state = dict(before.state) if before else {}
        plan = network.plan(client._network().layers, len(client._network().labels))
        hyper = Hyper.parse({"multipliers": network.multipliers(plan)})
        after = Vectors()
        after.restore({"parameters": parameters, **state}, len(client._network().labels))
        for _ in after.add(outcome.gradient):
            pass
        for _ in after.step(hyper, outcome.count, optimizer.Hyper().learning_rate, lambda *_: None):
            pass
        current = Vectors()
        current.restore({"parameters": parameters, **state}, len(client._network().labels))
        self._vectors, self._next = current, after

    def follows(self, parameters: Gradient) -> bool:
        """Tell whether a snapshot is the step (True) or nothing new (False); fail when it is anything else."""
        if self._next is not None and np.array_equal(parameters, self._next.parameters):
            self._vectors, self._next = self._next, None
            return True
        if self._vectors is not None:
            assert np.array_equal(parameters, self._vectors.parameters), "somebody else moved the parameters"
        return False


@contextmanager
def volunteering(volunteer: Volunteer) -> Iterator[Volunteer]:
    """Let a volunteer train until the block ends, and raise what went wrong with it."""
    thread = threading.Thread(target=volunteer.run, daemon=True)
    thread.start()
    try:
        yield volunteer
    finally:
        try:
            volunteer.stop()
        finally:
            thread.join(WAIT_S)


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition; fail naming it."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"did not happen within {timeout_s} s: {what}"
        time.sleep(0.01)
