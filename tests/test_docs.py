"""The documents are true: what they point at is there, the commands they show exist, the interface is written down."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from fastapi.routing import APIRoute

from mlitb import api, demo_api, model_api, teaching, testing, upkeep
from mlitb.cli import main

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:benchmarks|tests|docs|mlitb|data_server|engine|static|templates)/[\w./-]+\.\w+)`")
COMMAND = re.compile(r"(?:^|`|\s)(?<!from )(?:\.venv/bin/)?(mlitb [a-z][^`\n|#]*)")
CALL = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) ([^`\s]+)`")


def anchor(heading: str) -> str:
    """Give a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.M)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text()) if "://" not in link]
    for link in links:
        name, _, place = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {link}"
        assert not place or place in anchors(target), f"{path.name}: {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    for name in NAMED.findall(path.read_text()):
        if not name.startswith(("static/vendor/", "static/engine.wasm")):  # made by the build
            assert (ROOT / name).exists(), f"{path.name}: {name}"


def commands(path: Path) -> Iterator[str]:
    """Give the command lines of `mlitb` in a document, as they are written."""
    for line in COMMAND.findall(path.read_text()):
        yield line.strip().rstrip(".,;:)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(path: Path) -> None:
    for line in commands(path):
        try:
            words = shlex.split(line)[1:]
        except ValueError:
            words = line.split()[1:]
        at: click.Command = main
        while words and isinstance(at, click.Group):
            name = words.pop(0).strip("[],")
            assert name in at.commands, f"{path.name}: {line}: there is no {name}"
            at = at.commands[name]
        known = {option for parameter in at.params for option in parameter.opts + parameter.secondary_opts}
        wanted = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words)))
        assert wanted <= known | {"--help"}, f"{path.name}: {line}: {wanted - known}"


def blank(path: str) -> str:
    """Forget what a path's parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path.split("?")[0])


def documented() -> set[tuple[str, str]]:
    """Give the master's calls as docs/architecture.md lists them."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition("## The master's interface")[2].partition("\n## ")[0]
    found = set()
    before = ""
    for method, path in CALL.findall(table):
        path = path.replace("…", before)
        choices = re.search(r"\{(\w+(?:,\w+)+)\}", path)
        every = [path.replace(choices[0], one) for one in choices[1].split(",")] if choices else [path]
        found |= {(method, blank(one)) for one in every}
        before = path.rpartition("/checkpoints")[0] or before
    return found


def test_the_masters_interface_is_written_down() -> None:
    """All but /api/config, which the application makes with the pages, belong to routers."""
    routers = [module.router for module in (api, demo_api, model_api, teaching, testing)] + [upkeep.router]
    routes = {
        (method, blank(route.path))
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    listed = documented()
    assert routes - listed == set(), "not in docs/architecture.md"
    ours = {(method, path) for method, path in listed if path.startswith("/api/")}
    assert ours - routes == {("GET", "/api/config")}, "in docs/architecture.md, but not there"
