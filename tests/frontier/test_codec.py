from __future__ import annotations

import json
import pickle
import re
from enum import StrEnum
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, Spider
from scrapy.http import HtmlResponse, JsonRequest, Response
from scrapy.utils.test import get_crawler

from imgcrawl.downloadermiddlewares.addressguard import AddressGuardMiddleware
from imgcrawl.exceptions import RequestRefused
from imgcrawl.frontier.border import is_instruction, kept_here
from imgcrawl.frontier.codec import CannotTravelError, WireError, encode, slot_of
from imgcrawl.frontier.decode import decode, decode_start
from imgcrawl.spiders.gallery import AnySiteSpider
from imgcrawl.spiders.huaban import HuabanSpider
from imgcrawl.urls import OUTSIDE
from imgcrawl.webrequest import WebRequest


class Site(Spider):
    name = "site"
    start_urls = ["http://x/", "https://x/", "http://10.1.1.1/"]  # noqa: RUF012 -- never changed

    def parse(self, response: Response, page: int = 1) -> None: ...

    def parse_more(self, response: Response) -> None: ...

    def other(self, response: Response) -> None: ...

    def failed(self, failure: Any) -> None: ...

    def closed(self, reason: str) -> None: ...

    @classmethod
    def make(cls, response: Response) -> None: ...


class Colour(StrEnum):
    RED = "red"


spider = Site()
LIMIT = 2000


@pytest.mark.parametrize(
    "request_",
    [
        Request("http://x/"),
        Request("https://x/?q=é&r=%20", callback=spider.other, errback=spider.failed, priority=-3, dont_filter=True),
        Request("http://x/", callback=spider.parse, cb_kwargs={"page": 2}, meta={"a": [1, 2.5, None, {"b": "日本"}]}),
        Request("http://x/", method="POST", body=b"\xff\x00", headers={"A": ["1", "2"], "B": "\xe9"}, flags=["f"]),
        Request("http://x/", body="text é", encoding="latin-1", cookies={"a": "b"}),
        Request("http://x/", cookies=[{"name": "a", "value": "b", "path": "/"}], meta={"half": "\ud800"}),
        JsonRequest("http://x/", data={"a": 1}),
        WebRequest("http://x/[a]|?"),
    ],
)
def test_what_travels_comes_back_as_it_was(request_: Request) -> None:
    back = decode(encode(request_, spider, LIMIT), spider, request_.priority)
    was = {**request_.to_dict(spider=spider), "callback": None, "errback": None}
    was |= {"_class": "imgcrawl.webrequest.WebRequest"}
    was.pop("dumps_kwargs", None)
    assert {**back.to_dict(spider=spider), "callback": None, "errback": None} == was
    assert back.errback == request_.errback
    assert (back.callback or spider.parse) == (request_.callback or spider.parse)


def test_a_plain_request_is_short() -> None:
    assert encode(Request("http://x/", callback=spider.parse), spider, LIMIT) == b'{"url":"http://x/"}'


class Special(Request):
    pass


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request("http://x/", callback=lambda response: None), "callback"),
        (Request("http://x/", callback=Site().other), "callback"),
        (Request("http://x/", errback=print), "errback"),
        (Request("http://x/", callback=spider.make), "callback"),
        (Request("http://x/", meta={"a": object()}), "meta"),
        (Request("http://x/", meta={"a": (1, 2)}), "is a tuple"),
        (Request("http://x/", meta={1: "a"}), "the key 1"),
        (Request("http://x/", cb_kwargs={"page": float("nan")}), "nan"),
        (Request("http://x/", meta={"a": "x" * LIMIT}), "FRONTIER_MAX_REQUEST_SIZE"),
        (Special("http://x/"), "Special"),
    ],
)
def test_what_cannot_travel_is_told(request_: Request, why: str) -> None:
    with pytest.raises(CannotTravelError, match=why):
        encode(request_, spider, LIMIT)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


