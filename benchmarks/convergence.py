"""Seconds to 5 % test error: 1 to 64 simulated workers, three ways to train, and one worker with plain SGD alone.

    .venv/bin/python benchmarks/convergence.py [--data mnist.zip]

The core, the engine, the gradients and the reduce are the real ones; clock and network are models of
mlitb/simulation.py, so seconds do not depend on this machine: every device computes --power vectors a second, 20 ms
from the master. Each way gets the learning rate that serves it best of a few; a run that takes longer than the best
rate's median is not carried on, since it cannot win. Without --data: scikit-learn's digits.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from mlitb import resources  # noqa: E402
from mlitb.datasets import digits_zip  # noqa: E402
from mlitb.demo import LAYERS  # noqa: E402
from mlitb.engine import Engine  # noqa: E402
from mlitb.simulation import Device, Model, Simulation  # noqa: E402
from mlitb.simulation_training import PAPERS_NET, Pictures, Training  # noqa: E402

GOAL = 0.05
BATCH, MOMENTUM = 16, 0.9
LOOK_EVERY_S = 0.05
"""How often plain SGD's error is looked at; the workers' is after every iteration."""

ALONE = "plain SGD alone"
ADAGRAD_RATES, SGD_RATES = (0.03, 0.1, 0.01), (0.01, 0.03, 0.003)
"""The likeliest first: the others have to beat it."""

WAYS: dict[str, tuple[tuple[float, ...], dict[str, Any]]] = {
    ALONE: (SGD_RATES, {}),
    "fixed period": (ADAGRAD_RATES, {}),
    "close when saturated": (ADAGRAD_RATES, {"close_when_saturated": True}),
    "local steps": (SGD_RATES, {"local_steps": True, "optimizer": "sgd", "learning_rate": 1.0}),
}


class Reached(Exception):
    """The goal, or the end of patience; seconds since the first worker came, or infinity."""

    def __init__(self, seconds: float, iterations: int) -> None:
        super().__init__()
        self.seconds, self.iterations = seconds, iterations


class Timed(Simulation):
    """A simulation that knows when its first worker came."""

    begun = -1.0

    def _connect(self, device: Device) -> None:
        if self.begun < 0:
            self.begun = self.now
        super()._connect(device)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs have in common."""

    engine: Engine
    pictures: list[Pictures]  # the same, split by different seeds
    power: float
    period: float
    patience_s: float
    rates: int  # how many of them are tried

    def best(self, way: str, workers: int) -> dict[str, Any]:
        """Give the row of the rate with the smallest median over the seeds."""
        run: Callable[..., Reached] = self.alone if way == ALONE else self.workers
        best: dict[str, Any] = {
            "way": way,
            "workers": workers,
            "seconds": float("inf"),
            "steps": 0,
            "rate": float("nan"),
        }
        for rate in WAYS[way][0][: self.rates]:
            found: list[Reached] = []
            patience_s = min(self.patience_s, best["seconds"])
            for seed in range(len(self.pictures)):
                found.append(run(way, workers, rate, seed, patience_s))
                if sum(reached.seconds > patience_s for reached in found) > len(self.pictures) // 2:
                    break  # so the median cannot be better
            seconds = statistics.median(reached.seconds for reached in found)
            if seconds < best["seconds"]:
                steps = int(statistics.median(reached.iterations for reached in found))
                best |= {"seconds": seconds, "steps": steps, "rate": rate}
        return best

    def workers(self, way: str, workers: int, rate: float, seed: int, patience_s: float) -> Reached:
        """Train with simulated workers until the goal is reached."""
        name = "local_rate" if way == "local steps" else "learning_rate"
        settings = {**WAYS[way][1], name: rate}
        hyper = {key: value for key, value in settings.items() if key in ("optimizer", "learning_rate")}
        training = Training(self.pictures[seed], self.engine, hyper)
        model = Model(
            workers, self.period, power=self.power, power_spread=0.0, latency_spread=0.0, seed=seed,
            iterations=10**6, settings=settings,
        )  # fmt: skip
        simulation = Timed(model, training)

        def look(iterations: int) -> None:
            seconds = simulation.now - simulation.begun
            if training.error() <= GOAL:
                raise Reached(seconds, iterations)
            if seconds > patience_s:
                raise Reached(float("inf"), iterations)

        simulation.on_step = look
        try:
            simulation.run()
        except Reached as reached:
            return reached
        raise AssertionError("a simulation ended without reaching its end")

    def alone(self, way: str, workers: int, rate: float, seed: int, patience_s: float) -> Reached:
        """Train with plain minibatch SGD on one device, without a master."""
        assert (way, workers) == (ALONE, 1)
        pictures = self.pictures[seed]
        training = Training(pictures, self.engine, {})
        manifest = pictures.manifest()
        first = {**pictures.layers[0], "mean": manifest["mean"], "std": manifest["std"]}
        training.begin((first, *pictures.layers[1:]), len(pictures.names), seed)
        draw, network, start = np.random.default_rng(seed), training.network, training.parameters
        assert network is not None
        network.set_parameters(start)
        network.begin_local()
        done, look_at = 0, LOOK_EVERY_S
        while done / self.power <= patience_s:
            for batch in np.array_split(draw.permutation(pictures.training), -(-pictures.training // BATCH)):
                network.gradient(pictures.pixels[batch], pictures.labels[batch])
                network.local_step(len(batch), rate, MOMENTUM)
                done += len(batch)
                if done / self.power < look_at:
                    continue
                look_at += LOOK_EVERY_S
                if held_back_error(training) <= GOAL:
                    return Reached(done / self.power, done // BATCH)
        return Reached(float("inf"), done // BATCH)


def held_back_error(training: Training) -> float:
    """Give the error of the parameters that the network has now, in the middle of its local steps."""
    pictures, network = training.pictures, training.network
    assert network is not None
    wrong, count = 0, len(pictures.labels) - pictures.training
    for start in range(pictures.training, len(pictures.labels), BATCH):
        batch = slice(start, start + BATCH)
        wrong += int((network.probabilities(pictures.pixels[batch]).argmax(1) != pictures.labels[batch]).sum())
    return wrong / count


BENCH: list[Bench] = []
"""The one of this process."""


def begin(path: Path, layers: tuple[dict[str, Any], ...], seeds: int, given: argparse.Namespace) -> None:
    """Make a process ready for its runs."""
    pictures = [Pictures(path, layers, seed) for seed in range(seeds)]
    rates = 1 if given.quick else len(SGD_RATES)
    BENCH[:] = [Bench(Engine(resources.engine()), pictures, given.power, given.period, given.patience, rates)]


def best(way: str, workers: int) -> dict[str, Any]:
    """Give a row."""
    return BENCH[0].best(way, workers)


def count() -> int:
    """Tell how many pictures there are to train on."""
    return BENCH[0].pictures[0].training


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="zip of label folders, 28 × 28: the paper's network")
    parser.add_argument("--power", type=float, default=2000.0, help="vectors a second of every device (default 2000)")
    parser.add_argument("--period", type=float, default=1.0, help="T in seconds (default 1)")
    parser.add_argument("--patience", type=float, default=60.0, help="give up after so many (virtual) seconds")
    parser.add_argument("--workers", default="", help="numbers of workers, separated by commas (default 1,2,8,64)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at a time (default: the cores)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="one seed, one rate, 1 and 8 workers")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    report = Report(f"Seconds to {GOAL:.0%} test error; {given.power:g} vectors/s a device, T = {given.period:g} s")
    seeds = 1 if given.quick else 3
    crowds = [int(number) for number in (given.workers or ("1,8" if given.quick else "1,2,8,64")).split(",")]
    cells = [(way, workers) for way in WAYS for workers in ([1] if way == ALONE else crowds)]
    with tempfile.TemporaryDirectory() as folder:
        data, layers = given.data, PAPERS_NET
        if not data:
            report.notes.append("no --data: scikit-learn's digits, 8×8, and the demo's network")
            data, layers = digits_zip(Path(folder) / "digits.zip"), tuple(LAYERS)
        with ProcessPoolExecutor(given.processes, initializer=begin, initargs=(data, layers, seeds, given)) as pool:
            report.notes.append(f"{pool.submit(count).result()} pictures to train on, medians of {seeds} seeds")
            longest_first = sorted(cells, key=lambda cell: -cell[1])
            rows = {cell: pool.submit(best, *cell) for cell in longest_first}
            report.rows = [rows[cell].result() for cell in cells]
    report.print(given.json)


if __name__ == "__main__":
    main()
