"""The settings of the pipelines, read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from imgcrawl.durability import wants_fsync
from imgcrawl.exceptions import InputError
from imgcrawl.images.formats import FOREIGN_EXTENSIONS
from imgcrawl.images.names import check_template
from imgcrawl.images.process import MEMORY
from imgcrawl.images.room import DEFAULT_PIXEL_LIMIT
from imgcrawl.items import Gallery

if TYPE_CHECKING:
    from typing import Self

    from scrapy.settings import BaseSettings

DAY = 86400.0
# How files are called where no setting says it.
NAMES = {"IMAGES_NAME": "{spider}/{title}/{index:03}", "VIDEOS_NAME": "{spider}/{name}"}

_PER_IMAGE = frozenset({"index", "name", "basename", "filename", "host"})  # what the pipeline knows of each image


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The pipeline's settings, read once. Raises `InputError` for values that make no sense."""

    name: str
    threads: int
    max_pixels: int
    memory: int
    min_width: int
    min_height: int
    expires: float
    thumbs: Mapping[str, tuple[int, int]]
    strict: bool
    keep: frozenset[str]
    with_checksum: bool
    durable: bool
    placeholders: list[str]
    placeholders_learned: int

    @classmethod
    def from_settings(
        cls, settings: BaseSettings, name_setting: str, item_fields: Collection[str] | None = None
    ) -> Self:
        """*item_fields*: the fields that items will have; None: those of every gallery that a site declares."""
        name = settings.get(name_setting, NAMES[name_setting])
        check_template(name_setting, name, _template_fields() if item_fields is None else {*_PER_IMAGE, *item_fields})
        try:
            config = cls(
                name=name,
                threads=settings.getint("IMAGES_THREADS", 4),
                max_pixels=settings.getint("IMAGES_MAX_PIXELS", DEFAULT_PIXEL_LIMIT),
                memory=settings.getint("IMAGES_MAX_MEMORY", MEMORY),
                min_width=settings.getint("IMAGES_MIN_WIDTH"),
                min_height=settings.getint("IMAGES_MIN_HEIGHT"),
                expires=settings.getfloat("IMAGES_EXPIRES", 90) * DAY,
                thumbs={str(k): (int(w), int(h)) for k, (w, h) in settings.getdict("IMAGES_THUMBS").items()},
                strict=settings.getbool("IMAGES_STRICT"),
                keep=frozenset(settings.getlist("IMAGES_KEEP")),
                with_checksum=settings.getbool("IMAGES_NAME_CHECKSUM"),
                durable=wants_fsync(settings),
                placeholders=settings.getlist("IMAGES_PLACEHOLDERS"),
                placeholders_learned=settings.getint("IMAGES_PLACEHOLDERS_LEARNED", 10),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"one of the IMAGES_ settings has a value that cannot be read: {error}") from error
        sizes = [config.threads, config.max_pixels, config.memory, *chain(*config.thumbs.values())]
        if min(sizes) < 1:
            raise InputError(
                f"IMAGES_THREADS={config.threads}, IMAGES_MAX_PIXELS={config.max_pixels}, "
                f"IMAGES_MAX_MEMORY={config.memory} and the sizes in IMAGES_THUMBS={dict(config.thumbs)} must be 1 or "
                "more"
            )
        if unknown := config.keep - FOREIGN_EXTENSIONS.keys():
            raise InputError(f"IMAGES_KEEP names {min(unknown)!r}; expected some of {', '.join(FOREIGN_EXTENSIONS)}")
        return config


def _template_fields() -> frozenset[str]:
    """What IMAGES_NAME may name: the pipeline's own fields and those of every gallery that a site declares."""
    kinds: list[type[Gallery]] = [Gallery]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return _PER_IMAGE.union(*(kind.fields for kind in kinds))
