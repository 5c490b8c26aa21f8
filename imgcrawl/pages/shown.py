"""What a page shows of its images and of itself where it states nothing in a standard way: captions, and its day."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from lxml import etree
from parsel import Selector

from imgcrawl.pages.candidates import LISTED, LONGEST_NAME, ORIGINAL, PLAIN, file_name, rank_by_name
from imgcrawl.pages.facts import MAX_TEXT
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.tags import IMAGES, base_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import resolve

_ABOVE, _HIGHER = 8, 64  # elements above an image, and above a <time>, that are looked at
_LONGEST = 4 * MAX_TEXT  # characters of an attribute, which may have markup in them
_ADDRESSES, _LONGEST_ADDRESS = 50, 2_000  # of one image that are looked at: sizes in its srcset; and characters
_TIMES = 20
_MOST_RESOLVED = 20_000  # addresses of a page
_MOST_TEXT = 5_000_000  # characters of captions on a page, of which some may be within others
_ATTRIBUTES = ("data-caption", "data-title", "title")  # of the link around an image, as lightboxes want them
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]{6}")  # a sentence where no spaces are written
_DAY = re.compile(r"\s*\d{4}-\d\d?-\d\d?(?!\d)")
_OF_OTHERS = frozenset(("aside", "footer", "nav"))
_COMMENT = compile_late(r"(?<![a-z])(?:comments?|commentlist|repl(?:y|ies)|related)(?![a-z])", re.IGNORECASE)
_CHANGED = re.compile(r"updated|modified", re.IGNORECASE)
_PUBLISHED = re.compile(r"publish", re.IGNORECASE)


class Caption(NamedTuple):
    """What may be the caption of an image; surely, whatever else is called so."""

    text: str
    surely: bool


def captions_of(page: Selector, images: Iterable[str], url: str, encoding: str = "utf-8") -> dict[str, Caption]:
    """What *page* at *url* shows as the captions of *images*: address → caption.

    That is the `<figcaption>` of the figure around an image, else what a lightbox shows with it (`data-caption`,
    `data-title` or `title` of the link around it), else its `alt`. A title and an `alt` count where they are a sentence
    (two words or more), and are not the name of the image's file; not surely, see `captions_kept`.
    """
    root: Any = page.root
    wanted = _Wanted(page, images, url, encoding)
    if not (wanted.exact and etree.iselement(root)):
        return {}
    around = _Around(root)
    captions: dict[str, Caption] = {}
    sentences: dict[str, Caption] = {}
    for image in root.iter(*IMAGES):
        link, figure, inside = _above(image)
        said, is_said = around.caption(image, link, figure, inside)
        if not said or not (address := wanted.shown_by(image, link)):
            continue
        if is_said:
            captions.setdefault(address, Caption(said, surely=True))
        elif _plain(said) != _plain(unquote(file_name(address)).rpartition(".")[0]):
            sentences.setdefault(address, Caption(said, surely=False))
    captions |= {address: said for address, said in sentences.items() if address not in captions}
    return captions


def captions_kept(shown: Iterable[tuple[str, Caption]], title: str) -> dict[str, str]:
    """The captions of a gallery's images by their addresses, of those that its pages have *shown*: not what says no
    more than its *title*, or this and a number, and not what several images have that is not surely a caption."""
    pairs = dict.fromkeys(shown)  # several pages may show an image
    times = Counter(said.text for _, said in pairs if not said.surely)
    known = _words(title[:MAX_TEXT])
    kept: dict[str, str] = {}
    for image, said in sorted(pairs, key=lambda pair: not pair[1].surely):
        if (said.surely or times[said.text] == 1) and image not in kept and not _is_title(said.text, known):
            kept[image] = said.text
    return kept


def _is_title(caption: str, known: str) -> bool:
    said = _words(caption)
    if _is_sentence(caption) and said in known:
        return True
    return bool(known) and said.removeprefix(known) in ("", "第张", "第页")


def day_shown(page: Selector) -> str:
    """The day of the `<time datetime>` in an `<article>` or `<main>` of *page*, as it stands: the one that is said
    to be of the publication, else the first; none of a change, of a comment, or in an aside."""
    root: Any = page.root
    first = ""
    for time in islice(root.iter("time"), _TIMES) if etree.iselement(root) else ():
        stated, names = (time.get("datetime") or "").strip()[:MAX_TEXT], _names(time)
        published = "pubdate" in time.attrib or _PUBLISHED.search(names) is not None
        if (first and not published) or not _DAY.match(stated) or (not published and _CHANGED.search(names)):
            continue
        if _is_of_page(time):
            if published:
                return stated
            first = stated
    return first


class _Wanted:
    """Images that captions are looked for of, by their addresses."""

    def __init__(self, page: Selector, images: Iterable[str], url: str, encoding: str) -> None:
        self.exact = dict.fromkeys(images)
        self._page, self._url, self._encoding = page, url, encoding
        self._names = frozenset(map(_beginning, self.exact))
        self._images: dict[str, str] = {}
        self._known: dict[Any, str] = {}
        self._left = _MOST_RESOLVED

    @cached_property
    def _base(self) -> str:
        return base_of(self._page, self._url)

    @cached_property
    def _origin(self) -> str:
        return "/".join(self._base.split("/", 3)[:3])

    def shown_by(self, image: Any, link: Any) -> str:
        """The address of the one that an element shows, in whatever size, or the link around it leads to; or ""."""
        if link is not None and (found := self._once(link, "href")):
            return found
        own = filter(_is_of_image, image.keys())
        for name in sorted(own, key=lambda name: (name != "src", name != "srcset")):
            if found := self._first(_addresses(image.get(name))):
                return found
        parent = image.getparent()
        if parent is not None and parent.tag in ("picture", "source"):  # libxml2 takes what follows one for its part
            for source in (parent, *islice(image.itersiblings(preceding=True), _ABOVE)):
                if found := self._once(source, "srcset"):
                    return found
        return ""

    def _once(self, element: Any, attribute: str) -> str:
        """As `_first`, of what an element says that may be around many images."""
        if element not in self._known:
            self._known[element] = self._first(_addresses(element.get(attribute) or ""))
        return self._known[element]

    def _first(self, stated: list[str]) -> str:
        for address in stated:  # most are written as they are asked for
            whole = f"{self._origin}{address}" if address[0] == "/" else address
            if whole in self.exact:
                return whole
        likely = (each for each in stated[:_ADDRESSES] if not each.isascii() or _beginning(each) in self._names)
        for address in filter(None, map(self._resolve, islice(likely, self._left))):
            if not self._images:
                self._images = {size_of(each).image: each for each in self.exact}
            if found := self._images.get(size_of(address).image):
                return found
        return ""

    def _resolve(self, address: str) -> str | None:
        self._left -= 1
        return resolve(self._base, address, self._encoding)


def _is_of_image(name: str) -> bool:
    """Whether an attribute of an image has an address of its own, by the attribute's name, and not of another one."""
    if name == "src" or name in LISTED or name.endswith("srcset"):
        return True
    return len(name) <= LONGEST_NAME and rank_by_name(name) in (ORIGINAL, PLAIN)


