"""What is fed into `<spider>:start_urls`, as users of scrapy-redis do: whole crawls, by real processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.demo.server import serve
from tests.support.crawling import until
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Server
from tests.support.sharing import Sharing

SMALL = {"images": 1, "width": 40, "misbehave": False}
# Of each site: how large, the crawl's own arguments, and which galleries the crawl has by itself.
SITES: dict[str, tuple[dict[str, Any], dict[str, str], list[int]]] = {
    "pximg": ({"galleries": 6, "per_page": 2}, {"pages": "1"}, [0, 1]),
    "mzitu": ({"galleries": 6, "per_page": 2}, {"pages": "1"}, [0, 1]),
    "gallery": ({"galleries": 6, "per_page": 2}, {"pages": "1"}, [0, 1]),
}


def fed_crawl(
    folder: Path,
    redis_server: RedisServer,
    site: str,
    arguments: dict[str, str],
    *fed: Any,
    code: int = 0,
    during: str = "",
    after: str = "",
) -> Any:
    """The items of a crawl of *site* by one worker, before whose start *fed* was fed. *during* is fed when there is an
    item, *after* when the worker has ended: what is left then is for the next one."""
    key = f"{site}:start_urls"
    with (
        redis_server.client() as client,
        Sharing(folder, redis_server.url, site, arguments, SCHEDULER_IDLE_BEFORE_CLOSE=int(bool(during))) as workers,
    ):
        client.rpush(key, *(json.dumps(each) if isinstance(each, dict) else each for each in fed))
        worker = workers.start()
        if during:
            until(workers.lines)
            client.lpush(key, during)
        workers.wait()
        assert worker.returncode == code, workers.log(worker)[-3000:]
        assert client.exists(key, f"{{{key}}}:moving") == 0
        if after:
            client.lpush(key, after)
            assert workers.start().wait(60) == code
            assert client.exists(key, f"{{{key}}}:moving") == 0
        return workers.lines()


@pytest.mark.parametrize("site", SITES)
def test_a_list_page_or_a_gallery_is_recognised(tmp_path: Path, redis_server: RedisServer, site: str) -> None:
    options, arguments, own = SITES[site]
    with serve(site, **SMALL, **options) as replica:
        listed = {
            "pximg": "https://www.pximg.com/topic/nvshen/page/3",
            "mzitu": "https://www.mzitu.com/page/3",
            "gallery": f"{replica.base}/topic/nvshen/page/3",
        }[site]
        gallery = {"url": replica.galleries[2]["url"], "meta": {"job": 7}}
        again = replica.galleries[own[0]]["url"]  # the crawl has it, too
        code = int(site == "mzitu")  # of whose galleries some are missing, as at the site itself
        fed = (gallery, listed, again)
        items = fed_crawl(tmp_path, redis_server, site, {**replica.arguments, **arguments}, *fed, code=code)
        urls = [replica.galleries[n]["url"] for n in (*own, 2, 4, 5)]
        assert set(urls) == {item["url"] for item in items}
        assert all(image["status"] in ("downloaded", "uptodate", "duplicate") for i in items for image in i["images"])
        assert replica.stats()["requests"].get(f"{replica.base}/topic/nvshen/page/2") is None


def test_doutula_and_douban_read_the_pages_that_are_fed(tmp_path: Path, redis_server: RedisServer) -> None:
    with serve("doutula", galleries=3, **{**SMALL, "images": 2}) as replica:
        own = {**replica.arguments, "pages": "1"}
        (tmp_path / "doutula").mkdir()
        listed = "https://www.doutula.com/photo/list/?page=3"
        during, after = (f"{replica.base}/photo/list/?page=2&x={n}" for n in (1, 2))
        folder = tmp_path / "doutula"
        items = fed_crawl(folder, redis_server, "doutula", own, listed, during=during, after=after)
        pages = [item["url"].rpartition("/")[2] for item in items]
        assert sorted(pages) == ["?page=1", "?page=1", "?page=2&x=1", "?page=2&x=2", "?page=3"], "each crawl has page 1"
    with serve("douban", galleries=50, width=40, misbehave=False) as replica:
        own = {**replica.arguments, "pages": "1"}
        (tmp_path / "douban").mkdir()
        listed = "https://movie.douban.com/top250?start=25&filter="
        items = fed_crawl(tmp_path / "douban", redis_server, "douban", own, listed)
        assert sorted(item["rank"] for item in items) == list(range(1, 51))


@pytest.mark.parametrize("site", ["urls", "weibo", "huaban", "douyin", "alexa"])
def test_a_list_spider_takes_an_address_as_a_row(tmp_path: Path, redis_server: RedisServer, site: str) -> None:
    with serve(site, galleries=4, width=40, misbehave=False) as replica:
        replica.write_lists(tmp_path)
        rows = [row for row in replica.galleries if row["images"]]
        address = "http://fed.example/" if site == "alexa" else rows[0]["images"][0]["clean"]
        fed = {"url": address, "meta": {"name": "of the feeder", "id": "7"}}
        # The rows of alexa's replica are at private addresses, and some are bad: a verdict, as without what is fed.
        code, late = int(site == "alexa"), {}
        if site == "urls":
            late = {"during": f"{address}?during", "after": f"{address}?after"}
        items = fed_crawl(tmp_path, redis_server, site, replica.arguments, fed, code=code, **late)
        assert {item["url"] for item in items} >= {*late.values()}
        (item,) = [item for item in items if item["url"] == address]
        if site == "alexa":
            assert item["domain"] == "fed.example"
            return
        assert (item.get("name"), item.get("id")) == {
            "huaban": ("of the feeder", "7"),
            "douyin": ("of the feeder", None),
        }.get(site, (None, None))
        media = "videos" if site == "douyin" else "images"
        assert item[media][0]["status"] in ("downloaded", "uptodate", "duplicate")


def test_what_is_fed_in_vain_is_told_and_never_a_verdict_on_the_crawl(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with serve("pximg", galleries=2, per_page=2, **SMALL) as replica:
        fed = [f"{replica.base}/topic/nvshen/page/1?nothing", "https://www.pximg.com/topic/none/page/9"]
        items = fed_crawl(tmp_path, redis_server, "pximg", replica.arguments, *fed, code=1)
        log = (tmp_path / "worker-0.log").read_text()
        assert "1 list page could not be had" in log.splitlines()[-1]
        assert len([item for item in items if "error" not in item]) >= 2


EVIL = {
    "writes a file": {"meta": {"download_to": "{victim}"}},
    "chooses a proxy": {"meta": {"proxy": "{proxy}"}},
    "leaves the limits": {"meta": {"download_slot": "mine"}},
    "has no delay": {"meta": {"download_delay": 0}},
    "skips robots.txt": {"meta": {"dont_obey_robotstxt": True}},
    "has its own timeout": {"meta": {"download_timeout": 1e9}},
    "is its own page": {"meta": {"page_url": "http://10.0.0.1/"}},
    "retries for ever": {"meta": {"max_retry_times": 1_000_000}},
    "names another host": {"headers": {"Host": ["other.example"]}},
    "says who it is": {"headers": {"Cookie": ["session=1"]}},
    "has an errback": {"errback": "list_failed"},
    "calls what is no callback": {"callback": "report"},
    "of a plugin to come": {"meta": {"playwright_page_goto_kwargs": {}}},
    "is as large as a sitemap": {"meta": {"task": "sitemap"}},
    "names images": {"meta": {"sitemap_images": ["{private}"]}, "callback": "parse_gallery"},
    "is a gallery": {"callback": "parse_retry", "cb_kwargs": {"item": {"image_urls": ["{private}"]}}},
}


def test_a_value_from_outside_gives_no_instructions(tmp_path: Path, redis_server: RedisServer) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    with (
        serve("pximg", galleries=2, per_page=2, **SMALL) as replica,
        Server(hosts=("127.0.0.2",)) as behind,
        redis_server.client() as client,
    ):
        behind.add("/private.jpg", JPEG)
        private = behind.url("/private.jpg", host="127.0.0.2")
        fed = []
        for name, evil in EVIL.items():
            text = json.dumps({"url": f"{replica.base}/{name.replace(' ', '-')}.html", **evil})
            text = text.replace("{victim}", str(victim)).replace("{proxy}", replica.image_base)
            fed.append(text.replace("{private}", private))
        # And as what the queue holds, where our own spiders' requests are: these may say which page named them.
        ours = ("Cookie", "list_failed", "report", "page_url", '"task"', "sitemap_images")
        queued = [each for each in fed if not any(word in each for word in ours)]
        client.rpush("{pximg:requests}:queue:0:evil", *queued)
        # What a spider reads itself goes through the queue. That a page of the user's own server names it is not sure.
        page = f"{replica.base}/topic/nvshen/page/1"
        galleries: list[dict[str, Any]] = [
            {},
            {"url": None, "image_pages": [None]},
            {"url": page, "image_pages": [page]},
            {"url": page, "image_pages": [page], "failed": ["timeout"]},
        ]
        for number, gallery in enumerate(galleries):
            carried = {"item": {"image_urls": [private], "title": f"evil {number}", **gallery}}
            text = json.dumps({"url": f"rows://pximg/{number}", "callback": "parse_retry", "cb_kwargs": carried})
            client.rpush("{pximg:requests}:queue:0:evil2", text)
        client.zadd("pximg:requests", {"evil2": 0})
        client.zadd("pximg:requests", {"evil": 0})
        client.rpush("pximg:start_urls", *fed, "http://127.0.0.9/", "http://[::1]:9/")
        with Sharing(
            tmp_path, redis_server.url, "pximg", replica.arguments, FRONTIER_RUN="r", SCHEDULER_PERSIST=True
        ) as crawl:
            worker = crawl.start()
            crawl.wait()
            assert worker.returncode == 1, "galleries at private addresses failed"
            items = crawl.lines()
            log = crawl.log(worker)
        assert victim.read_text() == "mine"
        asked = replica.stats()["requests"]
        assert not [url for url in asked if any(name.replace(" ", "-") in url for name in EVIL)], asked
        assert int(client.hget("{pximg:requests}:run", "rejected")) == len(fed) + len(queued)
        assert sorted(item["error"] for item in items if "error" in item) == ["private_address"] * 2
        assert not behind.requests
        evils = [image for item in items if str(item.get("title")).startswith("evil") for image in item["images"]]
        assert [image.get("reason") for image in evils] == ["private_address"] * len(galleries)
        assert log.count("is an instruction to the crawler") >= 10


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_killed_worker_had_taken_is_crawled_once(
    tmp_path: Path, redis_server: RedisServer, killed: bool
) -> None:
    """The worker took values out of the key, and queued them, but was killed before it could say so."""
    with serve("pximg", galleries=4, per_page=2, **SMALL) as replica, redis_server.client() as client:
        fed = [gallery["url"] for gallery in replica.galleries[2:]]
        settings = {"FRONTIER_LEASE_TIMEOUT": 2, "SCHEDULER_IDLE_BEFORE_CLOSE": 60}
        with Sharing(tmp_path, redis_server.url, "pximg", {**replica.arguments, "pages": "1"}, **settings) as crawl:
            first = crawl.start()
            until(lambda: len(crawl.lines()) == 2)
            client.rpush("pximg:start_urls", *fed)
            until(lambda: len(crawl.lines()) == 4)
            until(lambda: not client.exists("{pximg:start_urls}:moving"))
            entries = [b"\0%d-0-1\0%b" % (n, url.encode()) for n, url in enumerate(fed)]
            client.rpush("{pximg:start_urls}:moving", *entries)  # never seen: queued
            client.rpush("pximg:start_urls", "https://www.pximg.com/topic/nvshen/page/1")
            until(lambda: not client.exists("{pximg:start_urls}:moving"))
            until(lambda: len(crawl.lines()) >= 6)
            client.rpush("{pximg:start_urls}:moving", *entries)  # the same again: not queued
            until(lambda: not client.keys("{pximg:requests}:leases:*"))
            first.send_signal(signal.SIGKILL if killed else signal.SIGINT)
            first.wait(30)
            crawl.start()
            until(lambda: not client.exists("{pximg:start_urls}:moving"))
            until(lambda: client.zcard("pximg:requests") == 0)
            crawl.workers[-1].send_signal(signal.SIGINT)
            crawl.workers[-1].wait(30)
            asked = replica.stats()["requests"]
            assert [asked[url] for url in fed] == [2, 2]
