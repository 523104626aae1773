"""Imports point one way: the rules of DESIGN as docs/architecture.md tells them, and the purity of the core."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "mlitb/core").glob("*.py"))

CORE_MAY_IMPORT = {
    "collections", "copy", "dataclasses", "enum", "functools", "heapq", "itertools", "math", "typing",
    "numpy", "mlitb.core",
}  # fmt: skip
"""Data types and arithmetic: nothing that waits, reads a clock, draws chance or touches the outside."""

LEAVES = {"mlitb.pixels", "mlitb.resources", "mlitb.settings"}
FLOORS: dict[str, set[str]] = {
    "mlitb.core": {"mlitb.core"},
    "mlitb.wire": {"mlitb.core"},
    "mlitb.pixels": set(),
    "mlitb.engine": {"mlitb.core", "mlitb.resources"},
    "mlitb.runtime": {"mlitb.core", "mlitb.wire", "mlitb.engine", "mlitb.outbox", "mlitb.traffic", "mlitb.vectors"},
    "mlitb.vectors": {"mlitb.core"},
    "mlitb.traffic": set(),
    "mlitb.database": set(),
    "mlitb.checkpoints": {"mlitb.database"},
    "mlitb.storage": {"mlitb.core", "mlitb.checkpoints", "mlitb.database"},
    "mlitb.simulation": {"mlitb.core", "mlitb.engine", "mlitb.pixels", "mlitb.simulation_link"},
    "mlitb.simulation_link": set(),
    "mlitb.simulation_training": {"mlitb.core", "mlitb.engine", "mlitb.pixels"},
}
"""What a module may import of ours; modules that are not named stand above all of these."""

ABOVE = ("mlitb.server", "mlitb.cli", "mlitb.worker", "mlitb.api", "mlitb.up", "mlitb.live")
"""Nobody below them may know them."""


def imports(path: Path) -> Iterator[str]:
    """Name every module that a file imports, with what is imported from packages of ours."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level or "tests" in path.parts, f"{path}: a relative import hides where it points"
            module = node.module or ""
            inner = [f"{module}.{alias.name}" for alias in node.names]
            known = [name for name in inner if (ROOT / (name.replace(".", "/") + ".py")).exists()]
            yield from known or [module]


def within(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in allowed)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_is_pure(path: Path) -> None:
    strange = [name for name in imports(path) if not within(name, CORE_MAY_IMPORT)]
    assert not strange


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_calls_nothing_of_the_outside(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not {call.id for call in calls if isinstance(call, ast.Name)} & {
        "open",
        "print",
        "input",
        "exec",
        "eval",
        "__import__",
    }
    assert "np.random" not in path.read_text()


@pytest.mark.parametrize("module", sorted(FLOORS))
def test_each_floor_stands_on_those_below_it(module: str) -> None:
    allowed = FLOORS[module] | {module}
    for path in [ROOT / (module.replace(".", "/") + ".py"), *(ROOT / module.replace(".", "/")).glob("*.py")]:
        if path.exists():
            ours = [name for name in imports(path) if within(name, {"mlitb", "data_server"})]
            assert all(within(name, allowed) for name in ours), (path.name, ours)


def test_nothing_below_knows_what_stands_on_top() -> None:
    for path in (ROOT / "mlitb").rglob("*.py"):
        module = module_of(path)
        if module not in ABOVE and module.split(".")[-1] not in ("__main__", "demo", "datasets"):
            low = set(FLOORS) & {module} or within(module, {"mlitb.core"})
            assert not low or not any(within(name, set(ABOVE)) for name in imports(path)), module


def test_master_and_data_server_share_only_a_leaf() -> None:
    for path in (ROOT / "data_server").rglob("*.py"):
        assert all(not within(name, {"mlitb"}) or name in LEAVES for name in imports(path)), path
    for path in (ROOT / "mlitb").rglob("*.py"):
        assert not any(within(name, {"data_server"}) for name in imports(path)), path


def test_no_module_imports_itself_in_a_circle() -> None:
    edges = {
        module_of(path): {n for n in imports(path) if within(n, {"mlitb"})} for path in (ROOT / "mlitb").rglob("*.py")
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        if module not in done:
            for name in edges.get(module, ()):
                visit(name, (*trail, module))
            done.add(module)

    for module in edges:
        visit(module, ())


# ----------------------------------------------------------------------------------------------------- JavaScript
JS = ROOT / "static/js"
OWN_JS = sorted(path for path in JS.rglob("*.js"))
OUTSIDE = re.compile(r"(?<![\w.\"'`$-])(document|window|self|WebSocket|Worker|fetch|indexedDB)\s*(?:\.|\(|\[)")
PURE = {"protocol.js", "work.js", "port.js"}
"""Mirrors of the core: no import, no name of the outside."""

NAMES_OF_THE_OUTSIDE = {"document", "window", "self", "WebSocket", "Worker", "fetch"}


def code(path: Path) -> str:
    """Give a file without its comments and without what quotes hold."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    text = re.sub(r"(?m)//.*$", "", text)
    return re.sub(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", '""', text)


def imported(path: Path) -> list[str]:
    """Name the files of ours that a module imports, relative to static/js."""
    found = re.findall(
        r"(?m)^\s*(?:import|export)\b[^;]*?from\s*[\"']([^\"']+)[\"']|^import\s*[\"']([^\"']+)[\"']", path.read_text()
    )
    targets = [(path.parent / (a or b)).resolve() for a, b in found if (a or b).startswith(".")]
    return [str(target.relative_to(JS)) for target in targets if target.is_relative_to(JS)]


def floor(name: str) -> int:
    """Number the floors: mirrors, ports and words, then the engine, then roles and data, then entries."""
    if name.startswith("entry/"):
        return 3
    if Path(name).name in {"protocol.js", "port.js", "socket.js", "cache.js", "work.js", "reasons.js"} or (
        "/" not in name and name in PURE
    ):
        return 0
    return 1 if name.startswith("engine/") else 2


@pytest.mark.parametrize("path", OWN_JS, ids=lambda path: str(path.relative_to(JS)))
def test_javascript_imports_point_down(path: Path) -> None:
    name = str(path.relative_to(JS))
    for target in imported(path):
        assert floor(target) <= floor(name), f"{name} imports {target}"
        assert not name.startswith("engine/") or target.startswith("engine/"), f"{name} imports {target}"
        assert name not in PURE, f"{name} imports {target}: the mirrors of the core stand alone"


@pytest.mark.parametrize("path", OWN_JS, ids=lambda path: str(path.relative_to(JS)))
def test_only_entries_name_the_outside(path: Path) -> None:
    name = str(path.relative_to(JS))
    if name.startswith("entry/"):
        return
    used = {match.group(1) for match in OUTSIDE.finditer(code(path))} & NAMES_OF_THE_OUTSIDE
    if name.startswith("ui/"):
        used -= {"document", "window", "fetch"}  # the pages' own floor draws and asks
    assert not used


# ----------------------------------------------------------------------------------------------------- small by measure
def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


OURS = sorted([*(ROOT / "mlitb").rglob("*.py"), *(ROOT / "data_server").rglob("*.py")])


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500
    assert not [(name, lines) for name, lines in functions(path) if lines > 60]


@pytest.mark.parametrize("path", OWN_JS, ids=lambda path: str(path.relative_to(JS)))
def test_javascript_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500


def test_functions_are_mostly_tiny() -> None:
    lengths = sorted(lines for path in OURS for _, lines in functions(path))
    assert lengths[len(lengths) // 2] <= 8
    assert sum(length > 30 for length in lengths) <= len(lengths) // 50
