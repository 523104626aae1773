"""The map step: gradients per second on one core, ours beside PyTorch and ConvNetJS, in the same run.

    .venv/bin/python benchmarks/engine.py

Ours and ConvNetJS run in a Web Worker of Chromium, PyTorch in this process with one thread (the better of its two
eager memory formats). Each figure is the best of many windows of 20 ms, taken in turns, so that a busy machine disturbs
all alike. The work: the gradient of every parameter, summed over the micro-batch; no optimizer.
"""

import argparse
import functools
import gzip
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from mlitb import resources  # noqa: E402
from mlitb.core.network import plan  # noqa: E402
from mlitb.engine import Engine  # noqa: E402

Spec = dict[str, Any]
CHROMIUM = "/usr/bin/chromium"
CONVNETJS = "node_modules/convnetjs/build/convnet.js"
WINDOW_SECONDS = 0.02
LABELS = 10


def image(side: int, channels: int) -> Spec:
    return {"type": "input", "width": side, "height": side, "channels": channels}


def conv(kernel: int, filters: int, **more: Any) -> Spec:
    return {"type": "conv", "kernel": kernel, "filters": filters, "padding": kernel // 2, **more}


RELU, POOL = {"type": "relu"}, {"type": "max_pool", "size": 2}
HEAD = [{"type": "fully_connected"}, {"type": "softmax"}]

NETS: dict[str, list[Spec]] = {
    "paper's MNIST": [image(28, 1), conv(5, 16), RELU, POOL, *HEAD],
    "CIFAR-10 demo": [
        image(32, 3), conv(5, 16), RELU, POOL, conv(5, 20), RELU, POOL, conv(5, 20), RELU, POOL, *HEAD,
    ],
    "four convs": [
        image(32, 3), conv(3, 32), RELU, conv(3, 32), RELU, POOL, conv(3, 64), RELU, conv(3, 64), RELU, POOL,
        {"type": "fully_connected", "units": 256}, RELU, *HEAD,
    ],
}  # fmt: skip
"""The three nets whose bounds are promised."""

TORCH_BOUNDS = {"paper's MNIST": 2.0, "CIFAR-10 demo": 0.8, "four convs": 0.45}
CONVNETJS_BOUNDS = {"paper's MNIST": 80, "CIFAR-10 demo": 40, "four convs": 25}


def pooled(side: int, channels: int, filters: int, pool: Spec, **more: Any) -> list[Spec]:
    return [image(side, channels), conv(3, filters), RELU, conv(3, filters, **more), RELU, pool, *HEAD]


def plain(side: int, channels: int, filters: int, **more: Any) -> list[Spec]:
    return [image(side, channels), conv(3, filters), RELU, conv(3, filters, **more), RELU, *HEAD]


AVERAGE = {"type": "average_pool", "size": 2}
GENERAL: dict[str, tuple[list[Spec], list[Spec], int]] = {
    "odd sizes": (pooled(31, 3, 16, POOL), pooled(32, 3, 16, POOL), LABELS),
    "odd sizes, unpooled": (plain(15, 3, 16), plain(16, 3, 16), LABELS),
    "stride 2": (plain(32, 3, 16, stride=2), plain(32, 3, 16), LABELS),
    "18 filters": (plain(16, 3, 18), plain(16, 3, 20), LABELS),
    "6 channels, 6 filters": (pooled(32, 6, 6, POOL), pooled(32, 8, 8, POOL), LABELS),
    "average pool, odd": (pooled(31, 3, 18, AVERAGE), pooled(32, 3, 16, AVERAGE), LABELS),
    "max pool 3/2": (pooled(32, 3, 16, {"type": "max_pool", "size": 3, "stride": 2}), pooled(32, 3, 16, POOL), LABELS),
    "100 classes": (pooled(32, 3, 16, POOL), pooled(32, 3, 16, POOL), 100),
}
"""General shapes, each with the nearest aligned one of its kind, and its number of labels."""
GENERAL_BOUND = 0.6


# ------------------------------------------------------------------------------------------------------ a browser
class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve the checkout without a word; the engine's modules need their types."""

    extensions_map = {".js": "text/javascript", ".wasm": "application/wasm", "": "text/html"}  # noqa: RUF012

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def browser_page() -> Iterator[Page]:
    """Give a page of Chromium whose origin serves the checkout."""
    handler = functools.partial(Quiet, directory=str(ROOT))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/LICENSE")
        yield page
        browser.close()
    server.shutdown()


RUN = """order => new Promise((resolve, reject) => {
  const start = performance.now();
  const worker = new Worker("/benchmarks/engine_worker.js", {type: "module"});
  let first = 0;
  worker.onerror = event => reject(new Error(event.message));
  worker.onmessage = ({data}) => {
    if (data.error) reject(new Error(data.error));
    if (data.first) first = performance.now() - start;
    else { worker.terminate(); resolve({rate: data.rate, first}); }
  };
  worker.postMessage(order);
})"""


def in_browser(
    page: Page, engine: str, layers: list[Spec], labels: int, batch: int, seconds: float
) -> dict[str, float]:
    """Measure in a fresh Web Worker: vectors per second, and ms from its start to its first gradient."""
    order = {"engine": engine, "layers": layers, "labels": labels, "batch": batch, "ms": seconds * 1000}
    measured: dict[str, float] = page.evaluate(
        RUN, {**order, "wasm": "/static/engine.wasm", "convnetjs": f"/{CONVNETJS}"}
    )
    return measured


# --------------------------------------------------------------------------------------------------------- rivals
def best_rate(step: Callable[[], object], batch: int, seconds: float) -> float:
    """Return vectors per second of the best window (the measure of engine_worker.js)."""
    end, best = time.perf_counter() + seconds, 0.0
    while time.perf_counter() < end:
        start, count = time.perf_counter(), 0
        while (now := time.perf_counter()) - start < WINDOW_SECONDS or not count:
            step()
            count += batch
        best = max(best, count / (now - start))
    return best


def torch_steps(layers: list[Spec], labels: int, batch: int) -> list[Callable[[], object]] | None:
    """Return one step per memory format of PyTorch, None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return [torch_step(torch, layers, labels, batch, f) for f in (torch.contiguous_format, torch.channels_last)]


def torch_step(torch: Any, layers: list[Spec], labels: int, batch: int, memory: Any) -> Callable[[], object]:
    """Build the same network in PyTorch, in a memory format."""
    modules: list[Any] = []
    for spec in layers[1:-1]:
        if spec["type"] == "conv":
            modules.append(torch.nn.LazyConv2d(spec["filters"], spec["kernel"], padding=spec["padding"]))
        elif spec["type"] == "fully_connected":
            flatten = [] if any(isinstance(m, torch.nn.Flatten) for m in modules) else [torch.nn.Flatten()]
            modules += [*flatten, torch.nn.LazyLinear(spec.get("units", labels))]
        else:
            modules.append(torch.nn.ReLU() if spec["type"] == "relu" else torch.nn.MaxPool2d(spec["size"]))
    model = torch.nn.Sequential(*modules)
    shape = batch, layers[0]["channels"], layers[0]["height"], layers[0]["width"]
    pixels, answers = torch.rand(shape).to(memory_format=memory), torch.arange(batch) % labels
    model(pixels)
    model = model.to(memory_format=memory)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(pixels), answers, reduction="sum").backward()

    return step


def python_step(layers: list[Spec], labels: int, batch: int) -> Callable[[], object]:
    """Return a step of our engine through wasmtime."""
    network = Engine(resources.engine()).network(layers, labels, batch)
    network.set_parameters(network.initial(1))
    shape = batch, layers[0]["height"], layers[0]["width"], layers[0]["channels"]
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    answers = np.arange(batch) % labels
    return lambda: network.gradient(pixels, answers)


PEAK = """
#include <stdio.h>
#include <time.h>
typedef float v4 __attribute__((vector_size(16)));
int main() {
  v4 a[12], b = {1.0f, 1.0f, 1.0f, 1.0f}, c = {1e-9f, 1e-9f, 1e-9f, 1e-9f};
  double best = 0;
  for (int i = 0; i < 12; i++) a[i] = b;
  for (int round = 0; round < 400; round++) {
    struct timespec s, e;
    clock_gettime(CLOCK_MONOTONIC, &s);
    for (int k = 0; k < 200000; k++)
#pragma GCC unroll 16
      for (int i = 0; i < 12; i++) { a[i] = a[i] * b + c; __asm__ volatile("" : "+x"(a[i])); }
    clock_gettime(CLOCK_MONOTONIC, &e);
    double t = (e.tv_sec - s.tv_sec) + 1e-9 * (e.tv_nsec - s.tv_nsec);
    if (96.0 * 2e5 / t > best) best = 96.0 * 2e5 / t;
  }
  printf("%f", best / 1e9);
}
"""


def peak() -> float | None:
    """Measure the peak of 128-bit multiply-adds in GFLOP/s; None where no compiler is installed."""
    with tempfile.TemporaryDirectory() as made:
        source, program = Path(made) / "peak.c", Path(made) / "peak"
        source.write_text(PEAK)
        flags = ["-O3", "-march=native", "-ffp-contract=fast", str(source), "-o", str(program)]
        compiler = shutil.which("cc")
        command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
        if subprocess.run([*command, *flags], capture_output=True).returncode:
            return None
        return float(subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout)


# ----------------------------------------------------------------------------------------------------- the report
class Bench:
    """One run: measures, and fills a report."""

    def __init__(self, page: Page, report: Report, seconds: float, rounds: int, most: float | None) -> None:
        self.page, self.report, self.seconds, self.rounds, self.peak = page, report, seconds, rounds, most

    def ours(self, layers: list[Spec], labels: int = LABELS, batch: int = 16) -> float:
        return in_browser(self.page, "ours", layers, labels, batch, self.seconds)["rate"]

    def row(self, net: str, engine: str, batch: int, layers: list[Spec], rate: float, labels: int = LABELS) -> float:
        """Add a row; return GFLOP/s (of the dense sums, whether or not an engine leaves zeros out)."""
        gflops = rate * plan(layers, labels).flops / 1e9
        share = f"{gflops / self.peak:.0%}" if self.peak else "-"
        row = {"net": net, "engine": engine, "batch": batch, "vectors/s": round(rate), "GFLOP/s": round(gflops, 1)}
        self.report.rows.append({**row, "of 128-bit peak": share})
        return gflops

    def rivals(self, net: str, batches: tuple[int, ...], convnet: bool) -> None:
        """Measure one of the three nets; hold the best micro-batch of ours against the best of each rival."""
        layers = NETS[net]
        best = [self.beside_torch(net, batch) for batch in batches]
        mine, theirs = (max(rates) for rates in zip(*best, strict=True))
        if theirs:
            self.report.at_least(f"{net}: ours / PyTorch", mine / theirs, TORCH_BOUNDS[net])
        if convnet:
            rate = in_browser(self.page, "convnetjs", layers, LABELS, 4, self.seconds)["rate"]
            self.row(net, "ConvNetJS", 1, layers, rate)
            self.report.at_least(f"{net}: ours / ConvNetJS", mine / rate, CONVNETJS_BOUNDS[net])

    def beside_torch(self, net: str, batch: int) -> tuple[float, float]:
        """Measure ours and PyTorch in turns; return both rates (0 where PyTorch is not installed)."""
        layers = NETS[net]
        steps = torch_steps(layers, LABELS, batch) or []
        mine = theirs = 0.0
        for _ in range(self.rounds):
            mine = max(mine, self.ours(layers, batch=batch))
            theirs = max([theirs, *(best_rate(step, batch, self.seconds) for step in steps)])
        self.row(net, "ours, Chromium", batch, layers, mine)
        self.row(net, "ours, Python", batch, layers, best_rate(python_step(layers, LABELS, batch), batch, self.seconds))
        if steps:
            self.row(net, "PyTorch", batch, layers, theirs)
        return mine, theirs

    def general(self) -> None:
        """Measure general shapes beside the nearest aligned ones."""
        for name, (layers, aligned, labels) in GENERAL.items():
            found = near = 0.0
            for _ in range(self.rounds):
                found, near = max(found, self.ours(layers, labels)), max(near, self.ours(aligned))
            gflops = self.row(name, "ours, Chromium", 16, layers, found, labels)
            beside = near * plan(aligned, LABELS).flops / 1e9
            self.report.at_least(f"{name}: GFLOP/s / nearest aligned", gflops / beside, GENERAL_BOUND)

    def weight_and_start(self) -> None:
        """Measure what a worker must download, and how soon it computes."""
        self.report.at_most("engine.wasm gzipped, KB", len(gzip.compress(resources.engine(), 9)) / 1024, 40)
        starts = [in_browser(self.page, "ours", NETS["paper's MNIST"], LABELS, 16, 0)["first"] for _ in range(5)]
        self.report.at_most("worker start to first gradient, ms (median of 5)", sorted(starts)[2], 150)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="whether it runs: batch 16 only, a tenth of a second each")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    report = Report("The engine: gradients on one core")
    convnet = (ROOT / CONVNETJS).exists()
    if not convnet:
        report.notes.append("ConvNetJS is not installed (`npm install`): left out")
    if torch_steps(NETS["paper's MNIST"], LABELS, 1) is None:
        report.notes.append("PyTorch is not installed (`pip install torch`): left out")
    most = peak()
    report.notes.append(f"128-bit peak: {most:.1f} GFLOP/s" if most else "128-bit peak: no C compiler here")
    with browser_page() as page:
        bench = Bench(page, report, 0.1 if arguments.quick else 1.0, 1 if arguments.quick else 4, most)
        for net in NETS:
            bench.rivals(net, (16,) if arguments.quick else (1, 16, 64), convnet)
        bench.general()
        bench.weight_and_start()
    report.print(arguments.json)


if __name__ == "__main__":
    main()
