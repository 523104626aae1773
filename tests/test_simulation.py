"""The simulation: the same core, a virtual clock; what DESIGN promises of it, repeatability, faults, real gradients."""

import json
import zipfile
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
