"""What a crawl yields: a gallery (one detail page and its images) and, in it, one outcome for each address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from http.client import responses
from typing import Any, TypedDict

import scrapy

# The closed list of reasons, each with what it means. Besides these, `http_NNN` says that the server
# answered with that status.
REASONS: dict[str, dict[str, str]] = {
    "refused": {
        "robots": "robots.txt forbids the address",
        "scheme": "the address is neither http nor https",
        "invalid_url": "the address is not one that can be asked for",
        "private_address": "a page or list named an address that is not public (see PRIVATE_HOSTS_ALLOWED)",
        "too_large": "more bytes, markup, width or height than DOWNLOAD_MAXSIZE, PAGES_MAXSIZE, IMAGES_MAX_…",
        "too_many_pixels": "more pixels than IMAGES_MAX_PIXELS, or more than IMAGES_MAX_MEMORY or too long to decode",
        "too_small": "less than IMAGES_MIN_WIDTH, IMAGES_MIN_HEIGHT, IMAGES_MIN_PIXELS or IMAGES_MIN_BYTES",
        "aspect": "broader than IMAGES_MAX_ASPECT, or narrower than IMAGES_MIN_ASPECT",
        "format": "not one of IMAGES_FORMATS",
        "similar": "it looks like an image that is stored, and is not larger (IMAGES_SIMILAR)",
        "title": "the title of the gallery is not as GALLERIES_TITLE wants it",
        "date": "the date of the gallery is not within GALLERIES_SINCE and GALLERIES_UNTIL",
        "range": "its number in the gallery is not within IMAGES_RANGE",
        "filtered": "a downloader middleware dropped the request",
        "noai": "the site opts its content out of AI training (noai)",
        "noimageai": "the site opts its images out of AI training (noimageai)",
        "noindex": "the site wants the page or the image not indexed (noindex)",
        "noimageindex": "the site wants its images not indexed (noimageindex)",
        "tdm_reservation": "the site reserves text and data mining (tdm-reservation: 1)",
        "simulated": "scrapy crawl --simulate asks for no image",
        "deleted": "a person has deleted the file (scrapy forget, IMAGES_KEEP_DELETED)",
        "budget": "a budget is used up (BUDGET_PAGES, BUDGET_IMAGES, BUDGET_BYTES, or one of a host)",
    },
    "failed": {
        "timeout": "no answer, or no complete one, in time",
        "dns": "the host name could not be resolved",
        "retry_after": "the host asked to be left alone for longer than RETRY_AFTER_MAX",
        "no_robots": "robots.txt of its host could not be had, so nothing was asked",
        "connection": "the connection was refused, reset or broken",
        "tls": "the certificate or the TLS handshake was not acceptable",
        "too_many_redirects": "more redirects than REDIRECT_MAX_TIMES",
        "empty": "a good status without a body",
        "busy": "a page that says that there were too many requests, to the last retry",
        "html": "a page instead of an image",
        "not_an_image": "bytes of no image format",
        "not_a_video": "bytes of no video container",
        "unsupported_format": "an image of a format that cannot be decoded here, so not verified",
        "truncated": "the image ends too early",
        "corrupt": "the image cannot be decoded",
        "placeholder": "an image that stands for one that is not there (IMAGES_PLACEHOLDERS)",
        "storage": "the file could not be written",
        "lost": "the stored file is missing or not what it was (scrapy audit)",
        "stopped": "the crawl was told to stop before it was done",
        "error": "an unexpected error, told in the log",
    },
}

# Why a gallery has an `error` that no image has.
PAGE_REASONS: dict[str, str] = {
    "redirected": "the address leads to a list page, to another gallery, or to where no image is (see final_url)",
    "login": "the site wants to know who is asking: a form to log in stands in the gallery's place",
    "age_gate": "the site asks first how old one is: what it notes of the answer is a cookie, for COOKIES_FILE",
    "gone": "its page says, though with a good status, that it is not there, or no longer",
    "not_a_page": "the answer is no text",
}


def meaning(reason: str, status: str = "") -> str:
    """What *reason* means, of an image with that *status* or of a gallery; "" for one that is not known."""
    code = reason.removeprefix("http_")
    if code != reason:
        return responses.get(int(code), "") if code.isdecimal() and len(code) == 3 else ""
    known = [REASONS[status]] if status in REASONS else [*REASONS.values(), PAGE_REASONS]
    return next((reasons[reason] for reasons in known if reason in reasons), PAGE_REASONS.get(reason, ""))


STORED = ("downloaded", "uptodate", "duplicate")
STATUSES = (*STORED, "refused", "failed")


class Image(TypedDict, total=False):
    """One image address and what became of it.

    `url` and `status` (one of `STATUSES`) are always there; `reason` with `refused` and `failed`, and
    with them `requested_path`: the path that the image was to be stored at, without an extension; the other
    keys with a stored file, also where a later crawl has found the address refused or failed. `checksum` is the
    sha256 of the bytes as served, `path` is relative to the store. `warnings` says what is wrong with a file that
    viewers show all the same (`imgcrawl.images.damage.WARNINGS`). `verified` is there where it was not
    decoded, and says how deep it was looked at (IMAGES_VERIFY, `imgcrawl.images.verify.DEPTHS`). `facts` is what its
    page states about this image: `caption`, `author`, `license`, `credit_text`, `acquire_license_page`.
    """

    url: str
    status: str
    reason: str
    requested_path: str
    path: str
    checksum: str
    bytes: int
    format: str
    width: int
    height: int
    frames: int
    final_url: str
    etag: str
    last_modified: str
    fetched_at: str
    verified: str
    opt_outs: list[str]
    facts: dict[str, str]


IMAGE_FIELDS = frozenset(Image.__annotations__) | {"warnings", "index"}

# What a page states about itself in standard ways (JSON-LD, microdata, RDFa, Open Graph), besides its title.
PAGE_FACTS = ("caption", "author", "date", "tags", "license", "credit_text", "acquire_license_page", "image_facts")


class _AnyField(dict[str, scrapy.Field]):
    """The fields that an item's class declares, and whatever else is asked for."""

    def __missing__(self, name: str) -> scrapy.Field:
        return scrapy.Field()


