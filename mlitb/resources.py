"""Where the files that belong to the code are: pages, styles, browser modules, engine.wasm.

Rules of this file:
- Nothing else knows: in a wheel they lie under mlitb/, in an editable install beside it in the checkout.
- Read only. What users make lives in the data folder (settings.py).
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent


class ResourceMissing(RuntimeError):
    """A file that the build makes is not there; the message says which and what to run."""


def root() -> Path:
    """Return the folder that holds `static` and `templates`."""
    return HERE if (HERE / "static").is_dir() else HERE.parent


def static() -> Path:
    """Return the folder of files served under /static."""
    return root() / "static"


def templates() -> Path:
    """Return the folder of the pages' templates."""
    return root() / "templates"


def schema(name: str) -> Path:
    """Return the JSON Schema of a format, such as "model-1"."""
    return HERE / "schemas" / f"{name}.json"


def engine() -> bytes:
    """Return the bytes of engine.wasm; raise ResourceMissing when it was not built."""
    path = static() / "engine.wasm"
    if not path.is_file():
        raise ResourceMissing(f"the engine is missing ({path}): run `make setup`, or install the package again")
    return path.read_bytes()


def check() -> None:
    """Raise ResourceMissing when anything that the build makes is not there."""
    engine()
    for name in ("preact.js", "uplot.js", "uplot.css", "unpack.js", "hash.js", "qr.js", "tus.js"):
        path = static() / "vendor" / name
        if not path.is_file():
            raise ResourceMissing(
                f"a browser module is missing ({path}): run `make setup`, or install the package again"
            )
