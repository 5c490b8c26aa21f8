"""STORE, in a store of Scrapy's that is no directory: S3, Google Cloud Storage, FTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Any, TypeVar

from PIL import Image as PILImage
from scrapy.pipelines.files import FilesStoreProtocol
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.defer import ensure_awaitable

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.exceptions import ImageError
from imgcrawl.pipelines.examiners import Examined
from imgcrawl.pipelines.outcomes import same_bytes
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.stores import names_for

_T = TypeVar("_T")


class RemoteKeeper:
    """Keeps images in *store*, and in the *catalogue*, with *threads* for what takes time. *info*: for the store."""

    def __init__(
        self,
        store: FilesStoreProtocol,
        catalogue: Catalogue,
        threads: ThreadPoolExecutor,
        info: Callable[[], MediaPipeline.SpiderInfo],
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.threads = threads
        self._info = info
        self._uploading: set[str] = set()

    async def is_intact(self, record: Record) -> bool:
        """Whether the file of *record* is there."""
        return await self._is_there(record.path)

    async def keep(self, arrival: Arrival, examine: Callable[[Arrival], Examined]) -> tuple[str, Record]:
        """Verify, store and record *arrival*: its status and its record. Raises `ImageError`."""
        image = await self._in_thread(examine, arrival)
        record = image.record
        for same in await self._in_thread(self.catalogue.same_bytes, record.checksum):
            if await self._is_there(same.path):
                record, status = same_bytes(record, same.path, same if same.key == record.key else None)
                break
        else:
            record = replace(record, path=await self._free_name(record, image.extension))
            status = "downloaded"
            try:
                await self._persist(record.path, arrival.response.body, record)
            finally:
                self._uploading.discard(record.path)
        await self._in_thread(self._put, record)
        return status, record

    async def keep_derived(
        self, make: Callable[[], Iterable[tuple[str, bytes]]], info: MediaPipeline.SpiderInfo
    ) -> None:
        """Store the files that *make* gives, each a path and bytes, which may be made anew at any time."""
        for path, body in await self._in_thread(lambda: list(make())):
            await self._persist(path, body, None)

    def _put(self, record: Record) -> None:
        with self.catalogue.transaction():
            self.catalogue.put(replace(record, checked_at=time.time()))

    async def _free_name(self, record: Record, extension: str) -> str:
        for name in names_for(record.wanted, extension, record.checksum):
            checksums = await self._in_thread(self.catalogue.checksums_at, name)
            there = bool(checksums) or await self._is_there(name)
            if name not in self._uploading and (not there or checksums == {record.checksum}):
                self._uploading.add(name)
                return name
        raise ImageError("storage", f"every name for {record.wanted} is taken")

    async def _is_there(self, path: str) -> bool:
        stat: Any = self.store.stat_file(path, self._info())
        try:
            return bool(await ensure_awaitable(stat))
        except Exception:  # Scrapy's own pipeline takes any error of a store for "not there"; so do we
            return False

    async def _persist(self, path: str, body: bytes, record: Record | None) -> None:
        meta = {"width": record.width, "height": record.height} if record else None
        kind = PILImage.MIME.get(record.format, "application/octet-stream") if record else "image/*"
        headers = {"Content-Type": kind}
        try:
            await ensure_awaitable(
                self.store.persist_file(path, BytesIO(body), self._info(), meta=meta, headers=headers)
            )
        except Exception as error:  # each store's own library raises its own
            raise ImageError("storage", f"{type(error).__name__}: {error}") from error

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)
