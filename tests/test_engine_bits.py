"""The same inputs give the same bits in Chromium, in Node and in Python."""

import functools
import hashlib
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from mlitb import resources
from mlitb.engine import Engine
from tests.browser.chromium import EXECUTABLE, FLAGS

ROOT = Path(__file__).resolve().parents[1]
Spec = dict[str, Any]
HEAD: list[Spec] = [{"type": "fully_connected"}, {"type": "softmax"}]
N, LABELS, SEED, ITERATION = 5, 7, 2**40 + 3, 12


def image(width: int, height: int, channels: int, **more: Any) -> Spec:
    return {"type": "input", "width": width, "height": height, "channels": channels, **more}


def conv(filters: int, kernel: Any, **more: Any) -> Spec:
    return {"type": "conv", "filters": filters, "kernel": kernel, **more}


NETS: dict[str, list[Spec]] = {
    "pooled": [
        image(28, 28, 1, mean=[0.13], std=[0.31]), conv(16, 5, padding=2), {"type": "relu"},
        {"type": "max_pool", "size": 3}, *HEAD,
    ],
    "everything": [
        image(15, 11, 3, mean=[0.1, 0.2, 0.3], std=[0.2, 0.3, 0.4], shift=2, flip=True, crop=0.8),
        conv(6, [3, 2], stride=[2, 1], padding=1), {"type": "group_norm", "groups": 3}, {"type": "tanh", "name": "a"},
        conv(6, 3, padding=1), {"type": "add", "from": "a"}, {"type": "leaky_relu"},
        {"type": "max_pool", "size": 3, "stride": 2, "rounding": "round"}, conv(10, 2), {"type": "sigmoid"},
        {"type": "average_pool", "size": 2, "rounding": "round"}, {"type": "fully_connected", "units": 18},
        {"type": "maxout", "groups": 2}, {"type": "dropout", "rate": 0.4}, *HEAD,
    ],
    "squares": [image(6, 5, 2), conv(7, 1), {"type": "relu"}, {"type": "conv", "kernel": 3},
                {"type": "global_average_pool"}, {"type": "squared_error"}],
}  # fmt: skip

HASHES = """
async function bits(address, wasm, nets, n, labels, seed, iteration) {
  const { compile, createNetwork } = await import(address);
  const module = await compile(wasm), out = {};
  const hex = buffer => [...new Uint8Array(buffer)].map(b => b.toString(16).padStart(2, "0")).join("");
  const hash = async array => hex(await crypto.subtle.digest("SHA-256", array.slice().buffer));
  for (const [name, layers] of Object.entries(nets)) {
    const network = createNetwork(module, layers, labels, n);
    const { width, height, channels } = layers[0];
    const pixels = Uint8Array.from({ length: n * width * height * channels }, (_, i) => (i * 7919 + (i >> 3)) % 256);
    const answers = Uint8Array.from({ length: n }, (_, i) => i % labels);
    const initial = network.initial(seed);
    network.setParameters(initial);
    network.clear();
    const keys = Uint32Array.from({ length: n }, (_, i) => 4000000000 + i * 3);
    const { loss, wrong } = network.gradient(pixels, answers, n, keys, seed, iteration);
    out[name] = { initial: await hash(initial), gradient: await hash(network.gradientSum()),
                  probabilities: await hash(network.probabilities(pixels, n)),
                  input: await hash(network.activations("input0", pixels, n)),
                  loss: await hash(Float64Array.of(loss)), wrong };
    network.beginLocal();
    network.gradient(pixels, answers, n, keys, seed, iteration);
    network.localStep(n, 0.1);
    out[name].local = await hash(network.localDifference());
  }
  return out;
}
"""


def digest(array: Any, kind: Any = np.float32) -> str:
    return hashlib.sha256(np.asarray(array, kind).tobytes()).hexdigest()


def in_python() -> dict[str, Any]:
    out: dict[str, Any] = {}
    engine = Engine(resources.engine())
    for name, layers in NETS.items():
        network = engine.network(layers, LABELS, N)
        size = int(np.prod(network.shapes[0]))
        index = np.arange(N * size)
        pixels = ((index * 7919 + (index >> 3)) % 256).astype(np.uint8).reshape(N, *network.shapes[0])
        answers, keys = np.arange(N) % LABELS, 4000000000 + np.arange(N) * 3
        initial = network.initial(SEED)
        network.set_parameters(initial)
        network.clear()
        loss, wrong = network.gradient(pixels, answers, keys, SEED, ITERATION)
        out[name] = {
            "initial": digest(initial), "gradient": digest(network.gradient_sum()),
            "probabilities": digest(network.probabilities(pixels)),
            "input": digest(network.activations("input0", pixels)), "loss": digest(loss, np.float64), "wrong": wrong,
        }  # fmt: skip
        network.begin_local()
        network.gradient(pixels, answers, keys, SEED, ITERATION)
        network.local_step(N, 0.1)
        out[name]["local"] = digest(network.local_difference())
    return out


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return in_python()


def test_python_repeats_its_bits(expected: dict[str, Any]) -> None:
    assert in_python() == expected


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve the checkout's static folder."""

    extensions_map = {".js": "text/javascript", ".wasm": "application/wasm", "": "text/html"}  # noqa: RUF012

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(resources.static()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_chromium_gives_the_bits_of_python(expected: dict[str, Any], site: str) -> None:
    run = f"""async ([site, nets, n, labels, seed, iteration]) => {{ {HASHES}
      const wasm = await (await fetch(site + "/engine.wasm")).arrayBuffer();
      return bits(site + "/js/engine/wasm.js", wasm, nets, n, labels, seed, iteration); }}"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{site}/js/engine/wasm.js")
        found = page.evaluate(run, [site, NETS, N, LABELS, SEED, ITERATION])
        browser.close()
    assert found == expected


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_node_gives_the_bits_of_python(expected: dict[str, Any]) -> None:
    module, wasm = resources.static() / "js/engine/wasm.js", resources.static() / "engine.wasm"
    script = f"""{HASHES}
      const arguments_ = {json.dumps([NETS, N, LABELS, SEED, ITERATION])};
      const bytes = (await import("node:fs")).readFileSync({json.dumps(str(wasm))});
      console.log(JSON.stringify(await bits({json.dumps(module.as_uri())}, bytes, ...arguments_)));"""
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
