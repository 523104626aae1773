"""What is to be kept, on its way to the storage thread: bounded, latest wins, tried again until it is written.

Rules of this file:
- `keep` is for what training must not wait for, `now` for what is acknowledged only when it is written.
- Each thing has a key, and a newer one takes the place of an older one that still waits: of a project at most one
  record and one checkpoint wait. Figures wait up to MAX_ROWS iterations, the oldest going first.
- Figures linger a moment before they are written: they come at a close, when everybody waits for the next orders and
  the storage thread would take the interpreter from the event loop. Who reads them does not notice (`read`).
- What failed is tried again every RETRY_S seconds, so saving resumes when there is room, also of a project that rests.
- Methods that say so run in the storage thread; the lock is held for bookkeeping only.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from mlitb.disk import TROUBLES, Disk
from mlitb.storage import Figures, Storage

RETRY_S = 5.0
LINGER_S = 0.25
MAX_ROWS = 10_000
"""Iterations whose figures are kept in memory while they cannot be written: a few hundred bytes each."""

P = ParamSpec("P")
R = TypeVar("R")


class Keeping:
    """What waits to be written."""

    def __init__(self, storage: Storage, disk: Disk) -> None:
        self.storage = storage
        self.disk = disk
        self._lock = threading.Lock()
        self._rows: list[Figures] = []
        self._jobs: dict[str, Callable[[], object]] = {}  # in order
        self._timer: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None

    def figures(self, row: Figures) -> None:
        """Keep one iteration's figures."""
        with self._lock:
            self._rows.append(row)
        self._put("history", self._write_rows)
        if self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER_S, self._tell)

    async def read(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Read what is written, all figures among it that were kept before; raise NotStored."""
        if self._linger is not None:
            self._tell()
        return await self.disk.ask(call, *args, **kwargs)

    def keep(self, key: str, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Write something soon, in place of what waits under the same key."""
        self._put(key, partial(call, *args, **kwargs))
        self._tell()

    async def now(self, key: str, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Write something and wait for it; raise NotStored, and go on trying."""
        self._put(key, partial(call, *args, **kwargs))
        try:
            await self.disk.ask(self._run, key)
        finally:
            self._arm()

    def forget(self, project: str) -> None:
        """Drop what waits of a project that was removed or begins anew."""
        with self._lock:
            for key in [key for key in self._jobs if key.endswith(f" {project}")]:
                del self._jobs[key]
            self._rows = [row for row in self._rows if row[0] != project]

    def close(self) -> None:
        """Try what waits once more, and no more after."""
        for timer in (self._timer, self._linger):
            if timer is not None:
                timer.cancel()
        self.disk.tell(self._run_all)

    def _put(self, key: str, job: Callable[[], object]) -> None:
        with self._lock:
            self._jobs.pop(key, None)  # the newer one goes to the end
            self._jobs[key] = job

    def _tell(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self.disk.tell(self._run_all)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._jobs:
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._again)

    def _again(self) -> None:
        self._timer = None
        if self._jobs or self.disk.trouble:
            self._tell()

    # ------------------------------------------------------------------------------------- in the storage thread
    def _run_all(self) -> None:
        failed: Exception | None = None
        for key in list(self._jobs):
            try:
                self._run(key)
            except TROUBLES as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _run(self, key: str) -> None:
        with self._lock:
            job = self._jobs.get(key)
        if job is None:
            return  # done already, or forgotten a moment ago
        job()
        with self._lock:
            if self._jobs.get(key) is job:
                del self._jobs[key]

    def _write_rows(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, []
        try:
            self.storage.add_history(rows)
        except BaseException:
            with self._lock:
                self._rows = (rows + self._rows)[-MAX_ROWS:]
            raise
