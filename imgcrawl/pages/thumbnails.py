"""LinkedThumbnails that are links to pages: whether such a page names the image itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from imgcrawl.pages.candidates import is_shown
from imgcrawl.pages.proposals import (
    NO_GALLERY,
    SURE,
    image_elements,
    images_at,
    leads_to_page,
    places_of_images,
    propose_image_pages,
)
from imgcrawl.pages.repeated import PagePlaces, stated_side
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.tags import EXTENSION
from imgcrawl.possessive import compile_late

_WORDS = re.compile("[0-9a-z]+")
_NUMBERS = re.compile("[0-9]+")
_OF_IMAGE = compile_late(rf"\.{EXTENSION}$", re.IGNORECASE)
_EXTENSION = re.compile(r"\.[a-zA-Z]{2,5}$")
_MAX_WORDS = 100  # of an address
_LARGE = 500  # pixels: what is shown larger is shown for itself
SAYS_WHICH = re.compile("[0-9]+|.{3,}")  # a word that says which of many something is


@dataclass(frozen=True, slots=True)
class LinkedThumbnails:
    """The images of a page that are links to pages, which *css* finds: *images* of each page that is led to, and
    *others*, which stand elsewhere."""

    css: str
    images: dict[str, tuple[str, ...]]
    others: frozenset[str]


def thumbnails_on(page: PagePlaces, galleries: Container[str]) -> LinkedThumbnails | None:
    """What may be thumbnails of a gallery, on its *page*: images in the same place again and again, each in a link to a
    page of its own that is none of *galleries*."""
    if not may_have_thumbnails(page, galleries):
        return None
    images = images_at(page)
    css = propose_image_pages(page, images, galleries)
    if not css:
        return None
    found = thumbnails_by(page, css, images)
    elsewhere = sum(bool(NO_GALLERY.search(urlsplit(link).path)) for link in found.images)
    return None if elsewhere * 2 > len(found.images) or not found.images else found


def may_have_thumbnails(page: PagePlaces, galleries: Container[str]) -> bool:
    """Whether `propose_image_pages` may find some on *page*, where as many images stand in one place, in links to pages
    of its host, as nowhere else. To see which images these are takes ten times as long."""
    targets = {image: page.links.get(page.link_around(image), "") for image in image_elements(page)}
    linked = [image for image, target in targets.items() if target and leads_to_page(page, target)]
    together = places_of_images(page, linked, galleries).items()
    likely = {place for place, images in together if len({targets[image] for image in images}) > 1}
    if not likely:
        return False
    places = places_of_images(page, targets, galleries)
    least = int(SURE * max(len(places[place]) for place in likely))
    others = (images for place, images in places.items() if place not in likely)
    return not any(_are_more(page, images, least) for images in others)


def _are_more(page: PagePlaces, elements: list[Any], least: int) -> bool:
    """Whether more than so many of *elements* are images that have an address."""
    named = (element for element in elements if images_at(page, [element]))
    return len(elements) > least and next(islice(named, least, None), None) is not None


def thumbnails_by(page: PagePlaces, css: str, images: dict[Any, list[str]] | None = None) -> LinkedThumbnails:
    """The images on *page* in links that *css* finds, but for those stated to be shown in large. *images*: `images_at`
    the page, where that is known."""
    is_linked = _is_linked_by(page, css)
    led_to: dict[str, dict[str, None]] = {}
    others: set[str] = set()
    for element, found in (images_at(page) if images is None else images).items():
        if is_linked(element):
            led_to.setdefault(page.links[page.link_around(element)], {}).update(dict.fromkeys(found))
        elif page.shows_image(element) and not page.is_boilerplate(element):
            others.update(filter(is_shown, found))
    return LinkedThumbnails(css, {address: tuple(shown) for address, shown in led_to.items()}, frozenset(others))


def has_thumbnails(page: PagePlaces, css: str) -> bool:
    """Whether `thumbnails_by` finds some."""
    return any(images_at(page, [element]) for element in filter(_is_linked_by(page, css), image_elements(page)))


def _is_linked_by(page: PagePlaces, css: str) -> Callable[[Any], bool]:
    """Whether an image is a thumbnail in a link that *css* finds."""
    links = {node.root for node in page.page.css(css)} & page.links.keys()
    return lambda element: page.link_around(element) in links and stated_side(element) <= _LARGE


def named_alike(
    links: Sequence[str], thumbnails: Sequence[Iterable[str]], images: Sequence[Iterable[str]]
) -> list[tuple[str, ...]]:
    """Of the *images* of each page those whose addresses say that they are those of the *thumbnails* that lead there:
    they have a word or a number in common with these, or with its own of *links*, which those of other pages have
    not. Where there is no other page, it is one of their names."""
    if len(links) == 1:
        own_words = words_in(map(_name_of, (*links, *thumbnails[0])))
        return [tuple(image for image in images[0] if own_words & words_in([_name_of(image)]))]
    said = [words_in((link, *shown)) for link, shown in zip(links, thumbnails, strict=True)]
    times = Counter(word for words in said for word in words)
    own = [{word for word in words if times[word] == 1 and SAYS_WHICH.fullmatch(word)} for words in said]
    return [
        tuple(image for image in each if not words.isdisjoint(words_in([image])))
        for words, each in zip(own, images, strict=True)
    ]


def are_larger(thumbnails: Sequence[Iterable[str]], images: Sequence[Iterable[str]]) -> bool:
    """Whether none of the *images* is said by its address to be a copy of its one of *thumbnails* that is no larger."""
    return not any(
        one.image == other.image and one.width <= other.width
        for thumbnail, image in zip(thumbnails, images, strict=True)
        for other in map(size_of, thumbnail)
        for one in map(size_of, image)
    )


def _name_of(address: str) -> str:
    """The address of the last part of *address* alone, without an extension."""
    return f"//h/{_EXTENSION.sub('', address.rstrip('/').rpartition('/')[2])}"


def words_in(addresses: Iterable[str]) -> set[str]:
    """The words and the numbers in the paths and queries of *addresses*."""
    words: set[str] = set()
    for address in addresses:
        found = _WORDS.findall(address.partition("//")[2].partition("/")[2].lower())[:_MAX_WORDS]
        words.update(found)
        words.update(number for word in found for number in _NUMBERS.findall(word))
    return words


def are_alike(gallery: str, links: Collection[str]) -> bool:
    """Whether most of *links* are as the address of a *gallery* is, so that they may be those of other galleries."""
    is_like = _like(gallery)
    likely = (link for link in links if _OF_IMAGE.search(gallery) or not _OF_IMAGE.search(link))
    return sum(map(is_like, likely)) * 2 > len(links)  # a wiki's page of an image is called as its file


def _like(gallery: str) -> Callable[[str], bool]:
    own = urlsplit(gallery)
    folder, _, name = own.path.rstrip("/").rpartition("/")
    stem = name.partition(".")[0]
    keys = _keys(own.query)

    def is_like(address: str) -> bool:
        other = urlsplit(address)
        above, _, called = other.path.rstrip("/").rpartition("/")
        if own.path == other.path:
            return keys == _keys(other.query)
        if _NUMBERS.sub("0", folder) != _NUMBERS.sub("0", above) or bool(own.query) != bool(other.query):
            return False
        # Of trip.html the pages may be trip-001.html; of gallery.php, view.php.
        return not own.query and not (stem and called.startswith(stem))

    return is_like


def _keys(query: str) -> set[str]:
    return {key for key, _ in parse_qsl(query, keep_blank_values=True)[:_MAX_WORDS]}
