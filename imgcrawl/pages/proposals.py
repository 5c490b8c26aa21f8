"""What may be declared of a site that nobody has read yet: proposals from what its pages repeat."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

from imgcrawl.pages.candidates import is_file
from imgcrawl.pages.images import Originals, find_images, images_in
from imgcrawl.pages.pagination import words_of
from imgcrawl.pages.repeated import MAX_ELEMENTS, PagePlaces, card_of, counted
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.versions import offered_versions
from imgcrawl.possessive import compile_late
from imgcrawl.urls import host_of

# Where a path leads to something else than a gallery.
NO_GALLERY = compile_late(
    r"/(users?|members?|profiles?|authors?|artists?|people|tags?|categor(y|ies)|topics?|search|login|signin|register|"
    r"about|contact|privacy|terms|help|faq|feed|rss|comments?|cart|checkout|static)(/|$|\.)",
    re.IGNORECASE,
)
SURE = 0.7  # what is second best is not better than so much of the best
_FEED = "/descendant::*[contains(' rss feed urlset sitemapindex ', concat(' ', local-name(), ' '))][1]"  # or a sitemap
_LEAST = 0.12  # of a weight
_WITH_IMAGES = 0.9
_FEW = 3


class UnsureError(ValueError):
    """Nothing can be proposed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class GalleryLinks:
    """*css* finds the links to galleries on a list page, *addresses* on this one."""

    css: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    elements: list[Any]
    addresses: list[str]
    weight: float
    more: tuple[str, ...]  # ends of a selector, of which one may be needed

    @property
    def score(self) -> float:
        return self.weight * len(self.addresses)


def propose_galleries(page: PagePlaces) -> GalleryLinks:
    """The links on a list page that lead to galleries: the most that stand in the same place, with images at them.

    Raises `UnsureError`.
    """
    groups = sorted(_groups(page), key=lambda group: -group.score)
    if not groups or groups[0].weight < _LEAST:
        own = sum(map(is_file, page.links.values()))
        itself = f"; it links to {own} images itself, so -a gallery={page.url} may be meant" if own >= _FEW else ""
        if page.page.xpath(_FEED):
            itself = f"; it is a feed or a sitemap: -a sitemap={page.url} in place of -a list="
        raise UnsureError(
            f"{page.url}: no links but menus stand in the same place again and again, so none may be galleries{itself}"
        )
    best = groups[0]
    others = [
        group for group in groups[1:] if len(set(group.addresses) & set(best.addresses)) * 2 < len(best.addresses)
    ]
    same = [group for group in groups if set(group.addresses) == set(best.addresses)]
    css = next(filter(None, map(_selector_on(page), same)), "")
    if len(best.addresses) < (_FEW if others or best.weight < _WITH_IMAGES else 2):
        raise UnsureError(
            f"{page.url}: only {len(best.addresses)} links stand in the same place, too few to take them for galleries"
        )
    if not css:
        raise UnsureError(f"{page.url}: no selector finds just the {len(best.addresses)} links that may be galleries")
    if others and others[0].score > SURE * best.score:
        other = _selector_on(page)(others[0]) or others[0].addresses[0]
        raise UnsureError(f"{page.url}: galleries may be what {css!r} finds, or what {other!r} does")
    return GalleryLinks(css, tuple(best.addresses))


def _selector_on(page: PagePlaces) -> Callable[[_Group], str]:
    return lambda group: page.selector_of(group.elements, set(group.addresses), group.more)


def _groups(page: PagePlaces) -> list[_Group]:
    ours = host_of(page.url).split(".")[-2:]
    links = {
        element: address
        for element, address in page.links.items()
        if address != page.url and host_of(address).split(".")[-2:] == ours and not is_file(address)
    }
    placed: dict[int, list[Any]] = defaultdict(list)
    for element in links:
        placed[page.place_of(element)].append(element)
    return [group for elements in placed.values() for group in _parted(page, elements, links)]


