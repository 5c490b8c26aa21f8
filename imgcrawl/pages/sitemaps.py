"""The addresses in a sitemap (https://www.sitemaps.org/protocol.html) or a feed (RSS, Atom: RFC 4287), with the images
that it states for them."""

from __future__ import annotations

import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, iterdecode
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple

from lxml import etree
from w3lib.encoding import resolve_encoding

from imgcrawl.possessive import compile_late, compile_possessive
from imgcrawl.urls import absolute

# The protocol's own bounds. Beyond them nothing is read.
SITEMAP_MAXSIZE = 50 * 1024 * 1024  # bytes, unpacked
MAX_ENTRIES = 50_000
MAX_IMAGES = 1_000  # of an entry
_MAX_TAGS = 2_000_000  # 40 for each entry that there may be
_MAX_REFERENCES = 3_000_000  # one for each 17 bytes
_MAX_IN_ONE = 20_000  # elements and attributes of one entry, which has some for itself and some for each image
_MAX_ATTRIBUTES = 1_000  # of an element: each takes 400 bytes
_MANY = 200_000  # `=`, from which on attributes are counted
_GZIP = b"\x1f\x8b\x08"
_GZIPS, _PARTS, _CHUNK = 2, 1_000, 65_536  # one in the other, one behind the other, bytes that are unpacked at a time
_MARKS = (
    *((BOM_UTF8, "utf-8"), (BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be")),
    *((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be")),
)
_MAX_BEFORE = 20_000  # bytes in front of the root: what the program that writes it says, for one
_ROOT = re.compile(rb"<((?:[\w.-]{1,40}:)?(?:urlset|sitemapindex|rss|feed|RDF))(?=[\s/>])", re.IGNORECASE)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)(?=[\s>])", re.IGNORECASE)
_DECLARED = compile_late(  # a text in UTF-16 would not have been found; "punycode" takes time by the square
    rb"""<\?xml\s[^<>]{0,200}?encoding\s*+=\s*+["']((?!utf-?(?:16|32)|ucs|puny)[\w.-]{1,40})["']""", re.IGNORECASE
)
# What the parser must not see. Of a document that is not well formed, in whatever place, it drops the five references
# that XML knows, and takes those that are numbers. What stands for itself, and should not in XML, is neither.
_SECTION, _COMMENT = b"<![CDATA[", b"<!--"
_AMISS = compile_late(
    rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&(?:amp|lt|gt|quot|apos);"
    rb"|&(?!(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});)|<(?!/?[a-zA-Z_]|\?|![A-Z])",
    re.DOTALL,
)
_NUMBERS = {
    text: b"&#%d;" % ord(unescape(text.decode()))
    for text in (b"&", b"<", b"&amp;", b"&lt;", b"&gt;", b"&quot;", b"&apos;")
}
_CLOSED = rb"</(?:[\w.-]{1,40}:)?(?:url|sitemap|item|entry%b)\s*>"
_ENTRY_END, _END = (re.compile(_CLOSED % more, re.IGNORECASE) for more in (b"", b"|loc"))
_TAG = compile_possessive(rb"""<[a-zA-Z_](?:[^<>"']++|"[^"]*+"|'[^']*+')*+""")
_MAX_NAMES = 100  # of characters in a text
_BREAKS_OFF = "it breaks off, so what stands behind its last whole entry is missing"
_NOT_WELL_FORMED = "it is not well formed near its entry %d, so entries are missing"


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
    entries if it breaks off, has some that cannot be read, or more than `MAX_ENTRIES`.
    """
    is_cut = False
    for _ in range(_GZIPS):
        if body.startswith(_GZIP):
            body, breaks_off = _unpacked(body)
            is_cut = is_cut or breaks_off
    body = _in_utf8(body)
    for count, entry in enumerate(_of_xml(body, url) if _is_xml(body) else _of_text(body, is_cut=is_cut)):
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


def _in_utf8(body: bytes) -> bytes:
    """*body* in UTF-8, of the encoding by whose mark it begins, or which it declares."""
    encoding = next((encoding for mark, encoding in _MARKS if body.startswith(mark)), None)
    if encoding is None:
        declared = _DECLARED.search(body, 0, _MAX_BEFORE)
        encoding = resolve_encoding(declared[1].decode()) if declared else None
        try:
            b"a".decode(encoding or "utf-8", "replace")
        except (LookupError, UnicodeError):  # codecs that are no encodings
            encoding = None
    if encoding and encoding != "utf-8":
        parts = (body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK))
        body = b"".join(text.encode("utf-8", "replace") for text in iterdecode(parts, encoding, "replace"))
    return body.removeprefix(BOM_UTF8)


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
        return _mended(body.lstrip()), False
    is_empty = re.compile(rb"[^<>]*/>").match(body, root.end()) is not None
    body = _mended(body[root.start() :])
    end = body.rfind(b"</" + root[1])
    is_cut = end < 0 and not is_empty
    if is_cut:  # what is there of an address that is cut is another address
        for found in _END.finditer(body):
            end = found.start()
    stop = body.find(b">", end) + 1 if end >= 0 else 0
    return (body[:stop] if stop or is_cut else body), is_cut


def _mended(document: bytes) -> bytes:
    """*document* without comments and sections, and with nothing but numbers and HTML's names behind an `&`."""
    if document.count(b"&") > _MAX_REFERENCES:
        raise ValueError(f"more than {_MAX_REFERENCES} references")
    if document.count(b"<") > 2 * _MAX_TAGS:
        raise ValueError(f"more than {2 * _MAX_TAGS} tags")
    if document.count(b"=") > _MANY:
        most = max((document.count(b"=", *found.span()) for found in _TAG.finditer(document)), default=0)
        if most > _MAX_ATTRIBUTES:
            raise ValueError(f"an element of more than {_MAX_ATTRIBUTES} attributes")
    mended, position = BytesIO(), 0  # `sub` would keep each piece, of 50 bytes or more
    for found in _AMISS.finditer(document):
        mended.write(document[position : found.start()])
        mended.write(_in_numbers(found))
        position = found.end()
    mended.write(document[position:])
    return mended.getvalue()


def _in_numbers(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if number := _NUMBERS.get(text):
        return number
    if text.startswith(_COMMENT) and text.endswith(b"-->"):
        return b""
    if text.startswith(_SECTION) and text.endswith(b"]]>"):
        return text[len(_SECTION) : -3].replace(b"&", _NUMBERS[b"&"]).replace(b"<", _NUMBERS[b"<"])
    return text  # it has no end: the parser says what is behind it


def _of_xml(body: bytes, url: str) -> Iterator[SitemapEntry]:
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
        encoding="utf-8",
    )
    too_many = False
    count = kept = 0  # entries, and elements and attributes that are in memory
    try:
        for _, element in events:
            kept += 1 + len(element.attrib)
            read = _ENTRIES.get(_name(element))
            count += read is not None
            if read and (entry := read(element, url)):
                too_many = too_many or len(entry.images) > MAX_IMAGES
                yield entry._replace(images=entry.images[:MAX_IMAGES])
            too_many = too_many or (not read and kept > _MAX_IN_ONE)
            if read or kept > _MAX_IN_ONE:
                element.clear()
                above = element.getparent()  # of the root there may be something in front all the same
                if kept <= _MAX_IN_ONE and _name(above) in _ENTRIES:
                    continue  # that one is not closed, and its address stands in front
                kept = 0
                while above is not None and element.getprevious() is not None:
                    del above[0]
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{_BREAKS_OFF} ({error})") from error  # what stands before it has been read
    if is_cut:
        raise ValueError(_BREAKS_OFF)
    if too_many:
        raise ValueError(f"an entry of more than {MAX_IMAGES:,} images: the first were read")
    if count < sum(1 for _ in _ENTRY_END.finditer(document)):
        raise ValueError(_NOT_WELL_FORMED % count)


def _entry(element: Any, url: str) -> SitemapEntry | None:
    address = None
    images: dict[str, None] = {}
    for child in element.iter():
        if _name(child) != "loc" or not (found := absolute(url, _text(child))):
            continue
        above = _name(child.getparent())
        if child.getparent() is element:
            address = address or found
        elif above == "image":
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
            if kind.startswith("image") and (found := absolute(url, stated)):
                images[found] = None
        elif child.getparent() is element and name == "link" and child.get("rel", "alternate") == "alternate":
            pages.insert(0, absolute(url, stated) if stated else None)
        elif name == "guid" and child.get("isPermaLink") != "false":
            pages.append(absolute("", stated))
    address = next(filter(None, pages), None)
    return SitemapEntry(address, tuple(images)) if address else None


_ENTRIES = {"url": _entry, "sitemap": _entry, "item": _of_feed, "entry": _of_feed}


def _name(element: Any) -> str:
    """The name of *element* without its prefix, whether that is declared or not."""
    tag = None if element is None else element.tag
    return tag.rpartition("}")[2].rpartition(":")[2].lower() if isinstance(tag, str) else ""


def _text(element: Any) -> str:
    """The text in *element*; names of characters that are HTML's, which XML has not, stand as elements in it."""
    text: str = element.text or ""
    for child in islice(element, _MAX_NAMES):
        if child.tag is not etree.Entity:
            break
        text += f"{unescape(child.text)}{child.tail or ''}"
    return text.strip()
