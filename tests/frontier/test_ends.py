"""Where galleries have led to is known to all workers together."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from imgcrawl.basespiders.ends import GalleryEnds
from imgcrawl.exceptions import InputError
from imgcrawl.frontier.ends import SharedEnds, _digest
from imgcrawl.frontier.known_pages import KnownPages
from imgcrawl.frontier.queues import queues_from_settings
from tests.basespiders.test_every_gallery import HTML, add, add_galleries, links
from tests.support.crawling import FAST, Crawl, crawl_command, environment
from tests.support.processes import run
from tests.support.redis_server import RedisServer
from tests.support.server import Server

GONE, MOVED = [f"gone{n}" for n in range(5)], [f"moved{n}" for n in range(6)]


def test_galleries_that_lead_to_one_page_are_told_whichever_worker_has_them(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    add_galleries(server)
    add(server, {"/list/1": links("/g/1", *(f"/g/{name}" for name in (*GONE, *MOVED)))})
    add(server, {"/removed": "<h2>gone</h2><img src=/i/gone>"})
    for names, target in ((GONE, "/removed"), (MOVED, "/g/1")):
        for name in names:  # slowly, so that each worker has some
            server.add(f"/g/{name}", status=302, headers=HTML | {"Location": target}, delay=0.2)
    settings = FAST | {"CONCURRENT_REQUESTS": "2", "FRONTIER_PREFETCH": "1", "VERDICT_MAX_FAILED": "1"}
    given = {"list": server.url("/list/{page}"), "galleries": "a.g", "pages": "1"}
    command = crawl_command("gallery", "-O", "items.json", "--workers", "2", arguments=given, settings=settings)
    done = run(
        command,
        cwd=tmp_path,
        env=environment(redis_server.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    crawl = Crawl(tmp_path, done.returncode, done.stdout)
    failed = sorted(item["url"].rpartition("/")[2] for item in crawl.items if item.get("error") == "redirected")
    assert len(crawl.items) == 1 + len(GONE) + len(MOVED)
    assert [name for name in failed if name in MOVED] == MOVED
    assert len([name for name in failed if name in GONE]) == len(GONE) - 1, "the first of them may be what it leads to"
    assert f"6 galleries lead to one address, {server.url('/g/1')}: they are gone, or the site" in crawl.log
    assert crawl.code == 1


PAGES = (
    "http://h/",
    "http://h/a?b#c",
    "http://\u00e9/",
    "http://[::1]:8/",
    "http://\u00e9/\ud800",
    "https://h:99999/",
    "",
)
# Under the key of the ends, and under those that are asked on the way.
PLACES = ("stats:r:ends", "seen", "seen:1:0", "run", "clock")
KINDS = {
    "text": lambda client, key, page, value: client.set(key, value),
    "list": lambda client, key, page, value: client.rpush(key, value),
    "set": lambda client, key, page, value: client.sadd(key, value),
    "zset": lambda client, key, page, value: client.zadd(key, {value: 1e300}),
    "hash": lambda client, key, page, value: client.hset(key, mapping={page: value, "seen": value, "g": value}),
    "stream": lambda client, key, page, value: client.xadd(key, {page: value}),
}


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "30")), deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    st.sampled_from(PLACES), st.sampled_from([*KINDS]), st.binary(max_size=300) | st.from_regex(rb"[0-9a-f,]{0,90}"),
    st.sampled_from(PAGES[:4]), st.sampled_from(PAGES),
)  # fmt: skip
@example("stats:r:ends", "hash", b"", "http://h/", "http://h/a")
@example("stats:r:ends", "hash", b"a,a,a,a", "http://h/", "http://h/a")
def test_whatever_others_write_where_ends_are_an_end_is_known_or_not(
    redis_server: RedisServer, place: str, kind: str, value: bytes, page: str, gallery: str
) -> None:
    async def ask() -> None:
        queues = queues_from_settings(Settings({"REDIS_URL": redis_server.url}), "s")
        run: Any = SimpleNamespace(id="r", queues=queues, lost_reports=0)
        shared = SharedEnds(run, KnownPages(get_crawler(), run))
        ends = GalleryEnds(lambda _: False)
        try:
            for _ in range(2):
                end = await shared.arrive(page, gallery)
                assert end is None or 1 <= end.galleries <= 4
            await ends.ask_others(page, gallery, SimpleNamespace(ends=shared))
            ends.count(page, get_crawler().stats)
            assert ends.astray(page, gallery) in ("", "redirected", "login")
        except InputError:
            raise AssertionError("who asks for pages tells it") from None
        finally:
            await queues.client.aclose()

    with redis_server.client() as client:
        client.flushdb()
        KINDS[kind](client, f"{{s:requests}}:{place}", _digest(page), value)  # type: ignore[no-untyped-call] # of redis-py
    asyncio.run(ask())