def _parted(page: PagePlaces, elements: list[Any], links: dict[Any, str]) -> Iterator[_Group]:
    """Links in one place, parted by whether they hold an image and by the beginning of a path that many share."""
    beginnings = {element: _beginning(links[element]) for element in elements}
    often = Counter(beginnings.values())
    parts: dict[tuple[bool, str], list[Any]] = defaultdict(list)
    for element in elements:
        beginning = beginnings[element] if often[beginnings[element]] >= _FEW else ""
        parts[page.shows_image(element), beginning].append(element)
    for (within, beginning), part in parts.items():
        addresses = list(dict.fromkeys(links[element] for element in part))
        if len(addresses) > 1:
            more = [":has(img)" if within else ":not(:has(img))"]
            hrefs = [(element.get("href") or "").strip() for element in part]
            if all(hrefs) and beginning and "'" not in beginning:
                where = f"^='{beginning}'" if all(href.startswith(beginning) for href in hrefs) else f"*='/{beginning}'"
                more += [f"[href{where}]", f"[href{where}]{more[0]}"]
            yield _Group(part, addresses, _weight(page, part, links, within=within), tuple(more))


def _beginning(address: str) -> str:
    """The first part of the path of *address*, if there is more of it."""
    parts = urlsplit(address)
    first, slash, rest = parts.path.lstrip("/").partition("/")
    return f"{first}/" if slash and rest else f"{first}?" if parts.query and first else ""


def _weight(page: PagePlaces, elements: list[Any], links: dict[Any, str], *, within: bool) -> float:
    """How likely each of *elements*, links in one place, leads to a gallery."""
    weight = 1.0
    if not within:
        around = counted((element, links[element]) for element in elements)
        with_image = sum(page.shows_image(card_of(element, around)) for element in elements)
        text = sum(len(words_of(element)) for element in elements) / len(elements)
        weight = _WITH_IMAGES if with_image * 2 > len(elements) else 0.25 if text >= 8 else 0.15
    if sum(map(page.is_boilerplate, elements)) * 2 > len(elements):
        weight *= 0.1
    if sum(bool(NO_GALLERY.search(urlsplit(links[element]).path)) for element in elements) * 2 > len(elements):
        weight *= 0.2
    if not within and sum(words_of(element).isdecimal() for element in elements) * 2 > len(elements):
        weight *= 0.05
    return weight


@dataclass(frozen=True, slots=True)
class GalleryImages:
    """CSS of the images on a gallery's page, or of the links to the pages of its images; empty where it is not sure.

    *title* is CSS, too.
    """

    images: str = ""
    image_pages: str = ""
    title: str = ""


def propose_images(pages: Sequence[PagePlaces], galleries: Collection[str], shown: Collection[str]) -> GalleryImages:
    """Where the images of galleries stand, by the *pages* of some; *galleries* are what the list page links to.

    What two of the pages show, or the list page does (*shown*), belongs to none. Empty where two places are as likely.
    """
    found = [images_at(page) for page in pages]
    times = _times(found)
    proposals = Counter(
        _proposed(page, images, galleries, shown, times) for page, images in zip(pages, found, strict=True)
    )
    (images, image_pages), count = proposals.most_common(1)[0] if proposals else (("", ""), 0)
    if count * 2 <= len(pages):
        images = image_pages = ""
    return GalleryImages(images, image_pages, _title(pages))


def propose_image_pages(page: PagePlaces, images: Iterable[Any], galleries: Container[str]) -> str:
    """CSS of the links to pages of their images, where a gallery's *page* has its *images* in such; else empty."""
    places = places_of_images(page, images, galleries)
    most = _surely_most({place: len(elements) for place, elements in places.items()})
    return _image_pages(page, places.get(most, [])) or ""


def _times(found: list[dict[Any, list[str]]]) -> Counter[str]:
    """How many pages show each image that was *found*."""
    return Counter(image for images in found for image in {image for each in images.values() for image in each})


