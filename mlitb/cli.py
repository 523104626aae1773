"""The command line.

Rules of this file:
- Parses, calls one function, prints; every failure that a user can cause is one sentence and a non-zero exit.
- Heavy modules are imported in the command that needs them, so that `mlitb --help` is instant.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlitb import __version__, model_cli, project_cli, upkeep_cli
from mlitb.dataset_cli import dataset
from mlitb.simulate_cli import simulate
from mlitb.worker import worker

if TYPE_CHECKING:
    from mlitb.access import Owner
    from mlitb.settings import Settings
    from mlitb.tls import Certificate


@click.group()
@click.version_option(__version__, prog_name="mlitb")
def main() -> None:
    """MLitB: people train one neural network together from their browsers."""


for _command in (*upkeep_cli.COMMANDS, *model_cli.COMMANDS, *project_cli.COMMANDS):
    main.add_command(_command)

Command = Callable[..., None]

OWN_CERTIFICATE = (
    "The certificate is this server's own, so browsers warn once, Firefox for each of the two ports. "
    "They do not where {}/ca.crt was installed as an authority."
)

PORT = click.IntRange(1, 65535)
SERVER_OPTIONS = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option("--port", default=8000, show_default=True, type=PORT, help="The master's port."),
    click.option("--data-port", default=8001, show_default=True, type=PORT, help="The data server's port."),
    click.option(
        "--data-dir",
        default=Path("data"),
        show_default=True,
        type=click.Path(path_type=Path),
        help="Where everything is kept.",
    ),
    click.option("--lan", is_flag=True, help="Listen on all interfaces and print the link for other devices."),
    click.option(
        "--allow-host", multiple=True, metavar="NAME", help="Another name by which browsers may call this server."
    ),
    click.option("--https", is_flag=True, help="HTTPS on both ports, with a certificate of this server's own."),
    click.option("--cert", metavar="FILE", type=click.Path(path_type=Path), help="HTTPS with this certificate (PEM)."),
    click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help="The certificate's private key (PEM)."),
    click.option("--public-url", default="", metavar="URL", help="What browsers call the master, behind a proxy."),
    click.option("--data-url", default="", metavar="URL", help="What browsers call the data server, behind a proxy."),
    click.option(
        "--checkpoint",
        default="10",
        show_default=True,
        metavar="iteration|SECONDS",
        help="How often to save: after each iteration, or after so many seconds.",
    ),
    click.option("--log-format", default="human", show_default=True, type=click.Choice(["human", "json"])),
    click.option("--verbose", is_flag=True, help="Log what happens."),
)


def server_options(command: Command) -> Command:
    """Give a command the options of a server."""
    for option in reversed(SERVER_OPTIONS):
        command = option(command)
    return command


@main.command()
@server_options
@click.option("--demo", is_flag=True, help="Make the demo project `digits` (needs mlitb[demo]).")
def up(demo: bool, verbose: bool, **options: Any) -> None:
    """Start master and data server; Ctrl-C stops both."""
    _serve(options, demo, verbose, with_data_server=True)


@main.command()
@server_options
@click.option("--internal-data-url", default="", metavar="URL", help="What the master itself calls the data server.")
def master(verbose: bool, **options: Any) -> None:
    """Start the master alone; the data server (`python -m data_server`) runs elsewhere."""
    _serve(options, False, verbose, with_data_server=False)


def _serve(options: dict[str, Any], demo: bool, verbose: bool, *, with_data_server: bool) -> None:
    import uvloop

    from mlitb.demo import DemoFailed
    from mlitb.logs import configure
    from mlitb.settings import Settings
    from mlitb.up import StartFailed

    options["relay_logs"] = options["log_format"] == "json"
    configure(options.pop("log_format"), verbose)
    options["checkpoint_s"] = _seconds(options.pop("checkpoint"))
    if options["port"] == options["data_port"]:
        raise click.ClickException("master and data server cannot share a port: choose another with --data-port")
    options["data_dir"] = options["data_dir"].absolute()
    options["public_url"] = options["public_url"].rstrip("/")
    options["allow_hosts"] = tuple(name.lower() for name in options.pop("allow_host"))
    try:
        while uvloop.run(_up(Settings(**options), demo, with_data_server)):
            click.echo("starting again", err=True)
    except (StartFailed, DemoFailed) as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:
        click.echo("stopped before it was up", err=True)


def _seconds(checkpoint: str) -> float:
    """Read --checkpoint."""
    if checkpoint == "iteration":
        return 0.0
    try:
        seconds = float(checkpoint)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise click.BadParameter(f"{checkpoint!r} is neither `iteration` nor a number of seconds up to 3600")
    return seconds


async def _up(settings: "Settings", demo: bool, with_data_server: bool) -> bool:
    from mlitb.access import lan_address
    from mlitb.demo import PROJECT, make_demo
    from mlitb.tls import pinned
    from mlitb.up import up

    async def announce(owner: "Owner", certificate: "Certificate | None") -> None:
        master = settings.own_url
        others = f"{settings.scheme}://{lan_address()}:{settings.port}" if settings.lan else master
        if demo:
            await make_demo(master, settings.data_server, owner.token, pinned(certificate))
        page = f"/project/{PROJECT}" if demo else "/"
        click.echo(f"MLitB runs: open {settings.public_url or master}{page}?token={owner.token}")
        if settings.lan:
            _echo_lan_link(f"{settings.public_url or others}{page}")
        if certificate and certificate.authority:
            click.echo(OWN_CERTIFICATE.format(settings.public_url or others))

    return await up(settings, announce, with_data_server=with_data_server)


def _echo_lan_link(link: str) -> None:
    """Print the link for other devices, without the owner token, and as a QR code."""
    import segno

    click.echo(f"For other devices in your network: {link}")
    segno.make(link, micro=False).terminal(compact=True)


main.add_command(worker)
main.add_command(dataset)
main.add_command(simulate)
