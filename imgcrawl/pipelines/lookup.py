"""Is an image here already?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Protocol

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.pipelines.futures import settle
from imgcrawl.pipelines.settings import PipelineSettings

_Found = tuple[Record | None, bool]  # what is recorded, and whether its file is unchanged
_Answers = Mapping[bytes, asyncio.Future[_Found]]


class Keeper(Protocol):
    """Knows the files of a store."""

    def is_unchanged(self, record: Record) -> bool:
        """Whether the file of *record* is intact, as far as can be said at once. For a thread."""

    async def is_intact(self, record: Record) -> bool:
        """Whether the file of *record* is what it says."""

    async def is_gone(self, record: Record) -> bool:
        """Whether there surely is no file under the path of *record*."""


class Lookup:
    """Asks the *catalogue*, in *threads*, and the store, by its *keeper*. IMAGES_KEEP_DELETED: what is gone from the
    store was deleted on purpose."""

    def __init__(
        self, catalogue: Catalogue, threads: ThreadPoolExecutor, keeper: Keeper, config: PipelineSettings
    ) -> None:
        self.catalogue = catalogue
        self.threads = threads
        self.keeper = keeper
        self.config = config
        self._asked: dict[bytes, asyncio.Future[_Found]] = {}

    async def find_intact(self, key: bytes) -> Record | None:
        """The record of the address with fingerprint *key*, if its file is there with the bytes it had; one without a
        path if it was deleted on purpose."""
        record, is_unchanged = await self._find(key)
        if record is None or not record.path or is_unchanged or await self.keeper.is_intact(record):
            return record
        if self.config.keep_deleted and await self.keeper.is_gone(record):
            return replace(record, path="")
        return None

    async def refused(self, key: bytes, record: Record | None) -> str:
        """Why the address with fingerprint *key*, of which `find_intact` has found *record*, is not asked for:
        `deleted`, or `similar` where it was refused for that, as it would be each night; else empty."""
        if record:
            return "" if record.path else "deleted"
        if self.config.similar != "refuse":
            return ""
        find = partial(self.catalogue.outcomes, [key])
        (last,) = await asyncio.get_running_loop().run_in_executor(self.threads, find)
        return "similar" if last and last.reason == "similar" else ""

    async def confirm(self, record: Record) -> None:
        """Note that the server confirmed *record* now."""
        await asyncio.get_running_loop().run_in_executor(self.threads, self._confirm, record)

    async def _find(self, key: bytes) -> _Found:
        """All images of a gallery ask at once: one trip to a thread."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._find_asked)
        answer: asyncio.Future[_Found] = loop.create_future()
        self._asked[key] = answer
        return await answer

    def _find_asked(self) -> None:
        asked, self._asked = self._asked, {}
        found = asyncio.get_running_loop().run_in_executor(self.threads, self._find_all, list(asked))
        found.add_done_callback(partial(_hand_out, asked))

    def _find_all(self, keys: Sequence[bytes]) -> list[_Found]:
        records = self.catalogue.find_all(keys)
        return [(record, bool(record and record.path and self.keeper.is_unchanged(record))) for record in records]

    def _confirm(self, record: Record) -> None:
        with self.catalogue.transaction():
            self.catalogue.put(replace(record, checked_at=time.time()))


def _hand_out(asked: _Answers, found: asyncio.Future[list[_Found]]) -> None:
    error = found.exception()
    answers: Sequence[_Found | BaseException] = [error] * len(asked) if error else found.result()
    settle(zip(asked.values(), answers, strict=True))
