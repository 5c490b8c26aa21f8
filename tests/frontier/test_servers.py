"""Two workers and a server that wants more than an address: users, TLS, Sentinel, a cluster of three nodes."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from scrapy.settings import Settings

from imgcrawl.exitcodes import ExitCode
from imgcrawl.limits.backend import HostLimits, LimitRequest
from imgcrawl.limits.redis import OUTAGES, limits_from_settings
from tests.support.crawling import start, until
from tests.support.pages import Crawl, Site, pages, urls
from tests.support.redis_cluster import redis_cluster
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Server, jpeg


def crawled_by_two_workers(folder: Path, url: str, **parameters: Any) -> Crawl:
    """A crawl of 120 pages, of which none was missed and none done twice."""
    with Site(0.01) as site, Crawl(folder, url, site, REDIS_PARAMS=parameters) as crawl:
        for _ in range(2):
            crawl.start(lists="6")
        crawl.wait(45)
        assert [worker.returncode for worker in crawl.workers] == [0, 0], crawl.log(crawl.workers[0])
        assert urls(crawl) == pages(120), "".join(map(crawl.log, crawl.workers))
        assert set(site.hits.values()) == {1}
        return crawl


@pytest.mark.parametrize(
    ("user", "parameters"),
    [("crawler:s%40cret@", {}), ("", {"username": "crawler", "password": "s@cret"})],
    ids=["in REDIS_URL", "in REDIS_PARAMS"],
)
def test_user_and_password(
    tmp_path: Path, own_redis_server: RedisServer, user: str, parameters: dict[str, Any]
) -> None:
    with own_redis_server.client() as client:
        client.acl_setuser(
            "crawler", enabled=True, passwords=["+s@cret"], keys=["*"], channels=["*"], categories=["+@all"]
        )
        client.acl_setuser("default", enabled=False)
    crawl = crawled_by_two_workers(tmp_path, f"redis://{user}127.0.0.1:{own_redis_server.port}/0", **parameters)
    assert not any("cret" in crawl.log(worker) for worker in crawl.workers)


ACL = "~{pages:requests}* ~pages:requests ~pages:start_urls ~{pages:start_urls}* +@all -@dangerous -@admin +info"


def test_a_user_whose_key_pattern_keeps_others_away(tmp_path: Path, own_redis_server: RedisServer) -> None:
    """The user that docs/redis-acl.md has is enough for a crawl, and others cannot write to its keys."""
    assert ACL in (Path(__file__).parents[2] / "docs" / "redis-acl.md").read_text("utf-8").replace("SPIDER", "pages")
    with own_redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "crawler", "on", ">secret", *ACL.split())
        client.execute_command("ACL", "SETUSER", "other", "on", ">secret", "~other:*", "+@all")
        crawled_by_two_workers(tmp_path, f"redis://crawler:secret@127.0.0.1:{own_redis_server.port}/0")
    with redis.Redis.from_url(f"redis://other:secret@127.0.0.1:{own_redis_server.port}/0") as other:
        other.set("other:key", "theirs")
        with pytest.raises(redis.ResponseError, match="permission"):
            other.set("{pages:requests}:run", "theirs")


def test_a_foreign_key_ends_the_worker_in_one_sentence_and_the_next_goes_on(
    tmp_path: Path, own_redis_server: RedisServer
) -> None:
    run = "{pages:requests}:run"
    with (
        own_redis_server.client() as client,
        Site(0.05) as site,
        Crawl(tmp_path, own_redis_server.url, site, FRONTIER_LEASE_TIMEOUT=15) as crawl,
    ):
        worker = crawl.start(lists="6")
        until(lambda: len(urls(crawl)) > 5)
        with client.pipeline(transaction=True) as both:  # between the two the run would be gone
            both.rename(run, "aside").set(run, "theirs").execute()
        worker.wait(20)
        log = crawl.log(worker)
        assert f"key {run} holds a string, expected a hash" in log
        assert "Traceback" not in log
        client.rename("aside", run)
        assert crawl.start(lists="6").wait(40) == 0
        assert urls(crawl) == pages(120)


def test_a_foreign_key_ends_all_workers_in_one_sentence_and_what_they_had_is_in_the_feed(
    tmp_path: Path, own_redis_server: RedisServer, server: Server
) -> None:
    """Their parent ended with a traceback, or as at bad input, and wrote no feed."""
    html = {"Content-Type": "text/html"}
    server.add("/list", b"".join(b"<a class=g href=/g/%d>g</a>" % number for number in range(60)), headers=html)
    server.add("*", lambda request: Answer(b"<title>g</title><img src=/i.jpg>", headers=html, delay=0.2))
    server.add("/i.jpg", jpeg())
    arguments = {"list": server.url("/list"), "galleries": "a.g", "images": "img"}
    options = ["-O", "items.json", "--workers", "2"]
    process = start(tmp_path, "gallery", arguments, REDIS_URL=own_redis_server.url, options=options)
    try:
        with own_redis_server.client() as client:
            until(lambda: sum(path.startswith("/g/") for path in server.paths()) > 20 or process.poll() is not None)
            client.pipeline().delete("{gallery:requests}:workers").set("{gallery:requests}:workers", "theirs").execute()
        log, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == ExitCode.FAILED, log
    assert "key {gallery:requests}:workers holds a string, expected a zset" in log
    assert "Traceback" not in log
    assert json.loads((tmp_path / "items.json").read_text())


@pytest.mark.parametrize("name", ["limits", "limits:ranks", "limits:clock", "limits:hosts"])
def test_limits_that_are_not_ours_are_one_sentence(tmp_path: Path, own_redis_server: RedisServer, name: str) -> None:
    key = f"{{pages:requests}}:{name}"
    with own_redis_server.client() as client, Site() as site, Crawl(tmp_path, own_redis_server.url, site) as crawl:
        client.set(key, "theirs")
        worker = crawl.start(lists="1")
        worker.wait(20)
        assert f"key {key} holds a string, expected a " in crawl.log(worker)
        assert "Traceback" not in crawl.log(worker)


# The command and the verdict, which make the exit code.
OURS = {
    "COMMANDS_MODULE": "imgcrawl.commands",
    "EXTENSIONS": {"imgcrawl.extensions.verdict.Verdict": 0},
    "VERDICT_IMAGES_EXPECTED": False,
}


def test_a_server_that_is_full_ends_the_crawl_in_one_sentence_or_is_waited_for(
    tmp_path: Path, own_redis_server: RedisServer
) -> None:
    with (
        own_redis_server.client() as client,
        Site(0.01) as site,
        Crawl(tmp_path, own_redis_server.url, site, FRONTIER_LEASE_TIMEOUT=15, **OURS) as crawl,
    ):
        # Start pages of 4 KB that nothing compresses, twice as many as there is room for.
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 6_000_000)
        worker = crawl.start(rows="3000", weight="4000")
        highest = 0
        while worker.poll() is None:
            highest = max(highest, client.info("memory")["used_memory"])
            time.sleep(0.02)
        assert worker.returncode == 0, crawl.log(worker)[-3000:]
        assert "Redis is full" not in crawl.log(worker)
        assert urls(crawl) == pages(3000, "row")
        assert "Redis does not answer" not in crawl.log(worker)
        # And where nothing fits at all, whatever is waited for.
        client.flushall()
        client.config_set("maxmemory", client.info("memory")["used_memory"])
        worker = crawl.start(lists="3")
        worker.wait(90)
        assert worker.returncode == 1
        assert "Redis is full (maxmemory)" in "".join(crawl.log(worker).splitlines()[-2:])
        assert "Traceback" not in crawl.log(worker)
        client.config_set("maxmemory", 0)
        assert crawl.start(lists="3").wait(90) == 0
        assert pages(60) <= urls(crawl)


@contextmanager
def tls(target: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port at which the server behind the port *target* speaks TLS: not every server was built with it."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", target)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pass_on(reader, before), pass_on(behind, writer), return_exceptions=True)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


def test_tls(tmp_path: Path, own_redis_server: RedisServer, certificate: Path, self_signed: ssl.SSLContext) -> None:
    with tls(own_redis_server.port, self_signed) as port:
        url = f"rediss://localhost:{port}/0"
        crawled_by_two_workers(tmp_path, url, ssl_ca_certs=str(certificate))
        (tmp_path / "stranger").mkdir()
        with Site() as site, Crawl(tmp_path / "stranger", url, site) as crawl:
            worker = crawl.start()
            worker.wait(20)  # and not for a lease, as for a server that may come back
            assert "REDIS_URL rediss://localhost" in crawl.log(worker)
            assert "ssl_ca_certs" in crawl.log(worker)
            assert "Traceback" not in crawl.log(worker)
            assert not site.hits


def test_sentinel(tmp_path: Path, own_redis_server: RedisServer) -> None:
    with own_redis_server.client() as client:
        client.config_set("requirepass", "secret")
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor images 127.0.0.1 {own_redis_server.port} 1\nsentinel auth-pass images secret\n"
    )
    with RedisServer(tmp_path, sentinel=configuration) as sentinel:
        crawled_by_two_workers(
            tmp_path,
            "redis://:secret@nobody.invalid/3",
            sentinels=[("127.0.0.1", sentinel.port)],
            service_name="images",
        )
    with redis.Redis.from_url(f"redis://:secret@127.0.0.1:{own_redis_server.port}/3") as client:
        assert client.exists("{pages:requests}:run")


async def test_a_replica_that_is_promoted_has_the_crawl_and_the_limits(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "sentinel", "crawl")]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(RedisServer(folders[0]))
        second = stack.enter_context(RedisServer(folders[1], "--replicaof", "127.0.0.1", str(first.port)))
        with first.client() as client:
            until(lambda: client.info("replication").get("slave0", {}).get("state") == "online")
        (configuration := tmp_path / "sentinel.conf").write_text(
            f"sentinel monitor images 127.0.0.1 {first.port} 1\n"
            "sentinel down-after-milliseconds images 500\nsentinel failover-timeout images 3000\n"
        )
        sentinel = stack.enter_context(RedisServer(folders[2], sentinel=configuration))
        parameters = {"sentinels": [("127.0.0.1", sentinel.port)], "service_name": "images"}
        with sentinel.client() as observer:
            until(lambda: observer.execute_command("SENTINEL", "REPLICAS", "images"))
        settings = Settings({"REDIS_URL": "redis://nobody.invalid/0", "REDIS_PARAMS": parameters})
        limits = limits_from_settings(settings, "pages", "w0")
        await limits.exchange([LimitRequest("host.example", HostLimits(concurrency=8), want=1, block=1000.0)])
        site = stack.enter_context(Site(0.02))
        crawl = stack.enter_context(Crawl(folders[3], settings["REDIS_URL"], site, REDIS_PARAMS=parameters))
        for _ in range(2):
            crawl.start(lists="10")
        until(lambda: len(crawl.items()) > 20)
        with second.client() as client:  # what it has not heard of is lost with the first
            until(lambda: client.exists("{pages:requests}:run"))
        first.kill()
        crawl.wait()
        assert [worker.returncode for worker in crawl.workers] == [0, 0], crawl.log(crawl.workers[0])
        assert urls(crawl) == pages(200)
        with second.client() as client:
            assert client.info("replication")["role"] == "master"
        request = LimitRequest("host.example", HostLimits(concurrency=8), want=1)
        with suppress(*OUTAGES):  # the connection to the first is broken
            await limits.exchange([request])
        _, (grant,) = await limits.exchange([request])
        assert 900 < grant.blocked <= 1000
        await limits.close()
        for client in limits.store.client.connection_pool.sentinel_manager.sentinels:
            await client.aclose()


def test_a_cluster_of_three_nodes(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, replicas=False) as cluster:
        crawled_by_two_workers(tmp_path, cluster.url)
        counts = cluster.keys()
        assert sum(count > 0 for count in counts) == 1, "one hash tag, one node"
