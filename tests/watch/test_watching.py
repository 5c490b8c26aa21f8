"""`scrapy watch` in a real browser, beside real workers that share a real Redis."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.demo.server import serve
from imgcrawl.live.folder import LiveFolder
from tests.support.browser import SCREENSHOTS, chromium, wait_for
from tests.support.crawling import environment, until
from tests.support.processes import Process
from tests.support.redis_server import GivenServer, RedisServer
from tests.support.sharing import Sharing, scrapy

QUEUE = "{pximg:requests}:"


def live_in(folder: Path) -> list[str]:
    """So that the crawls of no other test are seen."""
    return ["-s", f"LIVE_FOLDER={folder / 'live'}"]


@contextmanager
def watching(folder: Path, redis_url: str, *options: str) -> Iterator[str]:
    """The address that `scrapy watch pximg` prints."""
    command = [sys.executable, "-m", "scrapy", "watch", "pximg", "--port", "0", *options, *live_in(folder)]
    with Process[str](
        command, cwd=folder, env=environment(redis_url), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            match = re.fullmatch(r"pximg is watched at (http://127\.0\.0\.1:\d+/#[\w-]{32}) until Ctrl-C\n", line)
            assert match, line + server.stdout.read()
            yield match[1]
        finally:
            server.kill()


def give_up_a_page(client: Any) -> None:
    """Have one of the pages that are queued among those given up, too."""
    until(lambda: any(map(client.llen, client.keys(f"{QUEUE}queue:*"))))
    queued = next(key for key in client.keys(f"{QUEUE}queue:*") if client.llen(key))
    _, priority, host = queued.decode().removeprefix(QUEUE).split(":", 2)
    client.rpush(f"{QUEUE}dead", f"1,5,0,{priority},{host}\nits callback failed\n".encode() + client.lindex(queued, 0))


def test_two_workers_are_seen_paused_slowed_down_and_stopped_and_a_page_is_put_back(
    redis_server: RedisServer | GivenServer, tmp_path: Path
) -> None:
    settings = {"LIMITS_SPEEDUP": "50", "LIVE_FOLDER": str(tmp_path / "live")}
    with (
        chromium() as browser,
        serve("pximg", galleries=600, images=6, per_page=25, width=320, latency=0.05) as replica,
        Sharing(tmp_path, redis_server.url, "pximg", {"base": replica.base}, **settings) as crawl,
        watching(tmp_path, redis_server.url) as url,
        browser.tab(url) as page,
    ):
        page.locator("#state", has_text="no crawl").wait_for()
        workers = [crawl.start(), crawl.start()]
        wait_for(page, "document.querySelectorAll('#workers tr').length === 2")
        wait_for(page, "document.querySelectorAll('#pictures li').length > 5")
        wait_for(page, "[...document.images].every((image) => image.complete && image.naturalWidth > 100)")
        first = page.locator("#figures div").first.inner_text()
        until(lambda: page.locator("#figures div").first.inner_text() != first)
        wait_for(page, "document.querySelector('.curves .line').getAttribute('d').includes('L')")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "watch-two-workers.png", full_page=True)

        def press(name: str, yes: str = "") -> None:
            page.get_by_role("group").get_by_role("button", name=name).click()
            page.get_by_role("dialog").get_by_role("button", name=yes or name).click()

        press("Pause")
        page.locator("#workers tr:nth-child(2)", has_text="paused").wait_for()
        page.locator("#workers tr:nth-child(1)", has_text="paused").wait_for()
        page.locator("#state", has_text="paused").wait_for()

        def asked() -> int:
            return sum(replica.stats()["requests"].values())

        # What was under way may end; then nobody asks for anything.
        until(lambda: asked() == (page.wait_for_timeout(300), asked())[1])
        before = asked()
        page.wait_for_timeout(1500)
        assert asked() == before
        assert [worker.poll() for worker in workers] == [None, None]

        press("Resume")
        until(lambda: asked() > before)
        page.locator("#state", has_text="running").wait_for()

        press("Slow down", "Set speed")
        until(lambda: all("delays 4 times as long" in crawl.log(worker) for worker in workers))
        with redis_server.client() as client:
            give_up_a_page(client)
            page.locator("#queue div", has_text="dead").get_by_text("1").wait_for()
            press("Put dead pages back", "Put back")
            page.get_by_text("1 page is in the queue again.").wait_for()
            assert client.llen(f"{QUEUE}dead") == 0
        press("Stop")
        crawl.wait()
        assert [worker.returncode for worker in workers] == [3, 3], crawl.log(workers[0])
        assert len(crawl.lines()) < 600
        page.locator("#state", has_text="ended").wait_for()
        page.locator("#stop:disabled").wait_for()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "scrapy watch: no crawl runs that is known here; expected the name of a spider\n"),
        (("pximg", "--port", "70000"), "--port 70000: expected a number from 0 to 65535"),
        (("pximg", "--host", "192.0.2.1", "--port", "0"), "192.0.2.1:0 cannot be listened at: "),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    entry = LiveFolder(tmp_path / "live").open("of_another_project", "one")
    entry.write({"spider": "of_another_project", "group": "one", "kind": "process", "at": time.time()})
    code, out, err = scrapy(tmp_path, "watch", *options, *live_in(tmp_path))
    entry.close()
    assert (code, out) == (2, "")
    assert err.startswith(sentence) and err.count("\n") == 1, err
