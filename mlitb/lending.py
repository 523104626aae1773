"""From a link to trainers at work: what `mlitb worker` does before its boss takes over.

Rules of this file:
- The engine is the master's own, by its hash; shards come from the data server by theirs. Nothing is installed or kept.
- What cannot get better is WorkerFailed, one sentence; Ctrl-C and SIGTERM are the ordinary end.
"""

import asyncio
import hashlib
import re
import signal
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import httpx

from mlitb.boss import Boss, Lent, Place, WorkerFailed
from mlitb.core.messages import PROTOCOL
from mlitb.settings import SettingsError
from mlitb.shards import Shards
from mlitb.tls import advice, trusting

TIMEOUT_S = 30.0


async def lend(url: str, project: str, lent: Lent, tls: ssl.SSLContext) -> None:
    """Work for a project until cancelled; raise WorkerFailed."""
    async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, verify=tls) as http:
        place = await locate(http, url)
        if place.socket_url.startswith("wss:"):
            place = replace(place, tls=tls)
        boss = Boss(place, lent, Shards(http, place.data_url))
        click.echo(f"{lent.count} trainers work for {project!r} on {url}; Ctrl-C takes them back")
        try:
            await boss.run()
        finally:
            boss.stop()


async def locate(http: httpx.AsyncClient, url: str) -> Place:
    """Ask a master what it runs, and load its engine; raise WorkerFailed."""
    config = await _json(http, f"{url}/api/config")
    try:
        protocol, engine_hash, engine_url = config["protocol"], config["engine"], config["engine_url"]
        data_url = str(config["data_url"])
    except (KeyError, TypeError) as error:
        raise WorkerFailed(f"{url} is no MLitB master: its configuration lacks {error}") from error
    if protocol != PROTOCOL:
        raise WorkerFailed(
            f"{url} speaks protocol {protocol}, this worker {PROTOCOL}: install the same version of mlitb"
        )
    engine = (await _get(http, f"{url}{engine_url}")).content
    if hashlib.sha256(engine).hexdigest() != engine_hash:
        raise WorkerFailed(f"the engine that {url} sent is not the one that it promised")
    return Place(f"ws{url.removeprefix('http')}/ws", data_url, engine, engine_hash)


async def choose(http: httpx.AsyncClient, url: str, wanted: str) -> str:
    """Find the project that is meant: the one named, else the only one; raise WorkerFailed."""
    names = [str(view["id"]) for view in await _json(http, f"{url}/api/projects")]
    if wanted and wanted not in names:
        raise WorkerFailed(f"there is no project {wanted!r} on {url}; there are: {', '.join(names) or 'none'}")
    if wanted or len(names) == 1:
        return wanted or names[0]
    raise WorkerFailed(f"name a project, as in {url}/project/NAME; there are: {', '.join(names) or 'none'}")


async def _json(http: httpx.AsyncClient, url: str) -> Any:
    answer = await _get(http, url)
    try:
        return answer.json()
    except ValueError as error:
        raise WorkerFailed(f"{url} did not answer as an MLitB master does") from error


async def _get(http: httpx.AsyncClient, url: str) -> httpx.Response:
    try:
        return (await http.get(url)).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise WorkerFailed(f"{url} answered {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if untrusted := advice(error, url):
            raise WorkerFailed(f"{url} cannot be asked: {untrusted}") from error
        raise WorkerFailed(f"{url} does not answer ({error or type(error).__name__}): is the address right?") from error


def split(link: str) -> tuple[str, str]:
    """Split a link to a master, or to one of its projects, into its address and the project's id (or "")."""
    parts = urlsplit(link if "://" in link else f"http://{link}")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise WorkerFailed(f"{link!r} is no address of a master: http://host:port/project/name is")
    found = re.fullmatch(r"/(?:project|join)/([^/]+)/?", parts.path)
    return f"{parts.scheme}://{parts.netloc}", found.group(1) if found else ""


async def work(
    link: str, count: int, capacity_vectors: int, capacity_mb: int, intensity: float, ca: Path | None = None
) -> None:
    """Lend trainers to the project that a link means, until a signal; raise WorkerFailed."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, main.cancel)
    url, wanted = split(link)
    try:
        tls = trusting(ca)
    except SettingsError as error:
        raise WorkerFailed(str(error)) from error
    async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, verify=tls) as http:
        project = await choose(http, url, wanted)
    await lend(url, project, Lent(project, count, capacity_vectors, capacity_mb * 1_000_000, intensity), tls)