class OpenItem(scrapy.Item):
    """An item that takes fields which its class does not declare, each for itself: no KeyError."""

    def __init_subclass__(cls) -> None:
        if "fields" in vars(cls):  # Scrapy's metaclass makes each class twice, at first without
            cls.fields = _AnyField(cls.fields)  # exporters ask the class about every field of an item

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self.fields:
            self.__dict__["fields"] = {**self.fields, key: scrapy.Field()}
        super().__setitem__(key, value)


class Gallery(OpenItem):
    """A detail page and its images. A site that tells more may set further fields, declared in a subclass or not.

    `image_names`, `image_pages` and `image_paths`, where there are some, are parallel to `image_urls`: the image's own
    name (`{name}` in IMAGES_NAME), the address of the page that shows the image (its Referer) where that is not `url`,
    and the path to store it at, without an extension, in place of IMAGES_NAME. `opt_outs` is what the page said against
    the use of its content (`imgcrawl.optouts`), `referrer_policy` what it said of its Referer (`imgcrawl.referrers`),
    `referrer_policies` and `opt_outs_of_pages` what others of `image_pages` said. Fields of `PAGE_FACTS` are there
    where the page states them, as they stand there; `image_facts` what it states about single images: address → fact →
    value; `image_copies` where what the link around an image leads to may be a page: address → image. `error` says why
    a page could not be had; such a gallery has no images. `left_out`: `pages.bounds.LEFT_OUT`. `url` is what was asked
    for, `final_url` where redirects led."""

    spider = scrapy.Field()
    url = scrapy.Field()
    title = scrapy.Field()
    scraped_at = scrapy.Field()
    error = scrapy.Field()
    caption = scrapy.Field()
    author = scrapy.Field()
    date = scrapy.Field()
    tags = scrapy.Field()
    license = scrapy.Field()
    credit_text = scrapy.Field()
    acquire_license_page = scrapy.Field()
    image_facts = scrapy.Field()
    image_copies = scrapy.Field()
    final_url = scrapy.Field()
    image_urls = scrapy.Field()
    image_names = scrapy.Field()
    image_pages = scrapy.Field()
    image_paths = scrapy.Field()
    images = scrapy.Field()
    opt_outs = scrapy.Field()


