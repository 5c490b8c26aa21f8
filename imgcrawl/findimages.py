"""The images of a page whose site has not said where they are. Pure: a page in, addresses out.

Text is read by a tokenizer of our own, because libxml2 drops whatever lies deeper than 2,048 elements and needs
minutes for an element with a few hundred thousand attributes; this one is linear in the length of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, partial
from html import unescape
from html.entities import html5
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from lxml import etree
from parsel import Selector
from w3lib.url import safe_url_string

# Attributes of <img>, best first. The first group says "this is the full-size file" and beats any srcset …
ORIGINAL_ATTRIBUTES = (
    "data-orig-file",  # WordPress, Jetpack
    "zoomfile",  # Discuz!
    "data-zoom-image",
    "data-large_image",  # WooCommerce
    "data-full-src",
    "data-hi-res-src",
    "data-original",
)
SRCSET_ATTRIBUTES = ("srcset", "data-srcset", "data-lazy-srcset", "data-lazysrcset", "lazysrcset")
# … the second says where a script will find the image that `src` only keeps the place of.
LAZY_ATTRIBUTES = (
    "data-src",
    "data-lazy-src",
    "data-lazysrc",
    "lazysrc",
    "lazy-src",
    "data-lazyload",
    "data-lazy",
    "data-actualsrc",  # zhihu
    "data-ks-lazyload",  # taobao
    "data-echo",
    "data-cfsrc",  # Cloudflare
    "data-delayed-url",
    "data-real-src",
    "real_src",  # sina
    "data-img",
    "data-image",
    "file",  # Discuz!
)
# These hold addresses of pages as often, so that only an image file's name is believed.
VAGUE_ATTRIBUTES = ("data-url", "data-href", "data-link")
META_NAMES = ("og:image", "og:image:url", "twitter:image", "twitter:image:src")

_IMAGES = ("img", "amp-img")
_TAGS = frozenset((*_IMAGES, "picture", "source", "noscript", "meta", "link", "a", "area", "base"))
_RAW_TEXT = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE | re.ASCII) for name in _RAW_TEXT}

_TAG = re.compile(r"<(?:(!--)|(/?[a-zA-Z][^\s/>]*+)|[/!?])", re.ASCII)
_ATTRIBUTE = re.compile(
    r"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|["']?([^\s>]*+)))?+""", re.ASCII
)
_TAG_END = re.compile(r"[\s/]*+>", re.ASCII)
_REFERENCE = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?|[a-zA-Z]\w*+(?:;|(?!=)))", re.ASCII)

_CANDIDATE = re.compile(r"[\s,]*+(\S++)", re.ASCII)
_DESCRIPTORS = re.compile(r"(?:[^,(]++|\([^)]*+\)?)*+")
_DESCRIPTOR = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([wxh])", re.ASCII)
_MIN_WIDTH = re.compile(r"min-width\s*+:\s*+([0-9]{1,9})", re.ASCII)

_EXTENSION = r"\.(?:jpe?g|jpe|jfif|pjpeg|png|apng|gif|webp|avif|heic|heif|jxl|bmp|tiff?|jp2)"
# A site's own suffix may follow the extension (.jpg!dta, .jpg:large); MediaWiki's File:x.jpg is a page.
_IMAGE_FILE = re.compile(rf"[^/:]*{_EXTENSION}(?:[!:][\w.-]*)?", re.IGNORECASE | re.ASCII)
_PIXEL = re.compile(r"(?:blank|spacer|pixel|transparent|clear|1x1|1px)\.(?:gif|png|svg)", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?:[\w-]*[_-])?(?:blank|spacer|placeholder|place-holder|loading|loader|lazy|lazyload|pixel|transparent"
    r"|clear|grey|gray|dot|empty|default|dummy|1x1|1px)(?:[_-]?[0-9]\w*|[_-](?:img|image|pic|bg|icon))?"
    r"\.(?:gif|png|svg|jpe?g|webp)",
    re.IGNORECASE | re.ASCII,
)
_TINY = re.compile(r"\s*0*[01](?:px)?\s*", re.IGNORECASE)
# What `safe_url_string` would leave as it is; it costs twenty times as much as this match.
_SAFE_URL = re.compile(r"https?://(?:[a-z0-9-]+\.)*[a-z0-9-]+(?::[1-9][0-9]{0,3})?/[\w.~!$&()*+,;=:@/?%-]*", re.ASCII)
_HOST = re.compile(r"(?!\.|.*\.\.)[^\s\x00-\x20<>\"'%{}|\\^`]+")

_Rank = tuple[int, bool, float, float, float]