GOOD = {"url": "http://x/"}
BAD: list[Any] = [
    [],
    "http://x/",
    None,
    {},
    {"url": 1},
    {"url": ""},
    {"url": "file:///etc/passwd"},
    {"url": "ftp://x/"},
    {"url": "data:,x"},
    {"url": "http://"},
    {"url": "http://[::1"},
    {"url": "http://x:99999/"},
    {"url": "http://x/" + "a" * 20_000},
    *({**GOOD, "callback": name} for name in ("nowhere", "make", "closed", "__init__", "start", "from_crawler", 5, {})),
    {**GOOD, "errback": "nowhere"},
    {**GOOD, "callback": "other", "cb_kwargs": {"page": 1}},
    {**GOOD, "cb_kwargs": []},
    {**GOOD, "meta": "x"},
    {**GOOD, "meta": {"a": nested(60)}},
    {**GOOD, "meta": None},
    {**GOOD, "method": "GET / HTTP/1.1\r\n"},
    {**GOOD, "method": 1},
    {**GOOD, "headers": []},
    {**GOOD, "headers": {"a b": ["x"]}},
    {**GOOD, "headers": {"a": "x"}},
    {**GOOD, "headers": {"a": ["x\r\nb: y"]}},
    {**GOOD, "headers": {"a": ["日"]}},
    {**GOOD, "body": 1},
    {**GOOD, "body": "\ud800"},
    {**GOOD, "body64": "###"},
    {**GOOD, "cookies": "a"},
    {**GOOD, "cookies": [1]},
    {**GOOD, "encoding": "hex"},
    {**GOOD, "encoding": 1},
    {**GOOD, "flags": [1]},
    {**GOOD, "flags": 1},
    {**GOOD, "dont_filter": 1},
    {**GOOD, "_class": "os.system"},
]


@pytest.mark.parametrize("value", BAD, ids=lambda value: json.dumps(value)[:40])
def test_what_we_would_not_write_is_not_taken(value: Any) -> None:
    with pytest.raises(WireError):
        decode(json.dumps(value).encode(), spider)


@pytest.mark.parametrize(
    "value",
    [
        pickle.dumps(GOOD),
        b"\xff",
        b"",
        b"{",
        b"[" * 10_000_000,
        b'{"url":' * 100_000,
        b'{"url":"http://x/","meta":{"a":1e999}}',
        b'{"url":"http://x/","meta":{"a":NaN}}',
        b'{"url":"http://x/","meta":{"a":' + b"9" * 10_000 + b"}}",
    ],
    ids=lambda value: repr(value[:20]),
)
def test_bytes_that_are_no_json_of_ours_are_not_taken(value: bytes) -> None:
    with pytest.raises(WireError):
        decode(value, spider)
    with pytest.raises(WireError):
        decode_start(value, spider)


def test_outsiders_write_addresses_or_objects_as_for_scrapy_redis() -> None:
    assert decode_start(b" http://x/a \n", spider).url == "http://x/a"
    made = decode_start(
        b'{"url": "http://x/?a=1", "meta": {"job": 1}, "q": "b c", "callback": "parse_more", "priority": 9999999}',
        spider,
    )
    assert (made.url, made.meta, made.callback) == ("http://x/?a=1&q=b+c", {"job": 1}, spider.parse_more)
    assert made.priority == 1_048_576
    form = decode_start(b'{"url": "http://x/", "method": "post", "q": "b c"}', spider)
    assert (form.method, form.body, form.headers["Content-Type"]) == (
        "POST",
        b"q=b+c",
        b"application/x-www-form-urlencoded",
    )
    for bad in (b"not an address", b'{"url": "http://x/", "q": {"a": 1}}', b'{"url": "http://x/", "priority": "1"}'):
        with pytest.raises(WireError):
            decode_start(bad, spider)


HOSTILE_META = [
    {"download_to": "/etc/x"},
    {"proxy": "http://evil/"},
    {"dont_obey_robotstxt": True},
    {"download_slot": "mine"},
    {"download_delay": 0},
    {"download_timeout": 9e9},
    {"download_maxsize": 0},
    {"bindaddress": "10.0.0.1"},
    {"public_only": False},
    {"budgeted": "x"},
    {"allow_offsite": True},
    {"media": True},
    {"image_path": "../x"},
    {"_auth_proxy": "x"},
    {"playwright_page_methods": []},
    {"max_retry_times": 10**9},
    {"autothrottle_dont_adjust_delay": True},
    {"ftp_password": "x"},
    {"zyte_api": {}},
    {"depth_reset": True},
    {"verbatim_url": True},
    {"is_secure": True},
]


@pytest.mark.parametrize("meta", HOSTILE_META, ids=str)
def test_an_instruction_comes_neither_from_the_queue_nor_from_outside(meta: dict[str, Any]) -> None:
    value = json.dumps({**GOOD, "meta": {"job": 1, **meta}}).encode()
    with pytest.raises(WireError, match="is an instruction to the crawler"):
        decode(value, spider)
    with pytest.raises(WireError, match="may not come from outside"):
        decode_start(value, spider)
    # Where the user lets it through it comes from our own workers, and still not from outside.
    assert decode(value, spider, allowed=set(meta)).meta == {"job": 1, **meta}
    travelling = encode(Request("http://x/", meta=meta), spider, LIMIT)
    assert travelling == b'{"url":"http://x/"}'
    assert encode(Request("http://x/", meta=meta), spider, LIMIT, set(meta)) != travelling
    assert f"meta {min(meta)!r}" == kept_here(Request("http://x/", meta=meta), spider)
    assert not kept_here(Request("http://x/", meta=meta), spider, inherited=meta)  # a retry by the callback


