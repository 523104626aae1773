"""The module itself: small, closed, the same bytes at every build, readable by the oldest supported browsers."""

import gzip
from pathlib import Path

import wasmtime

import hatch_build
from mlitb import resources

ROOT = Path(hatch_build.__file__).parent


def test_the_module_is_small_and_asks_nothing_of_its_host() -> None:
    content = resources.engine()
    module = wasmtime.Module(wasmtime.Engine(), content)
    assert len(gzip.compress(content, 9)) <= 40 * 1024
    assert [item.name for item in module.imports] == []
    assert "memory" in [item.name for item in module.exports]


NEWER = [
    "wasm_gc", "wasm_function_references", "wasm_tail_call", "wasm_exceptions", "wasm_threads", "wasm_multi_value",
    "wasm_memory64", "wasm_multi_memory", "wasm_relaxed_simd",
]  # fmt: skip


def test_the_module_needs_no_newer_webassembly_than_simd() -> None:
    """What Chrome 91, Firefox 114 or Safari 16.4 lack is switched off, as far as wasmtime can."""
    config = wasmtime.Config()
    config.wasm_simd = True
    for newer in NEWER:
        setattr(config, newer, False)
    wasmtime.Module.validate(wasmtime.Engine(config), resources.engine())
