"""A crawl that is stopped while pages are under way that were redirected: whoever goes on has them again."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.crawling import crawl, start, until
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg

HTML = {"Content-Type": "text/html"}
LIST = b"<a class=g href=/g/%d>g</a><a class=g href=/g/%d>g</a><a class=next href=/list/%d>n</a>"


class Site:
    """Lists of galleries, each of which is redirected. Before `is_quick`, some end never or are busy; then all are
    there, once each that waited has been busy once."""

    def __init__(self, server: Server) -> None:
        self.is_quick = False
        self.once = {"/h/2", "/moved/3"}
        server.add("*", self.answer)

    def answer(self, request: Request) -> Answer:
        path = request.path
        kind, _, number = path.strip("/").partition("/")
        if kind in ("g", "list") and number:
            return Answer(b"", status=302, headers={"Location": path.replace("g", "h").replace("list", "moved")})
        is_busy = path in self.once if self.is_quick else path == "/h/3"
        if is_busy:
            self.once.discard(path)
            return Answer(b"", status=503)
        delay = 0 if self.is_quick or path not in ("/i/1.jpg", "/h/2", "/moved/3") else 60.0
        if kind == "i":
            return Answer(jpeg(comment=path), delay=delay)
        pages = {"/list": LIST % (1, 2, 2), "/moved/2": LIST % (3, 4, 3), "/moved/3": b"<a class=g href=/g/5>g</a>"}
        gallery = b"<title>g</title><img src=/i/%s.jpg>" % number.encode()
        return Answer(pages.get(path, gallery), headers=HTML, delay=delay)


@pytest.mark.parametrize("way", ["JOBDIR", "Redis"])
def test_what_was_redirected_is_had_again(way: str, server: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    """Its request was known by where it led to: nothing of it was given back to a shared queue, and a JOBDIR had it as
    one that is not retried, or not at all."""
    site = Site(server)
    where = {"JOBDIR": "job"} if way == "JOBDIR" else {"REDIS_URL": redis_server.url}
    settings = {
        "SHUTDOWN_TIMEOUT": "0.5",
        "BUDGET_PAGES": "99",
        "ROBOTSTXT_OBEY": "False",
        "options": ["-o", "items.jsonl"],
        **where,
    }
    arguments = {"list": server.url("/list"), "galleries": "a.g", "next": "a.next"}
    first = start(tmp_path, "gallery", arguments, **settings, RETRY_DELAY="60", RETRY_MAX_DELAY="60")
    begun = {"/i/1.jpg", "/h/2", "/h/3", "/moved/3"}
    until(lambda: begun <= set(server.paths()) or first.poll() is not None)
    first.send_signal(signal.SIGINT)
    log, _ = first.communicate(timeout=60)
    assert begun <= set(server.paths()), log
    kept = b"".join(path.read_bytes() for path in (tmp_path / "job").rglob("*") if path.is_file())
    assert b"budgeted" not in kept, "what is asked for once more counts once more"
    site.is_quick = True
    last = crawl(tmp_path, "gallery", arguments, **settings)
    assert last.code == 0, last.log
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    had = {item["url"][-1] for item in items if [image["status"] for image in item.get("images", [])] == ["downloaded"]}
    assert had == set("12345"), (log, last.log)
