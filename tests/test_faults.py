"""Faults over real sockets: whatever one client does, the others' iterations go on at T plus at most one grace.

Each test has a project of its own, a volunteer that trains in it well, and somebody who does not. The volunteer repeats
the reduce from its own gradients: if anything that was refused had moved the parameters, its bits would differ.
"""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlitb.core.messages import Answer, Orders, Refused, Result, Watch
from mlitb.server import create_app
from mlitb.settings import Settings
from mlitb.up import prepare, uvicorn_server
from tests.client import Client, Gone, Kind, Volunteer, volunteering, wait_until
from tests.core_world import manifest
from tests.running import Running, free_port, running

PERIOD_S, GRACE_S = 0.3, 0.4
SLACK_S = 0.2
"""How much later than due a loaded machine may do something; less than the grace, so that a grace is told from it."""

LAYERS: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "fully_connected", "units": 16},
    {"type": "relu"},
    {"type": "fully_connected"},
    {"type": "softmax"},
]
WIDE: list[dict[str, Any]] = [LAYERS[0], {"type": "fully_connected", "units": 6000}, *LAYERS[2:]]
"""450,000 parameters: a snapshot is more than a socket holds for who does not read."""

SIZE = 64 * 16 + 16 + 16 * 10 + 10


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("data")) as started:
        yield started


@dataclass
class Training:
    """One running project."""

    system: Running
    name: str

    def refused(self, reason: str) -> int:
        """Tell how often the master refused something for this reason."""
        return int(self.system.visitor.get("/api/health").json()["refused"].get(reason, 0))

    def periods(self, first: int) -> list[float]:
        """Give the seconds between the closes of the iterations from `first` on, as the master noted them."""
        closes = [row["time"] for row in self.history() if row["iteration"] >= first]
        return [after - before for before, after in pairwise(closes)]

    def history(self) -> list[dict[str, Any]]:
        """Give what is kept of the iterations."""
        rows: list[dict[str, Any]] = self.system.visitor.get(f"/api/projects/{self.name}/history").json()
        return rows

    def client(self, receive_buffer: int = 0) -> Client:
        """Connect somebody who has joined and is ready."""
        client = Client(self.system.port, receive_buffer)
        client.join(self.name, self.system.data_server)
        return client

    def volunteer(self, alone: bool = True) -> Volunteer:
        return Volunteer(self.system.port, self.name, self.system.data_server, alone)


@contextlib.contextmanager
def project(system: Running, layers: list[dict[str, Any]]) -> Iterator[Training]:
    settings = {"period": PERIOD_S, "grace": GRACE_S, "vectors": 32}
    body = {"name": "faults", "layers": layers, "settings": settings}
    made = system.owner.post("/api/projects", json=body).raise_for_status().json()["id"]
    (dataset,) = system.project()["datasets"]
    system.owner.post(f"/api/projects/{made}/data", json={"dataset": dataset["dataset"]}).raise_for_status()
    system.owner.post(f"/api/projects/{made}/start").raise_for_status()
    yield Training(system, made)
    assert system.process.poll() is None
    system.owner.delete(f"/api/projects/{made}").raise_for_status()


@pytest.fixture
def training(system: Running) -> Iterator[Training]:
    with project(system, LAYERS) as made:
        yield made


def goes_on(training: Training, volunteer: Volunteer, iterations: int, graces: int, since: int | None = None) -> None:
    """Watch some more iterations; judge all since the fault began, by the master's own clock.

    At most so many of them may have taken a grace. A fault begins when the volunteer is under way, or at `since`.
    """
    now = volunteer.answered[-1]
    wait_until(lambda: volunteer.trouble or volunteer.answered[-1] > now + iterations, f"{iterations} iterations")
    if volunteer.trouble:
        raise volunteer.trouble
    took = training.periods(volunteer.answered[1] if since is None else since)
    assert len(took) >= iterations
    assert max(took) < PERIOD_S + GRACE_S + SLACK_S, took
    assert sum(seconds > PERIOD_S + SLACK_S for seconds in took) <= graces, took


