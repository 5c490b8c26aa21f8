"""The links of a page."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from itertools import chain, islice, takewhile
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from parsel import Selector

from imgcrawl.pages.bounds import bounded
from imgcrawl.pages.candidates import is_empty, is_file
from imgcrawl.pages.tags import EXTENSION, base_of, tags, text_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import WEB, absolute, host_of, origin_of

_FRAME = frozenset(("frame",))  # of <iframe> the tags are always told
_TINY = re.compile(r"\s*+0*[01](?:px)?\s*+", re.IGNORECASE)
MAX_FRAMES = 3
_MAX_SEEN = 1_000  # of a page
_IN_BASE64 = "aHR0c"  # what begins with "http"
_IN_SMALL = re.compile(r"thumb|preview|small|icon|avatar|poster", re.IGNORECASE)
# A file's name that has become a page's: /attachments/a-jpg.12/, /attachment/12-a-jpg/
_NAME_WITHIN = re.compile(rf"/[^/?#]{{1,200}}-{EXTENSION}(?:\.[0-9]{{1,12}})?/?(?=[?#]|$)", re.IGNORECASE)
_FILE_TOLD = re.compile(rf"[?&][^?#&=]{{1,40}}=([^#&]{{1,500}}\.{EXTENSION})(?=[&#]|$)", re.IGNORECASE)
_SCRIPT = re.compile(r"[^/]*(\.(?:php[0-9]?|as[hp]x?|aspx|cgi|pl|jsp|cfm))$", re.IGNORECASE)
# What a click on an element leads to, where that is no link.
_PRESSED = compile_late(
    r"(?<![\w.$])(?:(?:window|document|self|top|parent)\.)*+(?:location(?:\.href)?\s*+(?:=|\.(?:assign|replace)\()|open\()\s*+"
    r"""(?:"([^"<>\s]{1,2000}+)"|'([^'<>\s]{1,2000}+)')\s*+(?![+\s])"""
)
_MAY_BE_PRESSED = "//*[@onclick or @data-href or (@role='link' and (@data-url or @data-link or @data-permalink))]"
_ABOVE = 100  # elements around one
_LEADS_TO = ("data-href", "data-url", "data-link", "data-permalink")
_LEAST = 3  # slashes in the address of what is no start page
_MAX_TOLD = 4_000  # characters of an address that tells where it leads to


class Frames(NamedTuple):
    """The addresses of the first pages that a page shows within itself: its *own* site's, and those of *others*."""

    own: list[str]
    others: list[str]


def frames_of(html: str | Selector, url: str, encoding: str = "utf-8") -> Frames:
    """What the page *url* has in frames, but for itself and what nobody sees."""
    base = base_of(html, url)
    frames = (tag.attributes for tag in tags(text_of(html), _FRAME) if tag.name in ("frame", "iframe"))
    seen = (each for each in frames if not any(_TINY.fullmatch(each.get(side, "")) for side in ("width", "height")))
    found = (absolute(base, each.get("src", ""), encoding) for each in seen if not is_empty(each.get("src", "")))
    origin, own, others = origin_of(url), list[str](), list[str]()
    for frame in dict.fromkeys(bounded(found, _MAX_SEEN, "pages")):
        if frame and frame != url:
            (own if origin_of(frame) == origin else others).append(frame)
    return Frames(list(bounded(own, MAX_FRAMES, "pages")), others[:MAX_FRAMES])


def led_to(href: str, page: str, resolve: Callable[[str], str | None]) -> str:
    """The image file that *href*, of the site of *page*, is told to lead to, as a text or in base64: a page that
    asks first whether one wants to leave. Empty where there is none: of the site itself it may be as small as any."""
    told = href.partition("?")[2]
    if len(href) > _MAX_TOLD or not ("http" in told or _IN_BASE64 in told):
        return ""
    address = resolve(href) or ""
    query = urlsplit(address).query if host_of(address) == host_of(page) else ""
    parts = (part.partition("=") for part in query.split("&"))
    for told in (query, *(told for name, _, told in parts if not _IN_SMALL.search(name))):
        target = unquote(told)
        if target.startswith(_IN_BASE64):
            try:
                target = urlsafe_b64decode(target.replace("+", "-").replace("/", "_") + "===").decode()
            except ValueError:
                continue
        if target.startswith(WEB) and is_file(target) and host_of(target) != host_of(page):
            return target
    return ""


