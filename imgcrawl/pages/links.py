"""The links of a page."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, takewhile
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from parsel import Selector

from imgcrawl.pages.bounds import bounded
from imgcrawl.pages.candidates import is_empty, is_file
from imgcrawl.pages.tags import EXTENSION, base_of, tags, text_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import WEB, absolute, host_of, origin_of

_FRAME = frozenset(("frame", "object", "embed"))  # of <iframe> the tags are always told
_FRAMES = ("frame", "iframe", "object", "embed")
_SOURCES = ("src", "data-src", "data-lazy-src")  # of a frame that a script loads when it is seen
_OTHER_FILE = re.compile(r"\.(?!(?:html?|php[0-9]?|aspx?|jsp|cfm)$)[a-z0-9]{2,5}$", re.IGNORECASE)
_HTML = re.compile(r"\s*+(?:text/html|application/xhtml\+xml)\b", re.IGNORECASE)
# What is in a frame beside images of the page's own, by its address and attributes: an album, or something else.
_OF_ALBUM = compile_late(
    r"(?<![a-z])(?:galler(?:y|ies)|galer(?:ie|ía|ia)|albums?|alben|photos?|fotos?|photogallery|pictures?|images?|bilder"
    r"|slide-?shows?|lightbox)(?![a-z])",
    re.IGNORECASE,
)
_OF_OTHERS = compile_late(
    r"(?<![a-z])(?:ads?|adserver|adframe|banners?|sponsors?|promos?|comments?|disqus|reviews?|related|similar|recommend\w*"
    r"|latest|popular|recent|trending|random|sidebar|nav|menu|header|footer|login|signin|sign-in|map|maps|videos?|player"
    r"|audio|share|like|likes|social|widgets?|chat|newsletter|subscribe|captcha|recaptcha|track\w*|pixel|analytics|consent"
    r"|cookies?|search|calendar|poll|vote|rating|upload)(?![a-z])",
    re.IGNORECASE,
)
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
# The address that a script is told first: `openAlbum('/g/7', this)`.
_TOLD_SCRIPT = compile_late(r"""\(\s*+(["'])((?:https?:)?/(?:(?!\1)[^<>\s]){1,2000}+)\1""", re.IGNORECASE)
_MAY_LEAD = compile_late(r"[^\s/?.]*[/?.]\S*\Z")
_MAY_BE_PRESSED = (
    "/descendant::*[@onclick or @data-href or (@role='link' and (@data-url or @data-link or @data-permalink))]"
)
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
    base, origin, own, others = base_of(html, url), origin_of(url), list[str](), list[str]()
    told = ((tag.name, tag.attributes) for tag in tags(text_of(html), _FRAME))
    found = (absolute(base, _source_of(each), encoding) for each in _seen_of(told))
    for frame in dict.fromkeys(bounded(filter(None, found), _MAX_SEEN, "pages")):
        if frame != url:
            (own if origin_of(frame) == origin else others).append(frame)
    return Frames(list(bounded(own, MAX_FRAMES, "pages")), others[:MAX_FRAMES])


def album_frames(page: Selector, url: str, encoding: str = "utf-8") -> Frames:
    """Of the frames of its own site that *page*, which is at *url*, has beside images of its own those that surely show
    more of them, called so or by a number or a name in the address of the page; as others those that nothing is known
    of."""
    own, others = list[str](), list[str]()
    elements = list(islice(page.root.iter(*_FRAMES), _MAX_SEEN))
    if not elements:  # as of most pages
        return Frames(own, others)
    base, origin = base_of(page, url), origin_of(url)
    its_name = urlsplit(url).path.rstrip("/").rpartition("/")[2].partition(".")[0]
    named = re.compile(rf"(?<![a-z0-9]){re.escape(its_name)}(?![a-z0-9])", re.IGNORECASE) if its_name else None
    for each in _seen_of((element.tag, dict(element.attrib)) for element in elements):
        frame = absolute(base, _source_of(each), encoding)
        if not frame or frame == url or origin_of(frame) != origin:
            continue
        address = frame[len(origin) :][:_MAX_TOLD]
        said = " ".join((address, *(each.get(name, "")[:_MAX_TOLD] for name in ("class", "id", "name", "title"))))
        if not _OF_OTHERS.search(said):
            is_sure = _OF_ALBUM.search(said) or (named and named.search(address))
            (own if is_sure else others).append(frame)
    return Frames(list(bounded(dict.fromkeys(own), MAX_FRAMES, "pages")), list(dict.fromkeys(others))[:MAX_FRAMES])


def _seen_of(elements: Iterable[tuple[str, dict[str, str]]]) -> Iterator[dict[str, str]]:
    """The attributes of those *elements*, each with its name, that show another page, unless nobody sees it."""
    for name, attributes in elements:
        if name not in _FRAMES or any(_TINY.fullmatch(attributes.get(side, "")) for side in ("width", "height")):
            continue
        source, kind = _source_of(attributes), attributes.get("type", "")
        is_page = (
            name in _FRAMES[:2] or _HTML.match(kind) or not (kind or _OTHER_FILE.search(re.split("[?#]", source)[0]))
        )
        if source and is_page:
            yield attributes


def _source_of(frame: dict[str, str]) -> str:
    stated = (frame.get(name, "") for name in (*_SOURCES, "data"))
    return next((each for each in stated if not is_empty(each) and not each.startswith("about:")), "")


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


def may_lead(text: str) -> bool:
    """Whether *text* is one word with a slash, a question mark or a dot: an address, and no word or number."""
    return _MAY_LEAD.match(text.strip()) is not None


def told_address(element: Any) -> str:
    """The address that *element*, which the user named as what leads on, tells a script, or has as an option's value.
    Of any other element it may be what is voted for or shared. Empty where there is none."""
    if element.tag == "option":
        value = element.get("value", element.text or "").strip()
        return value if may_lead(value) else ""
    href = (element.get("href") or "")[:_MAX_TOLD].lstrip()
    script = href if href[:11].lower() == "javascript:" else ""
    told = _TOLD_SCRIPT.search(script) or _TOLD_SCRIPT.search((element.get("onclick") or "")[:_MAX_TOLD])
    return told[2] if told else ""


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


def names_file(href: str) -> bool:
    """Whether *href* has an image file's name within it, or in its query: `may_be_original` finds no other that is
    around an image without a query in its address."""
    return _NAME_WITHIN.search(href) is not None or _FILE_TOLD.search(href) is not None


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
