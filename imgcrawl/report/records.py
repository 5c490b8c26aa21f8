"""What a report tells of a gallery and of its images: some fields of an item, bounded and of one kind each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from imgcrawl.items import STATUSES, STORED, image_rows, seconds_of
from imgcrawl.lines import without_commands
from imgcrawl.urls import host_of

LABELS: Final = ("label", "labels", "tags")  # the fields whose values a gallery is found by
_LISTS: Final = {"labels", "tags"}
_MOST_LABELS: Final = 20
_TITLE, _ADDRESS, _TEXT, _LABEL = 300, 2048, 500, 80  # characters


class ImageRecord(NamedTuple):
    """An image, or a video, and what became of it. *at*: the Unix time of its download, or of its visit; *identity*:
    what is the same for the same bytes, or, where there are none, for the same address; *page* shows it where that is
    not its gallery's address; *name* is what its site, or its caption, calls it."""

    url: str
    path: str
    status: str
    reason: str
    format: str
    width: int
    height: int
    bytes: int
    at: int
    identity: int
    page: str
    name: str

    @property
    def host(self) -> str:
        return host(self.url)


class GalleryRecord(NamedTuple):
    """A gallery. *key* is what it is known by, and of two of one key that of the larger *quality* is told. *at*: the
    Unix time of the visit."""

    key: str
    quality: Sequence[float]
    spider: str
    url: str
    title: str
    at: int
    error: str
    labels: Sequence[str]
    images: Sequence[ImageRecord]

    @property
    def host(self) -> str:
        return host(self.url)


def gallery_record(item: Mapping[str, Any], labels: Sequence[str] = LABELS) -> GalleryRecord:
    """*item*, of a feed or of the catalogue, whose fields *labels* are its labels."""
    seen = int(seconds_of(item.get("scraped_at")))
    rows = [_image(row, seen) for row in image_rows(item)]
    url, spider = _text(item.get("url"), _ADDRESS), _text(item.get("spider"), _LABEL)
    error = _text(item.get("error"), _LABEL)
    title = _text(item.get("title") or item.get("name") or item.get("domain") or _said_of_row(item, url), _TITLE)
    failed = sum(row.status == "failed" for row in rows)
    stored = any(row.status in STORED for row in rows)
    known = [spider, url, item.get("parent"), title if not url else "", item.get("rank") if "domain" in item else None]
    if "://" not in url:  # a row's place in a list: another list may have the same name
        known += [row.url for row in rows]
    return GalleryRecord(
        key=_digest(json.dumps(known, default=str)).hex(),
        quality=(not error, stored, -failed, seen),
        spider=without_commands(spider),
        url=url,
        title=without_commands(title),  # which may turn the order of what stands beside it around
        at=seen,
        error=without_commands(error),
        labels=[*dict.fromkeys(map(without_commands, _labels(item, labels)))][:_MOST_LABELS],
        images=rows,
    )


def from_json(value: Sequence[Any]) -> GalleryRecord:
    """The gallery that `json.dumps` has written."""
    *fields, images = value
    return GalleryRecord._make([*fields, [ImageRecord._make(image) for image in images]])


def host(url: str) -> str:
    """The host of *url*, or "" if there is none."""
    return _host("/".join(url.split("/", 3)[:3])) if "://" in url else ""


@lru_cache(10_000)
def _host(origin: str) -> str:
    return host_of(origin)


def _image(row: Mapping[str, Any], seen: int) -> ImageRecord:
    url, path = _text(row.get("url"), _ADDRESS), _text(row.get("path"), _ADDRESS)
    status, checksum = row.get("status"), row.get("checksum")
    facts = row.get("facts")
    name = row.get("image_name") or (facts.get("caption") if isinstance(facts, Mapping) else "")
    return ImageRecord(
        url=url,
        path=path,
        status=status if status in STATUSES else "failed",
        reason=without_commands(_text(row.get("reason"), _LABEL)),
        format=without_commands(_text(row.get("format"), _LABEL)),
        width=_number(row.get("width")),
        height=_number(row.get("height")),
        bytes=_number(row.get("bytes")),
        at=int(seconds_of(row.get("fetched_at"))) or seen,
        identity=int.from_bytes(_digest(checksum if isinstance(checksum, str) and checksum else url)[:8]),
        page=_text(row.get("image_page"), _ADDRESS),
        name=without_commands(_text(name, _TEXT)),
    )


def _said_of_row(item: Mapping[str, Any], url: str) -> Any:
    """What a row of a list says of its image, in the place of its own (`list.csv:20`)."""
    return "" if "://" in url or not url else item.get("caption") or item.get("label")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _labels(item: Mapping[str, Any], names: Sequence[str]) -> Iterable[str]:
    for name in names:
        value = item.get(name)
        if isinstance(value, str) and name in _LISTS:  # as a cell of a table has it
            value = value.split(",")
        for one in value if isinstance(value, list) else [value]:
            if text := _text(one, _LABEL).strip():
                yield text


def _text(value: Any, most: int) -> str:
    """*value* as text that every encoding takes, of *most* characters."""
    if value is None:
        return ""
    text = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))[:most]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0