@pytest.mark.parametrize(
    "meta",
    [
        {"retry_times": -(10**9)},
        {"redirect_times": "x"},
        {"retry_after_times": -1},
        {"depth": -5},
        {"handle_httpstatus_list": "x"},
        {"referrer_policy": "antigravity.Geohash"},
        {"redirect_urls": "http://10.0.0.1/"},
        {"page_private": "yes"},
        {"task": ["sitemap"]},
        {"priority_adjust": True},
        {"sitemap_images": [{}]},
    ],
    ids=str,
)
def test_an_instruction_that_travels_is_of_its_kind(meta: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="meta"):
        decode(json.dumps({**GOOD, "meta": meta}).encode(), spider)
    with pytest.raises(WireError, match="may not come from outside"):
        decode_start(json.dumps({**GOOD, "meta": meta}).encode(), spider)


# What finds a key that somebody reads in, or writes to, the meta of a request or a response.
IN_META = re.compile(r"""meta(?:\.(?:get|pop|setdefault))?[\[(]\s*["'](\w+)["']|["'](\w+)["'] in \w+\.meta\b""")


@pytest.mark.parametrize("package", ["scrapy", "scrapy_redis", "imgcrawl"])
def test_a_key_that_a_part_reads_travels_by_the_list_or_not_at_all(package: str) -> None:
    """The list is closed for all that Scrapy and we look for; what is left means nothing to anybody but the spider."""
    sources = Path(str(import_module(package).__file__)).parent.rglob("*.py")
    read = {key for source in sources for pair in IN_META.findall(source.read_text("utf-8")) for key in pair if key}
    assert len(read) > {"scrapy": 40, "imgcrawl": 25}.get(package, -1)
    assert {key for key in read if not is_instruction(key)} == set()


@pytest.mark.parametrize(
    "name", ["Host", "proxy-authorization", "Transfer-Encoding", "Content-Length", "Connection", "Upgrade"]
)
def test_a_header_that_says_where_to_connect_or_where_a_message_ends_does_not_travel(name: str) -> None:
    with pytest.raises(WireError, match="header"):
        decode(json.dumps({**GOOD, "headers": {name: ["x"]}}).encode(), spider)
    assert encode(Request("http://x/", headers={name: "x"}), spider, LIMIT) == b'{"url":"http://x/"}'
    assert kept_here(Request("http://x/", headers={name: "x"}), spider) == f"the header {name.title()!r}"


PRIVATE, PAGE = "http://10.0.0.1/", "http://10.1.1.1/a"


@pytest.mark.parametrize(
    ("url", "meta", "is_public_only"),
    [
        (PRIVATE, {}, True),
        (PRIVATE, {"page_url": None}, True),
        ("http://y/", {"page_url": PRIVATE}, True),
        ("http://y/", {"redirect_urls": ["http://y/", "http://127.0.0.1/"]}, True),
        (PRIVATE, {"page_url": "http://y/", "page_private": True}, True),
        (PRIVATE, {"page_url": "http://x:99/"}, True),
        # What the user named himself is as in a crawl of one process, and so is what its pages name on its machine.
        ("http://x/", {}, False),
        ("http://x/b", {"page_url": "http://x/a", "page_private": True}, False),
        ("http://10.1.1.1:1/", {"page_url": PAGE, "page_private": True}, False),
        # Another machine is for PRIVATE_HOSTS_ALLOWED to name, also where such a page was seen.
        (PRIVATE, {"page_url": "http://x/a", "page_private": True}, True),
        ("http://x:6379/", {"page_url": "http://x/a", "page_private": True}, True),
        (PRIVATE, {"page_url": PAGE, "page_private": True}, True),
        (PRIVATE, {"page_url": PAGE}, True),
        (PRIVATE, {"redirect_urls": ["http://x/a", PAGE], "page_url": PAGE}, True),
    ],
    ids=str,
)
def test_a_value_in_the_queue_does_not_say_that_it_is_the_users(
    url: str, meta: dict[str, Any], is_public_only: bool
) -> None:
    guard = AddressGuardMiddleware()
    for page in ("http://x/a", PAGE):
        seen = Request(page)
        guard.response_downloaded(Response(page, request=seen, ip_address=ip_address("10.1.1.1")), seen)
    request = decode(json.dumps({"url": url, "meta": meta}).encode(), spider)
    if is_public_only and url == PRIVATE:
        with pytest.raises(RequestRefused, match="private_address"):
            guard.process_request(request)
    else:
        guard.process_request(request)
        assert request.meta.get("public_only", False) == is_public_only
    # What was asked for stays what the outcome is told of.
    assert request.meta.get("redirect_urls") == meta.get("redirect_urls")


