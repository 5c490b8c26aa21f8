"""The addresses in a sitemap (https://www.sitemaps.org/protocol.html) or a feed (RSS, Atom: RFC 4287), with the images
that it states for them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any, NamedTuple

from lxml import etree

from imgcrawl.urls import absolute

# The protocol's own bounds. Beyond them nothing is read.
SITEMAP_MAXSIZE = 50 * 1024 * 1024  # bytes, unpacked
MAX_ENTRIES = 50_000
MAX_IMAGES = 1_000  # of an entry
_MAX_TAGS = 2_000_000  # 40 for each entry that there may be
_MAX_IN_ONE = 20_000  # elements of one entry, which has some for itself and some for each image
_GZIP = b"\x1f\x8b\x08"


class SitemapEntry(NamedTuple):
    """A page and the images stated for it; or, if *is_sitemap*, a further sitemap."""

    address: str
    images: tuple[str, ...] = ()
    is_sitemap: bool = False


def read_sitemap(body: bytes, url: str) -> Iterator[SitemapEntry]:
    """The entries of the sitemap, the sitemap index or the feed *body*, whose address is *url*, in order.

    It may be in gzip, and may be text with an address a line. What is no address over HTTP is passed over. Time and
    memory are linear in the size of *body*. Raises ValueError for what is larger than `SITEMAP_MAXSIZE`, no gzip, or of
    more elements than such entries have; and behind `MAX_ENTRIES` entries if there are more.
    """
    body = _unpacked(body).lstrip()
    entries = (
        _of_xml(body, url) if body.startswith((b"<", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")) else _of_text(body)
    )
    for count, entry in enumerate(entries):
        if count == MAX_ENTRIES:
            raise ValueError(
                f"more than {MAX_ENTRIES:,} entries, which is what the protocol allows: the first were read"
            )
        yield entry


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    try:
        unpacked = zlib.decompressobj(31).decompress(body, SITEMAP_MAXSIZE + 1)
    except zlib.error as error:
        raise ValueError(f"no gzip, whatever it begins with ({error})") from error
    if len(unpacked) > SITEMAP_MAXSIZE:
        raise ValueError(f"more than {SITEMAP_MAXSIZE >> 20} MiB, unpacked")
    return unpacked


def _of_text(body: bytes) -> Iterator[SitemapEntry]:
    for line in BytesIO(body):
        if address := absolute("", line.decode("utf-8", "replace").strip().lstrip("\ufeff")):
            yield SitemapEntry(address)


def _of_xml(body: bytes, url: str) -> Iterator[SitemapEntry]:
    if body.count(b"<") - body.count(b"</") > _MAX_TAGS:
        raise ValueError(f"more than {_MAX_TAGS} elements")
    # No entity is resolved: one of a few bytes can stand for gigabytes, or for a file of this machine.
    events = etree.iterparse(
        BytesIO(body), events=("end",), recover=True, resolve_entities=False, no_network=True, remove_comments=True
    )
    kept = 0  # elements that are in memory
    try:
        for _, element in events:
            kept += 1
            name = _name(element)
            read = _ENTRIES.get(name)
            if read and (entry := read(element, url)):
                yield entry
            if read or kept > _MAX_IN_ONE:
                kept = 0
                element.clear()
                above = element.getparent()  # of the root there may be something in front all the same
                while above is not None and element.getprevious() is not None:
                    del above[0]
    except etree.XMLSyntaxError:
        return  # what stands before it has been read


def _entry(element: Any, url: str) -> SitemapEntry | None:
    address = None
    images: dict[str, None] = {}
    for child in element.iter():
        if _name(child) != "loc" or not (found := absolute(url, (child.text or "").strip())):
            continue
        above = _name(child.getparent())
        if child.getparent() is element:
            address = address or found
        elif above == "image" and len(images) < MAX_IMAGES:
            images[found] = None
    return SitemapEntry(address, tuple(images), _name(element) == "sitemap") if address else None


def _of_feed(element: Any, url: str) -> SitemapEntry | None:
    """An item of RSS, whose link is a text, or an entry of Atom, whose link is an attribute."""
    pages: list[str | None] = []
    images: dict[str, None] = {}
    for child in element.iter():
        name, kind = _name(child), child.get("type") or child.get("medium") or ""
        stated = child.get("href") or child.get("url") or (child.text or "").strip()
        if name in ("enclosure", "content") or child.get("rel") == "enclosure":
            if kind.startswith("image") and len(images) < MAX_IMAGES and (found := absolute(url, stated)):
                images[found] = None
        elif child.getparent() is element and name == "link" and child.get("rel", "alternate") == "alternate":
            pages.insert(0, absolute(url, stated) if stated else None)
        elif name == "guid" and child.get("isPermaLink") != "false":
            pages.append(absolute("", stated))
    address = next(filter(None, pages), None)
    return SitemapEntry(address, tuple(images)) if address else None


_ENTRIES = {"url": _entry, "sitemap": _entry, "item": _of_feed, "entry": _of_feed}


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
