"""`mlitb worker URL --count n`: lend a server's cores, by the same protocol and the same engine as a browser.

Parses and calls; heavy modules are imported only when it runs, so that `mlitb --help` is instant.
"""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import click

MAX_COUNT = 256
"""Workers of one browser in one project: the master takes no more."""

ca_option = click.option(
    "--ca", envvar="MLITB_CA", metavar="FILE", type=click.Path(path_type=Path),
    help="An authority to trust besides the world's: ca.crt of a server that runs with --https.",
)  # fmt: skip


@click.command()
@click.argument("url")
@click.option("--count", type=click.IntRange(1, MAX_COUNT), help="Trainers, one process each.  [default: all cores]")
@click.option("--capacity-vectors", default=3000, show_default=True, type=click.IntRange(1), help="Most to hold, each.")
@click.option("--capacity-mb", default=100, show_default=True, type=click.IntRange(1), help="Most to hold, each.")
@click.option("--intensity", default=1.0, show_default=True, type=click.FloatRange(0, 1, min_open=True),
              help="Share of the period in which they compute.")  # fmt: skip
@ca_option
@click.option("--verbose", is_flag=True, help="Log what happens.")
def worker(url: str, count: int | None, verbose: bool, **limits: Any) -> None:
    """Lend this machine's cores to the project at URL (http://host:port/project/name); Ctrl-C ends."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from mlitb.boss import WorkerFailed
    from mlitb.lending import work

    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(work(url, count or os.cpu_count() or 1, **limits))
    except WorkerFailed as error:
        raise click.ClickException(str(error)) from error
