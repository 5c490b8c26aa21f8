"""A file system that does not answer holds up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from scrapy import Spider
from scrapy.http import Response
from scrapy.utils.test import get_crawler

from imgcrawl.live import aside
from imgcrawl.live.aside import Aside
from imgcrawl.live.folder import OwnEntry
from imgcrawl.live.leader import Leader
from imgcrawl.live.publisher import Publisher


async def test_whoever_asks_gets_what_a_call_returns_or_raises() -> None:
    calls = Aside()
    assert await calls.do(sorted, [2, 1], reverse=True) == [2, 1]
    assert await asyncio.to_thread(calls.wait_for, int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await calls.do(int, "x")


@pytest.mark.parametrize("who", ["process", "leader"])
async def test_a_crawl_goes_on_and_ends_where_its_entry_cannot_be_written(
    who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    monkeypatch.setattr(aside, "PATIENCE", 0.2)
    crawler = get_crawler(settings_dict={"LIVE_FOLDER": str(tmp_path / "live")})
    asked = 0

    def write(*_: object) -> None:
        nonlocal asked
        asked += 1
        back.wait(60)

    if who == "leader":
        leader = Leader(crawler.settings, "s", "")
        entry = leader._entry
        monkeypatch.setattr(OwnEntry, "write", write)
        before = time.monotonic()
        for _ in range(100):
            leader._write({})
        leader.leave()
    else:
        publisher = Publisher(crawler)
        entry = publisher._entry = await publisher._aside.do(OwnEntry, tmp_path / "s,one.json")
        monkeypatch.setattr(OwnEntry, "write", write)
        before = time.monotonic()
        for _ in range(100):
            await publisher._say()
        await publisher.engine_stopped()
        publisher.close("shutdown")
    assert asked == 1, "nothing more is asked of it before it answers"
    assert time.monotonic() - before < 5
    back.set()
    assert entry
    await asyncio.to_thread(entry.close)


def test_a_callback_that_is_called_list_is_no_list_of_the_crawl(tmp_path: Path) -> None:
    class Listing(Spider):
        name = "listing"

        def list(self, response: Response) -> None:
            pass

    crawler = get_crawler(Listing, settings_dict={"LIVE_FOLDER": str(tmp_path / "live")})
    crawler.spider = crawler._create_spider()
    assert Publisher(crawler).snapshot({"store": ""})["list"] == ""
