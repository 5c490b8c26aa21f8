from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.frontier import inspect
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.server import EmbeddedServer
from tests.support.redis_server import RedisServer
from tests.support.sharing import scrapy


def page(number: int) -> tuple[bytes | str, ...]:
    request = json.dumps({"url": f"http://h/{number}\x1b[2J"}).encode()
    return "c", f"{number:012}".encode(), "0:h", request


async def filled(server: RedisServer | EmbeddedServer) -> Queue:
    """Six pages: one done, two leased, one given up, two queued."""
    store = queue_from_settings(Settings({"REDIS_URL": server.url, "FRONTIER_MAX_DELIVERIES": 1}), "pximg")
    run, _ = await store.join("host-1-abc", "", persist=False, flush=False)
    ops: list[tuple[bytes | str, ...]] = [*map(page, range(6)), ("seeded", "", "")]
    said: dict[str, Any] = {"per_host": 99, "flags": "s"}
    reply = await store.exchange(run, "host-1-abc", wanted=4, ops=ops, **said)
    (first, _, _), (second, _, _), *_ = reply.leases
    ends: list[tuple[bytes | str, ...]] = [("done", first, ""), ("failed", second, "ValueError: no")]
    await store.exchange(run, "host-1-abc", ops=ends, sequence=len(ops), **said)
    return store


async def test_what_the_queue_holds(tmp_path: Path, redis_server: RedisServer) -> None:
    store = await filled(redis_server)
    code, out, err = scrapy(tmp_path, "queue", "pximg", redis_url=redis_server.url)
    assert (code, err) == (0, "")
    assert out.startswith("pximg: running, since 20")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert {name: rows[name][0] for name in ("queued", "leased", "done", "seen", "dead", "rejected")} == {
        "queued": "2",
        "leased": "2",
        "done": "1",
        "seen": "6",
        "dead": "1",
        "rejected": "0",
    }
    assert rows["host-1-abc"][0] == "2"
    assert out.count("http://h/") == 2
    assert out.count("host-1-abc") == 3
    assert "\x1b" not in out
    await store.client.aclose()


async def test_pages_given_up_are_shown_and_put_back(tmp_path: Path, redis_server: RedisServer) -> None:
    store = await filled(redis_server)
    code, out, _ = scrapy(tmp_path, "queue", "pximg", "--dead", redis_url=redis_server.url)
    assert code == 0
    assert "http://h/1" in out
    assert "1 failures, 0 deaths of its worker; the last: ValueError: no" in out
    code, out, _ = scrapy(tmp_path, "queue", "--requeue", "pximg", redis_url=redis_server.url)
    assert (code, out) == (0, "pximg: 1 page is in the queue again\n")
    counts = await inspect.counts(store)
    assert (counts["dead"], counts["queued"]) == (0, 3)
    # Numbers that others have written, of which Python makes none, or which no clock has.
    many, more = b"9" * 400, b"9" * 5000
    for number in (many, more):
        await store.client.rpush(f"{store.prefix}dead", number + b",1,1,0,h\nreason\n{}")
        await store.client.hset(f"{store.prefix}leases:host-1-abc", number, b"0,0," + number + b",0,h\n{}")
        await store.client.hset(f"{store.prefix}run", mapping={"started": number, "shards": number, "done": number})
        assert len((await inspect.workers(store))["host-1-abc"]) == 2
        assert (await inspect.counts(store))["done"] == 0
        assert await inspect.dead(store) == []
    assert scrapy(tmp_path, "queue", "pximg", redis_url=redis_server.url)[::2] == (0, "")
    await store.client.delete(f"{store.prefix}dead")
    assert (
        scrapy(tmp_path, "queue", "pximg", "--dead", redis_url=redis_server.url)[1] == "pximg: no page was given up\n"
    )
    await store.client.aclose()


async def test_clear_asks_first(tmp_path: Path, redis_server: RedisServer) -> None:
    store = await filled(redis_server)
    question = (
        "pximg: 2 queued and 2 leased pages and 6 seen addresses will be forgotten, 1 workers have to leave."
        " Clear? [y/N] "
    )
    for answer in ("", "n\n", "nonsense\n"):
        code, out, _ = scrapy(tmp_path, "queue", "pximg", "--clear", redis_url=redis_server.url, given=answer)
        assert (code, out) == (1, f"{question}Nothing was cleared.\n")
    assert (await inspect.counts(store))["queued"] == 2
    code, out, _ = scrapy(tmp_path, "queue", "pximg", "--clear", redis_url=redis_server.url, given="y\n")
    assert (code, out) == (0, f"{question}pximg: cleared\n")
    assert (await inspect.counts(store))["queued"] == 0
    assert scrapy(tmp_path, "queue", "pximg", "--clear", "--yes", redis_url=redis_server.url)[1] == "pximg: cleared\n"
    code, out, _ = scrapy(tmp_path, "queue", "pximg", redis_url=redis_server.url)
    assert (code, out) == (0, "pximg: no crawl yet; 0 queued, 0 seen\n")
    await store.client.aclose()


async def test_without_redis_url_the_queue_of_a_crawl_with_workers_is_found(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()  # anybody's
    places = [tmp_path / ".imgcrawl" / f"pximg-0000000{n}" for n in (1, 2)]
    server = EmbeddedServer(places[0] / "redis")
    server.start()
    await (await filled(server)).client.aclose()

    # The one that runs is used, and goes on running.
    assert "queued       2" in scrapy(tmp_path, "queue", "pximg")[1]
    assert server.is_alive()
    server.stop()
    # One that does not is started, and stopped again.
    code, out, err = scrapy(tmp_path, "queue", "pximg", "--dead")
    assert (code, out.count("http://h/1"), err) == (0, 1, "")
    assert not EmbeddedServer(places[0] / "redis").is_alive()

    (places[1] / "redis").mkdir(parents=True)
    code, _, err = scrapy(tmp_path, "queue", "pximg")
    assert (code, err) == (2, f"scrapy queue pximg: expected --in and one of {places[0]}, {places[1]}\n")
    for place in places[0], places[0].relative_to(tmp_path):
        assert "queued       2" in scrapy(tmp_path, "queue", "pximg", "--in", str(place))[1]
    code, _, err = scrapy(tmp_path, "queue", "mzitu")
    assert (code, err.endswith(f"{tmp_path} holds no queue of mzitu\n")) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "url", "code", "sentence"),
    [
        (["pximg"], "", 2, "scrapy queue: expected REDIS_URL, a setting or an environment variable"),
        ([], "redis://127.0.0.1/", 2, "scrapy queue : expected one spider of "),
        (["nobody"], "redis://127.0.0.1/", 2, "scrapy queue nobody: expected one spider of "),
        (["pximg"], "ftp://x", 2, "REDIS_URL ftp://x cannot be read; expected redis://host:port/0"),
        (["pximg", "-s", "nonsense"], "redis://127.0.0.1/", 2, "Invalid -s value, use -s NAME=VALUE"),
        (["pximg", "-s", "REDIS_PARAMS={secret"], "redis://127.0.0.1/", 2, "REDIS_PARAMS: "),
        (["pximg"], "redis://me:secret@127.0.0.1:1/", 1, "REDIS_URL redis://127.0.0.1:"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], url: str, code: int, sentence: str) -> None:
    found, out, err = scrapy(tmp_path, "queue", *arguments, redis_url=url)
    assert (found, out) == (code, "")
    assert err.startswith(sentence), err
    assert err.count("\n") == 1
    assert "secret" not in err
