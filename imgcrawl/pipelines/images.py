"""From the addresses of an item to files and outcomes: request, look-up, download, verify, keep, outcome."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

from itemadapter import ItemAdapter
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.pipelines.files import FilesPipeline
from scrapy.pipelines.images import ImagesPipeline as ScrapyImagesPipeline
from scrapy.pipelines.media import MediaPipeline
from scrapy.utils.asyncio import is_asyncio_available

from imgcrawl.catalogue import CatalogueError, GalleryVisit, Record, open_catalogue
from imgcrawl.downloader import Downloader
from imgcrawl.engine import is_stopping
from imgcrawl.exceptions import GalleryUnfinished, ImageError, InputError
from imgcrawl.images.names import strip_extension
from imgcrawl.items import Image
from imgcrawl.optouts import reason_of_opt_out
from imgcrawl.pipelines.examiners import Examiner
from imgcrawl.pipelines.freshaddresses import FreshAddresses
from imgcrawl.pipelines.ftp import FTPStore
from imgcrawl.pipelines.imagepages import ImagePages
from imgcrawl.pipelines.itemfields import checked_urls, set_outcomes
from imgcrawl.pipelines.local import LocalKeeper
from imgcrawl.pipelines.lookup import Lookup
from imgcrawl.pipelines.media_requests import MediaRequests, Prepared, make_conditional, with_private_pages
from imgcrawl.pipelines.outcomes import failure_of, known, not_stored, still_stored, stored, tell, tell_anew
from imgcrawl.pipelines.overridden import images_of, of_class, overridden, results_of
from imgcrawl.pipelines.placeholders import Placeholders, as_placeholder
from imgcrawl.pipelines.places import Places
from imgcrawl.pipelines.receivers import Arrival, Receiver, answered
from imgcrawl.pipelines.remote import RemoteKeeper
from imgcrawl.pipelines.s3 import S3Store
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.pipelines.sharing import SharedAddresses
from imgcrawl.pipelines.staging import Staging
from imgcrawl.pipelines.storagefailures import StorageFailures
from imgcrawl.pipelines.stores import FileStore, full_address, unusable
from imgcrawl.pipelines.visits import Visits, known_requests, visit_of
from imgcrawl.pipelines.window import WINDOW, for_many, outcomes, unless_stopped
from imgcrawl.pipelines.witnesses import Witnesses
from imgcrawl.spidermiddlewares import opt_outs_of

logger = logging.getLogger(__name__)


class ImagesPipeline(ScrapyImagesPipeline):
    """Stores every image of an item as it was served and says what became of each.

    `image_urls` goes in; `images` comes out with one `imgcrawl.items.Image` for each address, in the same
    order. Scrapy's hooks (`get_media_requests`, `file_path`, `thumb_path`, `item_completed`) may be overridden
    as in Scrapy; a known extension in what `file_path` returns gives way to that of the bytes.

    An item that has addresses and no field `images` that takes outcomes, or whose `image_urls` is not a list, is
    dropped with an error, because its results would be lost. Raises `InputError` for settings that make no sense.
    """

    STORE_SCHEMES = {  # noqa: RUF012 -- Scrapy's name and kind
        **(FilesPipeline.STORE_SCHEMES | {"": FileStore, "file": FileStore, "s3": S3Store, "ftp": FTPStore})
    }

    NAME_SETTING = "IMAGES_NAME"
    NAMES_FIELD = "image_names"  # the item's fields that are parallel to its addresses
    PAGES_FIELD = "image_pages"
    PATHS_FIELD = "image_paths"
    # Without naming AVIF or WebP: servers that choose a format by this header would re-encode the original.
    ACCEPT = "image/*,*/*;q=0.8"

    def __init__(self, store_uri: str | os.PathLike[str], *, crawler: Crawler) -> None:
        if not store_uri:
            raise NotConfigured("IMAGES_STORE is empty: no images will be stored")
        if not is_asyncio_available():
            raise InputError("TWISTED_REACTOR is not an asyncio reactor, and imgcrawl's pipelines need one")
        self.own = overridden(self, ImagesPipeline)
        settings, fields = of_class(type(self), crawler.settings), getattr(crawler.spider, "image_name_fields", None)
        self.config = PipelineSettings.from_settings(settings, self.NAME_SETTING, fields)
        S3Store.timeout = FTPStore.timeout = self.config.store_timeout
        S3Store.connections = crawler.settings.getint("AWS_MAX_POOL_CONNECTIONS") or self.config.uploads
        try:
            super().__init__(full_address(store_uri), crawler=crawler)
            self._handle_statuses(crawler.settings.getbool("MEDIA_ALLOW_REDIRECTS", True))  # not Scrapy's default
            self.local = self.store if isinstance(self.store, FileStore) else None
            if self.local:
                self.local.durable = self.config.durable
            self.staging = self.local.staging if self.local else Staging(Path())
            self.staging.open()
        except (NotConfigured, ImportError, OSError, KeyError, AssertionError) as error:
            raise unusable(store_uri, error) from error  # without a library Scrapy would go on without the pipeline
        self.catalogue = open_catalogue(crawler.settings, in_crawl=True)
        self.threads = ThreadPoolExecutor(self.config.threads, "images")
        self.media_requests = MediaRequests.of_pipeline(self, self.config, settings)
        self.image_pages = ImagePages(self.media_requests, strict=self.config.strict)
        self.fresh_addresses = FreshAddresses(crawler, self.media_requests)
        self.keeper: LocalKeeper | RemoteKeeper = (
            LocalKeeper(self.local, self.catalogue, self.threads, self.config)
            if self.local
            else RemoteKeeper(self.store, self.catalogue, self.threads, lambda: self.spiderinfo, self.config)
        )
        self.lookup = Lookup(self.catalogue, self.threads, self.keeper, self.config)
        self.visits = Visits(self.catalogue)
        self.failures = StorageFailures(crawler)
        self.receiver = Receiver(self.staging, filters=self.config.filters, strict=self.config.strict)
        self.places = Places(self.config, self.threads, crawler)
        self._prepared: dict[int, Prepared] = {}  # of large items, by their id
        self.placeholders = Placeholders(self.config.placeholders, self.config.placeholders_learned)
        self.witnesses = Witnesses(crawler, self.catalogue, self.placeholders, self.config.placeholders_learned)
        self._learning = asyncio.Lock()  # of placeholders, from one item at a time
        self._addresses = SharedAddresses()

    def close_spider(self) -> None:
        self.places.close()
        self.threads.shutdown()
        with closing(self.staging), closing(self.catalogue):
            self.witnesses.settle()

    async def process_item(self, item: Any, spider: Spider | None = None) -> Any:
        adapter = ItemAdapter(item)
        if (urls := checked_urls(adapter, self.images_urls_field, self.images_result_field, self.own)) is None:
            return item
        name, many, stops = self.spiderinfo.spider.name, len(urls), partial(is_stopping, self.crawler.engine)
        self.config.galleries.count_undated(adapter, many, self.crawler.stats)
        try:
            if many > WINDOW:
                prepare = partial(self.media_requests.prepared, adapter, urls, name)
                self._prepared[id(item)] = await unless_stopped(self.threads, prepare, stops)
            asked: list[tuple[bytes, str]] = []
            requests = self.media_requests.completed(adapter, self.get_media_requests(item, self.spiderinfo), name)
            known = known_requests(requests, asked, self._fingerprinter)
            images = await outcomes(known, partial(self._outcome, item=item), stops)
        except GalleryUnfinished as error:
            logger.info("A gallery with %d images was %s, and is gone on with in the next crawl", len(urls), error)
            raise
        finally:
            self._prepared.pop(id(item), None)
        async with self._learning:
            lesson = await for_many(self.threads, many, self.placeholders.found_in, images)
        for index in lesson.are:
            images[index] = tell_anew(self.crawler, images[index], as_placeholder(images[index]), adapter.get("url"))
        if not self.config.simulate and (images or "get_media_requests" not in self.own):
            media = (self.images_urls_field, self.images_result_field)
            visit = await for_many(self.threads, many, visit_of, adapter, asked, images, media, name)
            for each in self.witnesses.hear(lesson, images, visit):
                await self._note(each, images)
        return self.item_completed(results_of(images, adapter.get("image_facts"), self.own), item, self.spiderinfo)

    def get_media_requests(  # type: ignore[override] # a generator: an item may have very many
        self, item: Any, info: MediaPipeline.SpiderInfo
    ) -> Iterator[Request]:
        adapter = ItemAdapter(item)
        urls = adapter.get(self.images_urls_field) or []
        if (prepared := self._prepared.get(id(item))) is None or len(prepared.paths) != len(urls):
            prepared = self.media_requests.prepared(adapter, urls, info.spider.name)
        requests = self.media_requests.of(adapter, urls, prepared, info.spider.name)
        yield from with_private_pages(requests, info.spider) if "failed" in adapter else requests

    def item_completed(self, results: list[Any], item: Any, info: MediaPipeline.SpiderInfo) -> Any:
        if results:  # of an item that is about no images a pipeline of a project's own has none, and no field for them
            set_outcomes(ItemAdapter(item), self.images_result_field, images_of(results))
        return item

    def file_path(
        self,
        request: Request,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """The name an image asks for, relative to the store, without an extension: that follows from the bytes."""
        return cast("str", request.meta["image_path"])

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
        return f"thumbs/{thumb_id}/{PurePosixPath(request.meta['image_path']).with_suffix('')}"

    async def _note(self, visit: GalleryVisit, images: list[Image]) -> None:
        """Have *visit*, of *images*, in the catalogue. Raises `GalleryUnfinished` where that cannot be."""
        try:
            await self.visits.note(visit)
        except (CatalogueError, sqlite3.Error) as error:
            self.failures.stop(f"{visit.url or visit.title} could not be noted in the catalogue: {error}")
            raise GalleryUnfinished("not noted in the catalogue", images, log_level="DEBUG") from error

    async def _outcome(self, request: Request, item: Any) -> Image:
        """What became of one address. Raises nothing but CancelledError."""
        url, stats = request.meta.setdefault("image_url", request.url), self.crawler.stats
        stats.inc_value("image/found")
        try:
            image = cast("Image", {"url": url, **await self._shared(request, item)})
        except asyncio.CancelledError:
            stats.inc_value("image/found", -1)
            raise
        if self.placeholders.is_one(image):
            image = as_placeholder(image)
        if image["status"] == "downloaded":
            stats.inc_value("image/bytes", image["bytes"])
        elif "reason" in image and (asked := request.meta.get("image_path")):
            image["requested_path"] = asked
        tell(self.crawler, image, request.meta.get("page_url"), ItemAdapter(item).get("title"))
        self.inc_stats(str(image["status"]))
        return image

    async def _shared(self, request: Request, item: Any) -> Image:
        """The outcome of an address that several items may name at the same time."""
        is_placeholder = self.placeholders.has_address(request.url)
        if reason := request.meta.get("image_refused") or ("placeholder" if is_placeholder else ""):
            return not_stored(reason)
        key, downloader = request.meta["image_key"], self.crawler.engine.downloader
        image = partial(self._image, item=item, key=key)
        is_old = "image_known_as" in request.meta and "failed" in ItemAdapter(item)

        async def ask() -> Image:
            with downloader.count_as_active(request) if isinstance(downloader, Downloader) else nullcontext():
                had = await self.fresh_addresses.outcome(request, image, is_old=is_old)
                return await image(copy) if (copy := self.image_pages.copy_of(request, had)) else had

        return await self._addresses.outcome(key, ask)

    async def _image(self, request: Request, item: Any, key: bytes) -> Image:
        """Look-up, download, verify, keep. Every error is an outcome; a file that was stored before stays with it."""
        record = None
        try:
            path = self.file_path(request, info=self.spiderinfo, item=item)
            is_ours = path == request.meta.get("image_path")  # a subclass may call it anything
            requested_path = strip_extension(path if is_ours else str(PurePosixPath(path)))
            record = await self.lookup.find_intact(key)
            if reason := await self.lookup.refused(key, record):
                return not_stored(reason)
            if record and time.time() - record.checked_at < self.config.expires:
                return known(record, requested_path)
            return still_stored(await self._asked(request, item, key, requested_path, record), record)
        except (ImageError, OSError, sqlite3.Error, CatalogueError) as error:
            return still_stored(self.failures.outcome(error, request.url), record)
        except Exception as error:
            return still_stored(failure_of(error, request.url), record)

    async def _asked(
        self, request: Request, item: Any, key: bytes, requested_path: str, record: Record | None
    ) -> Image:
        if record:
            make_conditional(request, record)
        self._modify_media_request(request)
        with self.receiver.receiving(request) as sent:
            response = await answered(self.crawler, sent)
            if response.status == 304 and record:
                await self.lookup.confirm(record)
                return known(record, requested_path)
            if not 200 <= response.status < 300:
                return not_stored(f"http_{response.status}")
            said = self._check_opt_outs(response, request)
            if on_page := await self.image_pages.request(response, request):
                return await self._asked(on_page, item, key, requested_path, record)
            image = await self._keep(self.receiver.arrival(response, request, key, requested_path), request, item)
            return cast("Image", {**image, "opt_outs": said}) if said else image

    def _check_opt_outs(self, response: Response, request: Request) -> list[str]:
        """What was said against the use of an image, and is allowed. Raises `ImageError` for what is obeyed."""
        said = opt_outs_of(response, (opt_outs := self.media_requests.opt_outs).agent)
        if obeyed := opt_outs.obeyed(said):
            raise ImageError(reason_of_opt_out(obeyed))
        return [*said, *(word for word in request.meta.get("opt_outs", ()) if word not in said)]

    async def _keep(self, arrival: Arrival, request: Request, item: Any) -> Image:
        keep = partial(self.keeper.keep, arrival, self.placeholders)
        status, record = await self.places.in_first_with_room(request, keep)
        if self.config.thumbs:
            make = partial(self._thumbnails, arrival, request, record, item)
            await self.places.in_first_with_room(request, partial(self.keeper.keep_derived, make, self.spiderinfo))
        return stored(status, record)

    def _thumbnails(
        self, arrival: Arrival, request: Request, record: Record, item: Any, examiner: Examiner
    ) -> Iterator[tuple[str, bytes]]:
        request.meta["image_path"] = record.path
        for thumb_id, thumb, extension in examiner.thumbnails(arrival):
            path = strip_extension(self.thumb_path(request, thumb_id, info=self.spiderinfo, item=item))
            yield path + extension, thumb
