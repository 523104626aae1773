"""Teaching: pictures that people add to a project while it trains, under labels that it knows or new ones.

Rules of this file:
- The owner may teach; visitors may where the project's setting `volunteers_teach` lets them, at a bounded rate.
- Taught pictures are a data set of their own on the data server, one for each project: the owner's data stays as it was
  uploaded. Each batch makes a new version of it, which takes the older one's place at the next close.
- What the network could not take is refused before anything is stored.
"""

import asyncio
import io
import time
import zipfile
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from mlitb.api import Here, Shell
from mlitb.core.dataset import merged
from mlitb.core.network import plan
from mlitb.data_client import fitting_cut
from mlitb.live import Rate

MAX_BATCH_BYTES = 64_000_000
"""What the data server takes at once."""

MAX_BATCH_PICTURES = 100
VISITOR_RATE = 1.0
"""Batches a second from one address of visitors, with bursts; a batch holds what gathered while the last was sent."""

MAX_ADDRESSES = 10_000
MAX_VISITORS_VECTORS = 10_000
MAX_VISITORS_LABELS = 200
"""A project takes visitors' pictures until it has so many taught ones, labels up to so many; its owner may go on."""

NOT_ALLOWED = "only the owner of this project may teach it: ask the owner, who can let volunteers do so in its settings"

router = APIRouter(prefix="/api")


class Turns:
    """Whose turn it is: how often visitors teach, by address, and one batch after the other in each project."""

    def __init__(self) -> None:
        self.of_project: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._rates: dict[str, Rate] = {}

    def take(self, address: str) -> bool:
        """Take one batch's worth of an address; False when there is none. The longest silent are forgotten first."""
        rate = self._rates.pop(address, None) or Rate(VISITOR_RATE, time.monotonic())
        self._rates[address] = rate
        if len(self._rates) > MAX_ADDRESSES:
            del self._rates[next(iter(self._rates))]
        taken = rate.take(time.monotonic())
        if not taken:
            rate.left += 1  # who asks too early need not wait longer for it
        return taken


@router.post("/projects/{project}/pictures", status_code=201)
async def teach(shell: Here, project: str, request: Request) -> dict[str, Any]:
    """Add a zip of label folders; returns how many pictures came in, and how many vectors the project then has."""
    turns: Turns = request.app.state.turns
    view = shell.known(project)
    owner = shell.owner.asks(request.headers)
    if not owner:
        if not view["settings"]["volunteers_teach"]:
            raise HTTPException(403, NOT_ALLOWED)
        if not turns.take(request.client.host if request.client else "unknown"):
            raise HTTPException(429, "more pictures than this server takes from one address: wait a few seconds")
        if shell.projects.taught_vectors(project) >= MAX_VISITORS_VECTORS:
            raise HTTPException(
                409, f"visitors have taught it {MAX_VISITORS_VECTORS:,} pictures: its owner may add more"
            )
    if not view["datasets"]:
        raise HTTPException(409, "this project has no pictures yet: it can be taught once its owner uploaded some")
    zipped = await _body(request)
    _check(view, zipped, None if owner else MAX_VISITORS_LABELS)
    async with turns.of_project[project]:
        return await _add(shell, project, view["input"], _marked(zipped, project))


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_BATCH_BYTES:
            raise HTTPException(413, f"a batch of pictures has at most {MAX_BATCH_BYTES:,} bytes: send fewer at once")
    return bytes(data)


def _check(view: dict[str, Any], zipped: bytes, most_labels: int | None) -> None:
    """Refuse what is no zip of label folders, too many labels, and those that the network has no output for."""
    try:
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile as error:
        raise HTTPException(422, f"the body must be a zip of label folders ({error})") from error
    if not 1 <= len(names) <= MAX_BATCH_PICTURES:
        raise HTTPException(422, f"a batch has 1 to {MAX_BATCH_PICTURES} pictures, not {len(names)}")
    labels = merged(view["labels"], [PurePosixPath(name).parent.name for name in names])
    if most_labels is not None and len(labels) > max(most_labels, len(view["labels"])):
        raise HTTPException(409, f"visitors may teach it up to {most_labels} labels in all: its owner may add more")
    plan(view["layers"], len(labels)).require_labels(len(labels))


def _marked(zipped: bytes, project: str) -> bytes:
    """Name the project in a zip, so that equal batches for two projects do not become one data set."""
    file = io.BytesIO(zipped)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = f"taught to {project}".encode()
    return file.getvalue()


async def _add(shell: Shell, project: str, shape: dict[str, int], zipped: bytes) -> dict[str, Any]:
    taught = shell.projects.taught(project)
    if taught:
        report = await shell.data_server.add_pictures(taught, zipped)
    else:
        options = {key: shape[key] for key in ("width", "height", "channels")} | {"mode": shell.projects.mode(project)}
        name = f"Taught to {shell.known(project)['name']}"[:100]
        report = await shell.data_server.upload(zipped, {**options, "name": name})
    manifest = await shell.data_server.manifest(fitting_cut(report, shape["width"], shape["height"], shape["channels"]))
    if all(manifest["cut"] != known["cut"] for known in shell.known(project)["datasets"]):
        await shell.data_server.use(report["id"], project)
        await shell.projects.attach(project, {**manifest, "taught": True})
    return {
        "dataset": report["id"],
        "added": report["added"] if taught else report["images"],
        "left_out": report["left_out"] if taught else report["skipped"]["files"],
        "known": report["known"],
        "data_vectors": shell.projects.data_vectors(project),
    }
