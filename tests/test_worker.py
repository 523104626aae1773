"""The native worker: the same orders and vectors as in a browser, and a command that ends in order."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from mlitb import resources, wire
from mlitb.core.messages import PROTOCOL, Hello, Join, Network, Order, Shard, Welcome
from mlitb.core.work import Piece, Stream
from mlitb.lending import split
from mlitb.trainer import BadShard, Listed, Pictures, Trainer, unpack
from mlitb.trainer_process import Assigned, Reply, TrainerProcess
from tests.client import ENGINE, fetched
from tests.running import Running, command, running, until

LAYERS = (
    {"type": "input", "width": 4, "height": 4, "channels": 1, "mean": [0.5], "std": [0.5]},
    {"type": "fully_connected"},
    {"type": "softmax"},
)
SHARDS = (
    Shard("0" * 64, "c", 40, 100, (2, 0, 1), offset=1, step=3),
    Shard("ffffffff" + "1" * 56, "c", 100, 100, (0, 1, 2)),
)


@pytest.fixture(scope="module")
def pictures() -> list[Pictures]:
    draw = np.random.default_rng(1)
    return [
        Pictures(draw.integers(0, 256, (s.count, 4, 4, 1), np.uint8), draw.integers(0, 3, s.count, np.int32))
        for s in SHARDS
    ]


def order(cursor: int, limit: int, rate: float = 0.0) -> Order:
    return Order(1, 1, (0, 1), 77, cursor, 16, 60_000.0, limit, rate, 0.9 if rate else 0.0)


# ------------------------------------------------------------------------------------------------ the map step
@pytest.mark.parametrize(("cursor", "limit"), [(0, 113), (40, 113), (113 * 3 + 5, 50), (7, 1)])
@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_a_trainer_takes_the_vectors_of_the_order(
    pictures: list[Pictures], cursor: int, limit: int, rate: float
) -> None:
    listed = Listed(SHARDS, pictures)
    stream = Stream([Piece(s.hash, s.count, s.offset, s.step) for s in SHARDS], 77)
    expected = list((stream.walk if rate else stream.take)(cursor, limit))
    batches = list(listed.batches(order(cursor, limit, rate)))
    assert all(len(batch) == 16 for batch in batches[:-1])
    numbers = np.concatenate(batches)
    assert [int(key) for key in listed.keys[numbers]] == [vector.key for vector in expected]
    for number, vector in zip(numbers, expected, strict=True):
        assert np.array_equal(listed.pixels[number], pictures[vector.piece].pixels[vector.index])
        cut_label = pictures[vector.piece].labels[vector.index]
        assert listed.labels[number] == SHARDS[vector.piece].labels[cut_label]


def trainer(pictures: list[Pictures], now: Any = time.monotonic) -> Trainer:
    made = Trainer(ENGINE, now)
    made.network(Network("p", 3, LAYERS, ("a", "b", "c"), 5))
    made.assign(1, SHARDS)
    for shard, unpacked in zip(SHARDS, pictures, strict=True):
        made.shard(shard.hash, unpacked)
    return made


def test_the_gradient_is_the_sum_over_the_orders_vectors(pictures: list[Pictures]) -> None:
    parameters = ENGINE.network(LAYERS, 3).initial(1)
    outcome = trainer(pictures).compute(order(20, 48), 0, 3, parameters)
    listed = Listed(SHARDS, pictures)
    network = ENGINE.network(LAYERS, 3)
    network.set_parameters(parameters)
    for numbers in listed.batches(order(20, 48)):
        network.gradient(listed.pixels[numbers], listed.labels[numbers], listed.keys[numbers], 5, 0)
    assert outcome.count == 48
    assert outcome.gradient is not None
    assert np.array_equal(outcome.gradient, network.gradient_sum())


def test_local_steps_answer_with_count_times_the_way_back(pictures: list[Pictures]) -> None:
    parameters = ENGINE.network(LAYERS, 3).initial(1)
    outcome = trainer(pictures).compute(order(0, 300, 0.1), 0, 3, parameters)
    assert outcome.count == 300
    assert outcome.gradient is not None
    own = parameters - outcome.gradient / 300
    first = trainer(pictures).compute(order(0, 113), 0, 3, parameters)
    after = trainer(pictures).compute(order(0, 113), 0, 3, own.astype(np.float32))
    assert after.loss < 0.9 * first.loss


def test_a_trainer_stops_at_its_time_and_when_told(pictures: list[Pictures]) -> None:
    parameters = ENGINE.network(LAYERS, 3).initial(1)
    clock = iter(range(1000))
    timed = trainer(pictures, lambda: next(clock) / 1000)
    short = Order(1, 1, (0, 1), 77, 0, 16, 3.0, 113)
    assert timed.compute(short, 0, 3, parameters).count == 48
    slow = iter(range(1000))
    told = trainer(pictures, lambda: next(slow) / 10)
    assert told.compute(order(0, 113), 0, 3, parameters, stopped=lambda: True).count == 16


@pytest.mark.parametrize("version", [2, 4])
def test_an_order_for_another_network_comes_to_nothing(pictures: list[Pictures], version: int) -> None:
    outcome = trainer(pictures).compute(order(0, 10), 0, version, ENGINE.network(LAYERS, 3).initial(1))
    assert (outcome.count, outcome.gradient) == (0, None)


def test_an_order_for_what_is_not_here_comes_to_nothing(pictures: list[Pictures]) -> None:
    made = trainer(pictures)
    made.assign(2, SHARDS[:1])
    made.assign(3, SHARDS[:1])
    assert made.compute(order(0, 10), 0, 3, ENGINE.network(LAYERS, 3).initial(1)).count == 0


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04nonsense", b"x" * 1000])
def test_a_damaged_shard_is_refused(data: bytes) -> None:
    with pytest.raises(BadShard):
        unpack(data)


# ------------------------------------------------------------------------------------------------ the command
@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("http://host:8000/project/digits", ("http://host:8000", "digits")),
        ("https://host/join/digits?token=x", ("https://host", "digits")),
        ("host:8000", ("http://host:8000", "")),
    ],
)
def test_links_are_read_as_people_copy_them(link: str, expected: tuple[str, str]) -> None:
    assert split(link) == expected


@contextlib.contextmanager
def lending(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command("worker", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("data")) as started:
        yield started


def trainers(system: Running) -> int:
    return int(system.project()["status"]["trainers"])


def history(system: Running) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = system.visitor.get("/api/projects/digits/history").json()
    return rows


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_it_trains_survives_a_killed_trainer_and_leaves_in_order(system: Running) -> None:
    before = system.iteration()
    with lending(f"{system.master}/project/digits", "--count", "2") as worker:
        until(lambda: trainers(system) == 2 and system.iteration() > before + 1, "two trainers train")
        killed = children(worker.pid)[-1]
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in children(worker.pid) and len(children(worker.pid)) == 3, "it is started again")
        after = system.iteration()
        until(
            lambda: [row for row in history(system) if row["iteration"] > after and row["trainers"] == 2], "it trains"
        )
        processes = children(worker.pid)
    until(lambda: trainers(system) == 0, "they are taken back")
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "no process is left behind")
    assert min(row["error"] for row in history(system)) < history(system)[0]["error"]


def test_a_shard_of_the_data_server_unpacks_to_what_was_uploaded(system: Running) -> None:
    (dataset,) = system.project()["datasets"]
    manifest = system.visitor.get(f"{system.data_server}/cuts/{dataset['cut']}/manifest.json").json()
    shard = manifest["shards"][0]
    pictures = fetched(f"{system.data_server}/shards/{shard['hash']}.zip")
    assert pictures.pixels.shape == (shard["count"], 8, 8, 1)
    assert np.bincount(pictures.labels, minlength=10).tolist() == shard["labels"]


@pytest.mark.parametrize(
    ("path", "words"),
    [("{master}/project/nothing", "digits"), ("http://127.0.0.1:9", "address"), ("{data}", "answered 404"),
     ("ftp://host", "address")],
)  # fmt: skip
def test_what_cannot_work_is_one_sentence(system: Running, path: str, words: str) -> None:
    link = path.format(master=system.master, data=system.data_server)
    done = subprocess.run(command("worker", link, "--count", "1"), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# ------------------------------------------------------------------------------------------ a master that drops it
class Dropping:
    """A master that ends its first connection right after Join, without a word."""

    def __init__(self) -> None:
        self.engine = resources.engine()
        self.hellos: list[Hello] = []
        self.joins: list[Join] = []

    def http(self, _: ServerConnection, request: Request) -> Response | None:
        name = hashlib.sha256(self.engine).hexdigest()
        config = {"protocol": PROTOCOL, "engine": name, "engine_url": f"/engine/{name}.wasm", "data_url": "http://x"}
        bodies: dict[str, Any] = {"/api/config": config, "/api/projects": [{"id": "p"}]}
        if request.path == "/ws":
            return None
        body = self.engine if request.path.startswith("/engine/") else json.dumps(bodies[request.path]).encode()
        headers = Headers({"content-length": str(len(body)), "connection": "close"})
        return Response(HTTPStatus.OK, "OK", headers, body)

    def talk(self, socket: ServerConnection) -> None:
        for data in socket:
            assert isinstance(data, bytes)
            message, _ = wire.decode_client(data)
            if isinstance(message, Hello):
                self.hellos.append(message)
                socket.send(wire.encode(Welcome(1, "the token of this worker", False)))
            elif isinstance(message, Join):
                self.joins.append(message)
                if len(self.hellos) == 1:
                    socket.socket.close()
                    return


def test_a_lost_connection_comes_back_as_the_same_client() -> None:
    master = Dropping()
    with serve(master.talk, "127.0.0.1", 0, process_request=master.http) as server:
        threading.Thread(target=server.serve_forever).start()
        port = server.socket.getsockname()[1]
        with lending(f"http://127.0.0.1:{port}/project/p", "--count", "1"):
            until(lambda: len(master.joins) >= 2, "it comes back")
        server.shutdown()
    assert [hello.resume for hello in master.hellos[:2]] == ["", "the token of this worker"]
    assert {join.project for join in master.joins} == {"p"}


def test_to_a_trainer_that_was_ended_nothing_is_sent() -> None:
    replies: list[Reply] = []
    process = TrainerProcess(resources.engine(), replies.append)
    process.stop()
    process.send(Assigned(1, ()))
    assert replies == []
