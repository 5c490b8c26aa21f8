"""The addresses in a sitemap (https://www.sitemaps.org/protocol.html) or a feed (RSS, Atom: RFC 4287), with the images
that it states for them."""

from __future__ import annotations

import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from itertools import islice
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
_GZIPS, _PARTS, _CHUNK = 2, 1_000, 65_536  # one in the other, one behind the other, bytes that are unpacked at a time
_MARKS = ((BOM_UTF8, "utf-8"), (BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be"))
_MAX_BEFORE = 20_000  # bytes in front of the root: what the program that writes it says, for one
_ROOT = re.compile(rb"<((?:[\w.-]{1,40}:)?(?:urlset|sitemapindex|rss|feed|RDF))(?=[\s/>])", re.IGNORECASE)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)(?=[\s>])", re.IGNORECASE)
_DECLARED = re.compile(
    rb"""<\?xml\s[^<>]{0,200}?encoding\s*+=\s*+["']((?!utf-?(?:16|32)|ucs)[\w.-]{1,40})["']""", re.IGNORECASE
)
# What stands for itself, and should not in XML; not where a comment or a section of text may have it.
_BARE = rb"&(?!(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});)|<(?![a-zA-Z_/!?])"
_IS_BARE = re.compile(_BARE)
_BARE_IN_XML = re.compile(rb"(<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z))|" + _BARE, re.DOTALL)
_MAX_NAMES = 100  # of characters in a text
_BREAKS_OFF = "it breaks off, so what stands behind its last whole entry is missing"


class SitemapEntry(NamedTuple):
    """A page and the images stated for it; or, if *is_sitemap*, a further sitemap."""

    address: str
    images: tuple[str, ...] = ()
    is_sitemap: bool = False


def read_sitemap(body: bytes, url: str) -> Iterator[SitemapEntry]:
    """The entries of the sitemap, the sitemap index or the feed *body*, whose address is *url*, in order.

    It may be in gzip, and may be text with an address a line. What is no address over HTTP is passed over. It is read
    as sites write it: with what a program says in front of it, in another encoding than is declared, with `&` and `<`
    that stand for themselves. Time and memory are linear in the size of *body*. Raises ValueError for a page of HTML,
    for what is larger than `SITEMAP_MAXSIZE`, no gzip, or of more elements than such entries have; and behind the
    entries if it breaks off, or has more than `MAX_ENTRIES`.
    """
    is_cut = False
    for _ in range(_GZIPS):
        if body.startswith(_GZIP):
            body, breaks_off = _unpacked(body)
            is_cut = is_cut or breaks_off
    body, encoding = _in_utf8(body)
    for count, entry in enumerate(_of_xml(body, url, encoding) if _is_xml(body) else _of_text(body, is_cut=is_cut)):
        if count == MAX_ENTRIES:
            raise ValueError(
                f"more than {MAX_ENTRIES:,} entries, which is what the protocol allows: the first were read"
            )
        yield entry
    if is_cut:
        raise ValueError(_BREAKS_OFF)


def sitemaps_named(robots: bytes, url: str) -> Iterator[SitemapEntry]:
    """The sitemaps that *robots*, a robots.txt whose address is *url*, names."""
    for line in robots.removeprefix(BOM_UTF8).splitlines():
        name, _, value = line.partition(b"#")[0].partition(b":")
        if name.strip().lower() == b"sitemap" and (address := absolute(url, value.decode("utf-8", "replace").strip())):
            yield SitemapEntry(address, is_sitemap=True)


def _unpacked(body: bytes) -> tuple[bytes, bool]:
    """What *body* is in gzip, and whether its end is missing."""
    found: list[bytes] = []
    size = position = 0
    part, unpacking = 1, zlib.decompressobj(31)
    while position < len(body):
        chunk = body[position : position + _CHUNK]
        try:
            found.append(unpacking.decompress(chunk, SITEMAP_MAXSIZE + 1 - size))
        except zlib.error as error:
            if not size:
                raise ValueError(f"no gzip, whatever it begins with ({error})") from error
            return b"".join(found), True
        size += len(found[-1])
        if size > SITEMAP_MAXSIZE:
            raise ValueError(f"more than {SITEMAP_MAXSIZE >> 20} MiB, unpacked")
        position += len(chunk) - len(unpacking.unused_data)
        if unpacking.eof and body.startswith(_GZIP, position):
            if part == _PARTS:
                return b"".join(found), True
            part, unpacking = part + 1, zlib.decompressobj(31)
        elif unpacking.eof:
            break
    return b"".join(found), not unpacking.eof


def _in_utf8(body: bytes) -> tuple[bytes, str | None]:
    """*body* in UTF-8, without the mark that says its encoding; if none does, as it is, and what it declares."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            body = body[len(mark) :]
            return (body if encoding == "utf-8" else body.decode(encoding, "replace").encode()), None
    declared = _DECLARED.search(body, 0, _MAX_BEFORE)
    return body, _known(declared[1].decode()) if declared else None


def _known(encoding: str) -> str | None:
    try:
        etree.XMLParser(encoding=encoding)
    except LookupError:
        return None
    return encoding


def _is_xml(body: bytes) -> bool:
    return _ROOT.search(body, 0, _MAX_BEFORE) is not None or body[:_MAX_BEFORE].lstrip().startswith(b"<")


def _of_text(body: bytes, *, is_cut: bool) -> Iterator[SitemapEntry]:
    for line in BytesIO(body[: body.rfind(b"\n") + 1] if is_cut else body):
        if address := absolute("", line.decode("utf-8", "replace").strip().lstrip("\ufeff")):
            yield SitemapEntry(address)


def _document(body: bytes) -> tuple[bytes, bool]:
    """The document in *body* as a parser takes it, and whether its end is missing."""
    root = _ROOT.search(body, 0, _MAX_BEFORE)
    if root is None:
        if _PAGE.search(body, 0, _MAX_BEFORE):
            raise ValueError("a page of HTML, no sitemap")
        return body.lstrip(), False
    end = body.rfind(b"</" + root[1])
    is_cut = end < 0 and re.compile(rb"[^<>]*/>").match(body, root.end()) is None
    if is_cut:  # what is there of an address that is cut is another address
        prefix = root[1].rpartition(b":")[:2]
        ends = (body.rfind(b"</" + b"".join(prefix) + name) for name in _ENTRY_NAMES)
        end = max(ends)
    stop = body.find(b">", end) + 1 if end >= 0 else 0
    body = body[root.start() : stop] if stop or is_cut else body[root.start() :]
    if _IS_BARE.search(body):
        if body.count(b"&") > _MAX_TAGS:
            raise ValueError(f"more than {_MAX_TAGS} references")
        body = _BARE_IN_XML.sub(lambda found: found[1] or (b"&amp;" if found[0] == b"&" else b"&lt;"), body)
    return body, is_cut


def _of_xml(body: bytes, url: str, encoding: str | None) -> Iterator[SitemapEntry]:
    if body.count(b"<") - body.count(b"</") > _MAX_TAGS:
        raise ValueError(f"more than {_MAX_TAGS} elements")
    document, is_cut = _document(body)
    # No entity is resolved: one of a few bytes can stand for gigabytes, or for a file of this machine.
    events = etree.iterparse(
        BytesIO(document),
        events=("end",),
        recover=True,
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        encoding=encoding,
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
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{_BREAKS_OFF} ({error})") from error  # what stands before it has been read
    if is_cut:
        raise ValueError(_BREAKS_OFF)


def _entry(element: Any, url: str) -> SitemapEntry | None:
    address = None
    images: dict[str, None] = {}
    for child in element.iter():
        if _name(child) != "loc" or not (found := absolute(url, _text(child))):
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
        stated = child.get("href") or child.get("url") or _text(child)
        if name in ("enclosure", "content") or child.get("rel") == "enclosure":
            if kind.startswith("image") and len(images) < MAX_IMAGES and (found := absolute(url, stated)):
                images[found] = None
        elif child.getparent() is element and name == "link" and child.get("rel", "alternate") == "alternate":
            pages.insert(0, absolute(url, stated) if stated else None)
        elif name == "guid" and child.get("isPermaLink") != "false":
            pages.append(absolute("", stated))
    address = next(filter(None, pages), None)
    return SitemapEntry(address, tuple(images)) if address else None


_ENTRY_NAMES = (b"url>", b"sitemap>", b"item>", b"entry>", b"loc>")
_ENTRIES = {"url": _entry, "sitemap": _entry, "item": _of_feed, "entry": _of_feed}


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _text(element: Any) -> str:
    """The text in *element*; names of characters that are HTML's, which XML has not, stand as elements in it."""
    text: str = element.text or ""
    for child in islice(element, _MAX_NAMES):
        if child.tag is not etree.Entity:
            break
        text += f"{unescape(child.text)}{child.tail or ''}"
    return text.strip()
