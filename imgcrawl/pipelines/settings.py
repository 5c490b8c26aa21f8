"""The settings of the pipelines, read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from imgcrawl.durability import wants_fsync
from imgcrawl.exceptions import InputError
from imgcrawl.images.filters import FORMATS, ImageFilters
from imgcrawl.images.formats import FOREIGN_EXTENSIONS, format_called
from imgcrawl.images.names import check_template
from imgcrawl.images.process import MEMORY
from imgcrawl.images.room import DEFAULT_PIXEL_LIMIT
from imgcrawl.images.verify import DEPTHS
from imgcrawl.items import Gallery
from imgcrawl.pipelines.galleryfilters import GalleryFilters
from imgcrawl.pipelines.loststores import TIMEOUT

if TYPE_CHECKING:
    from typing import Self

    from scrapy.settings import BaseSettings

SAME_BYTES = ("once", "link", "again")  # what becomes of bytes that are in the store under another name
DAY = 86400.0
# How files are called where no setting says it.
NAMES = {"IMAGES_NAME": "{spider}/{title}/{index:03}", "VIDEOS_NAME": "{spider}/{name}"}
PER_IMAGE = frozenset(
    {"index", "name", "basename", "filename", "host"}
)  # what is known of each image, besides its item


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The pipeline's settings, read once. Raises `InputError` for values that make no sense."""

    name: str
    threads: int
    uploads: int
    store_timeout: float
    max_pixels: int
    memory: int
    filters: ImageFilters
    galleries: GalleryFilters
    expires: float
    thumbs: Mapping[str, tuple[int, int]]
    strict: bool
    depth: str
    keep: frozenset[str]
    with_checksum: bool
    durable: bool
    placeholders: list[str]
    placeholders_learned: int
    simulate: bool
    check_by_hash: bool
    keep_deleted: bool
    same_bytes: str
    similar: str
    last_modified: bool

    @classmethod
    def from_settings(
        cls, settings: BaseSettings, name_setting: str, item_fields: Collection[str] | None = None
    ) -> Self:
        """*item_fields*: the fields that items will have; None: those of every gallery that a site declares."""
        name = settings.get(name_setting, NAMES[name_setting])
        fields = declared_fields() if item_fields is None else item_fields
        check_template(name_setting, name, PER_IMAGE.union(fields, ("slug",)))
        thumbs = _thumbs(settings)
        try:
            config = cls(
                name=name,
                threads=settings.getint("IMAGES_THREADS", 4),
                uploads=settings.getint("IMAGES_UPLOADS", 32),
                store_timeout=settings.getfloat("IMAGES_STORE_TIMEOUT", TIMEOUT),
                max_pixels=settings.getint("IMAGES_MAX_PIXELS", DEFAULT_PIXEL_LIMIT),
                memory=settings.getint("IMAGES_MAX_MEMORY", MEMORY),
                filters=_filters(settings),
                galleries=GalleryFilters.from_settings(settings),
                expires=settings.getfloat("IMAGES_EXPIRES", 90) * DAY,
                thumbs=thumbs,
                strict=settings.getbool("IMAGES_STRICT"),
                depth=settings.get("IMAGES_VERIFY", "decode"),
                keep=frozenset(format_called(name, FOREIGN_EXTENSIONS) for name in settings.getlist("IMAGES_KEEP")),
                with_checksum=settings.getbool("IMAGES_NAME_CHECKSUM"),
                durable=wants_fsync(settings),
                placeholders=settings.getlist("IMAGES_PLACEHOLDERS"),
                placeholders_learned=settings.getint("IMAGES_PLACEHOLDERS_LEARNED", 10),
                simulate=settings.getbool("IMAGES_SIMULATE"),
                keep_deleted=settings.getbool("IMAGES_KEEP_DELETED"),
                check_by_hash=_checked_by_hash(settings),
                same_bytes=settings.get("IMAGES_SAME_BYTES", "once"),
                similar=settings.get("IMAGES_SIMILAR", "keep"),
                last_modified=settings.getbool("IMAGES_LAST_MODIFIED", False),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"one of the IMAGES_ settings has a value that cannot be read: {error}") from error
        sizes = [config.threads, config.uploads, config.max_pixels, config.memory, *chain(*config.thumbs.values())]
        if min(sizes) < 1:
            raise InputError(
                f"IMAGES_THREADS={config.threads}, IMAGES_UPLOADS={config.uploads}, "
                f"IMAGES_MAX_PIXELS={config.max_pixels}, IMAGES_MAX_MEMORY={config.memory} and the sizes in "
                f"IMAGES_THUMBS={dict(config.thumbs)} must be 1 or more"
            )
        if config.depth not in DEPTHS:
            raise InputError(f"IMAGES_VERIFY is {config.depth!r}; expected {', '.join(DEPTHS)}")
        if config.same_bytes not in SAME_BYTES:
            raise InputError(f"IMAGES_SAME_BYTES is {config.same_bytes!r}; expected {', '.join(SAME_BYTES)}")
        if config.similar not in ("keep", "refuse"):
            raise InputError(f"IMAGES_SIMILAR is {config.similar!r}; expected keep or refuse")
        if unknown := config.keep - FOREIGN_EXTENSIONS.keys():
            raise InputError(f"IMAGES_KEEP names {min(unknown)!r}; expected some of {', '.join(FOREIGN_EXTENSIONS)}")
        return config


