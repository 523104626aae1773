"""The words of the pages and of the workers behind them: each is used, and none stands elsewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UI = ROOT / "static/js/ui"
WORDS = [UI / "text.js", *UI.glob("*/text.js")]
BEHIND = ROOT / "static/js"
REASONS = BEHIND / "reasons.js"
FAULTS_OF_CODE = ("boss", "classify", "crew", "port", "project", "protocol", "work", "workers")
"""What these throw says what is wrong with the code; what the others throw is a reason that people read."""

SENTENCE = re.compile(r'["`]([A-Za-z][a-z]* [a-z]+ [a-z]+[^"`]*)["`]')
"""Three words in a row in quotes."""

MAPS = re.compile(r"@type \{Record<string|: \[$")  # read by a key that is not written out, or line by line


def sources() -> dict[Path, str]:
    """Return what the pages are made of, without their words."""
    return {path: path.read_text() for path in UI.rglob("*.js") if path not in WORDS}


def behind() -> dict[Path, str]:
    """Return what runs in workers, and what joins it and the pages to a browser, without its words and its comments."""
    paths = [*BEHIND.glob("*.js"), *(BEHIND / "entry").glob("*.js")]
    return {path: code(path.read_text()) for path in paths if path != REASONS and path.stem != "standalone"}


def code(source: str) -> str:
    """Return a module without its comments."""
    return re.sub(r"(?s)/\*.*?\*/|(?m:(?:^|\s)//[^\n]*)", "", source)


def test_every_text_is_used() -> None:
    used = "\n".join([*sources().values(), *(path.read_text() for path in (ROOT / "static/js/entry").glob("*.js"))])
    lines = (UI / "text.js").read_text().splitlines()
    unused, in_map = [], ""
    for line in lines:
        found = re.match(r"^(  |    )(\w+):", line)
        if in_map and line.startswith(in_map):
            in_map = ""
        elif found and not in_map:
            if MAPS.search(line):
                in_map = found.group(1) + "}"
            if not re.search(rf"\.{found.group(2)}\b", used):
                unused.append(found.group(2))
    assert unused == []


def test_no_sentence_stands_outside_of_the_words() -> None:
    """Between tags of a template, what is read: two words in a row that no expression makes."""
    told = {}
    for path, source in sources().items():
        markup = re.sub(r"(?s)/\*.*?\*/|//[^\n]*", "", source)
        found = re.findall(r"(?m)>\s*([A-Z][a-z]+ [a-z]+[^<$`{}=]*)<", markup)
        found += re.findall(r'(?:title|aria-label|placeholder|alt)="([^"$]*[A-Za-z]{2}[^"$]*)"', markup)
        if found:
            told[path.name] = found
    assert told == {}


def test_no_sentence_stands_in_a_string() -> None:
    """Three words in a row in quotes, which are no list of classes."""
    told = {}
    for path, source in sources().items():
        found = SENTENCE.findall(re.sub(r'class=("[^"]*"|\$\{`[^`]*`\})', "", code(source)))
        if found:
            told[path.name] = found
    assert told == {}


def test_no_sentence_of_a_worker_stands_outside_of_the_reasons() -> None:
    told = {}
    for path, source in behind().items():
        spoken = re.sub(r"throw new \w*Error\([^\n]*\);", "", source) if path.stem in FAULTS_OF_CODE else source
        if found := SENTENCE.findall(spoken):
            told[path.name] = found
    assert told == {}


def test_every_reason_is_used() -> None:
    used = "\n".join(behind().values())
    keys = re.findall(r"(?m)^  (\w+): \{|^    (\w+):", REASONS.read_text())
    group, unused = "", []
    for opened, name in keys:
        group = opened or group
        if name and f"reasons.{group}.{name}" not in used:
            unused.append(f"{group}.{name}")
    assert group
    assert unused == []
