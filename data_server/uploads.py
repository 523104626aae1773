"""From an upload's bytes to a data set: receive, ingest, commit, and clean up whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_server.cut import Spec
from data_server.ingest import Job, Source
from data_server.jobs import Jobs
from data_server.patience import uninterrupted, unless_gone
from data_server.receiving import Receiver
from data_server.refusal import Refusal
from data_server.settings import Settings
from data_server.store import Store, current_cuts, report
from mlitb.pixels import check_shape


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an uploader asks for: a data set of this name, with this first cut."""

    name: str
    spec: Spec

    @staticmethod
    def of(query: dict[str, Any]) -> "Wanted":
        """Take it from query parameters or metadata; raises Refusal for a cut that cannot be."""
        fields = dict(query)
        name = str(fields.pop("name", ""))
        spec = Spec(**fields)
        try:
            check_shape(spec.width, spec.height, spec.channels, spec.mode)
        except ValueError as error:
            raise Refusal(422, str(error)) from error
        return Wanted(" ".join(name.split()), spec)


class Uploads:
    """The one path behind every way to bring data in."""

    def __init__(self, settings: Settings, store: Store, jobs: Jobs) -> None:
        self._settings, self._store, self._jobs = settings, store, jobs
        self._running = 0
        self._cuts: dict[str, Path] = {}  # data sets that are being cut again, and the folder of each job

    async def receive(
        self, stream: AsyncIterator[bytes], wanted: Wanted, gone: Callable[[], Awaitable[None]]
    ) -> dict[str, Any]:
        """Receive a whole upload and make its data set; returns the report. Raises Refusal.

        `gone` returns when the client has left: then the work stops too.
        """
        if self._running >= self._settings.limits.uploads:
            raise Refusal(503, f"{self._running} uploads are under way, the most that are taken at once: try again")
        self._running += 1
        try:
            with self._store.scratch() as folder:
                receiver = Receiver(folder / "upload.zip", self._settings.limits)
                await receiver.receive(stream)
                if not receiver.n_bytes:
                    raise Refusal(400, "nothing was uploaded: the body is empty")
                making = self.make(folder, receiver.path, receiver.source(), wanted)
                return await unless_gone(making, gone())
        finally:
            self._running -= 1

    async def make(self, folder: Path, upload: Path, source: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
        """Make a data set of a received zip, working in a folder; returns the report. Raises Refusal."""
        if (known := await self._known(source, wanted)) is not None:
            return known
        job = self.job([Source(str(upload.absolute()), source["sha256"])], wanted.spec)
        result = await self._jobs.run(folder, job)
        spec = asdict(wanted.spec)
        document = await uninterrupted(self._store.add, wanted.name, upload, source, result, spec, folder)
        if document is not None:
            return report(document)
        known = await self._known(source, wanted)  # an equal upload was quicker
        if known is None:
            raise Refusal(409, "the same zip was uploaded and deleted at the same time: upload it again")
        return known

    async def _known(self, source: dict[str, Any], wanted: Wanted) -> dict[str, Any] | None:
        document = await asyncio.to_thread(self._store.known, source["sha256"])
        return None if document is None else {**await self.cut(document["id"], wanted.spec), "known": True}

    async def cut(self, dataset: str, spec: Spec) -> dict[str, Any]:
        """Make another cut of a data set, unless it has it; returns the report. Raises Unknown or Refusal."""
        document = await asyncio.to_thread(self._store.dataset, dataset)
        if any(asdict(spec).items() <= line.items() for line in current_cuts(document)):
            return report(document)
        job = self.job(self._store.sources(document), spec)
        job.labels = [label["name"] for label in document["labels"]]
        with self._store.scratch() as folder:
            self._cuts[dataset] = folder
            try:
                result = await self._jobs.run(folder, job)
            finally:
                if self._cuts.get(dataset) == folder:
                    del self._cuts[dataset]
            return report(await uninterrupted(self._store.add_cut, document, result, asdict(spec), folder))

    def ahead_of_cut(self, dataset: str) -> int:
        """Return how many others are done before the cut of a data set that was asked for last."""
        return self._jobs.ahead(self._cuts[dataset]) if dataset in self._cuts else 0

    def ahead(self, folder: Path) -> int:
        """Return how many others are read before what lies in this folder."""
        return self._jobs.ahead(folder)

    def check_room(self, n_bytes: int) -> None:
        """Raise Refusal when the disk has no room for an upload of this size."""
        free = self._store.free_bytes() - self._settings.limits.reserve_bytes
        if n_bytes > free:
            raise Refusal(507, f"the data server's disk has room for {max(0, free):,} bytes, not for {n_bytes:,}")

    def job(self, sources: list[Source], spec: Spec) -> Job:
        """Return the job that cuts these sources."""
        return Job(sources, spec, processes=self._settings.processes, limits=self._settings.limits)