def find_images(html: str | Selector, url: str) -> list[str]:
    """The addresses of the images of a page, absolute, without fragment, in order of appearance, none twice.

    One address for each `<img>`: what a full-size attribute says, else the largest of its `srcset` and of the
    sources of its `<picture>`, else a lazy attribute, else `src`. Besides these, `og:image` and `twitter:image`,
    `<link rel=image_src>`, links to image files, and what `<noscript>` holds. `<base href>` counts.

    Left out: other schemes than http and https (so `data:`), addresses that are not valid, images declared as 1x1
    and pixel files (`spacer.gif`), and names like `loading.gif` where a better address took their place. Images
    of style sheets and of `style` attributes are left out too: they are backgrounds, icons and sprites.

    *html* is the text of a page (time linear in its length) or a selector, of which only its own part counts.
    """
    resolved = cache(partial(_resolved, _base(html, url)))
    found: dict[str, None] = {}
    stand_ins: set[str] = set()
    sources: list[tuple[_Rank, str]] = []
    unreplaced: str | None = None
    in_noscript = False

    def add(candidates: list[tuple[_Rank, str]]) -> str | None:
        for _, candidate in sorted(candidates, key=lambda pair: pair[0], reverse=True):
            address = resolved(candidate)
            if address is not None and not _PIXEL.fullmatch(_file_name(address)):
                found[address] = None
                return address
        return None

    for name, attributes in _tags(html):
        if name in ("picture", "/picture"):
            add(sources)
            sources = []
        elif name == "source":
            # Outside of <picture> it belongs to a video or a sound, and has no srcset.
            sources += _source_candidates(attributes)
        elif name in ("noscript", "/noscript"):
            in_noscript = name == "noscript"
        elif name in _IMAGES:
            candidates = sources + _image_candidates(attributes)
            sources = []
            if _is_pixel(attributes):
                continue
            address = add(candidates)
            if address is None:
                continue
            stand_ins.update(
                stand_in
                for rank, candidate in candidates
                if rank == _STAND_IN and (stand_in := resolved(candidate)) not in (None, address)
            )
            if in_noscript and unreplaced is not None and address != unreplaced:
                stand_ins.add(unreplaced)
            unreplaced = address if _PLACEHOLDER.fullmatch(_file_name(address)) else None
        else:
            named = _named_address(name, attributes)
            if named is not None:
                add([(_PLAIN, named)])
    add(sources)
    return [address for address in found if address not in stand_ins]


def count_links(html: str | Selector, url: str = "") -> int:
    """How many different http and https addresses the page links to, fragments aside.

    *url* is the page's own address; a selector of a response knows it. Links that cannot be resolved, for want
    of an address, are not counted.
    """
    if not url and isinstance(html, Selector):
        url = getattr(html.root, "base", None) or ""
    base = _base(html, url)
    links = {
        _resolved(base, attributes.get("href", ""))
        for name, attributes in _tags(html)
        if name in ("a", "area") and not attributes.get("href", "").lstrip().startswith("#")
    }
    return len(links - {None})


# A candidate's rank: group; no `max-width` (made for small screens); width; `min-width`; density.
_ORIGINAL: _Rank = (2, True, 0, 0, 0)
_PLAIN: _Rank = (1, True, 0, 0, 1)
_STAND_IN: _Rank = (0, True, 0, 0, 0)


def _image_candidates(attributes: dict[str, str]) -> list[tuple[_Rank, str]]:
    candidates = [(_ORIGINAL, address) for address in _addresses(attributes, ORIGINAL_ATTRIBUTES)]
    candidates += _source_candidates(attributes)
    candidates += [(_PLAIN, address) for address in _addresses(attributes, LAZY_ATTRIBUTES)]
    candidates += [(_PLAIN, address) for address in _addresses(attributes, VAGUE_ATTRIBUTES) if _is_file(address)]
    if "src" in attributes:
        candidates.append((_PLAIN, attributes["src"]))
    return [
        (_STAND_IN if _PLACEHOLDER.fullmatch(_file_name(address)) else rank, address) for rank, address in candidates
    ]


def _source_candidates(attributes: dict[str, str]) -> list[tuple[_Rank, str]]:
    media = attributes.get("media", "").lower()
    least = max((int(width) for width in _MIN_WIDTH.findall(media)), default=0)
    no_limit = "max-width" not in media
    return [
        ((1, no_limit, width, least, density), address)
        for name in SRCSET_ATTRIBUTES
        if name in attributes
        for address, width, density in _srcset(attributes[name])
    ]


def _srcset(text: str) -> Iterator[tuple[str, float, float]]:
    """Address, width and density of each candidate, as HTML parses them; a bad descriptor counts as the smallest."""
    position = 0
    while match := _CANDIDATE.match(text, position):
        position = match.end()
        address = match[1].rstrip(",")
        width, density = 0.0, 1.0
        if address == match[1]:
            descriptors = _DESCRIPTORS.match(text, position)
            assert descriptors is not None  # noqa: S101 - the pattern matches nothing, too
            position = descriptors.end()
            for descriptor in descriptors[0].split():
                known = _DESCRIPTOR.fullmatch(descriptor)
                if known is None:
                    width, density = 0.0, 0.0
                    break
                if known[2] == "w":
                    width = float(known[1])
                elif known[2] == "x":
                    density = float(known[1])
        yield address, width, density


