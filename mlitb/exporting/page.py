"""One HTML file that classifies pictures without any server: network, parameters, engine and page in one.

Rules of this file:
- The scripts are static/js as they are served; only where they import each other stands the module itself (data: URLs).
- What people wrote is escaped by jinja2; JSON in a script element has no `<`.
"""

import base64
import gzip
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from mlitb import resources
from mlitb.model import Model

MODULES = ("engine/wasm.js", "resize.js")
"""What static/js/entry/standalone.js imports; neither imports anything."""


def to_page(model: Model) -> bytes:
    """Write the page."""
    templates = Environment(loader=FileSystemLoader(resources.templates()), autoescape=True)
    data = {"layers": list(model.layers), "labels": list(model.labels), "resize": model.resize}
    text = templates.get_template("standalone.html").render(
        model=model,
        about=model.about,
        data=_raw(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")),
        parameters=_raw(base64.b64encode(model.parameters.astype("<f4").tobytes()).decode()),
        engine=_raw(base64.b64encode(gzip.compress(resources.engine(), 9, mtime=0)).decode()),
        script=_raw(script(resources.static() / "js")),
    )
    return text.encode()


def script(folder: Path) -> str:
    """Return the page's script with its modules inside."""
    text = (folder / "entry/standalone.js").read_text(encoding="utf-8")
    for name in MODULES:
        written = f'"../{name}";'
        assert written in text, f"standalone.js does not import {name}"
        code = base64.b64encode((folder / name).read_bytes()).decode()
        text = text.replace(written, f'"data:text/javascript;base64,{code}";')
    assert "</script" not in text
    return text


def _raw(text: str) -> Markup:
    return Markup(text)
