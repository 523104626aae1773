"""A model card in Markdown: what is known of a model, for people; what is not known is said to be unknown.

Source: Mitchell et al. 2019, Model Cards for Model Reporting.
"""

import re
from collections.abc import Sequence

from mlitb.core.network import Layer, plan
from mlitb.model import Model

MOST_LABELS = 100
UNSAID = "Nothing was said."


def to_card(model: Model) -> bytes:
    """Write the card."""
    network = plan(model.layers, len(model.labels))
    width, height, channels = network.input
    picture = f"{width} × {height} pixels, {'grey' if channels == 1 else 'colour'}"
    parts = [
        f"# {_line(model.name) or 'A model'}",
        _text(model.about.get("description", "")) or UNSAID,
        _table([
            ("Author", _line(model.about.get("author", "")) or UNSAID),
            ("Licence", _line(model.about.get("licence", "")) or UNSAID),
            ("Trained with", "MLitB, by volunteers' browsers"), ("Iteration", f"{model.iteration:,}"),
            ("Parameters", f"{network.size:,} (float32)"), ("Input", picture),
            ("A picture of another size", f"is made to fit by `{model.resize}`"),
            ("Output", f"{'a probability' if network.layers[-1].type == 'softmax' else 'a value'} for each label"),
            ("Engine", f"`{model.engine}`" if model.engine else "unknown"), ("Seed", str(model.seed)),
        ]),
        "## Labels", _labels(model.labels),
        "## Network", _network(network.layers),
        "## Training data", _data(model),
        "## Training", _training(model),
        "## How well it does", _figures(model),
        "## Use", _use(),
    ]  # fmt: skip
    return ("\n\n".join(parts) + "\n").encode()


def _line(text: str) -> str:
    """Return a text as one line in which Markdown means nothing."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))


def _text(text: str) -> str:
    return "\n\n".join(_line(part) for part in text.split("\n\n") if part.strip())


def _table(rows: Sequence[Sequence[str]], head: Sequence[str] = ("", "")) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _labels(labels: Sequence[str]) -> str:
    shown = ", ".join(_line(label) for label in labels[:MOST_LABELS])
    more = f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
    return f"{len(labels)}: {shown}{more}"


def _network(layers: Sequence[Layer]) -> str:
    rows = [
        (
            _line(layer.name), layer.type.replace("_", " "), "×".join(map(str, layer.output)),
            f"{sum(tensor.size for tensor in layer.tensors):,}" if layer.tensors else "",
            "frozen" if layer.spec.get("frozen") else "",
        )
        for layer in layers
    ]  # fmt: skip
    return _table(rows, ("layer", "type", "width×height×channels", "parameters", ""))


def _data(model: Model) -> str:
    if not model.data:
        return "Unknown: the model carries no record of it."
    rows = [(str(row["dataset"]), f"{row['vectors']:,}", f"`{row['manifest']}`") for row in model.data]
    return _table(rows, ("data set", "pictures", "SHA-256 of its manifest"))


def _training(model: Model) -> str:
    if not model.settings:
        return "Unknown: the model carries no settings."
    return _table([(f"`{key}`", f"`{value}`") for key, value in sorted(model.settings.items())], ("setting", "value"))


def _figures(model: Model) -> str:
    if "error" not in model.figures:
        return "Unknown: measure it with `mlitb evaluate model.json test.zip`."
    return (
        f"In the last iteration, on training pictures: error {model.figures['error']:.2%}, loss "
        f"{model.figures['loss']:.4f}. On pictures that it never saw it may do worse: measure it with "
        "`mlitb evaluate model.json test.zip`. How it does on other kinds of pictures, and whom its mistakes would "
        "harm, was not examined."
    )


def _use() -> str:
    return "```sh\nmlitb predict model.json picture.png\nmlitb evaluate model.json test.zip\n```"
