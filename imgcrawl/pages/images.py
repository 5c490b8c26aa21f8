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
    linked_file,
    refused_address,
    source_candidates,
)
from imgcrawl.pages.facts import FactsReader
from imgcrawl.pages.scripted import scripted_images
from imgcrawl.pages.sizes import largest_of, size_of
from imgcrawl.pages.tags import BACKGROUNDS, IMAGES, PROPERTY_WORDS, Tag, base_of, tags, text_of
from imgcrawl.urls import WEB, absolute, resolve

# libxml2 takes what follows a <source> for a part of it.
_AROUND_IMAGES = ("picture", "source", "figure", "span", "amp-img", "noscript")
_NEAR = 64  # elements above one in which it is looked for the one that was searched last

Originals = dict[tuple[Any, bool], list[str]]  # a link, whether it was itself searched → the image that it leads to
Copies = dict[str, str] | None  # an image that may be a page → what the link to it is around


def find_images(html: str | Selector, url: str, encoding: str = "utf-8", copies: Copies = None) -> list[str]:
    """The addresses of the images of a page, absolute, without fragment, in order of appearance, none twice.

    One address for each `<img>`: that of the image file that it links to, else what a full-size attribute says, else
    the largest of its `srcset` and of the sources of its `<picture>`, else a lazy attribute, else `src`. Besides these,
    links to image files, what `<noscript>` holds, `<link>` with image_src or preload, posters of videos, and what the
    page names as its images in JSON-LD, microdata, RDFa, Open Graph and Twitter cards. `<base href>` counts. Of several
    sizes of an image (`sizes`) the largest; beside it stays, as it is named, what the publisher names as the page's
    main image, unless that is known to be a smaller copy (a crop is none).

    Of a page that shows none but for decoration, those that its scripts name (`scripted`).

    Backgrounds in a `style` attribute, or where scripts find them, count where they are photographs by their name.

    Left out: `data:`, images declared as 1x1 and pixel files (`spacer.gif`), what counts visits, icons (declared to be
    no larger, or SVG by such a name), the page itself, and names like `loading.gif` where a better address took their
    place; images of style sheets too: they are icons and sprites. What is stated as an image, but can be asked for by
    nobody, is among the images: what becomes of it is told.

    *html* is the text of a page (time linear in its length) or a selector, of which only its own part counts;
    *encoding* that of the page. *copies* gets what the page shows of those images that it links to by addresses which
    may be pages, having no image's name.
    """
    return _find(text_of(html), url, base_of(html, url), encoding, copies, whole_page=True)


def images_in(
    nodes: Iterable[Selector],
    url: str,
    base: str,
    encoding: str = "utf-8",
    originals: Originals | None = None,
    copies: Copies = None,
) -> list[str]:
    """The addresses of the images that selectors on the page *url* with the base *base* are, in order, none twice.

    An element is searched as `find_images` does; a link to an image file around it is the original of its image. Of one
    without an image its `href` counts, or the address that is its text. A text or an attribute is an address, whatever
    it is: also one that cannot be asked for, since that is told. Not the page's own address, nor `data:`.
    *originals* is what several calls for one page share: a link around many images is looked at once. *copies* as in
    `find_images`.
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
            if (around := _picture_around(root)) is not root:  # its sources are other sizes of it
                node, root = Selector(root=around, type="html"), around  # noqa: PLW2901 -- searched in its place
            last = root  # what is within an element that was searched has been found
            original = _original_of(root, base, encoding, originals)
            shown = _shown_in(node, url, base, encoding, copies) if not original or not is_file(original[0]) else []
            if original and shown and copies is not None:
                copies.setdefault(original[0], shown[0])
            found |= dict.fromkeys(original or shown or _address_in(root, base, encoding))
    found.pop(page, None)
    return list(found)


def is_empty(link: str) -> bool:
    """Whether *link* leads to the page that it stands on."""
    return not link.strip() or link.lstrip().startswith("#")


def _find(
    text: str, url: str, base: str, encoding: str, copies: Copies = None, *, whole_page: bool = False
) -> list[str]:
    search = _Search(resolve(url, "") or url, base, encoding, whole_page=whole_page)
    reader = FactsReader(text, base, encoding)
    for tag in tags(text):
        search.read(tag)
        reader.read(tag)
    facts = reader.facts()
    found = search.found([*facts.images, *facts.refused])
    if copies is not None:
        copies |= search.copies
    if whole_page and not search.shows_any():
        found |= dict.fromkeys(scripted_images(text, base, encoding), 0.0)
    return largest_of(found, (facts.image, *facts.previews))


def _picture_around(root: Any) -> Any:
    above = next((each for each in islice(root.iterancestors(), _NEAR) if each.tag != "source"), None)
    return above if root.tag == "img" and above is not None and above.tag == "picture" else root


def _shown_in(node: Selector, url: str, base: str, encoding: str, copies: Copies) -> list[str]:
    """What `_find` finds in an element; in an image that states nothing else about the page in a fifth of the time."""
    root: Any = node.root
    if root.tag != "img" or len(root) or any(word in root.attrib for word in PROPERTY_WORDS):
        return _find(text_of(node), url, base, encoding, copies)
    attributes: dict[str, str] = {}
    for name, value in root.items():
        attributes.setdefault(name.lower(), value)
    search = _Search(resolve(url, "") or url, base, encoding)
    search.read(Tag("img", attributes, 0, 0, None))
    return largest_of(search.found(()), ())


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
        said = dict(link.items())
        leads = linked_file(said) or (said["href"] if link is not root and is_original(said) else "")
        original = absolute(base, leads, encoding) if leads else None
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
        self.copies: dict[str, str] = {}  # of what links lead to that may be a page

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
            file = linked_file(attributes) if attributes else ""
            # What shows in a link to an image file is a small copy of it.
            self._in_link = bool(file) and (self._add([(PLAIN, file)], refused=True) or "").startswith(WEB)
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
            original = self._add([(PLAIN, link["href"])]) if is_original(link) else None
            self._in_link = original is not None
            if original:
                if copy := self._best(candidates)[0]:
                    self.copies.setdefault(original, copy)
                return
        address = self._add(candidates, refused=True)
        if address is None:
            return
        src = (self._resolve(attributes.get("src", "")) if "srcset" in attributes else "") or ""
        if src not in ("", address) and size_of(src).image == size_of(address).image:
            self._add([(PLAIN, src)])  # the larger one counts
        for rank, candidate in candidates:
            if rank == STAND_IN and (stand_in := self._resolve(candidate)) not in (None, address):
                self._stand_ins.add(str(stand_in))
        if self._in_noscript and self._unreplaced is not None and address != self._unreplaced:
            self._stand_ins.add(self._unreplaced)
        self._unreplaced = address if PLACEHOLDER.fullmatch(file_name(address)) else None

    def _add(self, candidates: list[tuple[Rank, str]], *, refused: bool = False) -> str | None:
        """Take the best of *candidates* that can be asked for, or with *refused* the best that cannot."""
        address, width, told = self._best(candidates)
        if address:
            self._found[address] = max(self._found.get(address, 0), width)
        elif refused and told:
            self._found[address := told] = 0
        return address or None

    def _best(self, candidates: list[tuple[Rank, str]]) -> tuple[str, float, str]:
        """The best of *candidates* that can be asked for, and its width; and the best that cannot."""
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
                return address, rank[2], told
            told = told or refused_address(address, candidate)
        return "", 0.0, told

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
