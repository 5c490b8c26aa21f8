"""How the crawls of a spider would call what it has stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from itemadapter import ItemAdapter
from scrapy import Spider
from scrapy.settings import BaseSettings
from scrapy.utils.misc import load_object

from imgcrawl.catalogue import StoredGallery
from imgcrawl.exceptions import InputError
from imgcrawl.images.names import strip_extension
from imgcrawl.pipelines.images import ImagesPipeline
from imgcrawl.pipelines.media_requests import MediaRequests
from imgcrawl.pipelines.overridden import of_class
from imgcrawl.pipelines.settings import PipelineSettings, declared_fields
from imgcrawl.pipelines.videos import VideosPipeline


class Naming:
    """The pipelines of *settings*, which are a spider's, by the fields of an item that they work on.

    *fields* are those of the spider's items, besides what sites declare.

    Raises `InputError` for a pipeline that gives names by code of its own, and for settings that make no sense.
    """

    def __init__(self, settings: BaseSettings, spider: str, fields: Collection[str] = ()) -> None:
        self.spider = spider
        self._by_media: dict[str, MediaRequests] = {}
        for kind in _pipelines(settings):
            for hook in ("file_path", "get_media_requests"):
                if getattr(kind, hook) is not getattr(ImagesPipeline, hook):
                    raise InputError(
                        f"{kind.__name__} of ITEM_PIPELINES gives files their names itself ({hook}), which only a crawl"
                        " can ask it for; expected pipelines that go by IMAGES_NAME"
                    )
            own, fields_known = of_class(kind, settings), declared_fields().union(fields)
            config = PipelineSettings.from_settings(own, kind.NAME_SETTING, fields_known)
            self.with_checksum, self.durable = config.with_checksum, config.durable
            media = " ".join(_field(kind, settings, name) for name in ("IMAGES_URLS_FIELD", "IMAGES_RESULT_FIELD"))
            self._by_media[media] = MediaRequests.of_pipeline(kind, config, own)

    @property
    def media(self) -> list[str]:
        """The fields that addresses and outcomes are in, for each pipeline: "image_urls images"."""
        return list(self._by_media)

    def requests_for(self, media: str) -> MediaRequests | None:
        """What makes the requests for the addresses in the fields that *media* names ("image_urls images")."""
        return self._by_media.get(media)

    def paths(self, gallery: StoredGallery, urls: list[str]) -> list[str]:
        """The paths that an item of *gallery* with these *urls* asks for, without extensions."""
        requests = self.requests_for(gallery.media)
        if requests is None:
            return []
        paths = requests.paths(ItemAdapter(dict(gallery.fields)), urls, self.spider)
        return [strip_extension(path) for path in paths]


def _pipelines(settings: BaseSettings) -> Iterator[type[ImagesPipeline]]:
    named = [load_object(each) for each, order in settings.getdict("ITEM_PIPELINES").items() if order is not None]
    ours = [each for each in named if isinstance(each, type) and issubclass(each, ImagesPipeline)]
    yield from ours or (ImagesPipeline, VideosPipeline)  # an add-on names them when a crawl begins


def _field(kind: type[ImagesPipeline], settings: BaseSettings, name: str) -> str:
    """The field that Scrapy's pipeline takes: of its own setting, of that for all, of its class."""
    own = f"{kind.__name__.upper()}_{name}"
    key = own if kind.__name__ != "ImagesPipeline" and settings.get(own) else name
    return str(settings.get(key, getattr(kind, name, getattr(kind, f"DEFAULT_{name}"))))


def fields_of(galleries: Iterable[StoredGallery]) -> set[str]:
    """The fields that the items of *galleries* had."""
    found: set[str] = set()
    for gallery in galleries:
        found.update(gallery.fields)
    return found


def settings_of(spider: type[Spider], settings: BaseSettings) -> BaseSettings:
    """*settings* as the crawls of *spider* have them."""
    copy = settings.copy()
    spider.update_settings(copy)
    return copy