@contextlib.contextmanager
def under_way(training: Training, alone: bool = True) -> Iterator[Volunteer]:
    """Let a volunteer train, and begin when its first answers were taken."""
    volunteer = training.volunteer(alone)
    with volunteering(volunteer):
        wait_until(lambda: volunteer.trouble or len(volunteer.answered) > 1, "the volunteer trains")
        yield volunteer
        assert not volunteer.refusals
        assert not alone or volunteer.steps >= len(volunteer.answered) - 2, "its own gradients count, each time"


# ------------------------------------------------------------------------------------------ who does not answer
def test_one_client_never_answers(training: Training) -> None:
    with under_way(training) as volunteer, training.client() as silent:
        silent.wait(Orders)
        goes_on(training, volunteer, 4, graces=1)


def test_one_client_answers_after_the_deadline(training: Training) -> None:
    before = training.refused("Answer: late")
    with under_way(training) as volunteer, training.client() as slow:
        orders = slow.wait(Orders)
        answer, outcome = slow.compute(orders)
        goes_on(training, volunteer, 4, graces=1)
        slow.send(answer, outcome.gradient)
        refused = slow.wait(Refused)
        assert "closed" in refused.reason
        assert training.refused("Answer: late") == before + 1
        goes_on(training, volunteer, 4, graces=2)  # alive again, it is awaited once more


def test_a_stuck_boss_that_still_answers_pings(training: Training) -> None:
    with under_way(training) as volunteer, training.client() as stuck:
        stuck.wait(Orders)
        sent = stuck.protocol
        sent.send_ping(b"are you there?")
        stuck.pump(4 * PERIOD_S)
        goes_on(training, volunteer, 2, graces=1)
        assert stuck.protocol.state.name == "OPEN", "nobody was closed: keepalive alone proves nothing"


# ------------------------------------------------------------------------------------------------ wrong answers
def test_the_right_gradient_for_the_wrong_iteration(training: Training) -> None:
    with under_way(training) as volunteer, training.client() as liar:
        orders = liar.wait(Orders)
        answer, outcome = liar.compute(orders)
        counts = [training.refused(f"Answer: {reason}") for reason in ("future iteration", "late")]
        for number in (orders.iteration + 1000, orders.iteration - 1):
            liar.send(Answer(answer.project, number, answer.results), outcome.gradient)
            assert liar.wait(Refused).about == "Answer"
        assert training.refused("Answer: future iteration") == counts[0] + 1
        assert training.refused("Answer: late") == counts[1] + 1
        goes_on(training, volunteer, 4, graces=1)


def test_one_client_sends_gradients_that_no_optimizer_can_take(training: Training) -> None:
    before = training.refused("Answer: not finite")
    with under_way(training) as volunteer, training.client() as liar:
        orders = liar.wait(Orders)
        for value in (1e30, 3e38, float("nan"), float("inf")):
            liar.send(*liar.forged(orders, np.full(SIZE, value)))
            refused = liar.wait(Refused)
            assert refused.status == 422
            assert "not finite" in refused.reason
        assert training.refused("Answer: not finite") == before + 4
        goes_on(training, volunteer, 4, graces=1)
        assert training.system.project(training.name)["status"]["state"] != "paused"


def test_one_client_claims_what_cannot_be(training: Training) -> None:
    claims = [(10**6, 0, "too many vectors"), (-1, 0, "too many vectors"), (1, 5, "wrong figures")]
    before = {reason: training.refused(f"Answer: {reason}") for _, _, reason in claims}
    with under_way(training) as volunteer, training.client() as liar:
        orders = liar.wait(Orders)
        for count, wrong, _ in claims:
            results = (Result(orders.orders[0].worker, count, 1.0, wrong, 5.0),)
            liar.send(Answer(orders.project, orders.iteration, results), np.zeros(SIZE, np.float32))
            assert liar.wait(Refused).status == 422
        assert training.refused("Answer: too many vectors") == before["too many vectors"] + 2
        assert training.refused("Answer: wrong figures") == before["wrong figures"] + 1
        goes_on(training, volunteer, 4, graces=1)


