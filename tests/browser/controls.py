"""Which controls the pages have, from their live DOM, and which of them the browser tests use.

Rules of this file:
- A control is known by its data-testid, else by its accessible name.
- A test uses it that names it: as a literal, in a selector, by an f-string all of whose parts are literals of that
  file, or by the name or label that it is looked for.
- What is only drawn when something fails is not on any page that is walked through, so the literal handles of the
  source count, too.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

UI = Path(__file__).resolve().parents[2] / "static/js/ui"
TESTS = sorted(Path(__file__).resolve().parent.glob("test_*.py"))
LOOKED_FOR = {"get_by_label", "get_by_text", "get_by_title", "get_by_role"}

NOTICE = {"again": "again=", "dismiss": "onDismiss="}
"""The buttons of a notice, and what gives it them."""

COLLECT = """() => {
  const shown = document.querySelector("dialog[open]") ?? document;
  const all = [...shown.querySelectorAll("a[href], button, input, select, textarea, summary")];
  return all.filter(one => !one.closest(".skip")).map(one => {
    const fold = one.matches("summary") ? one.closest("[data-testid]") : null;
    const said = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent;
    return [one.dataset.testid ?? fold?.dataset.testid ?? "", said.trim()];
  });
}"""


def on(page: Page) -> set[tuple[str, str]]:
    """Return (handle, name) of every control of a page, or of the dialog that is open."""
    return {(handle, name) for handle, name in page.evaluate(COLLECT)}


def tags(source: str) -> Iterator[str]:
    """Find the opening tags of buttons, fields and notices in a module's templates."""
    for found in re.finditer(r"<(button|input|select|textarea|\$\{(Problem|Hint)\})(?=\s)", source):
        at, depth = found.end(), 0
        while depth or source[at] != ">":
            depth += source[at] == "{"
            depth -= source[at] == "}"
            at += 1
        yield source[found.start() : at + 1]


def written() -> dict[str, list[str]]:
    """Return the tags of all buttons and fields, by module."""
    return {str(path.relative_to(UI)): list(tags(path.read_text())) for path in UI.rglob("*.js")}


def literal_handles() -> set[str]:
    """Return the data-testids that stand in the source as they are, also those of the buttons of notices."""
    every = "\n".join(tag for source in written().values() for tag in source)
    found = set(re.findall(r'data-testid="([\w-]+)"', every))
    for name, buttons in re.findall(r'<\$\{(?:Problem|Hint)\} id="(\w+)"([^\n]*)', every):
        found |= {f"{name}-{what}" for what, given in NOTICE.items() if given in buttons}
    return found


def templates() -> set[str]:
    """Return the beginnings of data-testids that are put together, such as "span-"."""
    every = "\n".join(tag for source in written().values() for tag in source)
    return set(re.findall(r"data-testid=\$\{`([\w-]+)\$", every))


class Uses:
    """What one test file names."""

    def __init__(self, source: str) -> None:
        self.words: set[str] = set()
        self.patterns: list[re.Pattern[str]] = []
        self.looked_for: list[re.Pattern[str]] = []
        tree = ast.parse(source)
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in inside:
                self.words.add(str(node.value))
            elif isinstance(node, ast.JoinedStr):
                self.patterns.append(re.compile(pattern_of(node)))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOOKED_FOR:
                self.looked_for += sought(node)

    def has(self, handle: str) -> bool:
        """Tell whether a data-testid is named."""
        if handle in self.words:
            return True
        if any(re.search(rf"data-testid=[\"']?{re.escape(handle)}\b(?!-)", word) for word in self.words):
            return True
        found = (pattern.fullmatch(handle) for pattern in self.patterns)
        return any(one and all(part in self.words for part in one.groups()) for one in found)

    def has_name(self, name: str) -> bool:
        """Tell whether a control is looked for by its name."""
        return any(pattern.search(name) for pattern in self.looked_for)


def pattern_of(node: ast.JoinedStr) -> str:
    """Return an f-string as a regular expression, with a group for each expression."""
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.+)" for part in node.values)


def sought(call: ast.Call) -> Iterator[re.Pattern[str]]:
    """Yield what a call of Playwright looks for."""
    assert isinstance(call.func, ast.Attribute)
    by_role = call.func.attr == "get_by_role"
    wanted = [word.value for word in call.keywords if word.arg == "name"] if by_role else call.args[:1]
    exact = any(word.arg == "exact" for word in call.keywords)
    for one in wanted:
        if isinstance(one, ast.Constant):
            text = re.escape(str(one.value))
            yield re.compile(rf"^{text}$" if exact else text, re.IGNORECASE)
        elif isinstance(one, ast.JoinedStr):
            yield re.compile(f"^{pattern_of(one)}$")
        elif isinstance(one, ast.Call) and one.args and isinstance(one.args[0], ast.Constant):
            yield re.compile(str(one.args[0].value), re.IGNORECASE)


@cache
def uses() -> list[Uses]:
    """Return what the browser tests name, file by file."""
    return [Uses(path.read_text()) for path in TESTS]


def is_used(handle: str, name: str) -> bool:
    """Tell whether a browser test uses a control."""
    return any(one.has(handle) if handle else one.has_name(name) for one in uses())
