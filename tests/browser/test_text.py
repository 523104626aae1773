"""The words of the pages: each is used, and none stands elsewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UI = ROOT / "static/js/ui"
WORDS = [UI / "text.js", *UI.glob("*/text.js")]
MAPS = re.compile(r"@type \{Record<string|: \[$")  # read by a key that is not written out, or line by line


def sources() -> dict[Path, str]:
    """Return what the pages are made of, without their words."""
    return {path: path.read_text() for path in UI.rglob("*.js") if path not in WORDS}


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
        code = re.sub(r"(?s)/\*.*?\*/|(?m:^\s*//[^\n]*)", "", source)
        code = re.sub(r'class=("[^"]*"|\$\{`[^`]*`\})', "", code)
        found = re.findall(r'["`]([A-Za-z][a-z]* [a-z]+ [a-z]+[^"`]*)["`]', code)
        if found:
            told[path.name] = found
    assert told == {}
