"""An attribute of a megabyte around hundreds of links and images: nothing reads it anew for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from parsel import Selector

from imgcrawl.pages import find_images
from imgcrawl.pages.images import images_in
from imgcrawl.pages.login import question_of
from imgcrawl.pages.pagination import propose_pagination
from imgcrawl.pages.proposals import UnsureError, propose_galleries, propose_image_pages
from imgcrawl.pages.repeated import PagePlaces
from imgcrawl.pages.saidnext import more_pressed, next_pressed, next_said
from imgcrawl.pages.shown import captions_of, day_shown
from imgcrawl.pages.thumbnails import thumbnails_by, thumbnails_on
from imgcrawl.pages.versions import offered_versions
from imgcrawl.urls import absolute

PAGE = "http://h.example/l/"
LONG = "c " * 500_000
LINKS = "".join(f"<a href=/g/{n} class=g title=t><img src=/t/{n}.jpg></a>" for n in range(400))
PLAIN = "".join(f"<img src=/t/{n}.jpg><time datetime=2020-01-0{n % 9}>t</time>" for n in range(400))
MORE = "<a class=load-more>Load more</a>" * 40


def places(page: Selector) -> PagePlaces:
    return PagePlaces(page, PAGE)


READERS: dict[str, Callable[[Selector], object]] = {
    "all": lambda page: find_images(page, PAGE),
    "images": lambda page: images_in(page.css("img"), PAGE, PAGE),
    "links": lambda page: images_in(page.css("a"), PAGE, PAGE),
    "next": lambda page: next_said(page, PAGE, PAGE, "utf-8"),
    "pressed": next_pressed,
    "more": lambda page: more_pressed(
        page, "", [f"http://h.example/t/{n}.jpg" for n in range(9)], partial(absolute, PAGE)
    ),
    "pagination": lambda page: propose_pagination(places(page)),
    "galleries": lambda page: propose_galleries(places(page)),
    "pages": lambda page: propose_image_pages(places(page), {}, ()),
    "thumbnails": lambda page: thumbnails_on(places(page), ()),
    "by": lambda page: thumbnails_by(places(page), "a"),
    "captions": lambda page: captions_of(page, [f"http://h.example/t/{n}.jpg" for n in range(400)], PAGE),
    "day": day_shown,
    "question": lambda page: question_of(page, [], searched=True),
    "versions": lambda page: offered_versions(page, PAGE, "utf-8"),
}


@pytest.mark.parametrize("within", [LINKS + MORE, PLAIN + MORE], ids=["links", "images"])
@pytest.mark.parametrize("tag", ["div", "span", "figure", "a"])
@pytest.mark.parametrize("attributes", [("class",), ("id", "role", "title"), ("style", "href"), ("data-src", "data-a")])
def test_a_long_attribute_is_not_read_for_each_of_what_is_in_its_element(
    attributes: tuple[str, ...], tag: str, within: str
) -> None:
    stated = " ".join(f'{name}="{LONG}"' for name in attributes)
    page = Selector(f"<main><{tag} {stated}>{within}</{tag}></main>")
    for name, read in READERS.items():
        before = time.process_time()
        with suppress(UnsureError):
            read(page)
        assert time.process_time() - before < 0.4, name
