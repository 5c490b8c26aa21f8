"""Is an image here already?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.pipelines.futures import settle

_Answers = Mapping[bytes, asyncio.Future[Record | None]]


class Lookup:
    """Asks the *catalogue*, in *threads*, and the store: *is_intact* says whether a file is what its record says."""

    def __init__(
        self, catalogue: Catalogue, threads: ThreadPoolExecutor, is_intact: Callable[[Record], Awaitable[bool]]
    ) -> None:
        self.catalogue = catalogue
        self.threads = threads
        self.is_intact = is_intact
        self._asked: dict[bytes, asyncio.Future[Record | None]] = {}

    async def find_intact(self, key: bytes) -> Record | None:
        """The record of the address with fingerprint *key*, if its file is there with the bytes it had."""
        record = await self._find(key)
        return record if record and await self.is_intact(record) else None

    async def confirm(self, record: Record) -> None:
        """Note that the server confirmed *record* now."""
        await asyncio.get_running_loop().run_in_executor(self.threads, self._confirm, record)

    async def _find(self, key: bytes) -> Record | None:
        """All images of a gallery ask at once: one trip to a thread."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._find_asked)
        answer: asyncio.Future[Record | None] = loop.create_future()
        self._asked[key] = answer
        return await answer

    def _find_asked(self) -> None:
        asked, self._asked = self._asked, {}
        records = asyncio.get_running_loop().run_in_executor(self.threads, self.catalogue.find_all, list(asked))
        records.add_done_callback(partial(_hand_out, asked))

    def _confirm(self, record: Record) -> None:
        with self.catalogue.transaction():
            self.catalogue.put(replace(record, checked_at=time.time()))


def _hand_out(asked: _Answers, records: asyncio.Future[list[Record | None]]) -> None:
    error = records.exception()
    settle(zip(asked.values(), [error] * len(asked) if error else records.result(), strict=True))
