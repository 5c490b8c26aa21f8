"""What strangers send, made up: whatever it is, there is an answer or an error on purpose, in time.

Few examples here. By hand, for an hour: `FUZZ_EXAMPLES=100000 nice python -m pytest -n 0 tests/test_fuzz.py`.
"""

# ruff: noqa: E501 -- what is made up is listed in long lines
from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scrapy import Request
from scrapy.http import Response
from scrapy.http.cookies import CookieJar

from imgcrawl.cookiesfile import read_cookies
from imgcrawl.downloadermiddlewares.robotstxt import _parse, our_rules
from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.framing import _Chunks, regular_head
from imgcrawl.frontier.codec import WireError
from imgcrawl.frontier.decode import decode, decode_start
from imgcrawl.frontier.packing import unpack
from imgcrawl.images import frugal
from imgcrawl.images.containers import examine_video
from imgcrawl.images.names import path_for, safe_name, safe_path
from imgcrawl.images.room import set_pixel_limit
from imgcrawl.images.thumbnails import thumbnail
from imgcrawl.images.verify import examine
from imgcrawl.limits.retry_after import retry_after
from imgcrawl.lines import printable
from imgcrawl.pages import PageFacts, count_links, find_images, page_facts
from imgcrawl.pages.encodings import is_web_encoding
from imgcrawl.pages.markup import too_much
from imgcrawl.pages.sitemaps import read_sitemap
from imgcrawl.pipelines.servernames import file_name_of
from imgcrawl.rows import open_address_list
from imgcrawl.urls import absolute, host_of, literal_ip, resolve, stem
from tests.frontier.test_codec import spider
from tests.images.pictures import icon, samples


@pytest.fixture(autouse=True)
def _limit() -> None:
    set_pixel_limit(1_000_000)


fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "15")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SOURCES = {name: sample[0] for name, sample in samples(24, 16).items()}
SOURCES["icon"] = icon(SOURCES["png"], SOURCES["bmp"])


@st.composite
def damaged(draw: st.DrawFn, sources: list[bytes]) -> bytes:
    """One of *sources*, with some bytes changed, cut out, doubled, or others put in."""
    source = bytearray(draw(st.sampled_from(sources)))
    for _ in range(draw(st.integers(1, 6))):
        near = draw(st.sampled_from([40, 200, max(1, len(source) - 1)]))
        at = draw(st.integers(0, max(0, min(near, len(source) - 1))))
        what, size = draw(st.integers(0, 3)), draw(st.integers(1, 24))
        if what == 0:
            source[at : at + size] = draw(st.binary(min_size=size, max_size=size))
        elif what == 1:
            del source[at : at + size]
        elif what == 2:
            source[at:at] = source[at : at + size] * draw(st.integers(1, 50))
        else:
            source[at : at + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", bytes(4), b"\0\0\0\1", b"\x7f\xff\xff\xff"])
            )
    return bytes(source)


@fuzzed
@given(damaged(list(SOURCES.values())) | st.binary(max_size=400))
def test_images(source: bytes) -> None:
    with suppress(ImageError):
        facts = examine(source)
        assert facts.extension[0] == "."
        assert facts.frames > 0
        thumbnail(source, (8, 8))


STILLS = [source for source in SOURCES.values() if frugal.is_known(source)]


@pytest.fixture
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frugal, "_OF_PILLOW", dict.fromkeys(("AVIF", "PNG", "WEBP"), 1e9))


@pytest.mark.usefixtures("_little_memory")
@fuzzed
@given(damaged(STILLS))
def test_images_of_which_no_picture_is_made(source: bytes) -> None:
    with suppress(ImageError):
        found = frugal.still(source)
        assert found is None or found.width * found.height > 0


VIDEOS = [
    b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\1mdat\0\0\0\0\0\0\0\x18" + bytes(8),
    b"\x1a\x45\xdf\xa3\x84webm\x18\x53\x80\x67\x84abcd",
    b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x08\0\0\2\0\0\0\0\0\0\0ab\0\0\0\x0d",
    b"OggS\0\2" + bytes(20) + b"\1\4abcdOggS" + bytes(22) + b"\0",
    b"RIFF\x10\0\0\0AVI LIST\0\0\0\0", (b"\x47" + bytes(187)) * 6, b"\0\0\1\xba" + bytes(20),
]  # fmt: skip


@fuzzed
@given(damaged(VIDEOS))
def test_videos(tmp_path_factory: pytest.TempPathFactory, source: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "video"
    file.write_bytes(source)
    with suppress(ImageError):
        examine_video(file)


PARTS = [
    "<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<img src=", "<img srcset='a.jpg 1x, b 2w,(((", "<base href=", "<a href=",
    "<script type=application/ld+json>", '{"@type":"ImageObject","contentUrl":', "[[[[", "{" , "}", "</script>", "<title>", "<h1", "<noscript>",
    "<picture><source srcset=", "itemprop=image ", "itemscope ", "<meta property=og:image content=", '"', "'", "=", " ", "\n", "&amp;", "&#x110000;",
    "http://", "//", "../", "a.jpg", "?w=300&h=", "-300x200.jpg", "data:image/png;base64,", "javascript:", "\x00", "\ud800", "é", "xn--", "[::1]", ":99999",
    "<url><loc>", "</loc></url>", "<sitemap>", "<urlset>", "<image:loc>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;",
]  # fmt: skip
pages = st.lists(st.sampled_from(PARTS) | st.text(max_size=6), max_size=40).map("".join)


@fuzzed
@given(pages, st.sampled_from(["utf-8", "gb18030", "shift_jis", "utf-16-le", "iso-2022-jp"]))
def test_pages(html: str, encoding: str) -> None:
    url = "http://example.org/a/b?c"
    too_much(html)
    with_images = PageFacts()
    for address in find_images(html, url, encoding=encoding, facts=with_images):
        assert address == address.strip()
    facts = page_facts(html, url, encoding)
    assert facts == with_images
    assert all(len(text) <= 1000 for text in (facts.title, facts.caption, *facts.tags))
    count_links(html, url)
    with suppress(ValueError):
        for entry in read_sitemap(html.encode("utf-8", "surrogatepass"), url):
            assert entry.address.startswith("http")
    is_web_encoding(html)


@fuzzed
@given(pages)
def test_addresses_and_names(text: str) -> None:
    for found in (resolve("http://a/", text), absolute(text, "x"), absolute("http://a/b", text)):
        assert found is None or "#" not in found
    host_of(text)
    stem(text)
    literal_ip(text)
    assert printable(text).replace("\t", "").isprintable()
    for name in (safe_name(text), safe_path(text), path_for("{spider}/{title}", {"spider": "s", "title": text})):
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts), name
        assert all(len(part.encode()) <= 255 for part in parts)