class SubpageGallery(Gallery):
    """A gallery with its images on sub-pages. `failed_pages` tells those that gave none: `url` and `reason`."""

    failed_pages = scrapy.Field()


class Entry(Gallery):
    """An entry of a list, and its image. `rank`, `rating` and `votes` are numbers."""

    rank = scrapy.Field()
    other_titles = scrapy.Field()
    rating = scrapy.Field()
    votes = scrapy.Field()
    quote = scrapy.Field()


class Row(Gallery):
    """A row of a list, and its images. `url` says where it stands: `<file>:<line>`. Its other columns are fields.

    An entry of `image_pages` is None where the user himself, and no stranger's list, named the image's host.
    """

    id = scrapy.Field()
    name = scrapy.Field()


class VideoRow(Row):
    """A row of a list, and its videos: `videos`, `video_names`, `video_pages` and `video_paths` are to `video_urls`
    what `images`, `image_names`, `image_pages` and `image_paths` are to `image_urls`."""

    video_urls = scrapy.Field()
    video_names = scrapy.Field()
    video_pages = scrapy.Field()
    video_paths = scrapy.Field()
    videos = scrapy.Field()


class SitePage(Gallery):
    """The first page of a domain, or a page that was followed from it; `parent` is then where its link stood.

    `url` is the address that was asked for, `final_url` where redirects led; `links` is a number."""

    domain = scrapy.Field()
    rank = scrapy.Field()
    parent = scrapy.Field()
    final_url = scrapy.Field()
    status = scrapy.Field()
    encoding = scrapy.Field()
    links = scrapy.Field()


# Of an item what `image_rows` gives to each of its images: one value each.
_PARALLEL = {
    "image_names": "image_name",
    "image_pages": "image_page",
    "video_names": "image_name",
    "video_pages": "image_page",
}
_LISTS = {
    *_PARALLEL, "images", "videos", "image_urls", "video_urls", "image_paths", "video_paths", "image_facts",
    "image_copies", "failed_pages", "referrer_policies", "opt_outs_of_pages",
}  # fmt: skip


def image_rows(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each image, or video, of *item*: its outcome, `index` (its number in the gallery, from 1),
    `image_name` and `image_page` if it has some, and the fields of the gallery. A field of the gallery whose name
    an outcome's field has is called `gallery_…`: the gallery's address is `gallery_url`."""
    own = _own_fields(item)
    for media in ("image", "video"):
        outcomes = item.get(f"{media}s")
        for number, outcome in enumerate(outcomes if isinstance(outcomes, list) else ()):
            row = {"index": number + 1, **own, **outcome}
            for column in (f"{media}_names", f"{media}_pages"):
                values = item.get(column) or ()
                if number < len(values) and values[number]:
                    row[_PARALLEL[column]] = values[number]
            yield row


def _own_fields(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of *item* that are not of its images, under the names that they have in a row."""
    return {f"gallery_{name}" if name in IMAGE_FIELDS else name: item[name] for name in item if name not in _LISTS}


def by_image(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rows of *item*, or *item* itself where it has no images: one that failed is told, too."""
    empty = True
    for row in image_rows(item):
        empty = False
        yield row
    if empty:
        yield _own_fields(item)


def is_row(item: Mapping[str, Any]) -> bool:
    """Whether *item*, read from a feed, is one of `by_image` (FEED_ROWS) and no gallery."""
    if any(isinstance(item.get(media), list) for media in ("images", "videos")):
        return False
    return {"status", "index"} <= item.keys() or ("gallery_url" in item and "url" not in item)


def row_columns(names: Iterable[str]) -> list[str]:
    """The columns of `by_image` of items with the fields *names*."""
    own = [f"gallery_{name}" if name in IMAGE_FIELDS else name for name in names if name not in _LISTS]
    return ["index", *Image.__annotations__, "warnings", "image_name", "image_page", *own]


def outcomes_of(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The outcomes of an item's images and videos."""
    found = [outcome for name in ("images", "videos") if isinstance(item.get(name), list) for outcome in item[name]]
    return [outcome for outcome in found if isinstance(outcome, dict)]


def seconds_of(at: Any) -> float:
    """*at*, a time as items tell it (`scraped_at`, `fetched_at`; ISO 8601), as a Unix time; 0 for anything else."""
    try:
        when = datetime.fromisoformat(at)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
