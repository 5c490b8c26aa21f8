from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import ada_url
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scrapy import Request
from scrapy.utils.request import RequestFingerprinter

from imgcrawl.bodies import MediaRequest
from imgcrawl.downloadermiddlewares.addressguard import LONGEST
from imgcrawl.fingerprints import Fingerprinter
from imgcrawl.urls import absolute, has_a_host, host_of, is_plain, resolve, slug_of

# [link, base, what browsers make of it, or null where they refuse it]: cases of our own, of each kind that the standard
# knows, in the manner of its own test data (https://github.com/web-platform-tests/wpt, url/resources).
CASES = json.loads((Path(__file__).parent / "addresses.json").read_text("utf-8"))
PAGE = "https://site.example/albums/one.html?page=2#top"


@pytest.mark.parametrize(("link", "base", "expected"), CASES)
def test_an_address_is_read_as_browsers_read_it(link: str, base: str, expected: str | None) -> None:
    assert resolve(base, link) == expected


@pytest.mark.parametrize("before", ["http://", "//", "https:", " http:/\t/", "\\\\", "http://me@", "javascript:"])
def test_a_host_that_takes_long_to_be_spelt_is_none(before: str) -> None:
    """In Punycode, as the square of its length."""
    name = "".join(map(chr, range(0x4E00, 0x4E00 + 5_000)))
    began = time.process_time()
    assert {resolve("http://h/", f"{before}{name}{number}/a.jpg") for number in range(200)} == {None}
    assert time.process_time() - began < 2, "26 ms each"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://\u00e9.example/a.jpg", True), ("http://[::1]/\u00e9", True), ("http://127.0.0.1/\u00e9", True),
        ("http://" + "e\u0301" * 40 + ".example/", True), ("http://" + "\u540d" * 64 + ".example/", False),
        ("http://" + "\u540d." * 200, False), ("http://h:99999/\u540d", False), ("\u540d", False),
    ],
)  # fmt: skip
def test_a_host_may_be_one_by_its_length(url: str, expected: bool) -> None:
    assert has_a_host(url) is expected


@pytest.mark.parametrize("link", ["{}", "a/{}", "?{}", "http://h/{}", "//h?{}", "#{}", "\u540d:{}"])
def test_what_is_no_host_may_be_long(link: str) -> None:
    assert str(resolve("http://h/", link.format("\u540d" * 5_000 + ".jpg"))).startswith("http://h/")


@pytest.mark.parametrize("link", ["mailto:a@b.example", "javascript:void(0)", "data:,x", "ftp://h/a.jpg", "http://[x"])
def test_what_is_fetched_over_http_is_absolute(link: str) -> None:
    assert absolute(PAGE, link) is None


@pytest.mark.parametrize(
    ("encoding", "link", "expected"),
    [
        ("utf-8", "/ä?q=ä#ä", "/%C3%A4?q=%C3%A4"),
        ("cp1252", "/ä?q=ä&b=€#ä", "/%C3%A4?q=%E4&b=%80"),
        ("iso8859-1", "?q=€", "/albums/one.html?q=%80"),
        ("gb18030", "/图?名=图片", "/%E5%9B%BE?%C3%FB=%CD%BC%C6%AC"),
        ("gbk", "?q=ü☃", "/albums/one.html?q=%A8%B9%26%239731%3B"),
        ("cp932", "/写真?q=表", "/%E5%86%99%E7%9C%9F?q=%95\\"),
        ("big5hkscs", "?q=圖", "/albums/one.html?q=%B9%CF"),
        ("euc-kr", "?q=사진", "/albums/one.html?q=%BB%E7%C1%F8"),
        ("utf-16", "?q=ä", "/albums/one.html?q=%C3%A4"),
        ("no-such-encoding", "?q=ä", "/albums/one.html?q=%C3%A4"),
        ("gbk", "?q=a b%20'<", "/albums/one.html?q=a%20b%20%27%3C"),
        ("gbk", "/a#?图", "/a"),
    ],
)
def test_a_query_is_in_the_encoding_of_its_page_and_a_path_in_utf_8(encoding: str, link: str, expected: str) -> None:
    assert absolute(PAGE, link, encoding) == "https://site.example" + expected


@pytest.mark.parametrize(
    "spelling", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "１２７.0.0.1", "%3127.1"]
)
def test_an_ipv4_address_has_one_spelling(spelling: str) -> None:
    assert absolute("", f"http://{spelling}/a.jpg") == "http://127.0.0.1/a.jpg"


