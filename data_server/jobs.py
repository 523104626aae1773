"""Runs data_server.ingest for uploads: one at a time, in a process that can be killed, with bounded memory."""

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import data_server
from data_server.ingest import Job
from data_server.reading import ENTRY, RECORD
from data_server.refusal import Refusal

log = logging.getLogger(__name__)


class Jobs:
    """The queue of heavy work."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._line: list[Path] = []  # the folders of all jobs, in the order in which they are done

    def ahead(self, folder: Path) -> int:
        """Return how many jobs are done before this folder's; 0 when it is at work or has none."""
        return self._line.index(folder) if folder in self._line else 0

    async def run(self, folder: Path, job: Job) -> dict[str, Any]:
        """Run a job in its folder, after those before it; raises Refusal. Cancelling kills its processes."""
        self._line.append(folder)
        try:
            async with self._turn:
                await asyncio.to_thread(job.save, folder)
                answer = await self._process(folder)
        finally:
            self._line.remove(folder)
        if refused := answer.get("error"):
            raise Refusal(refused["status"], refused["detail"])
        return answer

    async def _process(self, folder: Path) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "data_server.ingest", str(folder)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # so a Ctrl-C is the server's to handle, and its helpers can be killed with it
        )
        # Not communicate(): it may close standard input, which is how the process learns that we are gone.
        assert process.stdout is not None
        assert process.stderr is not None
        ended = asyncio.gather(process.stdout.read(), process.stderr.read(), process.wait())
        try:
            out, err, _ = await asyncio.shield(ended)
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGKILL)
            await ended
            raise
        if process.returncode:
            log.error("reading an upload ended with %s:\n%s", process.returncode, err.decode(errors="replace"))
            raise Refusal(500, "reading the pictures failed, and nothing was kept; the data server's log says more")
        answer: dict[str, Any] = json.loads(out)
        return answer


def environment() -> dict[str, str]:
    """Return the environment of a process that finds this very package and starts no threads for linear algebra."""
    root = str(Path(data_server.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def progress(folder: Path) -> tuple[int, int]:
    """Return how many entries a job has read, and of how many; by the sizes of its files."""
    listed = folder / "entries.bin"
    total = listed.stat().st_size // ENTRY.itemsize if listed.exists() else 0
    return sum(path.stat().st_size // RECORD.itemsize for path in folder.glob("records.*")), total
