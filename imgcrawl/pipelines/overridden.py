"""What a pipeline of a project's own, derived from ours, may override of Scrapy's, and what comes of that."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from scrapy.pipelines.images import ImageException
from scrapy.pipelines.images import ImagesPipeline as ScrapyImagesPipeline
from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings, SettingsAttribute
from twisted.python.failure import Failure

from imgcrawl.pipelines.outcomes import with_facts
from imgcrawl.stopping import note_outcomes

if TYPE_CHECKING:
    from imgcrawl.items import Image

logger = logging.getLogger(__name__)

_ADDON = SETTINGS_PRIORITIES["addon"]
_HEARD = {"get_media_requests", "item_completed"}
# Bodies are kept as they were served, some without ever being in memory: the others are not called.
_HOOKS = _HEARD | {
    "convert_image",
    "file_downloaded",
    "get_images",
    "image_downloaded",
    "media_downloaded",
    "media_failed",
    "media_to_download",
}


class NotStoredError(ImageException):
    """Why `item_completed` gets no file of an address: *image* is its outcome."""

    def __init__(self, image: Image) -> None:
        super().__init__(f"{image['status']} ({image.get('reason')}): {image['url']}")
        self.image = image


def results_of(images: list[Image], facts: Any, own: Collection[str]) -> list[tuple[bool, Any]]:
    """*images*, with the *facts* that their page states, for `item_completed`. Where that is a project's *own*, as
    Scrapy has them: True and the file, or False and a failure, of which a hundred thousand take a second."""
    told = with_facts(images, facts)
    if "item_completed" not in own:
        return [(True, image) for image in told]
    note_outcomes(told)
    return [(True, image) if "path" in image else (False, _failure(image)) for image in told]


def _failure(image: Image) -> Failure:
    return Failure(NotStoredError(image))  # type: ignore[no-untyped-call] # Twisted has no types


def images_of(results: Iterable[tuple[bool, Any]]) -> list[Image]:
    """The outcomes in *results*, as `results_of` made them; without those that a project left out or made itself."""
    told = (value if ok else getattr(value.value, "image", None) for ok, value in results)
    return [image for image in told if image]


def overridden(pipeline: object, base: type) -> frozenset[str]:
    """The names of Scrapy's methods that the class of *pipeline* has otherwise than *base*, ours. Logs which of them
    are never called."""
    names = {name for name in _HOOKS if getattr(type(pipeline), name) is not getattr(base, name)}
    if unheard := sorted(names - _HEARD):
        logger.warning(
            "%s overrides %s, which imgcrawl does not call: images are stored as they were served. "
            "Derive it from scrapy.pipelines.images.ImagesPipeline if it needs that",
            type(pipeline).__name__,
            " and ".join(unheard),
        )
    return frozenset(names)


def of_class(pipeline: type, settings: BaseSettings) -> BaseSettings:
    """*settings* as a *pipeline* has them: those that begin with the name of its class (`MYPIPELINE_IMAGES_EXPIRES`)
    stand for those that do not, and what the class says itself (`EXPIRES`) for what the project does not, as in
    Scrapy."""
    own = BaseSettings()
    own.attributes = dict(settings.attributes)
    for name in ("EXPIRES", "MIN_WIDTH", "MIN_HEIGHT", "THUMBS"):
        value, setting = getattr(pipeline, name), f"IMAGES_{name}"
        if value != getattr(ScrapyImagesPipeline, name) and (own.getpriority(setting) or 0) <= _ADDON:
            own.attributes[setting] = SettingsAttribute(value, _ADDON)  # what was there is others', too
    prefix = f"{pipeline.__name__.upper()}_"
    for name, attribute in settings.attributes.items():
        if name.startswith(f"{prefix}IMAGES_") and attribute.value:
            own.attributes[name.removeprefix(prefix)] = attribute
    return own