def images_at(page: PagePlaces, elements: Iterable[Any] | None = None) -> dict[Any, list[str]]:
    """The `<img>` of a page, or some *elements* of it, each with the address of its image."""
    originals: Originals = {}
    nodes = ((each, [Selector(root=each, type="html")]) for each in elements or image_elements(page))
    found = ((each, images_in(node, page.url, page.base, page.encoding, originals)) for each, node in nodes)
    return {element: images for element, images in found if images}


def image_elements(page: PagePlaces) -> list[Any]:
    """The `<img>` of a page."""
    found: list[Any] = page.page.root.xpath("/descendant::*[self::img or self::amp-img]")
    return found[:MAX_ELEMENTS]


def places_of_images(page: PagePlaces, images: Iterable[Any], galleries: Container[str]) -> dict[int, list[Any]]:
    """Those of *images* that may be a gallery's, which are no links to *galleries*, by the place where they stand."""
    places: dict[int, list[Any]] = defaultdict(list)
    for element in images:
        if page.shows_image(element) and not page.is_boilerplate(element):
            link = page.link_around(element)
            if link is None or page.links.get(link) not in galleries:
                places[page.place_of(element)].append(element)
    return places


def _surely_most(counts: dict[int, int]) -> int:
    """The place of which *counts* has more than of any other; 0 where it is not sure."""
    most = max(counts, key=counts.__getitem__, default=0)
    second = max((count for place, count in counts.items() if place != most), default=0)
    return most if second <= SURE * counts.get(most, 0) and counts.get(most) else 0


def _image_pages(page: PagePlaces, images: list[Any]) -> str | None:
    """CSS of the links to the pages of *images*, which stand in one place; None where they are in no such links."""
    links = [link for element in images if (link := page.link_around(element)) is not None]
    targets = {page.links[link] for link in links if link in page.links}
    if len(targets) < 2 or not all(leads_to_page(page, target) for target in targets):
        return None
    return page.selector_of(links, targets, [":has(img)"])


def leads_to_page(page: PagePlaces, address: str) -> bool:
    """Whether *address* may be that of a page of *page*'s site."""
    return host_of(address) == host_of(page.url) and not is_file(address)


def _proposed(
    page: PagePlaces,
    images: dict[Any, list[str]],
    galleries: Container[str],
    shown: Collection[str],
    times: Counter[str],
) -> tuple[str, str]:
    own = (element for element, found in images.items() if all(times[each] == 1 for each in found))
    places = places_of_images(page, own, galleries)
    new = {element for element, found in images.items() if not any(each in shown for each in found)}
    most = _surely_most({place: len(new.intersection(elements)) for place, elements in places.items()})
    if not most:
        return "", ""
    best = places[most]
    if (css := _image_pages(page, best)) is not None:
        return "", css
    others = chain.from_iterable(elements for place, elements in places.items() if place != most)
    if any(page.link_around(element) is None for element in others) or _scripted(page, images) > 1:
        return "", ""  # it has images in other places, too
    if len(best) == 1 and (versions := offered_versions(page.page, page.base, page.encoding)):
        largest = [link for link, address in page.links.items() if address == versions[0]]
        return page.selector_of(largest, {versions[0]}) if largest else "", ""
    return page.selector_of(best, set(best)), ""


def _scripted(page: PagePlaces, images: dict[Any, list[str]]) -> int:
    """How many images of the page stand in none of its elements that are *images*."""
    known = {size_of(each).image for found in images.values() for each in found}
    return sum(size_of(each).image not in known for each in find_images(page.page, page.url, page.encoding))


def _title(pages: Sequence[PagePlaces]) -> str:
    """CSS of the heading that each of *pages* has once, with another text on each."""
    for heading in ("h1", "h2"):
        texts = [
            [" ".join(node.xpath("string()").get("").split()) for node in page.page.css(heading)] for page in pages
        ]
        if (
            texts
            and all(len(each) == 1 and each[0] for each in texts)
            and len({each[0] for each in texts}) == len(texts)
        ):
            return heading
    return ""
