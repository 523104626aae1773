"""The storage thread: everything that may wait for a disk, in the order in which it was asked for.

Rules of this file:
- One thread, so the database has one user and writes keep their order.
- What fails is logged and kept as `trouble`, a sentence that says what to do; the next success clears it.
- `ask` is for what must be stored before it is acknowledged: it raises. `tell` is for what training must not wait for.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

log = logging.getLogger("mlitb")

P = ParamSpec("P")
R = TypeVar("R")

TROUBLES = (OSError, sqlite3.Error)
"""What a disk does to us; anything else is our own bug."""


class NotStored(RuntimeError):
    """Something could not be stored, so it was not done; the message is a sentence."""


class Disk:
    """Runs storage calls in one thread."""

    def __init__(self) -> None:
        self.trouble = ""
        self._thread = ThreadPoolExecutor(1, "storage")

    async def ask(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a storage call and wait for it; raise NotStored."""
        future = self._thread.submit(call, *args, **kwargs)
        try:
            result = await asyncio.wrap_future(future)
        except TROUBLES as error:
            self._failed(error)
            raise NotStored(self.trouble) from error
        self.trouble = ""
        return result

    def tell(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a storage call later; a failure becomes `trouble`."""
        loop = asyncio.get_running_loop()
        future: Future[object] = self._thread.submit(call, *args, **kwargs)

        def finished(done: Future[object]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._finished, done)

        future.add_done_callback(finished)

    def _finished(self, future: Future[object]) -> None:
        error = future.exception()
        if isinstance(error, TROUBLES):
            self._failed(error)
        elif error is not None:
            log.critical("a storage call failed in an unforeseen way", exc_info=error)
            self.trouble = f"saving fails: {error}"
        else:
            self.trouble = ""

    def _failed(self, error: BaseException) -> None:
        self.trouble = (
            f"saving fails ({error}): training goes on, but what is new would be lost by a restart; "
            "make room in the data folder, or make it writable"
        )
        log.error(self.trouble)

    def close(self) -> None:
        """Finish what was asked for and end the thread."""
        self._thread.shutdown(wait=True)