def _addresses(value: str) -> list[str]:
    """What may be addresses in *value*, one or a srcset."""
    if not value or value[:5] == "data:":
        return []
    words = value.split(None, _ADDRESSES)[:_ADDRESSES] if " " in value else [value.strip()]
    found = (word.rstrip(",") for word in words if ("." in word or "/" in word) and len(word) < _LONGEST_ADDRESS)
    return [*filter(None, found)]


def _beginning(address: str) -> str:
    """How the file's name in an address begins, whatever size it is of."""
    return address.partition("?")[0].rpartition("/")[2][:1]


class _Around:
    """What stands around images: of a link or a figure, which may be around many, it is looked at once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._figures: dict[Any, Any] = {}
        self._within: dict[Any, Any] = {}
        self._texts: dict[Any, str] = {}
        self._links: dict[Any, tuple[str, bool]] = {}
        self._left = _MOST_TEXT

    @cached_property
    def _images(self) -> Counter[Any]:
        """How many images are in a figure. What stands in for one where there are no scripts is none more."""
        images = (each for each in self._root.iter(*IMAGES) if each.getparent().tag != "noscript")
        return Counter(_above(image)[1] for image in images)

    def caption(self, image: Any, link: Any, figure: Any, inside: Any) -> tuple[str, bool]:
        """The caption of an image, and whether it is surely one, whatever its words. *inside* is what is around the
        image in the figure."""
        if figure is not None and (said := self._figcaption(figure, inside)):
            return said, True
        if said := _text(image.get("data-caption")):
            return said, True
        if link is not None:
            if link not in self._links:
                self._links[link] = _said_by(link)
            if self._links[link][0]:
                return self._links[link]
        alt = _text(image.get("alt"))
        return (alt if _is_sentence(alt) else ""), False

    def _figcaption(self, figure: Any, inside: Any) -> str:
        for element in (figure, inside):
            if element not in self._figures:
                self._figures[element] = next(element.iterchildren("figcaption"), None)
        found = self._figures[figure]
        if found is None:
            found = self._figures[inside]
        if found is None and self._images[figure] <= 1:
            if figure not in self._within:
                within = figure.iterfind("*/figcaption")
                self._within[figure] = next((each for each in within if each.getparent().tag != "figure"), None)
            found = self._within[figure]
        return "" if found is None else self._text_of(found)

    def _text_of(self, figcaption: Any) -> str:
        if figcaption not in self._texts and self._left >= 0:
            text = str(figcaption.xpath("string()"))
            self._left -= len(text)
            self._texts[figcaption] = " ".join(text.split())[:MAX_TEXT]
        return self._texts.get(figcaption, "")


def _above(image: Any) -> tuple[Any, Any, Any]:
    """The link and the figure around an image, and what is around it, or the image itself, in the figure."""
    link = figure = inside = None
    below = image
    for element in islice(image.iterancestors(), _ABOVE):
        if element.tag == "a" and link is None:
            link = element
        elif element.tag == "figure" and figure is None:
            figure, inside = element, below
        below = element
    return link, figure, inside


def _said_by(link: Any) -> tuple[str, bool]:
    for name in _ATTRIBUTES:
        said = _text(link.get(name))
        if said and (name != "title" or _is_sentence(said)):
            return said, name != "title"
    return "", False


def _text(attribute: str | None) -> str:
    """An attribute on one line. Lightboxes take markup for such."""
    text = (attribute or "")[:_LONGEST]
    return " ".join((re.sub(r"<[^<>]*+>", " ", text) if "<" in text else text).split())[:MAX_TEXT]


def _is_sentence(text: str) -> bool:
    words = sum(any(map(str.isalpha, word)) for word in islice(text.split(), 100))
    return words > 1 or _UNSPACED.search(text) is not None


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _words(text: str) -> str:
    return "".join(filter(str.isalpha, text.casefold()))


def _names(element: Any) -> str:
    return " ".join(filter(None, map(element.get, ("class", "id", "itemprop"))))[:MAX_TEXT]


def _is_of_page(time: Any) -> bool:
    for element in islice(time.iterancestors(), _HIGHER):
        if element.tag in _OF_OTHERS or _COMMENT.search(_names(element)):
            return False
        if element.tag in ("article", "main"):
            return True
    return False
