"""DOWNLOAD → VERIFY → STORE: from the addresses of an item to files and outcomes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import posixpath
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote

from itemadapter import ItemAdapter
from PIL import Image as PILImage
from scrapy import Request, Spider
from scrapy.exceptions import DropItem, NotConfigured
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK
from scrapy.pipelines.files import FilesPipeline
from scrapy.pipelines.images import ImagesPipeline as ScrapyImagesPipeline
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.datatypes import LocalCache
from scrapy.utils.defer import ensure_awaitable
from scrapy.utils.misc import arg_to_iter
from scrapy.utils.url import strip_url

from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.downloader import Downloader
from imgcrawl.downloadhandler import reason_of
from imgcrawl.exceptions import ImageError, InputError, record_fatal_error
from imgcrawl.images.names import check_template, distinct, path_for, strip_extension
from imgcrawl.images.thumbnails import thumbnail
from imgcrawl.images.verify import Facts, examine, set_pixel_limit
from imgcrawl.items import REASONS, Gallery, Image
from imgcrawl.optouts import KNOWN, reason_of_opt_out
from imgcrawl.pipelines.stores import FileStore, names_for
from imgcrawl.spidermiddlewares import OptOuts, opt_outs_of
from imgcrawl.urls import host_of, without_query

if TYPE_CHECKING:
    from typing import Self

    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

CATALOGUE_NAME = ".catalogue.sqlite3"
DAY = 86400.0
LARGE = 512 * 1024  # bytes of an image whose decoding takes some milliseconds
MOST_TOGETHER = 32  # images of one transaction, for which other workers wait
# Addresses of one item that are worked on at once: pages with a hundred thousand exist.
WINDOW = 256
# The disk will not take the next image either.
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# Said about the address, not about the moment: not asked again in this run.
GONE = {"http_404", "http_410"}


@dataclass(frozen=True, slots=True)
class Config:
    """The pipeline's settings, read once. Raises `InputError` for values that make no sense."""

    name: str
    threads: int
    max_pixels: int
    min_width: int
    min_height: int
    expires: float
    thumbs: Mapping[str, tuple[int, int]]

    @classmethod
    def from_settings(cls, settings: BaseSettings, name_setting: str) -> Self:
        check_template(name_setting, settings[name_setting], _template_fields())
        try:
            config = cls(
                name=settings[name_setting],
                threads=settings.getint("IMAGES_THREADS"),
                max_pixels=settings.getint("IMAGES_MAX_PIXELS"),
                min_width=settings.getint("IMAGES_MIN_WIDTH"),
                min_height=settings.getint("IMAGES_MIN_HEIGHT"),
                expires=settings.getfloat("IMAGES_EXPIRES") * DAY,
                thumbs={str(k): (int(w), int(h)) for k, (w, h) in settings.getdict("IMAGES_THUMBS").items()},
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"one of the IMAGES_ settings has a value that cannot be read: {error}") from error
        if config.threads < 1 or config.max_pixels < 1 or any(w < 1 or h < 1 for w, h in config.thumbs.values()):
            raise InputError(
                f"IMAGES_THREADS={config.threads}, IMAGES_MAX_PIXELS={config.max_pixels} and the sizes in "
                f"IMAGES_THUMBS={dict(config.thumbs)} must be 1 or more"
            )
        return config


_Kept = asyncio.Future[tuple[str, Record]]  # an image's status, and what the catalogue has of it


@dataclass(frozen=True, slots=True)
class _Staged:
    """A verified image in a file that nobody sees yet, and is gone when *file* is closed."""

    record: Record
    extension: str
    path: Path
    file: ExitStack
    kept: _Kept