def _thumbs(settings: BaseSettings) -> dict[str, tuple[int, int]]:
    try:
        return {str(k): (int(w), int(h)) for k, (w, h) in settings.getdict("IMAGES_THUMBS").items()}
    except (TypeError, ValueError) as error:
        raise InputError(
            f'IMAGES_THUMBS is {settings["IMAGES_THUMBS"]!r:.60}: expected names and sizes, as in {{"small": [50, 50]}}'
        ) from error


def _checked_by_hash(settings: BaseSettings) -> bool:
    check = settings.get("IMAGES_CHECK", "stat")
    if check not in ("stat", "hash"):
        raise InputError(f"IMAGES_CHECK is {check!r}: expected stat or hash")
    return bool(check == "hash")


def _filters(settings: BaseSettings) -> ImageFilters:
    known = (*FORMATS, *FOREIGN_EXTENSIONS)
    formats = frozenset(format_called(name, known) for name in settings.getlist("IMAGES_FORMATS"))
    if unknown := formats - {*known}:
        raise InputError(f"IMAGES_FORMATS names {min(unknown)!r}; expected some of {', '.join(FORMATS)}")
    return ImageFilters(
        min_width=settings.getint("IMAGES_MIN_WIDTH"),
        min_height=settings.getint("IMAGES_MIN_HEIGHT"),
        max_width=settings.getint("IMAGES_MAX_WIDTH", 0),
        max_height=settings.getint("IMAGES_MAX_HEIGHT", 0),
        min_pixels=settings.getint("IMAGES_MIN_PIXELS", 0),
        # The usual bound is for decoders, which judge it before they begin: no header is read for its sake.
        max_pixels=most
        if (most := settings.getint("IMAGES_MAX_PIXELS", DEFAULT_PIXEL_LIMIT)) < DEFAULT_PIXEL_LIMIT
        else 0,
        min_bytes=settings.getint("IMAGES_MIN_BYTES", 0),
        min_aspect=settings.getfloat("IMAGES_MIN_ASPECT", 0.0),
        max_aspect=settings.getfloat("IMAGES_MAX_ASPECT", 0.0),
        formats=formats,
    )


def declared_fields() -> set[str]:
    """The fields of every gallery that a site declares."""
    kinds: list[type[Gallery]] = [Gallery]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return set().union(*(kind.fields for kind in kinds))