def test_one_client_sends_50_megabytes(training: Training) -> None:
    reasons = ("Answer: wrong length", "Answer: late")  # so much takes its time
    before = sum(map(training.refused, reasons))
    with under_way(training) as volunteer, training.client() as liar:
        orders = liar.wait(Orders)
        liar.send(*liar.forged(orders, np.zeros(12_500_000)))
        assert liar.wait(Refused).about == "Answer"
        assert sum(map(training.refused, reasons)) > before
        goes_on(training, volunteer, 4, graces=2)
        volunteer.refusals.clear()  # on a slow machine its own answer was late while so much was copied; it is told so


def test_one_client_sends_more_than_any_network_has(training: Training) -> None:
    with under_way(training) as volunteer, training.client() as liar:
        with contextlib.suppress(ConnectionError):  # it is closed while it still sends
            liar.send_bytes(bytes(70_000_000))
        with pytest.raises(Gone) as gone:
            liar.wait(Orders)
        assert gone.value.code in (1006, 1009)
        goes_on(training, volunteer, 4, graces=1)


# ------------------------------------------------------------------------------------------------- who does not read
def ask_without_end(deaf: Client) -> None:
    """Ask what is refused, so that answers which nobody reads pile up, until the connection is cut off."""
    while True:
        deaf.send(Watch("no such project"))
        time.sleep(0.006)  # fewer a second than the server reads


def test_one_client_reads_nothing(system: Running) -> None:
    with (
        project(system, WIDE) as training,
        under_way(training) as volunteer,
        training.client(receive_buffer=4096) as deaf,
    ):
        with pytest.raises(ConnectionError):
            ask_without_end(deaf)
        assert training.refused("too slow") == 1
        assert training.system.project(training.name)["status"]["clients"] == 1
        goes_on(training, volunteer, 4, graces=1)


# ------------------------------------------------------------------------------------------------- crowds
def test_a_hundred_connect_and_vanish(training: Training) -> None:
    with under_way(training) as volunteer:
        crowd = [Client(training.system.port, hello=number % 2 == 0) for number in range(100)]
        for client in crowd[::4]:
            client.join(training.name)
        for client in crowd:
            client.vanish()
        goes_on(training, volunteer, 4, graces=1)
        wait_until(lambda: training.system.project(training.name)["status"]["clients"] == 1, "all are forgotten")


def test_half_leave_in_the_same_millisecond(training: Training) -> None:
    with under_way(training, alone=False) as volunteer:
        others = [training.volunteer(alone=False) for _ in range(3)]
        with contextlib.ExitStack() as stack:
            for other in others:
                stack.enter_context(volunteering(other))
            leavers = [Client(training.system.port) for _ in range(4)]
            for leaver in leavers:
                leaver.join(training.name)
            for leaver in leavers:
                leaver.wait(Orders)
            for leaver in leavers:
                leaver.close()
            goes_on(training, volunteer, 8, graces=len(leavers))  # of which each may have let a deadline pass
            wait_until(lambda: training.system.project(training.name)["status"]["clients"] == 4, "half have left")
            assert not any(other.refusals for other in others)


