"""DETAIL and the pages of its images: which of the images on these are whose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from imgcrawl.basespiders.manypages import Subpage
from imgcrawl.pages.thumbnails import SAYS_WHICH, words_in

_SHOWN = 2  # images of an image's page that may be the same one: the one in sight, and the one for previews
_SAME_PAGE = 3  # links that may lead to one page: over a thumbnail, a title and a date
_MOST_NAMED = 20  # images
_A_LOOK = 100  # bytes of a page take as long to read as an image's address to look at


def own_images(
    found: list[Subpage], pages: Sequence[Subpage], links: list[str], gallery: str
) -> tuple[list[Subpage], list[str]]:
    """*found*, the pages of the images of *gallery*, which *links* lead to, without what they show besides: what
    another one shows, too, and what the gallery's own *pages* do, unless they show the images themselves; and what was
    left out for the latter alone. A link to an image has just this.

    That they do so is seen from image pages which show nothing else of their own, if those are more than show none of
    theirs by over a fifth of all: on one with both, either may be the advertisement, or the thumbnail.

    What other pages show, too, because they load the next image, or all, is a page's own where its address has a word
    or a number of just that one of *links*, and nothing has that the page alone shows. Where a page offers the largest
    size by a link, the one or two others that are its own are taken for smaller ones."""
    keys = _keys_of(links, gallery)
    shown = {(keys[page.number - 1], page.images) for page in found if page.images}
    times = Counter(chain.from_iterable(images for _, images in shown))
    around = {image for page in pages for image in (*page.images, *page.copies.values())}
    each_own = [{image for image in page.images if times[image] == 1} for page in found if page.images]
    if sum(around.issuperset(images) - around.isdisjoint(images) for images in each_own) > len(each_own) // 5:
        around = set()
    named, own = _named_by(links, [image for image in times if image not in around]), []
    for page in found:
        alone = tuple(each for each in page.images if times[each] == 1 and each not in around)
        if page.images and page.url != gallery and (its := named[page.number - 1].intersection(page.images)):
            alone = alone if its.intersection(alone) else (*sorted(its), *alone)
        own.append(page if page.url == gallery else replace(page, images=largest_of(alone, page.largest)))
    others = chain.from_iterable(page.images for page in found if page.url != gallery)
    return own, [image for image in dict.fromkeys(others) if times[image] == 1 and image in around]


def size_of_images(found: Iterable[Subpage]) -> int:
    """What `outside_loop` is to take for the size of *found*, to look at all images of these pages."""
    return sum(len(page.images) for page in found) * _A_LOOK


def _named_by(links: list[str], images: Iterable[str]) -> list[set[str]]:
    """Of each of *links* those *images* whose addresses have a word or a number of just that one, and of those few that
    lead to the same page."""
    words = [words_in([link]) for link in links]
    times, most = Counter(chain.from_iterable(words)), min(_SAME_PAGE, len(links) - 1)
    having: dict[str, list[str]] = {word: [] for word in times if times[word] <= most and SAYS_WHICH.fullmatch(word)}
    for image in images:
        for word in words_in([image]):
            if word in having and len(having[word]) <= _MOST_NAMED:
                having[word].append(image)
    saying = {word: its for word, its in having.items() if len(its) <= _MOST_NAMED}  # what more have says nothing
    return [set(chain.from_iterable(saying.get(word, ()) for word in each)) for each in words]


def largest_of(images: tuple[str, ...], largest: str) -> tuple[str, ...]:
    """*images* of a page that offers the *largest* one by a link."""
    return (largest,) if largest in images and len(images) <= 1 + _SHOWN else images


def _keys_of(links: list[str], gallery: str) -> list[object]:
    """For each of *links* what those have in common that lead to one page: the numbers in their addresses but for
    those of *gallery* that all have, or the path with only these. What many have in common says nothing."""
    of_gallery = frozenset(_numbers_in(gallery)).intersection(*map(_numbers_in, links))
    keys: list[object] = []
    for number, link in enumerate(links):
        path = link.partition("?")[0]
        own = tuple(each for each in _numbers_in(link) if each not in of_gallery)
        keys.append(own or (path if _numbers_in(path) else number))
    times = Counter(keys)
    return [key if times[key] <= _SAME_PAGE else number for number, key in enumerate(keys)]


def _numbers_in(url: str) -> tuple[str, ...]:
    """Those in the path and the query of *url*."""
    return tuple(re.findall(r"[0-9]+", url.partition("//")[2].partition("/")[2]))
