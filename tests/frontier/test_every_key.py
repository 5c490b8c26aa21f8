"""What somebody else writes in the place of a key of ours, before a crawl or in the midst of it: the crawl goes on, or
ends in one sentence that names the key, and soon."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.support.crawling import FAST, ROOT, crawl_command, environment
from tests.support.processes import run
from tests.support.redis_server import GivenServer, RedisServer
from tests.support.server import Answer, Server, jpeg

HTML = {"Content-Type": "text/html"}
PREFIX = "{gallery:requests}:"
# All keys of docs/reference/redis-keys.md; <worker> and <run> are there once the crawl is.
KEYS = [
    "gallery:start_urls", "{gallery:start_urls}:moving", "gallery:requests",
    *(f"{PREFIX}{name}" for name in (
        "run", "clock", "queue:0:127.0.0.1", "priorities:127.0.0.1", "backlog:0", "hosts", "quarantined",
        "leases:<worker>", "workers", "sequences", "waiting", "wake:<worker>", "seen", "seen:1:0", "dead", "rejected",
        "garbage", "stats:<run>", "stats:<run>:workers", "stats:<run>:open", "stats:<run>:reported",
        "stats:<run>:acknowledged", "stats:<run>:told", "stats:<run>:ends",
        "limits", "limits:ranks", "limits:clock", "limits:hosts",
        "limits:host:127.0.0.1", "limits:waiting:127.0.0.1", "limits:wake:<worker>", "limits:notes",
        "limits:notes:used", "limits:notes:bytes", "limits:spent:<run>", "live", "live:at", "live:newest",
        "live:failures", "live:control",
    )),
]  # fmt: skip
VALUES: dict[str, Callable[[Redis, str], object]] = {
    "text": lambda client, key: client.set(key, "theirs"),
    "empty": lambda client, key: client.set(key, ""),
    "number": lambda client, key: client.set(key, "-nan"),
    "large": lambda client, key: client.set(key, b"\xff" * 10_000_000),
    "list": lambda client, key: client.rpush(key, "theirs", b"\xff\n\0", "9" * 400),
    "large list": lambda client, key: client.rpush(key, b"x" * 10_000_000),
    "set": lambda client, key: client.sadd(key, "theirs", b"\xff\n\0"),
    "zset": lambda client, key: client.zadd(key, {"theirs": float("inf"), b"\xff\n\0": -1e300}),
    "hash": lambda client, key: client.hset(key, mapping={"theirs": "nan", b"\xff\n\0": "9" * 400, "at": "x"}),
    "large hash": lambda client, key: client.hset(key, mapping={"at": b"9" * 10_000_000, "id": b"x" * 10_000_000}),
    "stream": lambda client, key: client.xadd(key, {"theirs": "x"}),
}  # fmt: skip


def put(client: Redis, key: str, value: str) -> None:
    """*value* in the place of *key*."""
    if "<worker>" in key:
        worker = (client.zrange(f"{PREFIX}workers", 0, 0) or [b"worker"])[0]
        key = key.replace("<worker>", worker.decode())
    if "<run>" in key:
        key = key.replace("<run>", (client.hget(f"{PREFIX}run", "id") or b"run").decode())
    client.delete(key)
    VALUES[value](client, key)


@contextmanager
def site(amid: Callable[[], object]) -> Iterator[Server]:
    """A list of two galleries; *amid* is called while the first of them is asked for."""
    calls = [amid]

    def first(_: Any) -> Answer:
        if calls:
            calls.pop()()
        return Answer(b"<title>1</title><img src=/1.jpg>", headers=HTML)

    with Server() as server:
        links = "".join(f'<a class=g href="/{n}">{n}</a>' for n in (1, 2))
        server.add("/list", f"<title>list</title>{links}".encode(), headers=HTML)
        server.add("/1", first)
        server.add("/2", b"<title>2</title><img src=/2.jpg>", headers=HTML)
        for n in (1, 2):
            server.add(f"/{n}.jpg", jpeg(colour=(n * 90, 9, 9)))
        yield server


def outcome(folder: Path, redis_server: RedisServer | GivenServer, key: str, value: str, *, amid: bool) -> str:
    """What comes of a crawl that finds *value* in the place of *key* as it begins, or *amid* it; "" if all came home.

    Raises `TimeoutExpired` if it does not end soon.
    """
    with redis_server.client() as client, site(lambda: amid and put(client, key, value)) as server:
        client.flushdb()
        if not amid:
            put(client, key, value)
        arguments = {"list": server.url("/list"), "galleries": "//a[@class='g']/@href"}
        settings = FAST | {"CONCURRENT_REQUESTS_PER_DOMAIN": "1"}
        done = run(
            crawl_command("gallery", "-O", "items.json", arguments=arguments, settings=settings),
            cwd=folder, env=environment(redis_server.url, "imgcrawl.settings"), capture_output=True, timeout=15,
        )  # fmt: skip
    said = (done.stdout + done.stderr).decode()
    assert "Traceback" not in said, said[-5000:]
    if done.returncode == 0:
        items = json.loads((folder / "items.json").read_text("utf-8"))
        # Pages may be done twice, where Redis no longer knows that they were.
        stored = {item["title"] for item in items if item["images"][0]["status"] in ("downloaded", "uptodate")}
        assert stored == {"1", "2"}, said[-5000:]
        return ""
    assert done.returncode in (1, 2), said[-5000:]
    return said.strip().splitlines()[-1]


@pytest.mark.parametrize("amid", [False, True], ids=["before", "amid"])
@pytest.mark.parametrize("key", KEYS)
def test_what_stands_in_the_place_of_a_key_is_set_aside_or_told_in_one_sentence(
    key: str, amid: bool, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Before a crawl each key has another of VALUES; all of them, with each key, take some ten minutes."""
    value = "set" if amid else [*VALUES][KEYS.index(key) % len(VALUES)]
    said = outcome(tmp_path, redis_server, key, value, amid=amid)
    assert not said or f"key {key.partition('<')[0]}" in said or "lacks 1 pages that were queued" in said


def test_every_documented_key_is_tried() -> None:
    documented = (ROOT / "docs" / "reference" / "redis-keys.md").read_text("utf-8")
    tried = "\n".join(KEYS)
    names = re.findall(r"<(?:prefix|KEYS\[1\])>:?([\w:]+)", documented)
    assert len(names) > 20
    assert [name for name in names if f":{name.rstrip(':')}" not in tried] == []
