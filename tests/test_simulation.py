"""The simulation: the same core, a virtual clock; what DESIGN promises of it, repeatability, faults, real gradients."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mlitb import resources
from mlitb.engine import Engine
from mlitb.pixels import encode_png
from mlitb.simulate_cli import picture, simulate
from mlitb.simulation import Model, Outcome, Simulation, sweep
from mlitb.simulation_link import Costs, Link
from mlitb.simulation_training import Pictures, Training


def run(**options: Any) -> dict[str, Any]:
    return Simulation(Model(**{"iterations": 10, "power_spread": 0.0, **options})).run().row()


def test_two_browsers_compute_almost_all_of_the_period() -> None:
    assert run(workers=2, vectors=60_000, latency=0.001)["computed"] >= 0.97


def test_64_browsers_on_a_gigabit_compute_94_percent_of_the_period() -> None:
    row = run(workers=64, settings={"local_steps": True})
    assert row["computed"] >= 0.94
    assert row["iteration_s"] == pytest.approx(4.0, abs=0.01)


def test_power_grows_with_the_workers_until_the_link_is_full() -> None:
    model = Model(iterations=6, power_spread=0.0, settings={"local_steps": True}, bandwidth=2e6)
    rows = sweep(model, [1, 8, 32])
    assert rows[1]["power"] > 6 * rows[0]["power"]
    assert rows[2]["latency_ms"] > 5 * rows[0]["latency_ms"]
    assert all(row["iteration_s"] <= 4.41 for row in rows)


def test_the_same_seed_gives_the_same_run() -> None:
    model = Model(workers=12, iterations=8, stragglers=0.05, churn=200.0)
    rows = [{**Simulation(model).run().row(), "core_ms": 0} for _ in range(2)]
    assert rows[0] == rows[1]


def test_stragglers_and_churn_never_hold_an_iteration_longer_than_the_grace() -> None:
    outcome: Outcome = Simulation(Model(workers=40, iterations=30, stragglers=0.03, churn=120.0)).run()
    assert all(record["seconds"] <= 4.4 + 1e-6 for record in outcome.records)
    assert outcome.refused > 0
    assert outcome.row()["power"] > 0


@pytest.mark.parametrize("share_of_link", [1.0, 2.5])
def test_a_link_too_small_for_all_ends_and_the_period_holds(share_of_link: float) -> None:
    model = Model(workers=60, bandwidth=60 * 127_000 / 4 / share_of_link, iterations=20, settings={"local_steps": True})
    outcome = Simulation(model).run()
    assert len(outcome.records) == 20
    assert outcome.row()["power"] > 0 or share_of_link > 1
    assert all(record["seconds"] <= 4.4 + 1e-6 for record in outcome.records)


def test_newer_orders_end_what_is_at_work() -> None:
    simulation = Simulation(Model(workers=1, power_spread=0.0))
    while not (device := next(iter(simulation._devices.values()), None)) or not device.task:
        simulation.step()
    first = device.task
    simulation._arrived(device, device.connection, replace(first.orders, iteration=first.orders.iteration + 1))
    assert device.task is not None
    assert (device.task.orders.iteration, device.task.began) == (first.orders.iteration + 1, simulation.now)


class Wire:
    """A link with a queue of its own; one megabyte takes a second on it, and 0.1 s of the processor each way."""

    def __init__(self) -> None:
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.seen: list[tuple[str, float]] = []
        costs = Costs(browser=0.0, browser_mb=0.2)
        self.link = Link(costs, 1e6, self.at, lambda: self.now)

    def at(self, moment: float, happen: Callable[[], None]) -> None:
        heappush(self.queue, (moment, len(self.queue), happen))

    def run(self) -> list[tuple[str, float]]:
        while self.queue:
            self.now, _, happen = heappop(self.queue)
            happen()
        return [(name, round(moment, 9)) for name, moment in self.seen]

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.seen.append((name, self.now))


def test_frames_to_devices_wait_for_the_processor_and_then_for_the_link() -> None:
    wire = Wire()
    for name in ("a", "b", "c"):
        wire.link.send(1.0, lambda name=name: (wire.note(f"turn {name}")(), wire.note(name))[1])  # type: ignore[misc]
    assert wire.run() == [
        ("turn a", 0.0), ("turn b", 0.1), ("a", 1.1), ("turn c", 1.1), ("b", 2.1), ("c", 3.1),
    ]  # fmt: skip


def test_frames_from_devices_wait_for_the_link_and_then_for_the_processor() -> None:
    wire = Wire()
    wire.link.work(1.5, wire.note("step"))
    wire.link.receive(1.0, wire.note("a"))
    wire.link.receive(1.0, wire.note("b"))
    assert wire.run() == [("step", 1.5), ("a", 1.6), ("b", 2.1)]


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a zip of two easy labels: bright left halves and bright right halves."""
    path = tmp_path_factory.mktemp("simulation") / "squares.zip"
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(400):
            pixels = random.integers(0, 120, (28, 28, 1), np.uint8)
            pixels[:, 14 * (i % 2) : 14 + 14 * (i % 2)] += 100
            archive.writestr(f"{'left' if i % 2 == 0 else 'right'}/{i}.png", encode_png(pixels))
        archive.writestr("left/notes.txt", "not a picture")
    return path


@pytest.mark.parametrize("local", [False, True])
def test_simulated_workers_learn_with_real_gradients(squares: Path, local: bool) -> None:
    settings: dict[str, Any] = {"local_steps": local, "local_rate": 0.01}
    if local:
        settings |= {"optimizer": "sgd", "learning_rate": 1.0}
    training = Training(Pictures(squares), Engine(resources.engine()), {})
    model = Model(workers=3, iterations=10, power=40.0, period=1.0, settings=settings)
    Simulation(model, training).run()
    assert len(training.pictures.labels) == 400
    assert training.error() <= 0.05


def test_a_zip_without_pictures_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    result = CliRunner().invoke(simulate, ["--train", str(tmp_path / "empty.zip"), "--workers", "1"])
    assert result.exit_code == 1
    assert "holds no pictures in label folders" in result.output


def test_the_command_prints_a_table_json_and_a_picture(tmp_path: Path) -> None:
    options = ["--workers", "1,4", "--iterations", "2", "--vectors", "2000"]
    plain = CliRunner().invoke(simulate, options)
    assert plain.output.splitlines()[0].split()[:3] == ["workers", "power", "latency_ms"]
    assert len(plain.output.splitlines()) == 3
    drawn = CliRunner().invoke(simulate, [*options, "--json", "--plot", str(tmp_path / "curve.svg")])
    rows = json.loads(drawn.output)["rows"]
    assert [row["workers"] for row in rows] == [1, 4]
    assert (tmp_path / "curve.svg").read_text() == picture(rows)
    assert picture(rows).count("<circle") == 4


@pytest.mark.parametrize("workers", ["0", "20000", "many"])
def test_wrong_numbers_of_workers_are_named(workers: str) -> None:
    result = CliRunner().invoke(simulate, ["--workers", workers])
    assert result.exit_code == 2
    assert "--workers" in result.output