ROWS = [
    b"url,title\nhttp://a/1.jpg,one\nhttp://a/2.jpg,\"two\n\"\n", b'{"url": "http://a/1.jpg"}\n{"url": ["http://a"]}\n', b'["http://a/1.jpg", {"u": "http://b"}]',
    b"http://a/1.jpg\nhttp://a/2.jpg\n", b"\x1f\x8b\x08\0\0\0\0\0\0\3\xcb\x28\x29\x29", b"PK\x03\x04" + bytes(40), "url\thttp://ä\n".encode("utf-16"), b"PAR1" + bytes(20) + b"PAR1",
]  # fmt: skip


@fuzzed
@given(damaged(ROWS), st.sampled_from([".csv", ".txt", ".json", ".jsonl", ".gz", ".zip", ".parquet", ""]))
def test_lists(tmp_path_factory: pytest.TempPathFactory, source: bytes, suffix: str) -> None:
    file = tmp_path_factory.getbasetemp() / f"list{suffix}"
    file.write_bytes(source)
    with suppress(InputError):
        assert all(page.last >= page.first for page in open_address_list(file)[0].pages(10))


HEADS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nA: b\r\n c\r\nX", b"HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 5, 6",
    b"HTTP/1.0 206 Partial\r\nContent-Range: bytes 0-1/*\r\n: x\r\nSet-Cookie: a=b; Domain=x; Expires=Mon, 32 Jan 0000 00:00:00 GMT",
]  # fmt: skip


@fuzzed
@given(damaged(HEADS), st.binary(max_size=200))
def test_heads(head: bytes, value: bytes) -> None:
    with suppress(BadHttpMessage):
        assert regular_head(head).head.endswith(b"\r\n\r\n")
    with suppress(BadHttpMessage):
        _Chunks().regular(value)
    url = "http://example.org/"
    names = ("Retry-After", "Date", "Content-Disposition", "Set-Cookie")
    response = Response(url, headers={name: [value] for name in names})
    assert retry_after(response) >= 0
    assert "/" not in file_name_of(response)
    CookieJar().extract_cookies(response, Request(url))


TEXTS = [
    b"User-agent: *\nDisallow: /a*$\nCrawl-delay: 1e400\nSitemap: x\n", b"user-agent: imgcrawl\nrequest-rate: 1/0\nvisit-time: 9999-0\n",
    b"a.example\tTRUE\t/\tFALSE\t0\tname\tvalue\n#HttpOnly_.b\tFALSE\t/\tTRUE\t1e999\tn\tv\n",
]  # fmt: skip


@fuzzed
@given(damaged(TEXTS))
def test_robots_and_cookies(tmp_path_factory: pytest.TempPathFactory, source: bytes) -> None:
    rules = _parse(our_rules(source.decode("utf-8", "replace"), "imgcrawl"))
    rules.can_fetch("http://a/é?%", "imgcrawl")
    rules.crawl_delay("imgcrawl")
    file = tmp_path_factory.getbasetemp() / "cookies"
    file.write_bytes(source)
    with suppress(InputError):
        read_cookies(str(file))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "url",
    "callback",
    "errback",
    "method",
    "headers",
    "body",
    "body64",
    "meta",
    "cb_kwargs",
    "encoding",
    "cookies",
)
FIELDS += ("flags", "dont_filter", "priority", "name", "\ud800")


@st.composite
def wires(draw: st.DrawFn) -> bytes:

    wire: dict[str, Any] = {
        "url": draw(st.sampled_from(["http://x/", "http://x/?é", "//x", "https://[::1", "http://x:0/"]) | pages)
    }
    for field in draw(st.lists(st.sampled_from(FIELDS[1:]), max_size=4)):
        known = st.sampled_from(
            ["parse", "POST", "latin-1", "punycode", {"page": 1}, {"A": ["b"]}, {"depth": "x"}, {"proxy": 1}]
        )
        wire[field] = draw(values | known)
    return json.dumps(wire).encode()


@fuzzed
@given(wires() | damaged([b'{"url": "http://x/", "meta": {"depth": 1}, "cookies": [{"name": "a"}]}']))
def test_values_from_redis(value: bytes) -> None:
    readers: list[Callable[[bytes], Request]] = [lambda it: decode(it, spider), lambda it: decode_start(it, spider)]
    for read in readers:
        with suppress(WireError):
            request = read(value)
            assert request.url.startswith(("http://", "https://"))
            request.replace(url=request.url)
    with suppress(Exception):
        unpack(value, 1000)


def test_fuzzing_of_images_reaches_many_formats() -> None:
    assert len({examine(source).format for source in SOURCES.values() if source is not SOURCES["icon"]}) > 9
