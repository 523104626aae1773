"""The storage thread: everything that may wait for a disk, in the order in which it was asked for.

Rules of this file:
- One thread, so the database has one user and writes keep their order.
- `ask` is for what somebody waits for: it raises a sentence. `tell` is for what training must not wait for: what fails
  is logged and kept as `trouble`, a sentence that says what to do, until the same kind of call succeeds.
- The queue is bounded: a disk that stands still costs what is new, never the memory.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from mlitb.database import Damaged

log = logging.getLogger("mlitb")

P = ParamSpec("P")
R = TypeVar("R")

TROUBLES = (OSError, sqlite3.Error, Damaged)
"""What a disk does to us; anything else is our own bug."""

MAX_WAITING = 1000
"""Calls that may wait for a disk that stands still."""


class NotStored(RuntimeError):
    """Something could not be stored; the message is a sentence."""


class Disk:
    """Runs storage calls in one thread."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}  # by the kind of call
        self._thread = ThreadPoolExecutor(1, "storage")
        self._waiting = 0

    @property
    def trouble(self) -> str:
        """Give the sentence for people, empty while all is well."""
        return next(iter(self._troubles.values()), "")

    async def ask(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a storage call and wait for it; raise NotStored."""
        try:
            return await asyncio.wrap_future(self._thread.submit(call, *args, **kwargs))
        except TROUBLES as error:
            log.error(_sentence(error))
            raise NotStored(_sentence(error)) from error

    def tell(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a storage call later; a failure becomes `trouble`."""
        kind = getattr(call, "__name__", "call")
        if self._waiting >= MAX_WAITING:
            self._failed(kind, OSError("the disk does not answer"))
            return
        loop = asyncio.get_running_loop()
        self._waiting += 1
        future: Future[object] = self._thread.submit(call, *args, **kwargs)

        def finished(done: Future[object]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._finished, kind, done)

        future.add_done_callback(finished)

    def _finished(self, kind: str, future: Future[object]) -> None:
        self._waiting -= 1
        error = future.exception()
        if isinstance(error, TROUBLES):
            self._failed(kind, error)
        elif error is not None:
            log.critical("a storage call failed in an unforeseen way", exc_info=error)
            self._troubles[kind] = f"saving fails: {error}"
        elif self._troubles.pop(kind, None) and not self._troubles:
            log.warning("saving works again")

    def _failed(self, kind: str, error: BaseException) -> None:
        sentence = _sentence(error)
        if self._troubles.get(kind) != sentence:  # once is enough: it is tried again every few seconds
            log.error(sentence)
        self._troubles[kind] = sentence

    def close(self) -> None:
        """Finish what was asked for and end the thread."""
        self._thread.shutdown(wait=True)


def _sentence(error: BaseException) -> str:
    return (
        f"saving fails ({error}): training goes on, but what is new would be lost by a restart; "
        "make room in the data folder, or make it writable"
    )
