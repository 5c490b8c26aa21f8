"""STORE, in a store of Scrapy's that is no directory: S3, Google Cloud Storage, FTP."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO, FileIO
from itertools import islice
from mimetypes import guess_type
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from PIL import Image as PILImage
from scrapy import signals
from scrapy.pipelines.files import FilesStoreProtocol
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.defer import ensure_awaitable

from imgcrawl.catalogue import LOST, Catalogue, Record
from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.images.names import file_names
from imgcrawl.pipelines.examiners import Examined, Examiner, examined
from imgcrawl.pipelines.lookalikes import Lookalikes
from imgcrawl.pipelines.loststores import LostStoreError
from imgcrawl.pipelines.outcomes import left_beside, same_bytes
from imgcrawl.pipelines.placeholders import Placeholders
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.pipelines.stores import is_plain
from imgcrawl.stopping import until_given_up

_FILES = 4  # that are known for the same bytes and may still be there; to ask for each is a trip to the store
_T = TypeVar("_T")


class _File(FileIO):
    """A file in place of the BytesIO that Scrapy's stores expect; Google's asks for its value."""

    def getvalue(self) -> bytes:
        return self.readall() or b""


class RemoteKeeper:
    """Keeps images in *store*, and in the *catalogue*, with *threads* for what takes time. *info*: for the store.

    Other machines may write into the store at the same time, and it cannot tell "there already" from "written now". So
    each name has a part of its checksum: what is there under a name has the same bytes, whoever wrote it. At a time
    IMAGES_UPLOADS are under way.
    """

    def __init__(
        self,
        store: FilesStoreProtocol,
        catalogue: Catalogue,
        threads: ThreadPoolExecutor,
        info: Callable[[], MediaPipeline.SpiderInfo],
        config: PipelineSettings,
    ) -> None:
        if config.same_bytes == "link":
            raise InputError("IMAGES_SAME_BYTES=link needs a directory as IMAGES_STORE; expected once or again")
        self._once = config.same_bytes == "once"
        # Scrapy's stores wait for each upload in a thread of the loop's own, of which there are six on two cores.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(config.uploads, "uploads"))
        self.store = store
        self.catalogue = catalogue
        self.looks = Lookalikes(catalogue) if config.similar == "refuse" else None
        self.threads = threads
        self._info = info
        self._uploading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by checksum
        self._turns = asyncio.Semaphore(config.uploads)
        self._given_up: asyncio.Task[None] | None = None
        self._lost: LostStoreError | None = None  # what ends the crawl: nothing more is sent, and waited for

    def _close(self) -> None:
        if self._given_up:
            self._given_up.cancel()

    async def is_intact(self, record: Record) -> bool:
        """Whether the file of *record* is there, and no audit has found it not to be what it was."""
        return record.mtime_ns != LOST and is_plain(record.path) and await self._is_there(record.path)

    async def is_gone(self, record: Record) -> bool:
        """False: Scrapy's stores tell what is gone from what cannot be asked by nothing."""
        return False

    def is_unchanged(self, record: Record) -> bool:
        """False: the store has to be asked."""
        return False

    async def keep(
        self, arrival: Arrival, placeholders: Placeholders, threads: ThreadPoolExecutor, examiner: Examiner
    ) -> tuple[str, Record]:
        """Verify *arrival* in *threads*, store and record it: its status and its record. Raises what *examiner* does,
        and OSError."""
        loop = asyncio.get_running_loop()
        image = await loop.run_in_executor(threads, examined, arrival, examiner, placeholders)
        # The same bytes under two addresses are uploaded once.
        async with self._uploading.setdefault(image.record.checksum, asyncio.Lock()):
            look = await loop.run_in_executor(threads, examiner.look, arrival) if self.looks else None
            if look:
                await self._in_thread(self._refuse_similar, look, image.record)
            status, record = await self._upload(arrival, image)
            await self._in_thread(self.catalogue.put_claimed, replace(record, checked_at=time.time()))
            if look:
                await self._in_thread(self._note_look, look, record)
        return status, record

    def _refuse_similar(self, look: bytes, record: Record) -> None:
        looks = cast("Lookalikes", self.looks)
        looks.catch_up()
        if next(self.catalogue.files_of(record.checksum), None) is None and (other := looks.like(look, record)):
            raise ImageError("similar", f"as {other}")

    def _note_look(self, look: bytes, record: Record) -> None:
        with self.catalogue.transaction():
            cast("Lookalikes", self.looks).note(look, record)

    async def _upload(self, arrival: Arrival, image: Examined) -> tuple[str, Record]:
        record = image.record
        find, files_of = self.catalogue.find, self.catalogue.files_of
        before, files = await self._in_thread(lambda: (find(record.key), [*islice(files_of(record.checksum), _FILES)]))
        own = before.path if before else ""
        for path in files:
            ours = (self._once or path == own) and not (before and before.mtime_ns == LOST and path == own)
            if ours and is_plain(path) and await self._is_there(path):
                again, status = same_bytes(record, path, before)
                return status, again
        wanted = file_names(image.named_path, image.extension, record.checksum, with_checksum=True)[0]
        # Of machines that have the same bytes at the same time all write to one path.
        path = await self._in_thread(self.catalogue.claim, record.checksum, wanted) if self._once else wanted
        if not is_plain(path):
            raise OSError(errno.EINVAL, "not a path below the store", path)
        with _File(arrival.file) if arrival.file else BytesIO(arrival.response.body) as body:
            await self._persist(path, body, record)
        is_ours = path == wanted or path in files  # where it is gone, it comes again
        record = replace(record, path=path)
        left = left_beside(before, record)
        if left and left.mtime_ns != LOST and is_plain(left.path) and await self._is_there(left.path):
            await self._in_thread(self.catalogue.put_claimed, left)
        return "downloaded" if is_ours else "duplicate", record

    async def keep_derived(
        self,
        make: Callable[[Examiner], Iterable[tuple[str, bytes]]],
        info: MediaPipeline.SpiderInfo,
        threads: ThreadPoolExecutor,
        examiner: Examiner,
    ) -> None:
        """Store the files that *make*, in *threads* with *examiner*, gives: each a path and bytes, which may be made
        anew at any time."""
        for path, body in await asyncio.get_running_loop().run_in_executor(threads, lambda: list(make(examiner))):
            await self._persist(path, BytesIO(body), None)

    async def _is_there(self, path: str) -> bool:
        try:
            stat: Any = await self._asked(lambda: self.store.stat_file(path, self._info()))
        except FileNotFoundError:
            return False
        except (LostStoreError, OSError) as error:  # no answer, as Google's library says it
            self._lost = error if isinstance(error, LostStoreError) else LostStoreError(error)
            raise self._lost from error
        except Exception:  # Scrapy's own pipeline takes any other error of a store for "not there"; so do we
            return False
        return bool(stat)

    async def _asked(self, ask: Callable[[], Any]) -> Any:
        """The answer of the store to *ask*, when it is its turn. Raises what the store does, and `LostStoreError` once
        the store is lost, `ImageError` where the crawl was told to stop and the answer does not come in time."""
        async with self._turns:
            if self._lost:
                raise self._lost
            crawler = self._info().spider.crawler
            if self._given_up is None:
                self._given_up = asyncio.create_task(until_given_up(crawler))
                crawler.signals.connect(self._close, signals.spider_closed)
            if not self._given_up.done():
                answer = asyncio.ensure_future(ensure_awaitable(ask()))
                await asyncio.wait((answer, self._given_up), return_when=asyncio.FIRST_COMPLETED)
                if answer.done():
                    return answer.result()
                answer.cancel()
                crawler.stats.inc_value("upload/given_up")
            raise ImageError("stopped")

    async def _persist(self, path: str, body: BytesIO | _File, record: Record | None) -> None:
        meta = {"width": record.width, "height": record.height, "sha256": record.checksum} if record else None
        kind = (
            (PILImage.MIME.get(record.format) if record else None) or guess_type(path)[0] or "application/octet-stream"
        )
        headers = {"Content-Type": kind}
        file = cast("BytesIO", body)
        try:
            await self._asked(lambda: self.store.persist_file(path, file, self._info(), meta=meta, headers=headers))
        except (LostStoreError, ImageError):
            raise
        except Exception as error:  # each store's own library raises its own
            self._lost = LostStoreError(error)
            raise self._lost from error

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)
