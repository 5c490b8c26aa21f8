"""Pages are asked for by the addresses that browsers send."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from scrapy import Request
from scrapy.utils.request import fingerprint, request_from_dict

from imgcrawl.webrequest import WebRequest
from tests.support.crawling import crawl
from tests.support.redis_server import RedisServer
from tests.support.server import Server, jpeg, redirect

HTML = {"Content-Type": "text/html; charset=utf-8"}
# As links have them, and as they are sent.
SENT = {
    "/g/[a]": "/g/[a]",
    "/g/b|c?d|[e]": "/g/b|c?d|[e]",
    "/g/f?": "/g/f?",
    "/g/h?i^j`k": "/g/h?i^j`k",
    "/g/l?{m}\\n": "/g/l?{m}\\n",
    "/g/{o}^ p": "/g/%7Bo%7D%5E%20p",
}


@pytest.mark.parametrize(("written", "sent"), SENT.items())
def test_a_request_and_its_copies_have_the_address_that_browsers_send(written: str, sent: str) -> None:
    request = WebRequest(f"http://h{written}", meta={"page_url": "http://h/"})
    copies = (
        request.replace(dont_filter=True),
        request.replace(url=f"http://h{written}"),
        request_from_dict(pickle.loads(pickle.dumps(request.to_dict()))),  # noqa: S301 -- our own
        WebRequest(request.url),
    )
    assert {each.url for each in (request, *copies)} == {f"http://h{sent}"}
    # What a queue of an earlier crawl knows is known.
    assert fingerprint(request) == fingerprint(Request(f"http://h{written.replace(chr(92), '%5C')}"))
    assert WebRequest(f"http://h{written}#f").url == f"http://h{sent}#f"


@pytest.mark.parametrize("shared", [False, True])
def test_galleries_are_asked_for_as_browsers_do(
    server: Server, tmp_path: Path, redis_server: RedisServer, shared: bool
) -> None:
    links = "".join(f'<a class=g href="{path}">x</a>' for path in (*SENT, "/g/[no]", "/moved"))
    server.add("/robots.txt", b"User-agent: *\nDisallow: /g/[no]")
    server.add("/list/[1]", f'{links}<a rel=next href="/list/[2]?">n</a>'.encode(), headers=HTML)
    server.add("/list/[2]?", b'<a class=g href="/g/last">x</a>', headers=HTML)
    server.add("/moved", redirect("/g/[r]?", status=302))
    for number, path in enumerate((*SENT.values(), "/g/[r]?", "/g/last")):
        server.add(path, f"<h1>{number}</h1><img src=/i/{number}.jpg>".encode(), headers=HTML)
        server.add(f"/i/{number}.jpg", jpeg(colour=(number * 20, 9, 9)))
    settings = {"REDIS_URL": redis_server.url} if shared else {"JOBDIR": str(tmp_path / "job")}
    run = crawl(tmp_path, "gallery", {"list": server.url("/list/[1]"), "galleries": "a.g"}, **settings)
    assert {item["url"]: item["error"] for item in run.items if "error" in item} == {server.url("/g/[no]"): "robots"}
    asked = {path for path in server.paths() if path.startswith(("/g/", "/list/"))}
    assert asked == {*SENT.values(), "/g/[r]?", "/g/last", "/list/[1]", "/list/[2]?"}
    assert run.code == 0
