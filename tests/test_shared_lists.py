"""Workers of one crawl that read lists: not all of them the same one, nor always to the same end."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.frontier.queue import Queue, queue_from_settings
from tests.support.crawling import until
from tests.support.redis_server import RedisServer
from tests.support.sharing import Sharing, scrapy

NO_IMAGES = {"FRONTIER_LEASE_TIMEOUT": 6, "VERDICT_IMAGES_EXPECTED": 0, "LOG_LEVEL": "WARNING"}
RUN = "{weibo:requests}:run"


def write(folder: Path, *numbers: int) -> None:
    """A list of posts with these *numbers* whose image nobody may ask for, in *folder*."""
    folder.mkdir(exist_ok=True)
    (folder / "posts.csv").write_text(
        "".join(f"{number},,,,,,,,,['http://10.0.0.1/{number}.jpg']\n" for number in numbers)
    )


def machine(folder: Path, redis: RedisServer, **settings: Any) -> Sharing:
    return Sharing(folder, redis.url, "weibo", {"file": "posts.csv"}, **{**NO_IMAGES, **settings})


@pytest.mark.parametrize("shards", [1, 3])
def test_each_row_is_done_once_where_machines_have_other_lists_of_that_name(
    tmp_path: Path, redis_server: RedisServer, shards: int
) -> None:
    lists = {"a": range(3_000), "b": range(10_000, 12_500), "c": range(3_000)}
    for name, numbers in lists.items():
        write(tmp_path / name, *numbers)
    machines = [machine(tmp_path / name, redis_server, FRONTIER_SHARDS=shards) for name in lists]
    with machines[0] as a, machines[1] as b, machines[2] as c:
        for each in machines:
            each.start()
        for each in machines:
            each.wait(60)
        assert [each.workers[0].returncode for each in machines] == [0, 0, 0], a.log(a.workers[0]) + b.log(b.workers[0])
        done = Counter(item["image_urls"][0] for each in (a, b, c) for item in each.lines())
        assert (len(done), set(done.values())) == (5_500, {1})
        segments = [str(path.relative_to(tmp_path)) for path in tmp_path.glob("?/part-*.jsonl")]
        code, _, err = scrapy(tmp_path, "merge", *segments, "-O", "items.jsonl")
        assert (code, (tmp_path / "items.jsonl").read_text().count("\n")) == (0, 5_500), err


def test_a_run_that_was_killed_goes_on_with_a_list_to_which_a_row_was_added(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    write(tmp_path, *range(20_000))
    with machine(tmp_path, redis_server) as workers, redis_server.client() as client:
        first = workers.start()
        until(lambda: client.hget(RUN, "seeded") == b"1", 60)
        first.kill()
        first.wait()
        assert client.hget(RUN, "done") != b"200", "it was faster than the test"
        write(tmp_path, *range(20_001))
        second = workers.start()
        workers.wait(90)
        assert (second.returncode, client.hget(RUN, "done")) == (0, b"201"), workers.log(second)
        assert {item["url"] for item in workers.lines()} == {f"posts.csv:{line}" for line in range(1, 20_002)}
        third = workers.start()
        third.send_signal(signal.SIGTERM)
        workers.wait(30)


@pytest.fixture
async def store(redis_server: RedisServer) -> Any:
    store = queue_from_settings(Settings({"REDIS_URL": redis_server.url}), "s")
    yield store
    await store.client.aclose()


async def test_a_list_that_nobody_is_left_to_read_holds_up_no_run(store: Queue) -> None:
    run, _ = await store.join("a", "", persist=False, flush=False)
    await store.join("b", "", persist=False, flush=False)
    mine, other = b"a" * 12, b"b" * 12
    assert (await store.exchange(run, "a", flags="se", of_list=mine)).seeder
    assert not (await store.exchange(run, "b", flags="s", of_list=other)).seeder
    read = await store.exchange(run, "a", flags="se", of_list=mine, ops=[("seeded", "", "")])
    assert (read.state, read.seeded) == ("done", True)
    begun = await store.exchange(run, "b", flags="s", of_list=other)  # it is not, and a run that was done goes on
    assert (begun.state, begun.seeded, begun.seeder) == ("running", False, True)
    waits = await store.exchange(run, "a", flags="se", of_list=mine, sequence=1)
    assert (waits.state, waits.seeded, waits.seeder) == ("running", False, False)
    await store.exchange(run, "b", flags="l")
    ended = await store.exchange(run, "a", flags="se", of_list=mine, sequence=1)
    assert (ended.state, ended.seeded) == ("done", True)


async def test_a_list_that_was_read_is_not_read_again_by_who_joins_after_the_end(store: Queue) -> None:
    run, _ = await store.join("a", "night", persist=False, flush=False)
    mine, other = b"a" * 12, b"b" * 12
    assert (await store.exchange(run, "a", flags="se", of_list=mine)).seeder
    done = await store.exchange(run, "a", flags="se", of_list=mine, ops=[("seeded", "", "")])
    await store.exchange(run, "a", flags="l", of_list=mine, sequence=1)  # the last one forgets which pages were seen
    assert (done.state, await store.join("b", "night", persist=False, flush=False)) == ("done", (run, "done"))
    again = await store.exchange(run, "b", flags="s", of_list=mine)
    assert (again.state, again.seeded, again.seeder) == ("done", True, False)
    begun = await store.exchange(run, "b", flags="s", of_list=other)
    assert (begun.state, begun.seeder) == ("running", True)


async def test_lists_that_were_read_are_no_deaths_of_their_readers(store: Queue) -> None:
    run, _ = await store.join("a", "", persist=False, flush=False)
    for number in range(20):
        await store.join(f"w{number}", "", persist=False, flush=False)
        known = b"%12d" % number
        reply = await store.exchange(run, f"w{number}", flags="s", of_list=known)
        assert reply.seeder
        reply = await store.exchange(run, f"w{number}", flags="s", of_list=known, ops=[("seeded", "", "")])
        assert (reply.seeded, reply.error) == (True, "")