def pressed_address(element: Any, *, is_declared: bool = False) -> str:
    """What a click on *element*, which is no link, leads to, as its attributes say it for a script: `data-href`, or
    `location.href = '/x'`. What other attributes say may be what a script loads into it; it counts where the element
    has the role of a link, or is said to be one. Empty where there is nothing."""
    if pressed := _PRESSED.search((element.get("onclick") or "")[:_MAX_TOLD]):
        return pressed[1] or pressed[2] or ""
    is_link = is_declared or (element.get("role") or "").strip().lower() == "link"
    return next(filter(None, map(element.get, _LEADS_TO if is_link else _LEADS_TO[:1])), "").strip()


def pressed_elements(root: Any) -> Iterator[tuple[Any, str]]:
    """The elements below *root* that a click on leads from, though they are no links (`pressed_address`), and in none
    and around none; and where to."""
    around: set[Any] = set()
    for link in root.iter("a"):
        for above in takewhile(lambda each: each not in around, chain([link], link.iterancestors())):
            around.add(above)
    for element in root.xpath(_MAY_BE_PRESSED):
        if element in around or not (address := pressed_address(element)):
            continue
        if not any(each.tag == "a" for each in islice(element.iterancestors(), _ABOVE)):
            yield element, address


def is_script(address: str) -> bool:
    """Whether *address* is that of a script which is told what to send."""
    path, _, query = address[:_MAX_TOLD].partition("#")[0].partition("?")
    return bool(query) and _SCRIPT.search(path) is not None


def may_be_original(href: str, shown: str, resolve: Callable[[str], str | None]) -> bool:
    """Whether *href*, of a link around the image *shown* of the same site, may lead to its original by how both are
    served: by one script, or by scripts that are told the same; or by a file's name in it, of another file of the site.

    It may as well be a page."""
    if max(len(href), len(shown)) > _MAX_TOLD:
        return False
    href, shown = href.partition("#")[0], shown.partition("#")[0]
    has_name, told = _NAME_WITHIN.search(href), _FILE_TOLD.search(href)
    link = resolve(href) if "?" in shown or has_name or told else None
    if link is None or link == shown or host_of(link) != host_of(shown):
        return False
    path, _, query = link.partition("?")
    if has_name or path.rstrip("/").count("/") < _LEAST:
        return has_name is not None
    file = unquote(told[1]) if told else ""
    return bool(file and "//" not in file and not shown.endswith(file.lstrip("./"))) or _is_alike(path, query, shown)


def _is_alike(path: str, query: str, shown: str) -> bool:
    """Whether a script at *path*, told *query*, serves what that of *shown* does."""
    shown_path, _, shown_query = shown.partition("?")
    if is_file(shown_path) or not shown_query:
        return False
    if path == shown_path:
        return bool(query) or "/is/image/" not in path  # Scene7 makes a small one where it is told nothing
    script, other = _SCRIPT.search(path), _SCRIPT.search(shown_path)
    if script is None or other is None or query != shown_query:
        return False
    return (path[: script.start()], script[1]) == (shown_path[: other.start()], other[1])


def count_links(html: str | Selector, url: str = "") -> int:
    """How many different http and https addresses the page links to, fragments aside.

    *url* is the page's own address; a selector of a response knows it. Links that cannot be resolved, for want
    of an address, are not counted.
    """
    if not url and isinstance(html, Selector):
        url = getattr(html.root, "base", None) or ""
    base = base_of(html, url)
    hrefs = (tag.attributes.get("href", "") for tag in tags(text_of(html)) if tag.name in ("a", "area"))
    return len({absolute(base, href) for href in hrefs if not is_empty(href)} - {None})
