from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import scrapy
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from imgcrawl.demo.server import serve
from imgcrawl.frontier import inspect
from imgcrawl.frontier.queue import OtherArgumentsError, Queue, queue_from_settings
from imgcrawl.frontier.run_arguments import arguments_of, dump, load, shown
from imgcrawl.lines import Secret
from imgcrawl.spiders.pximg import PximgSpider
from tests.support.crawling import until
from tests.support.redis_server import RedisServer
from tests.support.sharing import Sharing
from tests.support.sharing import scrapy as command

RUN = "{s:requests}:run"
NONE = Settings()


class Plain(scrapy.Spider):
    name = "plain"
    pages = "1"

    def __init__(self, topic: str | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.topic = topic
        self.limit = 3
        self.seen: list[str] = []
        self._id = object()


def test_the_arguments_of_a_spider_are_what_it_was_given() -> None:
    crawler = get_crawler(PximgSpider)
    assert arguments_of(PximgSpider.from_crawler(crawler), NONE) == {}
    given = {"topic": "a", "pages": "3"}
    assert arguments_of(PximgSpider.from_crawler(crawler, **given), NONE) == given
    assert arguments_of(Plain.from_crawler(crawler), NONE) == {"limit": "3"}
    given = {"topic": "a", "tag": "b"}
    assert arguments_of(Plain.from_crawler(crawler, **given), NONE) == {"limit": "3", **given}


def test_of_a_secret_there_is_a_digest_however_the_spider_keeps_it() -> None:
    settings = Settings({"SPIDER_ARGUMENTS": {"plain": {"topic": Secret("sesame"), "tag": "b"}}})
    first, again, other = (
        arguments_of(Plain(topic=topic, tag="b", **{"api_token": "sesame"}), settings)
        for topic in ("sesame", "sesame", "x")
    )
    assert "sesame" not in str(first)
    assert first == again != other
    assert first["topic"] != first["api_token"]
    assert first["tag"] == "b"


def test_a_long_one_is_known_by_its_beginning_and_a_digest() -> None:
    first, second = (arguments_of(Plain(topic="x" * 100_000 + end), NONE)["topic"] for end in ("a", "b"))
    assert first[:200] == second[:200] == "x" * 200
    assert first != second
    assert len(first) < 250


@pytest.mark.parametrize("text", ["", "a b", "ä", "\udcff", "'; rm -rf /", "\x1b[2J\n"])
def test_what_is_kept_is_read_back(text: str) -> None:
    assert load(dump({"topic": text}).encode()) == {"topic": text}
    assert shown({"topic": text}).isprintable()


def test_arguments_are_shown_as_on_a_command_line() -> None:
    assert shown({"topic": "a b", "pages": "3"}) == "-a pages=3 -a 'topic=a b'"
    assert shown({}) == "no arguments"


HOSTILE = [b"", b"[]", b"1", b'{"topic": 1}', b'{"topic":"a"}', b"\x80\x04pickle", b"[" * 1_000_000, b'{"a": {}}']


@pytest.mark.parametrize("value", HOSTILE)
def test_what_was_not_written_by_us_is_none(value: bytes) -> None:
    assert load(value) is None


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Queue]:
    store = queue_from_settings(Settings({"REDIS_URL": redis_server.url}), "s")
    yield store
    await store.client.aclose()


async def join(store: Queue, worker: str, topic: str = "", *, run: str = "", flush: bool = False) -> str:
    arguments = {"topic": topic} if topic else {}
    id_, _ = await store.join(worker, run, persist=False, flush=flush, arguments=arguments)
    return id_


async def test_only_workers_with_the_same_arguments_are_in_a_run(store: Queue) -> None:
    run = await join(store, "a", "x")
    assert await join(store, "b", "x") == run
    for other in ("y", ""):
        with pytest.raises(OtherArgumentsError) as told:
            await join(store, "c", other)
        assert told.value.theirs == {"topic": "x"}
    counts = await inspect.counts(store)
    assert (sorted(await inspect.workers(store)), counts["rejected"]) == (["a", "b"], 0)
    assert counts["arguments"] == {"topic": "x"}


