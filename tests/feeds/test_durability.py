"""What DURABILITY=fsync promises: an item is acknowledged when the disk has it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.utils.test import get_crawler

from imgcrawl.durability import GroupSync, wants_fsync
from imgcrawl.exceptions import ImgcrawlError, InputError
from imgcrawl.feeds.storage import FileFeedStorage


class Disk:
    """Stands between `os.fsync` and the disk: it waits for *ready*, or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ready = threading.Event()
        self.error: OSError | None = None
        self.synced = 0
        self._fsync = os.fsync
        monkeypatch.setattr("os.fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        assert self.ready.wait(20)
        if self.error:
            raise self.error
        self._fsync(descriptor)
        self.synced += 1


def open_feed(path: Path, durability: str) -> tuple[Crawler, FileFeedStorage, Any]:
    settings = {"DURABILITY": durability, "FEED_EXPORTERS": {"jsonl": "imgcrawl.feeds.exporters.JsonLinesItemExporter"}}
    settings["FEED_EXPORTERS"] |= {"json": "imgcrawl.feeds.exporters.JsonItemExporter"}  # type: ignore[operator] # a dict
    crawler = get_crawler(settings_dict=settings)
    options = {"format": path.suffix[1:], "encoding": "utf-8"}
    storage = FileFeedStorage.from_crawler(crawler, str(path), feed_options=options)
    return crawler, storage, storage.open(Spider.from_crawler(crawler, "s"))


def scraped(crawler: Crawler) -> asyncio.Task[Any]:
    """What Scrapy waits for until it lets go of an item, and with it of its page."""
    signal = crawler.signals.send_catch_log_async(signals.item_scraped, item={}, response=None, spider=None)
    return asyncio.create_task(signal)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
async def test_an_item_is_let_go_of_when_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    disk = Disk(monkeypatch)
    crawler, storage, file = open_feed(tmp_path / name, "fsync")
    for number in range(5):
        file.write(b"%d" % number)
    waiting = [scraped(crawler) for _ in range(5)]
    done, _ = await asyncio.wait(waiting, timeout=0.2)
    assert not done
    # Those that come while the disk is busy share the next one.
    waiting += [scraped(crawler) for _ in range(50)]
    await asyncio.sleep(0.05)
    disk.ready.set()
    await asyncio.gather(*waiting)
    assert 2 <= disk.synced <= 8  # the file twice, its folder; an array is published meanwhile
    await storage._finish(file)


async def test_a_write_is_enough_where_nothing_else_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    crawler, storage, file = open_feed(tmp_path / "a.jsonl", "write")
    file.write(b"1")
    await asyncio.wait_for(scraped(crawler), 5)
    assert (tmp_path / "a.jsonl").read_bytes() == b"1"
    await storage._finish(file)
    assert disk.synced == 0


async def test_a_disk_that_fails_is_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    disk.error = OSError(errno.EIO, os.strerror(errno.EIO))
    disk.ready.set()
    crawler, storage, file = open_feed(tmp_path / "a.jsonl", "fsync")
    file.write(b"1")
    await asyncio.wait_for(scraped(crawler), 5)
    assert crawler.stats.get_value("feed/lost") == 1
    disk.error = None  # and then takes what is next, which says nothing of what it was given before
    with pytest.raises(OSError, match="Input/output error"):
        file.sync()
    assert str(crawler.stats.get_value("verdict/error")).endswith(": items cannot be written: Input/output error.")
    with pytest.raises(ImgcrawlError):
        await storage._finish(file)


async def test_a_sync_that_began_before_is_not_enough() -> None:
    order: list[str] = []
    started, go_on = threading.Event(), threading.Event()

    def sync() -> None:
        order.append("begin")
        started.set()
        assert go_on.wait(20)
        order.append("end")

    group = GroupSync(sync)
    first = asyncio.create_task(group.wait())
    await asyncio.to_thread(started.wait)
    second = asyncio.create_task(group.wait())
    go_on.set()
    await first
    await second
    assert order == ["begin", "end", "begin", "end"]


def test_another_value_is_refused() -> None:
    with pytest.raises(InputError, match=r"^DURABILITY is 'always': expected write or fsync$"):
        wants_fsync(get_crawler(settings_dict={"DURABILITY": "always"}).settings)