def _named_address(name: str, attributes: dict[str, str]) -> str | None:
    """The address of an image that an element without a picture of its own names."""
    if name == "meta":
        key = attributes.get("property") or attributes.get("name") or ""
        return attributes.get("content") if key.strip().lower() in META_NAMES else None
    href = attributes.get("href")
    if href is None:
        return None
    if name == "link":
        return href if "image_src" in attributes.get("rel", "").lower().split() else None
    return href if name == "a" and _is_file(href) else None


def _is_pixel(attributes: dict[str, str]) -> bool:
    return all(_TINY.fullmatch(attributes.get(name, "")) for name in ("width", "height"))


def _addresses(attributes: dict[str, str], names: Iterable[str]) -> Iterator[str]:
    """The values of the attributes of these names, without the "true", "1" and JSON that stand there as well."""
    for name in names:
        if name in attributes:
            value = attributes[name].strip()
            if ("/" in value or _is_file(value)) and not value.startswith(("{", "[")):
                yield value


def _is_file(address: str) -> bool:
    return _IMAGE_FILE.fullmatch(_file_name(address)) is not None


def _file_name(address: str) -> str:
    path = address.strip().partition("#")[0].partition("?")[0]
    return unquote(path[path.rfind("/") + 1 :])


def _resolved(base: str, address: str) -> str | None:
    # As browsers do: line ends and tabs inside an address vanish, a backslash in its path is a slash.
    address = re.sub(r"[\t\r\n]", "", address).strip("\x00\x0c\x20")
    if "\\" in address:
        path, mark, query = address.partition("?")
        address = path.replace("\\", "/") + mark + query
    if _SAFE_URL.fullmatch(address):
        return address
    if not address or address.startswith("#"):
        return None
    try:
        joined = urldefrag(urljoin(base, address)).url
        if _SAFE_URL.fullmatch(joined):
            return joined
        parts = urlsplit(joined)
        if parts.scheme not in ("http", "https") or parts.port == 0 or not _HOST.fullmatch(parts.hostname or ""):
            return None
        return safe_url_string(joined)
    except ValueError:
        return None


def _base(html: str | Selector, url: str) -> str:
    hrefs: Iterator[str | None] = iter(())
    if isinstance(html, Selector):
        if _is_element(html.root):
            # The base stands in the head, also when the selector is a part of the body.
            hrefs = (base.get("href") for base in html.root.getroottree().iter("{*}base"))
    elif re.search(r"<base\b", html, re.IGNORECASE):
        hrefs = (attributes.get("href") for name, attributes in _text_tags(html) if name == "base")
    href = next((href for href in hrefs if href is not None), None)
    return (href and _resolved(url, href)) or url


def _tags(html: str | Selector) -> Iterator[tuple[str, dict[str, str]]]:
    """Start tags and end tags (`/name`) of `_TAGS`, in document order, with their attributes."""
    if isinstance(html, str):
        return _text_tags(html)
    return _tree_tags(html.root) if _is_element(html.root) else iter(())


def _is_element(root: Any) -> bool:
    """Selectors also hold texts, comments and JSON."""
    return etree.iselement(root) and isinstance(root.tag, str)


def _tree_tags(root: Any) -> Iterator[tuple[str, dict[str, str]]]:
    for event, element in etree.iterwalk(root, events=("start", "end"), tag=[f"{{*}}{name}" for name in _TAGS]):
        name = etree.QName(element).localname
        yield (name, dict(element.attrib)) if event == "start" else (f"/{name}", {})


def _text_tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    position = 0
    unclosed: set[str] = set()  # what is searched for once in vain is not searched for again: that keeps it linear
    while tag := _TAG.search(text, position):
        position = tag.end()
        if tag[1]:
            end = -1 if "--" in unclosed else text.find("-->", position - 2)
            if end < 0:
                unclosed.add("--")
            else:
                position = end + 3
            continue
        if not tag[2]:
            position = text.find(">", position) + 1
            if not position:
                return
            continue
        name = tag[2].lower()
        attributes, position = _attributes(text, position, keep=name in _TAGS)
        if not position:
            return
        if name in _RAW_END and name not in unclosed:
            raw_end = _RAW_END[name].search(text, position)
            if raw_end is None:
                unclosed.add(name)
            else:
                position = raw_end.start()
        elif name.removeprefix("/") in _TAGS:
            yield name, attributes


def _attributes(text: str, position: int, *, keep: bool) -> tuple[dict[str, str], int]:
    """The attributes from *position* on, and where the tag ends; 0 if it does not."""
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE.match(text, position):
        position = found.end()
        if keep:
            value = found[2] or found[3] or found[4] or ""
            attributes.setdefault(found[1].lower(), _REFERENCE.sub(_character, value))
    end = _TAG_END.match(text, position)
    return attributes, end.end() if end else 0


def _character(match: re.Match[str]) -> str:
    # Only whole names: `&region=` in an address is no registered sign.
    reference = match[0]
    return unescape(reference) if reference[1] == "#" else html5.get(reference[1:], reference)
