"""Shards from the data server, for workers outside a browser: fetched, verified, unpacked.

Rules of this file:
- A shard's bytes count only when their SHA-256 is its name.
- Failures are told and tried again, for as long as somebody wants the shard.
- What is no longer wanted is forgotten.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable

import httpx

from mlitb.trainer import BadShard, Pictures, unpack

log = logging.getLogger("mlitb")

AT_ONCE = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0


class Shards:
    """The shards that one worker's trainers hold."""

    def __init__(self, http: httpx.AsyncClient, data_url: str) -> None:
        self._http = http
        self._data_url = data_url
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._fetching: dict[str, asyncio.Task[Pictures]] = {}

    def held(self) -> tuple[str, ...]:
        """List the shards that are here."""
        return tuple(name for name, task in self._fetching.items() if task.done() and not task.cancelled())

    async def get(self, name: str) -> Pictures:
        """Give a shard, fetched once however many ask for it."""
        if name not in self._fetching:
            self._fetching[name] = asyncio.create_task(self._fetch(name))
        return await asyncio.shield(self._fetching[name])

    def keep(self, names: Iterable[str]) -> None:
        """Forget all others."""
        wanted = set(names)
        for name in [name for name in self._fetching if name not in wanted]:
            self._fetching.pop(name).cancel()

    async def _fetch(self, name: str) -> Pictures:
        wait = FIRST_WAIT_S
        while True:
            try:
                async with self._turns:
                    return await self._once(name)
            except (httpx.HTTPError, BadShard) as error:
                log.warning("shard %s did not come, again in %s s: %s", name[:8], wait, error or type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def _once(self, name: str) -> Pictures:
        answer = await self._http.get(f"{self._data_url}/shards/{name}.zip")
        data = answer.raise_for_status().content
        if hashlib.sha256(data).hexdigest() != name:
            raise BadShard("its bytes are not those that its name promises")
        return await asyncio.to_thread(unpack, data)
