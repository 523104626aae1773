"""The log that a project's page shows: what happened lately, in memory, bounded.

Rules of this file:
- The newest MOST entries of each project; a restart begins anew (what the owner did is in the audit, for good).
- What says the same as the entry before it, or is of the same series, takes its place and counts up: checkpoints every
  ten seconds must not push out who failed.
- It holds what the roster shows, too (names of devices, reasons), and no address: whoever sees the page may read it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mlitb.core.events import Level
from mlitb.disk import TROUBLES

MOST = 500


@dataclass(slots=True)
class Entry:
    """One thing that happened, or the same one several times."""

    id: int  # of the entry, the same when it counts up
    serial: int  # grows with every change of the log
    time: float  # of the newest, seconds since 1970
    level: Level
    text: str
    times: int = 1


class Journal:
    """The logs of all projects."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._serial = 0
        self._entries: dict[str, deque[Entry]] = {}
        self._series: dict[str, str] = {}  # of the newest entry

    def add(self, project: str, level: Level, text: str, series: str = "") -> None:
        """Note what happened; in a row of the same series only the newest is kept."""
        self._serial += 1
        entries = self._entries.setdefault(project, deque(maxlen=MOST))
        last = entries[-1] if entries else None
        same = last is not None and self._series[project] == (series or text)
        if same and last is not None and last.level == level:
            last.serial, last.time, last.text, last.times = self._serial, self._clock(), text, last.times + 1
        else:
            entries.append(Entry(self._serial, self._serial, self._clock(), level, text))
        self._series[project] = series or text

    def tell_saved(
        self, project: str, iteration: int, save: Callable[[], object], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Save a checkpoint in the storage thread and tell the event loop's journal how it went."""
        told: tuple[Level, str] = ("debug", f"checkpoint of iteration {iteration} saved")
        try:
            save()
        except TROUBLES as error:
            told = ("error", f"the checkpoint of iteration {iteration} could not be saved: {error}")
            raise
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.add, project, *told, "checkpoint")

    def read(self, project: str, after: int = 0) -> list[dict[str, Any]]:
        """Return what changed after a serial, oldest first."""
        return [asdict(entry) for entry in self._entries.get(project, ()) if entry.serial > after]

    def forget(self, project: str) -> None:
        """Drop the log of a project that is gone."""
        self._entries.pop(project, None)
        self._series.pop(project, None)
