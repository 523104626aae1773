"""Commands for projects of a running server: create, transfer, describe.

Rules of this file:
- Parses, asks the master over HTTP with the owner's token, prints; failures are one sentence and a non-zero exit.
- A model file is refused here by its length, before it is sent.
"""

import json
from pathlib import Path
from typing import Any

import click

from mlitb.upkeep_cli import DATA_DIR, ask

FREEZE = click.option(
    "--freeze", default="", metavar="NAMES", help="Layers whose parameters stay as they are, with commas between."
)


@click.group()
def project() -> None:
    """Make projects on a running server: from layers, from a model file, or for other labels from a trained model."""


@project.command()
@click.argument("name", default="")
@click.option("--model", type=click.Path(path_type=Path), help="Begin with this model file (ours, or one of 2015).")
@click.option("--layers", type=click.Path(path_type=Path), help="Begin anew with this JSON list of layers.")
@click.option("--transfer", is_flag=True, help="With --model: drop the last layer and learn other labels.")
@FREEZE
@DATA_DIR
def create(name: str, model: Path | None, layers: Path | None, transfer: bool, freeze: str, data_dir: Path) -> None:
    """Create the project NAME, paused; without --transfer a model goes on where it stood."""
    if (model is None) == (layers is None):
        raise click.UsageError("give either --model FILE or --layers FILE")
    if (transfer or freeze) and model is None:
        raise click.UsageError("--transfer and --freeze need --model FILE")
    if freeze and not transfer:
        raise click.UsageError("--freeze needs --transfer: a model that goes on keeps the layers that it has")
    if model is not None:
        view = _from_model(data_dir, model, {"name": name, "how": "transfer" if transfer else "continue"}, freeze)
    else:
        assert layers is not None
        view = ask(data_dir, "POST", "/api/projects", {"name": name or layers.stem, "layers": _layers(layers)})
    _tell(view)


def _from_model(data_dir: Path, model: Path, params: dict[str, Any], freeze: str) -> Any:
    from mlitb.model import ModelError
    from mlitb.modelfile import check_length

    try:
        check_length(model.stat().st_size, str(model))
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{model} cannot be read ({error.strerror})") from error
    return ask(data_dir, "POST", "/api/projects/from-model", file=model, params={**params, "freeze": _names(freeze)})


def _layers(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise click.ClickException(f"{path} is not JSON ({error})") from error


def _names(freeze: str) -> list[str]:
    return [name.strip() for name in freeze.split(",") if name.strip()]


def _tell(view: dict[str, Any]) -> None:
    labels = len(view["labels"])
    stands = f"at iteration {view['iteration']} with {labels} labels" if labels else "without labels yet"
    click.echo(f"{view['id']} stands {stands}; give it data and start it")


@project.command()
@click.argument("source")
@click.argument("name")
@FREEZE
@DATA_DIR
def transfer(source: str, name: str, freeze: str, data_dir: Path) -> None:
    """Create the project NAME for other labels from the newest model of the project SOURCE."""
    body = {"name": name, "freeze": _names(freeze)}
    _tell(ask(data_dir, "POST", f"/api/projects/{source}/transfer", body))


@project.command()
@click.argument("name")
@click.option("--description", default=None)
@click.option("--author", default=None)
@click.option("--licence", default=None)
@DATA_DIR
def describe(name: str, data_dir: Path, **about: str | None) -> None:
    """Say what the project NAME is; it travels with its model."""
    given = {key: value for key, value in about.items() if value is not None}
    found = ask(data_dir, "PUT", f"/api/projects/{name}/about", given)["about"]
    for key, value in found.items():
        click.echo(f"{key}: {value}")


COMMANDS: tuple[click.Command, ...] = (project,)
