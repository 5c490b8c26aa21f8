"""The images of a page whose site has not said where they are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from itertools import islice
from typing import Any

from lxml import etree
from parsel import Selector

from imgcrawl.pages.candidates import (
    DECORATION,
    PIXEL,
    PLACEHOLDER,
    PLAIN,
    STAND_IN,
    Rank,
    backgrounds_of,
    file_name,
    image_candidates,
    is_file,
    is_no_picture,
    is_original,
    is_ornament,
    is_pixel,
    refused_address,
    source_candidates,
)
from imgcrawl.pages.facts import FactsReader
from imgcrawl.pages.scripted import scripted_images
from imgcrawl.pages.sizes import largest_of
from imgcrawl.pages.tags import BACKGROUNDS, IMAGES, PROPERTY_WORDS, Tag, base_of, tags, text_of
from imgcrawl.urls import WEB, absolute, resolve

# libxml2 takes what follows a <source> for a part of it.
_AROUND_IMAGES = ("picture", "source", "figure", "span", "amp-img", "noscript")
_NEAR = 64  # elements above one in which it is looked for the one that was searched last


def find_images(html: str | Selector, url: str, encoding: str = "utf-8") -> list[str]:
    """The addresses of the images of a page, absolute, without fragment, in order of appearance, none twice.

    One address for each `<img>`: that of the image file that it links to, else what a full-size attribute says, else
    the largest of its `srcset` and of the sources of its `<picture>`, else a lazy attribute, else `src`. Besides these,
    links to image files, what `<noscript>` holds, `<link>` with image_src or preload, posters of videos, and what the
    page names as its images in JSON-LD, microdata, RDFa, Open Graph and Twitter cards. `<base href>` counts. Of several
    sizes of an image (`sizes`) the largest; beside it stays, as it is named, what the publisher names as the page's
    main image, unless that is known to be a smaller copy (a crop is none).

    Of a page that shows none but for decoration, those that its scripts name (`scripted`).

    Backgrounds in a `style` attribute, or where scripts find them, count where they are photographs by their name.

    Left out: `data:`, images declared as 1x1 and pixel files (`spacer.gif`), what
    counts visits, icons (declared to be no larger, or SVG by such a name), the page itself, and names like
    `loading.gif` where a better address took their place; images of style sheets too: they are icons and sprites. What
    is stated as an image, but can be asked for by nobody, is among the images: what becomes of it is told.

    *html* is the text of a page (time linear in its length) or a selector, of which only its own part counts;
    *encoding* that of the page.
    """
    return _find(text_of(html), url, base_of(html, url), encoding, whole_page=True)


Originals = dict[tuple[Any, bool], list[str]]  # a link, whether it was itself searched → the image that it leads to


def images_in(
    nodes: Iterable[Selector], url: str, base: str, encoding: str = "utf-8", originals: Originals | None = None
) -> list[str]:
    """The addresses of the images that selectors on the page *url* with the base *base* are, in order, none twice.

    An element is searched as `find_images` does; a link to an image file around it is the original of its image. Of one
    without an image its `href` counts, or the address that is its text. A text or an attribute is an address, whatever
    it is: also one that cannot be asked for, since that is told. Not the page's own address, nor `data:`.
    *originals* is what several calls for one page share: a link around many images is looked at once.
    """
    found: dict[str, None] = {}
    page = resolve(url, "") or url
    originals = {} if originals is None else originals
    last: Any = None
    for node in nodes:
        root: Any = node.root
        if isinstance(root, str):
            if not is_empty(root):
                address = resolve(base, root, encoding) or root.strip()
                if told := address if address.startswith(WEB) else refused_address(address, root):
                    found[told] = None
        elif etree.iselement(root) and not any(above is last for above in islice(root.iterancestors(), _NEAR)):
            last = root  # what is within an element that was searched has been found
            found |= dict.fromkeys(
                _original_of(root, base, encoding, originals)
                or (
                    _image_of(root, page, base, encoding)
                    if _is_plain(root)
                    else _find(text_of(node), url, base, encoding)
                )
                or _address_in(root, base, encoding)
            )
    found.pop(page, None)
    return list(found)


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


def is_empty(link: str) -> bool:
    """Whether *link* leads to the page that it stands on."""
    return not link.strip() or link.lstrip().startswith("#")


def _find(text: str, url: str, base: str, encoding: str, *, whole_page: bool = False) -> list[str]:
    search = _Search(resolve(url, "") or url, base, encoding, whole_page=whole_page)
    reader = FactsReader(text, base, encoding)
    for tag in tags(text):
        search.read(tag)
        reader.read(tag)
    facts = reader.facts()
    found = search.found([*facts.images, *facts.refused])
    if whole_page and not search.shows_any():
        found |= dict.fromkeys(scripted_images(text, base, encoding), 0.0)
    return largest_of(found, (facts.image, facts.preview))


def _is_plain(root: Any) -> bool:
    """Whether an element is an image that states nothing else about the page."""
    return root.tag == "img" and not len(root) and not any(word in root.attrib for word in PROPERTY_WORDS)


def _image_of(root: Any, page: str, base: str, encoding: str) -> list[str]:
    """What `_find` finds in an image that `_is_plain`, in a fifth of the time."""
    attributes: dict[str, str] = {}
    for name, value in root.items():
        attributes.setdefault(name.lower(), value)
    search = _Search(page, base, encoding)
    search.read(Tag("img", attributes, 0, 0, None))
    return list(search.found(()))


def _address_in(root: Any, base: str, encoding: str) -> list[str]:
    """The address that an element without an image leads to, or has for a text."""
    link = root.get("href", "") if root.tag != "img" else ""
    if not link and not len(root) and (root.text or "").strip().startswith(WEB):
        link = root.text
    address = None if is_empty(link) else absolute(base, link, encoding)
    return [address] if address else []


def _original_of(root: Any, base: str, encoding: str, originals: Originals) -> list[str]:
    """The image file that the link around an image leads to."""
    if root.tag not in (*IMAGES, "picture", "figure", "span", "a"):
        return []
    above = islice(root.iterancestors(), _NEAR)
    link = root if root.tag == "a" else next((each for each in above if each.tag not in _AROUND_IMAGES), None)
    if link is None or link.tag != "a":
        return []
    key = (link, link is root)
    if key not in originals:
        leads = is_original(dict(link.items()), around_image=link is not root)
        original = absolute(base, link.get("href", ""), encoding) if leads else None
        originals[key] = [original] if original else []
    return originals[key]


class _Search:
    """Takes the tags of a page one by one, and has the addresses of its images in the end."""

    def __init__(self, page: str, base: str, encoding: str, *, whole_page: bool = False) -> None:
        self._whole_page = whole_page  # also what is around what it shows
        self._resolve = cache(partial(resolve, base, encoding=encoding))
        self._page = page
        self._found: dict[str, float] = {}
        self._stand_ins: set[str] = set()
        self._sources: list[tuple[Rank, str]] = []
        self._unreplaced: str | None = None
        self._in_noscript = False
        self._in_link = False  # that leads to the image of which it shows a copy
        self._link: dict[str, str] = {}  # the attributes of the link that is open, before its first image

    def read(self, tag: Tag) -> None:
        name, attributes = tag.name, tag.attributes
        if name in ("picture", "/picture"):
            self._add(self._sources, refused=True)
            self._sources = []
        elif name == "source":
            # Outside of <picture> it belongs to a video or a sound, and has no srcset.
            self._sources += source_candidates(attributes)
        elif name in ("noscript", "/noscript"):
            self._in_noscript = name == "noscript"
        elif name in IMAGES:
            self._read_image(attributes)
        elif name in ("a", "/a"):
            href = attributes.get("href", "")
            # What shows in a link to an image file is a small copy of it.
            self._in_link = is_file(href) and (self._add([(PLAIN, href)], refused=True) or "").startswith(WEB)
            self._link = {} if self._in_link else attributes
        elif name == "link":
            self._read_link(attributes)
        elif name == "video":
            self._add([(PLAIN, attributes.get("poster", ""))], refused=True)
        elif name == "image":
            href = attributes.get("href") or attributes.get("xlink:href") or attributes.get("src", "")
            self._add([(PLAIN, href)], refused=True)
        if "style" in attributes or any(map(attributes.__contains__, BACKGROUNDS)):
            for background in backgrounds_of(attributes):
                self._add([(PLAIN, background)])

    def _read_link(self, attributes: dict[str, str]) -> None:
        said = attributes.get("rel", "").lower().split()
        if "image_src" in said or ("preload" in said and attributes.get("as", "").lower() == "image"):
            srcset = source_candidates({"srcset": attributes.get("imagesrcset", "")})
            self._add([*srcset, (PLAIN, attributes.get("href", ""))])

    def _read_image(self, attributes: dict[str, str]) -> None:
        candidates = self._sources + image_candidates(attributes)
        self._sources = []
        if self._in_link or is_pixel(attributes):
            return
        if self._whole_page and is_ornament(attributes, candidates):
            return
        if "href" in self._link:  # its first image decides for all
            link, self._link = self._link, {}
            self._in_link = is_original(link, around_image=True) and bool(self._add([(PLAIN, link["href"])]))
            if self._in_link:
                return
        address = self._add(candidates, refused=True)
        if address is None:
            return
        for rank, candidate in candidates:
            if rank == STAND_IN and (stand_in := self._resolve(candidate)) not in (None, address):
                self._stand_ins.add(str(stand_in))
        if self._in_noscript and self._unreplaced is not None and address != self._unreplaced:
            self._stand_ins.add(self._unreplaced)
        self._unreplaced = address if PLACEHOLDER.fullmatch(file_name(address)) else None

    def _add(self, candidates: list[tuple[Rank, str]], *, refused: bool = False) -> str | None:
        """Take the best of *candidates* that can be asked for, or with *refused* the best that cannot."""
        told = ""
        for rank, candidate in sorted(candidates, key=lambda pair: pair[0], reverse=True):
            if is_empty(candidate):
                continue
            address = self._resolve(candidate)
            if address is not None and address.startswith(WEB):
                if address == self._page or PIXEL.fullmatch(file_name(address)):
                    continue
                if self._whole_page and is_no_picture(address):
                    continue
                self._found[address] = max(self._found.get(address, 0), rank[2])
                return address
            if refused and not told:
                told = refused_address(address, candidate)
        if told:
            self._found[told] = 0
        return told or None

    def shows_any(self) -> bool:
        """Whether an image was found that is not there for decoration, by its name."""
        return any(address.startswith(WEB) and not DECORATION.search(file_name(address)) for address in self._found)

    def found(self, named: Iterable[str]) -> dict[str, float]:
        """All that was found, after what the page has *named*: address → width, 0 where that is not stated."""
        self._add(self._sources, refused=True)
        found = dict.fromkeys(named, 0.0)
        for address, width in self._found.items():
            found[address] = max(found.get(address, 0), width)
        return {address: width for address, width in found.items() if address not in self._stand_ins}
