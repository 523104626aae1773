"""A server that is told to stop ends its iterations, saves, and sends the browsers away for a moment."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from mlitb import wire
from mlitb.core import messages as m
from mlitb.core.messages import PROTOCOL
from mlitb.storage import Storage
from tests.running import Running, command, running, until
from tests.test_durable_bits import gradient


class Trainer:
    """A browser that trains the digits over a real socket, answering late in each iteration."""

    def __init__(self, system: Running, socket: ClientConnection, delay_s: float) -> None:
        self.system, self.socket, self.delay_s = system, socket, delay_s
        self.answered: list[int] = []
        self.bye: m.Bye | None = None
        self.welcome: m.Welcome | None = None
        self.refused: list[m.Refused] = []
        engine = system.visitor.get("/api/config").json()["engine"]
        self.say(m.Hello(PROTOCOL, engine))
        self.say(m.Join("digits", 1, "trainer", 3000, 10**8, 1.0))

    def say(self, message: m.FromClient, vector: object = None) -> None:
        self.socket.send(wire.encode(message, vector))  # type: ignore[arg-type]

    def run(self, until_iterations: int) -> None:
        """Train until so many answers are given, or to the end of the connection."""
        parameters = None
        while len(self.answered) < until_iterations:
            try:
                message, vector = wire.decode_server(bytes(self.socket.recv(30)))  # type: ignore[arg-type]
            except ConnectionClosed:
                return
            match message:
                case m.Assign(worker=worker, assignment=assignment, shards=shards):
                    self.say(m.Ready(worker, assignment, tuple(shard.hash for shard in shards)))
                case m.Parameters():
                    parameters = vector
                case m.Orders(project, iteration, orders):
                    assert parameters is not None
                    time.sleep(self.delay_s)
                    count = orders[0].limit
                    result = m.Result(1, count, 2.0 * count, 1, 1000 * self.delay_s)
                    self.say(m.Answer(project, iteration, (result,)), gradient(parameters, iteration, count))
                    self.answered.append(iteration)
                case m.Welcome():
                    self.welcome = message
                case m.Refused():
                    self.refused.append(message)
                case m.Bye():
                    self.bye = message


@contextmanager
def training(system: Running, delay_s: float) -> Iterator[Trainer]:
    with connect(system.master.replace("http", "ws") + "/ws", max_size=None, proxy=None) as socket:
        yield Trainer(system, socket, delay_s)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_iteration_saves_and_sends_the_browsers_away(number: signal.Signals, tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        period = 2.0
        assert system.owner.patch("/api/projects/digits", json={"period": period}).is_success
        with training(system, delay_s=0.7) as trainer:
            trainer.run(3)
            last = trainer.answered[-1]
            until(lambda: system.iteration() == last + 1, "the next iteration is open")
            system.process.send_signal(number)
            told_at = time.monotonic()
            trainer.run(10**6)
        system.process.wait(30)
        took = time.monotonic() - told_at
        assert system.process.returncode == 0
    assert took <= period + 5, f"the stop took {took:.1f} s"
    assert trainer.bye is not None
    assert trainer.bye.retry_ms > 0
    assert trainer.refused == []
    assert trainer.answered[-1] == last + 1, "the iteration that was open was answered"
    storage = Storage(tmp_path / "data" / "master")
    kept = storage.load("digits")
    assert kept is not None
    assert kept.iteration == last + 2, "and its step was saved"
    assert storage.history("digits")[-1]["iteration"] == last + 1
    storage.close()
    assert "done again" not in system.errors


def test_it_goes_on_where_it_stopped_and_knows_the_browser_again(tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        with training(system, delay_s=0.0) as trainer:
            trainer.run(3)
        first = trainer.welcome
    with running(tmp_path / "data") as system:
        stopped_at = system.iteration()
        assert stopped_at >= trainer.answered[-1]
        with connect(system.master.replace("http", "ws") + "/ws", max_size=None, proxy=None) as socket:
            engine = system.visitor.get("/api/config").json()["engine"]
            assert first is not None
            socket.send(wire.encode(m.Hello(PROTOCOL, engine, first.resume)))
            welcome, _ = wire.decode_server(bytes(socket.recv(10)))  # type: ignore[arg-type]
            assert isinstance(welcome, m.Welcome)
            assert (welcome.client, welcome.resume) == (first.client, first.resume)
        with training(system, delay_s=0.0) as again:
            again.run(2)
        assert again.welcome is not None
        assert again.welcome.client != first.client, "numbers never come back"
        iterations = [row["iteration"] for row in system.visitor.get("/api/projects/digits/history").json()]
    assert iterations == sorted(set(iterations))
    assert iterations[-1] > stopped_at - 1


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "data") as system:
        assert system.owner.patch("/api/projects/digits", json={"period": 30.0}).is_success
        with training(system, delay_s=0.0) as trainer:
            until(lambda: system.project()["settings"]["period"] == 30.0, "the period is set")
            trainer.run(1)
            system.process.send_signal(signal.SIGTERM)
            until(lambda: not ready(system), "it drains")
            told_at = time.monotonic()
            system.process.send_signal(signal.SIGTERM)
            system.process.wait(30)
    assert time.monotonic() - told_at < 8


def ready(system: Running) -> bool:
    return bool(system.visitor.get("/readyz").json()["ready"])


def test_checkpoint_iteration_loses_nothing_to_a_kill(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--checkpoint", "iteration") as system, training(system, delay_s=0.0) as trainer:
        trainer.run(4)
        folder = tmp_path / "data" / "master" / "checkpoints" / "digits"
        last = trainer.answered[-1]
        until(lambda: any(int(p.stem) >= last for p in folder.glob("*.safetensors")), "the checkpoint is there")
        system.process.kill()
        system.process.wait(10)
    with running(tmp_path / "data") as system:
        assert system.iteration() >= last


@pytest.mark.parametrize("wrong", ["often", "-1", "0", "1e9"])
def test_a_checkpoint_interval_that_is_none_is_named(wrong: str, tmp_path: Path) -> None:
    done = subprocess.run(
        command("up", "--checkpoint", wrong, "--data-dir", str(tmp_path / "d")), capture_output=True, text=True
    )
    assert done.returncode != 0
    assert wrong in done.stderr
