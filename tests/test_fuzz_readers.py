"""As test_fuzz.py, of what reads pages for a gallery's series, thumbnails and photographs, feeds that are added to,
and what workers tell each other of placeholders."""

# ruff: noqa: E501 -- what is made up is listed in long lines
from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsel import Selector

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.packed import check_packed
from imgcrawl.frontier.lessons import SharedLessons
from imgcrawl.images.headers import pixels_of
from imgcrawl.pages import find_images, page_facts
from imgcrawl.pages.proposals import images_at, propose_image_pages
from imgcrawl.pages.repeated import PagePlaces
from imgcrawl.pages.series import images_in_series
from imgcrawl.pages.thumbnails import (
    are_alike,
    are_larger,
    has_thumbnails,
    may_have_thumbnails,
    named_alike,
    thumbnails_by,
    thumbnails_on,
)
from imgcrawl.pages.within import MAX_REFUSED, photograph_within, refused_address
from imgcrawl.pipelines.placeholders import Learned, Placeholders
from imgcrawl.urls import resolve
from tests.test_fuzz import SOURCES, damaged, fuzzed

BASE = "http://h.example/g/1"
PHOTOGRAPH = "data:image/jpeg;base64," + base64.b64encode(bytes(range(256)) * 30).decode()
PARTS = [
    "<a href=/v/1>", "<a href=/v/2>", "<a href='/v/?id=3&amp;i=a'>", "<a href=http://h.example:80/v/4>", "<a href=//o.example/5>", "<a href=http://[::1]/>", "<a href='#'>",
    "</a>", "<img src=/t/1.jpg>", "<img src=/t/2_s.jpg data-src=/l/2.jpg>", "<img src=3.jpg width=900>", "<img srcset='/t/4.jpg 1x, /l/4.jpg 2x'>", "<li class=t>", "<div class='t u'>",
    "<script>", "</script>", "var a = [", '"/l/1.jpg",', '"/l/2.jpg",', "'\\/l\\/3.jpg'", "/l/%d.webp?x=1 ", ", ", "{src:", "}", "]", "x" * 70, "0.jpg", "\\", "(", ")",
    "<img data-full='", "'", '"', f"<img src='{PHOTOGRAPH}'>", "<img src='data:image/png,", "%", "%4", "a" * 9000, "<base href=/b/>", "<p>", "</p>", "<table><tr><td>", "\ud800", "\x00", "é",
]  # fmt: skip
pages = st.lists(st.sampled_from(PARTS) | st.text(max_size=6), max_size=50).map("".join)


@fuzzed
@given(pages)
def test_pages_of_thumbnails(html: str) -> None:
    html = html.encode("utf-8", "replace").decode()  # as answers are decoded
    shown = frozenset(find_images(html, BASE))
    page_facts(html, BASE, "utf-8")
    page = PagePlaces(Selector(html or " "), BASE)
    found = thumbnails_on(page, ())
    assert may_have_thumbnails(page, ()) or not propose_image_pages(page, images_at(page), ())
    for css in ("a", *([found.css] if found else [])):
        led = thumbnails_by(page, css)
        assert has_thumbnails(page, css) == bool(led.images)
        assert set(led.images) <= set(page.links.values())
        links, thumbnails = list(led.images), list(led.images.values())
        are_alike(BASE, links)
        images = [tuple(shown)] * len(links)
        for each in named_alike(links, thumbnails, images) if links else ():
            assert set(each) <= shown
        are_larger(thumbnails, images)


@fuzzed
@given(pages)
def test_series_in_scripts(script: str) -> None:
    shown = {"http://h.example/l/1.jpg", "http://h.example/l/2.jpg"}
    for image in images_in_series([script], BASE, "utf-8", shown):
        assert image.startswith("http")


@fuzzed
@given(pages)
def test_photographs_within_a_page(text: str) -> None:
    for stated in (text, f"data:image/jpeg,{text}", f"data:image/png;base64,{text}"):
        told = refused_address(resolve(BASE, stated), stated)
        assert len(told) <= MAX_REFUSED
        body = photograph_within(told)
        assert (body is not None) == ("sha256=" in told)
        assert photograph_within(told) is None


@fuzzed
@given(pages, st.integers(0, 70_000))
def test_addresses_without_end(text: str, times: int) -> None:
    found = resolve(BASE, text * max(1, times // max(1, len(text))))
    # Percent-encoding makes nine characters of one, at most.
    assert found is None or found.startswith("data:") or ("#" not in found and len(found) < 10 * 65_536)


PACKED = [
    pack(b'{"url": "http://a/"}\n' * 30) + more
    for pack in (gzip.compress, bz2.compress, lzma.compress)
    for more in (b"", pack(b"{}\n"))
]
PLUGINS = {"GzipPlugin": gzip.open, "Bz2Plugin": bz2.open, "LZMAPlugin": lzma.open}


@fuzzed
@given(damaged(PACKED), st.sampled_from(list(PLUGINS)))
def test_compressed_feeds(tmp_path_factory: pytest.TempPathFactory, source: bytes, plugin: str) -> None:
    file = tmp_path_factory.getbasetemp() / "feed"
    file.write_bytes(source)
    with suppress(InputError):
        check_packed(file, {"postprocessing": [f"scrapy.extensions.postprocessing.{plugin}"]})
        if source:  # an empty one is new
            PLUGINS[plugin](io.BytesIO(source)).read()


@fuzzed
@given(
    st.lists(st.binary(max_size=90) | st.from_regex(re.compile(rb"placeholder/[0-9a-f]{64}( .{0,9})?"))), st.floats()
)
def test_what_workers_tell_each_other(told: list[bytes], clock: float) -> None:
    lessons = SharedLessons(Any)  # type: ignore[arg-type] # of no run
    lessons.hear(told, clock)
    learned = Learned.of_stats(lessons.learned)
    assert Learned.of_stats(f"placeholder/{each.told}" for each in learned) == learned
    known = Placeholders([], 3)
    assert {each.known_by for each in known.remember(learned)} == {each.known_by for each in learned}


HOSTS = st.sampled_from(
    ["http://a/1.jpg", "http://a/2.jpg", "http://a/3.jpg?x", "http://b/1.jpg", "http://b/", "http://[::1]/é", ""]
)
IMAGES = st.fixed_dictionaries(
    {"url": HOSTS, "status": st.sampled_from(["downloaded", "uptodate", "failed"]), "checksum": st.sampled_from(["a" * 64, "b" * 64, "c" * 64])},
    optional={"final_url": HOSTS},
)  # fmt: skip


@fuzzed
@given(st.lists(st.lists(IMAGES, max_size=12), max_size=8), st.integers(0, 4))
def test_placeholders_are_learned(items: list[list[Any]], enough: int) -> None:
    known = Placeholders(["!" + "c" * 64], enough)
    for images in items:
        lesson = known.found_in(images)
        assert all(images[index]["checksum"] != "c" * 64 for index in lesson.are)
        assert not {index for index, _ in lesson.may_be} & {*lesson.are}
        known.learn_from(images, len(images))
    known.suspects(3)


@fuzzed
@given(damaged(list(SOURCES.values())) | st.binary(max_size=400))
def test_pixels_that_a_header_tells(source: bytes) -> None:
    assert pixels_of(source) >= 0
