"""Commands for a downloaded model: predict, evaluate, export.

Rules of this file:
- Parses, calls one function, prints; every failure that a user can cause is one sentence and a non-zero exit.
- A picture that cannot be used is named on standard error and stops nothing; the exit status then is 1.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mlitb.model import Model
    from mlitb.pictures import BadPicture
    from mlitb.predict import Evaluation, Prediction, Predictor

MOST_NAMED = 20
"""Pictures that could not be used are named up to here, the rest is counted."""

MOST_CONFUSION = 20
"""A confusion matrix of more labels is not printed as a table: it would be wider than any terminal. JSON has it."""

MODEL = click.argument("model", type=click.Path(path_type=Path))


@click.command()
@MODEL
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Labels to print for each picture.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table: one row per picture, one column per label.")
def predict(model: Path, pictures: tuple[Path, ...], top: int, as_csv: bool) -> None:
    """Print labels and probabilities for PICTURES (files, folders, zips), with a downloaded MODEL and no server."""
    from mlitb.pictures import BadPicture
    from mlitb.predict import PredictionFailed, Predictor

    try:
        predictor = Predictor.open(model)
        bad = Bad()
        found = bad.without(predictor.classify(pictures))
        if as_csv:
            _write_table(predictor, found)
        else:
            _print_ranked(predictor, found, top)
    except (PredictionFailed, BadPicture) as error:
        raise click.ClickException(str(error)) from error
    bad.end()


class Bad:
    """Names what could not be used, and ends the command with status 1 when there was any."""

    def __init__(self) -> None:
        self.count = 0

    def name(self, sentence: str) -> None:
        """Name one."""
        self.count += 1
        if self.count <= MOST_NAMED:
            click.echo(f"skipped {sentence}", err=True)

    def without(self, found: "Iterable[Prediction | BadPicture]") -> "Iterator[Prediction]":
        """Let through what could be used."""
        for one in found:
            if isinstance(one, Exception):
                self.name(str(one))
            else:
                yield one

    def end(self) -> None:
        """Exit with 1 when there was any."""
        if self.count > MOST_NAMED:
            click.echo(f"skipped {self.count - MOST_NAMED} more", err=True)
        if self.count:
            raise SystemExit(1)


def _print_ranked(predictor: "Predictor", found: "Iterable[Prediction]", top: int) -> None:
    for prediction in found:
        names = predictor.names(len(prediction.probabilities))
        click.echo(f"{prediction.name}:")
        for index in prediction.order[:top]:
            click.echo(f"  {prediction.probabilities[index]:7.2%}  {names[index]}")


def _write_table(predictor: "Predictor", found: "Iterable[Prediction]") -> None:
    names = predictor.names(predictor.network.shapes[-1][2])
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["picture", "label", "probability", *names])
    for prediction in found:
        best, p = prediction.order[0], prediction.probabilities
        table.writerow([prediction.name, names[best], f"{p[best]:.6g}", *(f"{value:.6g}" for value in p)])


@click.command()
@MODEL
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the whole confusion matrix.")
def evaluate(model: Path, archive: Path, as_json: bool) -> None:
    """Measure a downloaded MODEL on a zip of label folders (its test folder, when it has one).

    Prints error, loss, top-k, and of each label precision, recall, F1 and how often it is taken for which.
    """
    from mlitb.predict import PredictionFailed, Predictor

    try:
        predictor = Predictor.open(model)
        result = predictor.evaluate(archive)
    except PredictionFailed as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.plain(predictor.model), ensure_ascii=False))
    else:
        _print_evaluation(predictor.model, result)
    bad = Bad()
    for sentence in result.skipped:
        bad.name(sentence)
    bad.end()


def _print_evaluation(model: "Model", result: "Evaluation") -> None:
    found = result.metrics
    click.echo(
        f"error {found.error:.2%}  loss {found.loss:.4f}  pictures {found.vectors}  skipped {len(result.skipped)}"
    )
    click.echo("  ".join(f"top-{k} {share:.2%}" for k, share in enumerate(found.top, 1)))
    wide = max(5, *(len(label) for label in model.labels))
    click.echo(f"\n{'label':<{wide}}  precision  recall      F1  pictures")
    for label, score in zip(model.labels, found.labels, strict=False):
        shares = f"{score.precision:9.2%}  {score.recall:6.1%}  {score.f1:6.4f}"
        click.echo(f"{label:<{wide}}  {shares}  {score.support:8}")
    if len(model.labels) <= MOST_CONFUSION:
        _print_confusion(model, result, wide)


def _print_confusion(model: "Model", result: "Evaluation", wide: int) -> None:
    n = len(model.labels)
    column = max(4, *(len(label[:8]) for label in model.labels))
    click.echo(f"\n{'taken for':<{wide}}  " + " ".join(f"{label[:8]:>{column}}" for label in model.labels))
    for label, row in zip(model.labels, result.metrics.confusion[:n, :n], strict=True):
        click.echo(f"{label:<{wide}}  " + " ".join(f"{count:>{column}}" for count in row))


OUT = click.Path(path_type=Path, dir_okay=False)


@click.command()
@MODEL
@click.option("--onnx", type=OUT, metavar="OUT", help="ONNX, from raw pixels to probabilities (needs mlitb[onnx]).")
@click.option("--safetensors", type=OUT, metavar="OUT", help="The parameters by name.")
@click.option("--card", type=OUT, metavar="OUT", help="A model card in Markdown.")
@click.option("--html", type=OUT, metavar="OUT", help="One page that classifies pictures without any server.")
def export(model: Path, **wanted: Path | None) -> None:
    """Write a downloaded MODEL in other forms; several at once, if you like."""
    from mlitb.exporting import FORMS, ExportFailed
    from mlitb.predict import PredictionFailed, Predictor

    given = {form: path for form, path in wanted.items() if path is not None}
    if not given:
        raise click.UsageError("say in which form: --onnx, --safetensors, --card or --html")
    try:
        found = Predictor.open(model).model
        for form, path in given.items():
            path.write_bytes(FORMS[form].write(found))
            click.echo(f"{path}: {FORMS[form].name}, {path.stat().st_size:,} bytes")
    except (PredictionFailed, ExportFailed) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written ({error.strerror})") from error


COMMANDS: tuple[click.Command, ...] = (predict, evaluate, export)