async def test_a_run_that_was_stopped_goes_on_with_its_arguments_and_one_that_is_over_binds_nobody(
    store: Queue,
) -> None:
    run = await join(store, "a", "x")
    await store.exchange(run, "a", ops=[("seeded", "", "")])
    await store.exchange(run, "a", flags="l")
    with pytest.raises(OtherArgumentsError):
        await join(store, "b", "y")
    assert await join(store, "b", "x") == run
    assert (await store.exchange(run, "b", flags="e")).state == "done"
    with pytest.raises(OtherArgumentsError):  # "done" would be a lie
        await join(store, "c", "y")
    await store.exchange(run, "b", flags="l")
    assert await join(store, "c", "y") != run


async def test_what_is_flushed_binds_nobody(store: Queue) -> None:
    run = await join(store, "a", "x")
    with pytest.raises(OtherArgumentsError):
        await join(store, "b", "y", flush=True)
    await store.exchange(run, "a", flags="l")
    assert await join(store, "b", "y", flush=True) != run


async def test_a_named_run_is_one_crawl(store: Queue) -> None:
    run = await join(store, "a", "x", run="monday")
    await store.exchange(run, "a", ops=[("seeded", "", "")], flags="e")
    await store.exchange(run, "a", flags="l")
    with pytest.raises(OtherArgumentsError):
        await join(store, "b", "y", run="monday")
    assert await join(store, "b", "y", run="tuesday") != run


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_strangers_value_in_the_place_of_the_arguments_is_counted(store: Queue, value: bytes) -> None:
    run = await join(store, "a", "x")
    await store.client.hset(RUN, "arguments", value)
    assert (await inspect.counts(store))["arguments"] is None
    assert await join(store, "b", "x") == run
    assert (await inspect.counts(store))["rejected"] == 1
    ((reason, kept),) = await inspect.rejected(store)
    assert (reason, kept) == ("not arguments", value[:500])
    with pytest.raises(OtherArgumentsError):
        await join(store, "c", "y")
    await store.client.hdel(RUN, "arguments")
    assert await join(store, "c", "x") == run


def test_the_second_of_two_crawls_ends_with_one_sentence_and_exit_code_2(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with serve(galleries=40, images=1, per_page=10, width=60, misbehave=False, latency=0.2) as replica:
        base = {"base": replica.base}
        (tmp_path / "first").mkdir()
        (tmp_path / "second").mkdir()
        with (
            Sharing(tmp_path / "first", redis_server.url, "pximg", {"topic": "nvshen", **base}) as first,
            Sharing(tmp_path / "second", redis_server.url, "pximg", {"topic": "mote", **base}) as second,
        ):
            worker = first.start()
            until(first.lines)
            worker.send_signal(signal.SIGSTOP)  # so that it is not at its end, however long the other takes to start
            feed = tmp_path / "second" / "items.json"
            feed.write_text('[{"url": "http://x/"}]')
            at = second.command.index("-o")
            second.command[at : at + 2] = ["-O", feed.name]
            refused = second.start()
            second.wait(30)
            assert refused.returncode == 2
            last = second.log(refused).splitlines()[-1]
            assert f"-a base={replica.base} -a topic=nvshen that is not at its end" in last
            assert f"this worker has -a base={replica.base} -a topic=mote: expected" in last
            assert feed.read_text() == '[{"url": "http://x/"}]'
            code, out, err = command(tmp_path, "queue", "pximg", redis_url=redis_server.url)
            assert code == 0, err
            assert f"with -a base={replica.base} -a topic=nvshen" in out
            worker.send_signal(signal.SIGCONT)
            first.wait()
            assert worker.returncode == 0
            assert len(first.lines()) == 40
