"""What the core's bookkeeping costs: an iteration of many simulated workers, and the two simulated shares of T.

    .venv/bin/python benchmarks/core.py [--quick] [--json]

One iteration is: every browser's answer handled, the close, the opening with orders for all. Nothing is encoded or
sent; the reduce of a network of the paper's size is measured beside it. CPU time of this process, the best of several.
The collector of garbage is on, and told the same as in the server (mlitb/collector.py).
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from mlitb import collector  # noqa: E402
from mlitb.core import messages as m  # noqa: E402
from mlitb.core import optimizer, reduction  # noqa: E402
from mlitb.core.events import Attached, Connected, Created, Effect, Received, Send, Step, Stepped, Ticked  # noqa: E402
from mlitb.core.master import Master  # noqa: E402
from mlitb.simulation import Model, Simulation  # noqa: E402
from mlitb.simulation_training import PAPERS_NET  # noqa: E402

BOOKKEEPING_BOUND_MS = 100
TOTAL_BOUND_MS = 300
SHARE_BOUNDS = ((2, 0.001, 0.97), (64, 0.02, 0.94))
SHARDS = 469
PARAMETERS = 31_786


class Crowd:
    """A master with many browsers, all of them in order."""

    def __init__(self, workers: int) -> None:
        self.master = Master(engine="e")
        self.orders: dict[int, m.Orders] = {}
        self.assigns: dict[int, m.Assign] = {}
        self.now = 0.0
        self.feed(Created("p", "p", PAPERS_NET, {"period": 4.0}, 7, running=True))
        labels, counts = [str(i) for i in range(10)], [128, *[0] * 9]
        row = {"count": 128, "bytes": 30_000, "labels": counts}
        shards = [{"hash": f"{i * 7919:064x}", **row} for i in range(SHARDS)]
        shape = {"width": 28, "height": 28, "channels": 1, "mean": [0.1], "std": [0.3]}
        self.feed(Attached("p", {"cut": "c", "dataset": "d", "labels": labels, "shards": shards, **shape}))
        self.feed(Stepped("p", True, 0.01))
        self.size = self.master.project("p")["parameters"]
        for client in range(1, workers + 1):
            self.feed(Connected(client, False, f"token {client}"))
            self.feed(Received(client, m.Hello(m.PROTOCOL, "e")))
            self.feed(Received(client, m.Join("p", 1)))
        self.unpack()

    def feed(self, event: Any) -> list[Effect]:
        effects = self.master.handle(event, self.now)
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, m.Assign):
                self.assigns[effect.client] = effect.message
            elif isinstance(effect, Send) and isinstance(effect.message, m.Orders):
                self.orders[effect.client] = effect.message
        return effects

    def unpack(self) -> None:
        for client, assign in self.assigns.items():
            ready = m.Ready(1, assign.assignment, tuple(shard.hash for shard in assign.shards))
            self.feed(Received(client, ready))
        self.assigns.clear()

    def iteration(self) -> float:
        """Let everyone answer, close and open; return CPU milliseconds."""
        answers = [
            Received(c, m.Answer("p", o.iteration, (m.Result(1, o.orders[0].limit, 5.0, 1, 3000.0),)), self.size)
            for c, o in self.orders.items()
        ]
        self.orders.clear()
        self.now += 3.9
        began = time.process_time()
        for answer in answers:
            self.master.handle(answer, self.now)
        self.now = max(self.now, self.master.deadline() or self.now)
        closing = self.master.handle(Ticked(), self.now)
        assert any(isinstance(effect, Step) for effect in closing)
        opening = self.master.handle(Stepped("p", True, 0.01), self.now)
        spent = 1000 * (time.process_time() - began)
        for effect in opening:
            if isinstance(effect, Send) and isinstance(effect.message, m.Orders):
                self.orders[effect.client] = effect.message
            elif isinstance(effect, Send) and isinstance(effect.message, m.Assign):
                self.assigns[effect.client] = effect.message
        self.unpack()
        return spent


def reduce_ms(workers: int) -> float:
    """Add so many gradients and take one step; return CPU milliseconds."""
    random = np.random.default_rng(0)
    gradients = [random.standard_normal(PARAMETERS).astype(np.float32) for _ in range(16)]
    hyper, parameters = optimizer.Hyper(), np.zeros(PARAMETERS, np.float32)
    state, total = optimizer.init(hyper, PARAMETERS), reduction.zeros(PARAMETERS)
    began = time.process_time()
    for i in range(workers):
        list(reduction.add(total, gradients[i % 16]))
    list(optimizer.Update(hyper, parameters, total, state, workers, 0.01).walk())
    return 1000 * (time.process_time() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    collector.spare()
    report = Report("The core, per iteration")
    for workers in (100, 1000, 10_000):
        crowd = Crowd(workers)
        crowd.iteration()
        bookkeeping = min(crowd.iteration() for _ in range(3 if options.quick else 8))
        reduced = min(reduce_ms(workers) for _ in range(1 if options.quick else 3))
        report.rows.append({"workers": workers, "bookkeeping ms": bookkeeping, "reduce ms": reduced})
    report.at_most("bookkeeping of 10,000 workers, ms", bookkeeping, BOOKKEEPING_BOUND_MS)
    report.at_most("bookkeeping and reduce of 10,000 workers, ms", bookkeeping + reduced, TOTAL_BOUND_MS)
    for workers, latency, bound in SHARE_BOUNDS:
        model = Model(workers=workers, latency=latency, power_spread=0.0, settings={"local_steps": True})
        row = Simulation(model).run().row()
        report.at_least(f"share of T computed, {workers} browsers of 125 KB, simulated", row["computed"], bound)
    report.print(options.json)


if __name__ == "__main__":
    main()