def test_of_an_address_without_end_there_is_a_part_which_nobody_asks_for() -> None:
    for link in ("/a/" + "%41" * 1_000_000, "http://cdn.example/" + "a" * 1_000_000, " \n" * 50_000 + "b" * 1_000_000):
        assert LONGEST < len(resolve("http://site.example/", link) or "") < 100_000
    assert resolve("http://site.example/", " " * 100_000 + "/a.jpg") == "http://site.example/a.jpg"
    assert resolve("http://site.example/", data := "data:image/png;base64," + "A" * 1_000_000) == data


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example/a.jpg",
        "https://cdn.example/.a/b.jpg",
        "https://cdn.example/a/%2e%2E/b.jpg",
        "https://cdn.example/a/../b.jpg",
        "https://cdn.example/..",
        "https://cdn.example/a?../b",
        "https://xn--a.example/",
        "https://cdn.example/a'b.jpg?c'd",
        "https://a-.example/",
        "https://cdn.example/A%zz?%",
        "https://cdn.0x7f/",
    ],
)
def test_what_is_not_parsed_is_what_the_parser_leaves_as_it_is(url: str) -> None:
    try:
        expected = ada_url.URL(url).href
    except ValueError:
        expected = None
    assert resolve("", url) == expected


@pytest.mark.parametrize(
    "base",
    [
        "HTTP://User:p@Site.example:80/a/b?c",
        "http://127.1:8000",
        "https://bücher.example/x",
        "file:///a/b",
        "data:,x",
        "http://[::1",
        "",
    ],
)
@pytest.mark.parametrize(
    "link",
    [
        "/a.jpg",
        "/",
        "//cdn.example/a",
        "/\\cdn.example/a",
        "/\t/cdn.example/a",
        "/a//b",
        "/a/../b",
        "/./a",
        "/a/%2E%2e/b",
        "/..a",
        "/a?b#c",
        "/a b",
    ],
)
def test_what_begins_with_a_slash_is_joined_as_the_parser_does(base: str, link: str) -> None:
    try:
        expected = ada_url.URL(link, base or None).href.partition("#")[0]
    except ValueError:
        expected = None
    assert resolve(base, link) == expected


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://a.example",
            "https://a.example:443/x",
            "http://a.example?x",
            "http://a.example#x",
            "http://1.2.3.4:80",
        ),
        *(
            "http://a:80@b.example/",
            "http://a@b.example/",
            "http://a.example:x/",
            "http://A.example/",
            "HTTP://a.example",
        ),
        *(
            "http://[::1]/",
            "http://a.ex\nample/",
            "http:///a",
            "http://a\\b/",
            "http://a b/",
            "ftp://a/",
            "a.example",
            "",
        ),
    ],
)
def test_the_host_of_an_address_is_that_of_the_standard_library(url: str) -> None:
    assert host_of(url) == (urlsplit(url).hostname or "")


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://site.example/2026/sunday-walk/", "sunday-walk"),
        ("https://site.example/html/39211.html?from=list#top", "39211-from=list"),
        ("https://site.example/view.php?id=7", "view-id=7"),
        ("https://site.example/?p=7", "p=7"),
        ("https://site.example/%E6%97%A5%2Fx", "日/x"),  # made safe where it becomes a name
        ("https://site.example:8000", "site.example"),
        ("list.csv:3", "list.csv:3"),
        ("", ""),
    ],
)
def test_what_a_page_is_called_at_its_site(url: str, slug: str) -> None:
    assert slug_of(url) == slug


_HOSTS = st.one_of(
    st.lists(st.text("ab9-._", min_size=1, max_size=5) | st.sampled_from(["xn--p1ai", "a" * 64]), min_size=1).map(
        ".".join
    ),
    st.sampled_from(["127.0.0.1", "EXAMPLE.org", "\u00e9.example", "[::1]", "a..b", ".", "me@h", "h:", "0x7f.1"]),
)
_ADDRESSES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://", "https://", "HTTP://", "ftp://"]),
        _HOSTS,
        st.sampled_from(["", "", ":80", ":443", ":8080", ":59999", ":65536", ":080", ":0"]),
        st.text("/a.B~-_09% ?;#\u00e9|\n", max_size=12)
        | st.just("")
        | st.text("/a.B~-_09", max_size=12).map("/{}".format),
    ),
)


@settings(max_examples=1000)
@given(_ADDRESSES)
@example("https://example.org/wp-content/uploads/2026/11/IMG_0001.jpg")
@example("http://127.0.0.1:54321/a/b//c.jpg")
@example("http://127.0.0.1:54321/.../..a/a..")
@example("http://127.0.0.1/a/..")
@example("http://127.0.0.1/./a")
def test_a_plain_address_is_for_scrapy_as_it_is_and_known_as_it_knows_it(url: str) -> None:
    if not is_plain(url):  # as most of what is made up
        return
    plain = Request(url)
    assert MediaRequest(url).url == plain.url == url
    assert Fingerprinter().fingerprint(MediaRequest(url)) == RequestFingerprinter().fingerprint(plain)


def test_what_is_told_beside_the_address_tells_requests_apart() -> None:
    url = "https://example.org/a.jpg"
    requests = [Request(url), Request(url, method="POST"), Request(url, body="a"), Request(url, meta={"task": "list"})]
    assert len({Fingerprinter().fingerprint(request) for request in requests}) == 4
    known = [RequestFingerprinter().fingerprint(request) for request in requests[:3]]
    assert [Fingerprinter().fingerprint(request) for request in requests[:3]] == known