class ImagesPipeline(ScrapyImagesPipeline):
    """Stores every image of an item as it was served and says what became of each.

    `image_urls` goes in; `images` comes out with one `imgcrawl.items.Image` for each address, in the same
    order. Scrapy's hooks (`get_media_requests`, `file_path`, `thumb_path`, `item_completed`) may be overridden
    as in Scrapy; a known extension in what `file_path` returns gives way to that of the bytes.

    An item without an `images` field, or whose `image_urls` is not a list, is dropped with an error, because
    its results would be lost. Raises `InputError` for settings that make no sense.
    """

    STORE_SCHEMES = {**FilesPipeline.STORE_SCHEMES, "": FileStore, "file": FileStore}  # noqa: RUF012 -- Scrapy's name and kind

    NAME_SETTING = "IMAGES_NAME"
    # The item's fields that are parallel to its addresses.
    NAMES_FIELD = "image_names"
    PAGES_FIELD = "image_pages"
    # Without naming AVIF or WebP: servers that choose a format by this header would re-encode the original.
    ACCEPT = "image/*,*/*;q=0.8"

    def __init__(self, store_uri: str | os.PathLike[str], *, crawler: Crawler) -> None:
        if not store_uri:
            raise NotConfigured("IMAGES_STORE is empty: no images will be stored")
        if not is_asyncio_available():
            raise InputError("TWISTED_REACTOR is not an asyncio reactor, and imgcrawl's pipelines need one")
        self.config = Config.from_settings(crawler.settings, self.NAME_SETTING)
        try:
            super().__init__(store_uri, crawler=crawler)
            self.local = self.store if isinstance(self.store, FileStore) else None
            if self.local:
                self.local.open()
        except (OSError, KeyError, AssertionError) as error:
            raise InputError(
                f"IMAGES_STORE={str(store_uri)!r} cannot be used ({error}); expected a directory that can be "
                "written to, or the address of a store that Scrapy knows (s3://, gs://, ftp://)"
            ) from error
        self.opt_outs = OptOuts.from_settings(crawler.settings)
        set_pixel_limit(self.config.max_pixels)
        beside = self.local.root if self.local else Path()
        self.catalogue = Catalogue(Path(crawler.settings["CATALOGUE_FILE"] or beside / CATALOGUE_NAME))
        self.threads = ThreadPoolExecutor(self.config.threads, "images")
        # A decoder that runs for long on every core would make the event loop late.
        self._long = threading.Semaphore(max(1, min(self.config.threads, os.cpu_count() or 1) - 1))
        self._ready: deque[_Staged] = deque()
        self._publishing = threading.Lock()
        self._asked: dict[bytes, asyncio.Future[Record | None]] = {}
        self._underway: dict[bytes, asyncio.Future[Image]] = {}
        self._gone: LocalCache[bytes, Image] = LocalCache(limit=10_000)
        self._uploading: set[str] = set()
        self._stopping: asyncio.Task[None] | None = None

    def close_spider(self) -> None:
        self.threads.shutdown()
        self.catalogue.close()
        if self.local:
            self.local.close()

    # From an item to its outcomes

    async def process_item(self, item: Any, spider: Spider | None = None) -> Any:
        self._check(item)
        window = asyncio.Semaphore(WINDOW)
        outcomes: list[asyncio.Task[Image]] = []
        for request in arg_to_iter(self.get_media_requests(item, self.spiderinfo)):
            await window.acquire()
            outcome = asyncio.create_task(self._outcome(request, item))
            outcome.add_done_callback(lambda _: window.release())
            outcomes.append(outcome)
        results = [(True, image) for image in await asyncio.gather(*outcomes)]
        return self.item_completed(results, item, self.spiderinfo)  # type: ignore[arg-type] # Scrapy's FileInfo has four keys, ours more

    def _check(self, item: Any) -> None:
        adapter = ItemAdapter(item)
        urls = adapter.get(self.images_urls_field, [])
        if not isinstance(urls, list | tuple):
            raise DropItem(
                f"{self.images_urls_field}={urls!r:.100} of {type(item).__name__} is not a list of addresses",
                log_level="ERROR",
            )
        try:
            adapter[self.images_result_field] = []
        except (KeyError, AttributeError) as error:
            raise DropItem(
                f"{type(item).__name__} declares no field {self.images_result_field!r}, so what became of its "
                "images would be lost; declare it",
                log_level="ERROR",
            ) from error

    def get_media_requests(  # type: ignore[override] # a generator: an item may have very many
        self, item: Any, info: MediaPipeline.SpiderInfo
    ) -> Iterator[Request]:
        adapter = ItemAdapter(item)
        page = adapter.get("url")
        urls = adapter.get(self.images_urls_field, [])
        pages = adapter.get(self.PAGES_FIELD) or []
        stems = self._stems(adapter, urls, info)
        for index, (url, stem) in enumerate(zip(urls, stems, strict=True)):
            referer = pages[index] if index < len(pages) else page
            request = self._request(url, referer, stem)
            self._obey(adapter.get("opt_outs"), request)
            yield request

    def _request(self, url: Any, referer: str | None, stem: str) -> Request:
        meta = {
            "media": True,
            "image_url": url,
            "image_path": stem,
            "allow_offsite": True,
            "download_warnsize": 0,
        }
        headers = {"Accept": self.ACCEPT, "Accept-Encoding": "identity"}
        if referer:
            meta["page_url"] = referer
            if referer.startswith(("http://", "https://")):
                headers["Referer"] = _as_referer(referer)
        try:
            return Request(url, headers=headers, meta=meta, callback=NO_CALLBACK)
        except (ValueError, TypeError, UnicodeError):
            # No address, so no request; a stand-in keeps its place in the order.
            return Request("about:invalid", meta=meta | {"image_refused": "invalid_url"}, callback=NO_CALLBACK)

    def _obey(self, said: Any, request: Request) -> None:
        """Refuse *request* for what its page said, or note what was said and is allowed."""
        said = [word for word in said or () if word in KNOWN]
        if obeyed := self.opt_outs.obeyed(said):
            request.meta["image_refused"] = reason_of_opt_out(obeyed)
        elif said:
            request.meta["opt_outs"] = said

    def _stems(self, adapter: ItemAdapter, urls: Iterable[Any], info: MediaPipeline.SpiderInfo) -> list[str]:
        names = adapter.get(self.NAMES_FIELD) or []
        fields = {name: value for name, value in adapter.items() if isinstance(value, str | int | float)}
        fields.setdefault("spider", info.spider.name)
        stems = []
        for index, url in enumerate(urls):
            name = names[index] if index < len(names) else ""
            basename = strip_extension(_basename(str(url)))
            fields.update(
                index=index + 1, name=strip_extension(name) or basename, basename=basename, host=host_of(str(url))
            )
            stems.append(path_for(self.config.name, fields))
        return distinct(stems)

    def file_path(
        self,
        request: Request,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """The name an image asks for, relative to the store, without an extension: that follows from the bytes."""
        path: str = request.meta["image_path"]
        return path

    def thumb_path(
        self,
        request: Request,
        thumb_id: str,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """The name of a thumbnail, without an extension: the image's own below `thumbs/<thumb_id>/`."""
        return f"thumbs/{thumb_id}/{posixpath.splitext(request.meta['image_path'])[0]}"

    async def _outcome(self, request: Request, item: Any) -> Image:
        """What became of one address. Raises nothing but CancelledError."""
        url = request.meta.setdefault("image_url", request.url)
        stats = self.crawler.stats
        stats.inc_value("image/found")
        image = cast("Image", {"url": url, **await self._shared(request, item)})
        status = image["status"]
        stats.inc_value(f"image/{status}")
        if status == "downloaded":
            stats.inc_value("image/bytes", image["bytes"])
        elif "reason" in image:
            stats.inc_value(f"image/{status}/{image['reason']}")
            logger.log(
                logging.WARNING if status == "failed" else logging.INFO,
                "Image %s (%s): %.500s on %.500s",
                status,
                image["reason"],
                url,
                request.meta.get("page_url"),
                extra={"spider": self.crawler.spider},
            )
        self.inc_stats(str(status))
        return image

    async def _shared(self, request: Request, item: Any) -> Image:
        """The outcome of an address that several items may name at the same time."""
        if reason := request.meta.get("image_refused"):
            return _not_stored(reason)
        key = self._fingerprinter.fingerprint(request)
        while (underway := self._underway.get(key)) is not None:
            image = await asyncio.shield(underway)
            if "path" in image:
                return cast("Image", {**image, "status": "duplicate"})
        if (gone := self._gone.get(key)) is not None:
            return gone
        future = self._underway[key] = asyncio.get_running_loop().create_future()
        image = _not_stored("error")
        downloader = self.crawler.engine.downloader
        try:
            with downloader.in_hand() if isinstance(downloader, Downloader) else nullcontext():
                image = await self._image(request, item, key)
        finally:
            del self._underway[key]
            future.set_result(image)
        if image.get("reason") in GONE:
            self._gone[key] = image
        return image

    async def _image(self, request: Request, item: Any, key: bytes) -> Image:
        try:
            wanted = strip_extension(self.file_path(request, info=self.spiderinfo, item=item))
            record = await self._intact(key)
            if record and time.time() - record.checked_at < self.config.expires:
                return _known(record, wanted)
            if record:
                _make_conditional(request, record)
            self._modify_media_request(request)
            with self._destination(request):
                response = await self._download(request)
                if response.status == 304 and record:
                    await self._in_thread(self._confirm, record)
                    return _known(record, wanted)
                if not 200 <= response.status < 300:
                    return _not_stored(f"http_{response.status}")
                said = self._heed(response, request)
                image = await self._keep(response, request, item, key, wanted)
                return cast("Image", {**image, "opt_outs": said}) if said else image
        except (ImageError, OSError, sqlite3.Error) as error:
            return await self._not_kept(error, request)
        except Exception as error:
            status, reason = reason_of(error)
            if reason == "error":
                logger.error("%s: %.300s at %.500s", type(error).__name__, error, request.url)  # noqa: TRY400 -- one line
                logger.debug("Where it came from", exc_info=True)
            return {"status": status, "reason": reason}

    def _heed(self, response: Response, request: Request) -> list[str]:
        """What was said against the use of an image, and is allowed. Raises `ImageError` for what is obeyed."""
        said = opt_outs_of(response, self.opt_outs.agent)
        if obeyed := self.opt_outs.obeyed(said):
            raise ImageError(reason_of_opt_out(obeyed))
        return [*said, *(word for word in request.meta.get("opt_outs", ()) if word not in said)]

    async def _not_kept(self, error: ImageError | OSError | sqlite3.Error, request: Request) -> Image:
        if isinstance(error, ImageError):
            logger.debug("%s at %.500s", error, request.url)
            return _not_stored(error.reason)
        sentence = f"an image could not be stored in {self.crawler.settings['IMAGES_STORE']}: {error}"
        logger.error(sentence)
        if isinstance(error, OSError) and error.errno in NO_SPACE and self._stopping is None:
            # Asking a site for images that cannot be kept would be no help to anybody.
            record_fatal_error(self.crawler.stats, sentence)
            self._stopping = asyncio.create_task(self.crawler.engine.close_spider_async(reason="storage"))
        return _not_stored("storage")

    async def _download(self, request: Request) -> Response:
        engine = self.crawler.engine
        downloader = engine.downloader
        if isinstance(downloader, Downloader):
            return await downloader.download(request)
        return await engine.download_async(request)

    # Is it here already?

    async def _intact(self, key: bytes) -> Record | None:
        """The record of an address whose file is there, with the bytes it had."""
        record = await self._recorded(key)
        if record is None:
            return None
        if self.local:
            checksum = await self._in_thread(self.local.checksum, record.path)
            return record if checksum == record.checksum else None
        return record if await self._is_uploaded(record.path) else None

    async def _recorded(self, key: bytes) -> Record | None:
        """What the catalogue knows of an address. All images of a gallery ask at once: one trip to a thread."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._look_up)
        answer: asyncio.Future[Record | None] = loop.create_future()
        self._asked[key] = answer
        return await answer

    def _look_up(self) -> None:
        asked, self._asked = self._asked, {}
        records = asyncio.get_running_loop().run_in_executor(self.threads, self.catalogue.find_all, list(asked))
        records.add_done_callback(partial(_hand_out, asked))

    def _confirm(self, record: Record) -> None:
        with self.catalogue.transaction():
            self.catalogue.put(replace(record, checked_at=time.time()))

    # VERIFY and STORE

    async def _keep(self, response: Response, request: Request, item: Any, key: bytes, wanted: str) -> Image:
        downloader = self.crawler.engine.downloader
        # What waits for a thread counts, so that downloads do not run ahead of the threads.
        held = downloader.held(len(response.body)) if isinstance(downloader, Downloader) else nullcontext()
        with held:
            if self.local:
                return await self._keep_on_disk(self.local, response, request, item, key, wanted)
            return await self._upload(response, request, item, key, wanted)

    def _destination(self, request: Request) -> AbstractContextManager[Any]:
        """What must be there while the request is under way. Images are held in memory until they are verified."""
        return nullcontext()

    def _facts(self, response: Response) -> tuple[Facts, str, int]:
        """What the received bytes are, their sha256 in hex and their number. Raises `ImageError`."""
        body = response.body
        with self._long if len(body) >= LARGE else nullcontext():
            facts = examine(body, min_width=self.config.min_width, min_height=self.config.min_height)
        return facts, hashlib.sha256(body).hexdigest(), len(body)

    def _staged(self, store: FileStore, response: Response) -> AbstractContextManager[Path]:
        """The received bytes as a file that is not visible yet."""
        return store.staged(response.body)

    def _examine(self, response: Response, key: bytes, wanted: str) -> tuple[Record, Facts]:
        facts, checksum, size = self._facts(response)
        record = Record(
            key=key,
            wanted=wanted,
            path=wanted + facts.extension,
            checksum=checksum,
            bytes=size,
            format=facts.format,
            width=facts.width,
            height=facts.height,
            frames=facts.frames,
            final_url=response.url,
            etag=_header(response, "ETag"),
            last_modified=_header(response, "Last-Modified"),
            fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
            checked_at=time.time(),
        )
        return record, facts

    async def _keep_on_disk(
        self, store: FileStore, response: Response, request: Request, item: Any, key: bytes, wanted: str
    ) -> Image:
        kept: _Kept = asyncio.get_running_loop().create_future()
        self.threads.submit(self._stage_and_publish, store, response, key, wanted, kept)
        try:
            status, record = await kept
        finally:
            del kept  # an error in it has a traceback, which has this frame: the body would stay for long
        if self.config.thumbs:
            await self._in_thread(self._put_thumbnails, store, response.body, request, record, item)
        return _stored(status, record)

    def _stage_and_publish(self, store: FileStore, response: Response, key: bytes, wanted: str, kept: _Kept) -> None:
        with ExitStack() as file:
            try:
                record, facts = self._examine(response, key, wanted)
                path = file.enter_context(self._staged(store, response))
            except ImageError as error:
                _settle_soon([(kept, error.with_traceback(None))])  # its frames have the body
                return
            except BaseException as error:  # to be raised where the image is waited for
                _settle_soon([(kept, error)])
                return
            self._ready.append(_Staged(record, facts.extension, path, file.pop_all(), kept))
        # Whoever comes while images are published leaves its own to that thread: a transaction for many of them
        # costs less than one for each, and nobody waits for a lock.
        while self._ready and self._publishing.acquire(blocking=False):
            try:
                images = [self._ready.popleft() for _ in range(min(len(self._ready), MOST_TOGETHER))]
                self._publish_together(store, images)
            finally:
                self._publishing.release()

    def _publish_together(self, store: FileStore, images: Sequence[_Staged]) -> None:
        if not images:  # another thread was faster
            return
        outcomes: Sequence[tuple[str, Record] | BaseException]
        try:
            with self.catalogue.transaction():
                outcomes = [self._publish(store, image) for image in images]
        except BaseException as error:  # to be raised where the image is waited for
            if len(images) > 1:  # what cannot be published must not harm the others; to publish twice changes nothing
                for image in images:
                    self._publish_together(store, [image])
                return
            outcomes = [error]
        _settle_soon([(image.kept, outcome) for image, outcome in zip(images, outcomes, strict=True)])
        for image in images:
            with suppress(OSError):  # the store removes what is left when it is closed
                image.file.close()

    def _publish(self, store: FileStore, image: _Staged) -> tuple[str, Record]:
        """Give a staged image its name and its record."""
        record, checksum, catalogue = image.record, image.record.checksum, self.catalogue
        before = catalogue.find(record.key)
        for same in catalogue.same_bytes(checksum):
            if store.checksum(same.path) == checksum:
                record, status = _again(record, same, before)
                break
        else:
            path = store.publish(
                image.path,
                record.wanted,
                image.extension,
                checksum,
                lambda name: checksum in catalogue.checksums_at(name),
            )
            record, status = replace(record, path=path), "downloaded"
        catalogue.put(record)
        return status, record

    def _put_thumbnails(self, store: FileStore, body: bytes, request: Request, record: Record, item: Any) -> None:
        for path, thumb in self._thumbnails(body, request, record, item):
            store.persist_file(path, BytesIO(thumb), self.spiderinfo)

    async def _upload(self, response: Response, request: Request, item: Any, key: bytes, wanted: str) -> Image:
        record, facts = await self._in_thread(self._examine, response, key, wanted)
        same = await self._in_thread(self.catalogue.same_bytes, record.checksum)
        for known in same:
            if await self._is_uploaded(known.path):
                record, status = _again(record, known, known if known.key == key else None)
                break
        else:
            record = replace(record, path=await self._free_name(record, facts.extension))
            status = "downloaded"
            try:
                await self._persist(record.path, response.body, record)
            finally:
                self._uploading.discard(record.path)
        await self._in_thread(self._confirm, record)
        for path, thumb in await self._in_thread(lambda: list(self._thumbnails(response.body, request, record, item))):
            await self._persist(path, thumb, None)
        return _stored(status, record)

    async def _free_name(self, record: Record, extension: str) -> str:
        for name in names_for(record.wanted, extension, record.checksum):
            checksums = await self._in_thread(self.catalogue.checksums_at, name)
            there = bool(checksums) or await self._is_uploaded(name)
            if name not in self._uploading and (not there or checksums == {record.checksum}):
                self._uploading.add(name)
                return name
        raise ImageError("storage", f"every name for {record.wanted} is taken")

    async def _is_uploaded(self, path: str) -> bool:
        stat: Any = self.store.stat_file(path, self.spiderinfo)
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
                self.store.persist_file(path, BytesIO(body), self.spiderinfo, meta=meta, headers=headers)
            )
        except Exception as error:  # each store's own library raises its own
            raise ImageError("storage", f"{type(error).__name__}: {error}") from error

    def _thumbnails(self, body: bytes, request: Request, record: Record, item: Any) -> Iterator[tuple[str, bytes]]:
        request.meta["image_path"] = record.path
        for thumb_id, size in self.config.thumbs.items():
            thumb, extension = thumbnail(body, size)
            stem = strip_extension(self.thumb_path(request, thumb_id, info=self.spiderinfo, item=item))
            yield stem + extension, thumb

    async def _in_thread(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)


def _hand_out(
    asked: Mapping[bytes, asyncio.Future[Record | None]], records: asyncio.Future[list[Record | None]]
) -> None:
    error = records.exception()
    _settle(zip(asked.values(), [error] * len(asked) if error else records.result(), strict=True))


def _settle(answers: Iterable[tuple[asyncio.Future[_T], _T | BaseException]]) -> None:
    for answer, outcome in answers:
        if answer.cancelled():
            continue
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


def _settle_soon(answers: Sequence[tuple[asyncio.Future[_T], _T | BaseException]]) -> None:
    """From a thread; all at once, because the event loop is woken for each call."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        answers[0][0].get_loop().call_soon_threadsafe(_settle, answers)


def _stored(status: str, record: Record) -> Image:
    """The outcome of an address whose bytes are in the store."""
    image = {
        "status": status,
        "path": record.path,
        "checksum": record.checksum,
        "bytes": record.bytes,
        "format": record.format,
        "width": record.width,
        "height": record.height,
        "frames": record.frames,
        "final_url": record.final_url,
        "etag": record.etag,
        "last_modified": record.last_modified,
        "fetched_at": record.fetched_at,
    }
    return cast("Image", {name: value for name, value in image.items() if value not in ("", 0)})


def _again(record: Record, same: Record, before: Record | None) -> tuple[Record, str]:
    """What to note of bytes that are in the store as *same*, and their status; *before*: what the address had."""
    record = replace(record, path=same.path)
    if before is None or before.path != same.path:
        return record, "duplicate"
    # Another worker may have stored this address under another gallery's name in the meantime: the first name stays.
    return replace(record, wanted=before.wanted), "uptodate" if before.wanted == record.wanted else "duplicate"


def _known(record: Record, wanted: str) -> Image:
    """The outcome of an address that needs no download: `duplicate` where another name was asked for first."""
    return _stored("uptodate" if record.wanted == wanted else "duplicate", record)


def _not_stored(reason: str) -> Image:
    status = "refused" if reason in REASONS["refused"] else "failed"
    return {"status": status, "reason": reason}


def _make_conditional(request: Request, record: Record) -> None:
    """Ask only for what has changed since (RFC 9110, 13.1)."""
    if record.etag:
        request.headers["If-None-Match"] = record.etag
    if record.last_modified:
        request.headers["If-Modified-Since"] = record.last_modified


def _header(response: Response, name: str) -> str:
    value = (response.headers.get(name) or b"").decode("latin-1")
    return value if value.isprintable() and len(value) <= 1000 else ""


@lru_cache(64)  # a gallery's images have one page
def _as_referer(url: str) -> str:
    """*url* as a Referer: without user, password and fragment (RFC 9110, 10.1.3)."""
    return strip_url(url, strip_credentials=True, strip_default_port=False, origin_only=False)


def _basename(url: str) -> str:
    """The last part of an address's path, decoded. What follows a `!` there is a style of the image host's."""
    return unquote(without_query(url).rstrip("/").rpartition("/")[2].partition("!")[0])


def _template_fields() -> set[str]:
    """What IMAGES_NAME may name: the pipeline's own fields and those of every gallery that a site declares."""
    kinds: list[type[Gallery]] = [Gallery]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return {"index", "name", "basename", "host"}.union(*(kind.fields for kind in kinds))
