"""The command line.

Rules of this file:
- Parses, calls one function, prints; every failure that a user can cause is one sentence and a non-zero exit.
- Heavy modules are imported in the command that needs them, so that `mlitb --help` is instant.
"""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlitb import __version__

if TYPE_CHECKING:
    from mlitb.access import Owner
    from mlitb.settings import Settings

DEFAULT_DATA_DIR = Path("data")


@click.group()
@click.version_option(__version__, prog_name="mlitb")
def main() -> None:
    """MLitB: people train one neural network together from their browsers."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="The master's port.")
@click.option("--data-port", default=8001, show_default=True, type=click.IntRange(1, 65535), help="The data server's.")
@click.option(
    "--data-dir",
    default=DEFAULT_DATA_DIR,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where everything is kept.",
)
@click.option("--demo", is_flag=True, help="Make the demo project `digits` (needs mlitb[demo]).")
@click.option("--lan", is_flag=True, help="Listen on all interfaces and print the link for other devices.")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="Another name by which browsers may call this server."
)
@click.option("--public-url", default="", help="What browsers call the master, when it is behind a proxy.")
@click.option("--data-url", default="", help="What browsers call the data server, when it is behind a proxy.")
@click.option("--verbose", is_flag=True, help="Log what happens.")
def up(
    host: str,
    port: int,
    data_port: int,
    data_dir: Path,
    demo: bool,
    lan: bool,
    allow_host: tuple[str, ...],
    public_url: str,
    data_url: str,
    verbose: bool,
) -> None:
    """Start master and data server; Ctrl-C stops both."""
    from mlitb.demo import DemoFailed
    from mlitb.settings import Settings
    from mlitb.up import StartFailed

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if port == data_port:
        raise click.ClickException(f"master and data server cannot share port {port}: choose another with --data-port")
    settings = Settings(
        data_dir=data_dir.absolute(),
        host=host,
        port=port,
        data_port=data_port,
        lan=lan,
        allow_hosts=tuple(name.lower() for name in allow_host),
        public_url=public_url,
        data_url=data_url,
    )
    try:
        asyncio.run(_up(settings, demo))
    except (StartFailed, DemoFailed) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


async def _up(settings: "Settings", demo: bool) -> None:
    from mlitb.demo import PROJECT, make_demo
    from mlitb.up import lan_address, up

    name = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    master = f"http://{f'[{name}]' if ':' in name else name}:{settings.port}"

    async def announce(owner: "Owner") -> None:
        if demo:
            await make_demo(master, settings.data_server, owner.token)
        page = f"/project/{PROJECT}" if demo else "/"
        click.echo(f"MLitB runs: open {settings.public_url or master}{page}?token={owner.token}")
        if settings.lan:
            _echo_lan_link(f"{settings.public_url or f'http://{lan_address()}:{settings.port}'}{page}")

    await up(settings, announce)


def _echo_lan_link(link: str) -> None:
    """Print the link for other devices, without the owner token, and as a QR code."""
    import segno

    click.echo(f"For other devices in your network: {link}")
    segno.make(link, micro=False).terminal(compact=True)


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Labels to print for each picture.")
def predict(model: Path, pictures: tuple[Path, ...], top: int) -> None:
    """Print labels and probabilities for pictures, with a downloaded MODEL and without any server."""
    from mlitb.predict import PredictionFailed, Predictor

    try:
        predictor = Predictor.open(model)
        for picture in pictures:
            click.echo(f"{picture}:")
            for label, probability in predictor.classify(picture)[:top]:
                click.echo(f"  {probability:7.2%}  {label}")
    except PredictionFailed as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("archive", type=click.Path(path_type=Path))
def evaluate(model: Path, archive: Path) -> None:
    """Print error and loss of a downloaded MODEL on a zip of label folders."""
    from mlitb.predict import PredictionFailed, Predictor

    try:
        result = Predictor.open(model).evaluate(archive)
    except PredictionFailed as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"error {result.error:.2%}  loss {result.loss:.4f}  pictures {result.count}  skipped {result.skipped}")
