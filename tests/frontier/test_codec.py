from __future__ import annotations

import json
import pickle
from enum import StrEnum
from typing import Any

import pytest
from scrapy import Request, Spider
from scrapy.http import JsonRequest, Response

from imgcrawl.frontier.codec import CannotTravelError, WireError, encode, host_of
from imgcrawl.frontier.decode import decode, decode_start


class Site(Spider):
    name = "site"

    def parse(self, response: Response, page: int = 1) -> None: ...

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
    ],
)
def test_what_travels_comes_back_as_it_was(request_: Request) -> None:
    back = decode(encode(request_, spider, LIMIT), spider, request_.priority)
    was = {**request_.to_dict(spider=spider), "callback": None, "errback": None}
    was.pop("_class", None)
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
        b'{"url": "http://x/?a=1", "meta": {"job": 1}, "q": "b c", "callback": "other", "priority": 9999999}', spider
    )
    assert (made.url, made.meta, made.callback) == ("http://x/?a=1&q=b+c", {"job": 1}, spider.other)
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


def test_hosts_take_turns_by_download_slot() -> None:
    assert host_of(Request("http://User:pw@Example.com:81/")) == "example.com"
    assert host_of(Request("http://x/", meta={"download_slot": "a b:c,\n"})) == "a_b_c__"
    assert host_of(Request("http://x/", meta={"download_slot": {"hostile": 1}})) == "x"
    assert host_of(Request("http://x/", meta={"download_slot": Colour.RED})) == "red"