# ------------------------------------------------------------------------------------------------- sleep
def test_the_master_stands_still_for_two_seconds(training: Training) -> None:
    with under_way(training) as volunteer:
        before = volunteer.answered[-1]
        os.kill(training.system.process.pid, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(training.system.process.pid, signal.SIGCONT)
        wait_until(lambda: volunteer.trouble or volunteer.answered[-1] > before + 1, "it goes on")
        goes_on(training, volunteer, 4, graces=0, since=volunteer.answered[-1])
        volunteer.refusals.clear()  # an answer from before the sleep may have become late; it is told so


# ----------------------------------------------------------------------------- a master in this process, its clock ours
class Inside:
    """A master with its own clock and quick pings, in a thread of this process."""

    def __init__(self, folder: Path) -> None:
        self.ahead_s = 0.0
        settings = Settings(folder, port=free_port(), data_port=free_port())
        prepared = prepare(settings)
        self.lock, self.projects = prepared.lock, prepared.projects
        self.projects.runtime.clock = lambda: time.monotonic() + self.ahead_s
        app = create_app(settings, self.projects, prepared.owner, prepared.tickets, prepared.engine)
        self.server = uvicorn_server(app, settings)
        self.server.before_shutdown = partial(self.projects.drain, 1.0)
        self.server.config.port = self.port = settings.port
        self.server.config.ws_ping_interval = 0.2
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        """Serve until stopped."""
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.server.serve())
        self.loop.close()
        self.lock.release()

    def do(self, work: Coroutine[Any, Any, Kind]) -> Kind:
        """Do something in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def make_project(self) -> str:
        settings = {"period": PERIOD_S, "grace": GRACE_S, "vectors": 32}
        name = self.do(self.projects.create("inside", LAYERS, settings))
        cut = {**manifest("c", [str(label) for label in range(10)], [64] * 4), "width": 8, "height": 8}
        self.do(self.projects.attach(name, cut))
        self.do(self.projects.wish(name, "start", {}))
        return name

    def iteration(self, name: str) -> int:
        view = self.projects.view(name)
        return int(view["iteration"]) if view else -1


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    master = Inside(tmp_path)
    thread = threading.Thread(target=master.run)
    thread.start()
    wait_until(lambda: master.server.started, "the master listens")
    yield master
    master.server.should_exit = True
    thread.join(20)


def answering(client: Client, until_iteration: int) -> None:
    """Answer orders with gradients of nothing in particular until an iteration is reached."""
    while (orders := client.wait(Orders)).iteration < until_iteration:
        client.send(*client.forged(orders, np.ones(SIZE)))


def test_the_machine_sleeps_for_an_hour(inside: Inside) -> None:
    name = inside.make_project()
    with Client(inside.port) as client:
        client.join(name)
        answering(client, 3)  # its orders are out
        inside.ahead_s += 3600.0
        begun = time.monotonic()
        answering(client, 6)
        assert time.monotonic() - begun < 4 * (PERIOD_S + GRACE_S) + SLACK_S
    wait_until(lambda: not inside.projects.view(name)["status"]["clients"], "it is forgotten")  # type: ignore[index]


def test_pings_are_answered_by_a_boss_that_is_stuck(inside: Inside) -> None:
    name = inside.make_project()
    with Client(inside.port) as good, Client(inside.port) as stuck:
        for client in (good, stuck):
            client.join(name)
        good.wait(Orders)
        stuck.wait(Orders)
        network_stack = threading.Thread(target=stuck.pump, args=(8 * PERIOD_S,))
        network_stack.start()
        begun = time.monotonic()
        answering(good, 7)
        assert time.monotonic() - begun < 6 * PERIOD_S + GRACE_S + 3 * SLACK_S
        network_stack.join()
        assert stuck.pinged > 2
        assert stuck.protocol.state.name == "OPEN"


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [("/api/projects/x", "*/*", "application/json"), ("/project/x", "text/html", "text/html; charset=utf-8")],
)
def test_a_fault_of_our_own_is_a_sentence_and_keeps_the_connection(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, path: str, accept: str, kind: str
) -> None:
    monkeypatch.setattr(inside.projects, "view", lambda _: 1 // 0)
    connection = http.client.HTTPConnection("127.0.0.1", inside.port, timeout=20)
    connection.request("GET", path, headers={"accept": accept})
    opened = connection.sock
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (500, kind)
    assert "content-security-policy" in answer.headers
    assert b"a fault of the master: its log says more" in answer.read().lower()
    monkeypatch.undo()
    connection.request("GET", "/api/health")
    answer = connection.getresponse()
    assert json.loads(answer.read())["refused"]["500"] == 1
    assert connection.sock is opened, "the same connection goes on"
    connection.close()
