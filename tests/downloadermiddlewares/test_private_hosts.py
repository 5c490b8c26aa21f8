"""PRIVATE_HOSTS_ALLOWED in whole crawls: lists are strangers' words, except where the user says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.test_addon import done_in
from tests.support.crawling import crawl, crawl_command
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Server

THEIRS = """
import scrapy

class Theirs(scrapy.Spider):
    name = "theirs"

    async def start(self):
        yield scrapy.Request("PAGE")
        yield scrapy.Request("PAGE?2")

    def parse(self, response):
        yield {"url": response.url}
"""


@pytest.mark.parametrize(
    ("host", "allowed", "status"),
    [
        ("127.0.0.1", "127.0.0.0/8", "downloaded"),
        ("127.0.0.1", "127.0.0.1", "downloaded"),
        ("127.0.0.1", "10.0.0.0/8", "refused"),
        ("127.0.0.1", "localhost", "refused"),
        ("localhost", "localhost", "downloaded"),
        ("localhost", "", "refused"),
    ],
)
def test_what_a_list_may_name(server: Server, tmp_path: Path, host: str, allowed: str, status: str) -> None:
    server.add("/a.jpg", JPEG)
    (tmp_path / "list.txt").write_text(server.url("/a.jpg", host=host))
    done = crawl(tmp_path, "urls", {"file": "list.txt"}, PRIVATE_HOSTS_ALLOWED=allowed)
    assert [image["status"] for image in done.images] == [status], done.log


def test_a_network_that_is_none_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(server.url("/a.jpg"))
    done = crawl(tmp_path, "urls", {"file": "list.txt"}, PRIVATE_HOSTS_ALLOWED="10.0.0.1/8")
    assert done.code == 2
    assert "PRIVATE_HOSTS_ALLOWED" in done.log.splitlines()[-1]
    assert "Traceback" not in done.log


@pytest.mark.parametrize("allowed", ["", "127.0.0.1"])
def test_where_a_queue_is_shared_a_page_that_is_refused_is_told(
    allowed: str, server: Server, redis_server: RedisServer, tmp_path: Path
) -> None:
    """A spider of a project's own has no errback: nothing came, and nothing was said."""
    server.add("*", b"<p>page")
    (tmp_path / "scrapy.cfg").write_text("[settings]\ndefault = theirsettings\n")
    (tmp_path / "theirsettings.py").write_text("SPIDER_MODULES = ['theirs']\nADDONS = {'imgcrawl.Addon': 300}\n")
    (tmp_path / "theirs.py").write_text(THEIRS.replace("PAGE", server.url("/page")))
    settings = {"REDIS_URL": redis_server.url, "PRIVATE_HOSTS_ALLOWED": allowed, "LOG_LEVEL": "WARNING"}
    done = done_in(tmp_path, *crawl_command("theirs", settings=settings))
    told = [line for line in done.stderr.splitlines() if "PRIVATE_HOSTS_ALLOWED" in line]
    assert (len(told), server.count("/page")) == ((0, 1) if allowed else (1, 0)), done.stderr
    assert "Pages of 127.0.0.1 are not asked for" in done.stderr or allowed