@pytest.mark.parametrize(
    ("page", "url", "is_own"),
    [
        ("http://127.0.0.1:8000/list", "http://127.0.0.2:8001/g", True),
        ("http://127.0.0.2:8001/g", "http://[::1]:9/g/2", True),
        ("http://127.0.0.1:8000/list", PRIVATE, False),
        (PAGE, "http://127.0.0.2/", False),
        ("http://x/a", "http://127.0.0.2/", False),
    ],
)
def test_all_addresses_of_the_loopback_are_one_machine(page: str, url: str, is_own: bool) -> None:
    own = Spider("s", list="http://127.0.0.1:8000/list")
    meta = {"page_url": page, "page_private": True}
    assert decode(json.dumps({"url": url, "meta": meta}).encode(), own).meta["page_private"] == is_own


def test_images_that_no_sitemap_has_named_do_not_travel() -> None:
    meta: dict[str, Any] = {"sitemap_images": ["http://10.0.0.1/a.jpg"]}
    assert "sitemap_images" not in decode(json.dumps({**GOOD, "meta": meta}).encode(), spider).meta
    meta["page_url"] = "http://y/sitemap.xml"
    assert decode(json.dumps({**GOOD, "meta": meta}).encode(), spider).meta == meta | {"page_private": False}


async def test_images_that_the_queue_states_for_a_private_page_are_on_its_machine_or_not_its_own() -> None:
    """By its answer: the host of a sitemap that the user named may be a name, and images of a public one anywhere."""
    given = {"sitemap": "http://intra/sitemap.xml", "images": "//img/@src"}
    gallery = AnySiteSpider.from_crawler(get_crawler(AnySiteSpider), **given)
    stated = ["http://intra/x.jpg", "http://10.0.0.9/x.jpg", "http://cdn.example/x.jpg"]
    meta = {"page_url": "http://intra/sitemap.xml", "sitemap_images": stated}
    value = json.dumps({"url": "http://intra/g", "callback": "parse_gallery", "meta": meta}).encode()

    async def pages_of(ip: str, **meta: str) -> list[str | None]:
        request = decode(value, gallery)
        assert "page_private" not in request.meta
        request.meta.update(meta)
        body = b"<html><img src='/y.jpg'>"
        response = HtmlResponse(request.url, body=body, request=request, ip_address=ip_address(ip))
        (item,) = [item async for item in gallery.parse_gallery(response)]
        assert item["image_urls"] == ["http://intra/y.jpg", *stated]
        return item.get("image_pages") or [request.url] * 4

    own = "http://intra/g"
    assert await pages_of("10.0.0.5", lease="ab") == [own, own, OUTSIDE, OUTSIDE]
    for ip, known in (
        ("8.8.8.8", {"lease": "ab"}),
        ("10.0.0.5", {}),
        ("10.0.0.5", {"lease": "ab", "proxy": "http://p"}),
    ):
        assert await pages_of(ip, **known) == [own] * 4
    guard = AddressGuardMiddleware()
    with pytest.raises(RequestRefused, match="private_address"):
        guard.process_request(Request(stated[1], meta={"page_url": OUTSIDE, "media": True}))


def test_hosts_take_turns_by_download_slot() -> None:
    assert slot_of(Request("http://User:pw@Example.com:81/")) == "example.com"
    assert slot_of(Request("http://x/", meta={"download_slot": "a b:c,\n"})) == "a_b_c__"
    assert slot_of(Request("http://x/", meta={"download_slot": {"hostile": 1}})) == "x"
    assert slot_of(Request("http://x/", meta={"download_slot": Colour.RED})) == "red"


def test_what_a_spider_has_read_itself_does_not_come_from_outside(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("1,a,http://a.example/1.jpg\n")
    huaban = HuabanSpider(file=str(tmp_path / "list.csv"))
    rows = {"callback": "parse_rows", "cb_kwargs": {"file": "", "rows": [[0, ["1", "a", PRIVATE]]], "bad": []}}
    retry = {"callback": "parse_retry", "cb_kwargs": {"item": {"image_urls": [PRIVATE]}}}
    for evil in (rows, retry):
        for take in (decode, decode_start):
            with pytest.raises(WireError, match="has read itself"):
                take(json.dumps({"url": "http://x/", **evil}).encode(), huaban)
        carried = json.dumps({"url": "rows://huaban/1", **evil}).encode()
        with pytest.raises(WireError, match="is no http or https address"):
            decode_start(carried, huaban)
        # In the queue it is for a worker to read; what is in it is not the user's all the same.
        request = decode(carried, huaban)
        assert request.callback
        huaban.crawler = get_crawler()
        (item,) = request.callback(Response(request.url, request=request), **request.cb_kwargs)
        assert [item["url"], *item.get("image_pages", [])][-1] == OUTSIDE
