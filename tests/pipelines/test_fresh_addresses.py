"""Signed addresses that expire before their turn: their page is asked anew, as often as that brings images."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs

import pytest

from imgcrawl.pipelines import freshaddresses
from tests.support.crawling import FAST, Crawl, crawl, environment
from tests.support.processes import run
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg

HTML = {"Content-Type": "text/html"}
IMAGES = 9
OURS = {"PRIVATE_HOSTS_ALLOWED": "127.0.0.1"}  # also where a list or the catalogue names it


class Site:
    """A gallery whose addresses are good for *good* answers, and not any more once the page was asked for again; with
    *seconds* for as long, whatever is asked for. With a *signature* each page has the same. All answers take a while.
    Images that are *gone* are refused whatever they are asked for with."""

    def __init__(
        self, server: Server, *, good: int, gone: Collection[int] = (), status: int = 403, delay: float = 0.4,
        images: int = IMAGES, seconds: float = 0.0, signature: str = "",
    ) -> None:  # fmt: skip
        self.signature = signature
        self.seconds, self.shown = seconds, dict[str, float]()
        self.good, self.gone, self.status, self.delay, self.images = good, gone, status, delay, images
        self.pages = self.answers = self.refused = 0
        self.page = server.url("/g/1")
        server.add("/g/1", self.gallery)
        server.add("*", self.image)

    def gallery(self, request: Request) -> Answer:
        self.pages, self.answers = self.pages + 1, 0
        signature = self.signature or f"s{self.pages}"
        self.shown[signature] = monotonic()
        images = (f"<img src='/i/{n}.jpg?Expires=17&Signature={signature}'>" for n in range(1, self.images + 1))
        return Answer(f"<h1>Album</h1>{''.join(images)}".encode(), 200, HTML)

    def image(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        if not path.startswith("/i/"):
            return Answer(b"", 404)
        number = int(path[3:-4])
        self.answers += 1
        signature = parse_qs(query)["Signature"][0]
        if self.seconds:
            is_good = monotonic() - self.shown[signature] < self.seconds
        else:
            is_good = self.answers <= self.good and signature == f"s{self.pages}"
        if is_good and number not in self.gone:
            return Answer(jpeg(20 + number), delay=self.delay)
        self.refused += 1
        return Answer(b"<Error><Code>AccessDenied</Code></Error>", self.status, delay=self.delay)


def night(site: Site, folder: Path, **settings: Any) -> Crawl:
    given = {"CONCURRENT_REQUESTS_PER_DOMAIN": "2", "VERDICT_MAX_FAILED": "1", **settings}
    return crawl(folder, "gallery", {"gallery": site.page}, **given)


def statuses(run: Crawl) -> list[str]:
    return [image.get("reason") or image["status"] for image in run.images]


@pytest.mark.parametrize("status", [403, 404])
def test_what_has_expired_is_asked_for_by_the_address_that_its_page_shows_now(
    server: Server, tmp_path: Path, status: int
) -> None:
    site = Site(server, good=4, status=status)
    crawl = night(site, tmp_path)
    assert statuses(crawl) == ["downloaded"] * IMAGES
    assert crawl.code == 0
    assert all(f"{image['url']}" in server_addresses(server, 1) for image in crawl.images), "the item's own addresses"
    assert site.pages <= 4
    assert site.refused <= 8
    assert len(crawl.files) == IMAGES


def server_addresses(server: Server, signature: int) -> list[str]:
    return [server.url(f"/i/{n}.jpg?Expires=17&Signature=s{signature}") for n in range(1, IMAGES + 1)]


def test_workers_do_it_for_their_galleries(server: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    crawl = night(Site(server, good=4), tmp_path, REDIS_URL=redis_server.url)
    assert statuses(crawl) == ["downloaded"] * IMAGES


def test_what_is_refused_for_good_costs_a_few_requests(server: Server, tmp_path: Path) -> None:
    site = Site(server, good=99, gone=range(IMAGES + 1))
    crawl = night(site, tmp_path)
    assert statuses(crawl) == ["http_403"] * IMAGES
    assert site.pages <= 1 + freshaddresses._IN_VAIN
    assert site.refused <= 4 * IMAGES


def test_images_that_are_gone_do_not_keep_the_others_from_being_asked_anew(server: Server, tmp_path: Path) -> None:
    site = Site(server, good=0, seconds=2.5, gone=range(4, 33, 4), images=32)
    crawl = night(site, tmp_path)
    assert statuses(crawl).count("downloaded") == 24
    assert statuses(crawl).count("http_403") == 8
    assert site.pages <= 16


def test_images_that_are_gone_where_no_address_expires_cost_a_few_requests(server: Server, tmp_path: Path) -> None:
    site = Site(server, good=0, seconds=999, signature="always", gone=range(3, 25, 3), images=24)
    crawl = night(site, tmp_path)
    assert statuses(crawl).count("downloaded") == 16
    assert site.pages <= 1 + freshaddresses._IN_VAIN


def test_what_is_refused_at_once_has_not_expired(server: Server, tmp_path: Path) -> None:
    site = Site(server, good=99, gone=range(IMAGES + 1), delay=0.0)
    assert statuses(night(site, tmp_path)) == ["http_403"] * IMAGES
    assert (site.pages, site.refused) == (1, IMAGES)


def test_images_that_are_tried_again_have_newer_addresses(server: Server, tmp_path: Path) -> None:
    site = Site(server, good=2, delay=0.0)
    assert statuses(night(site, tmp_path)).count("http_403") == IMAGES - 2
    site.good, site.pages = 99, 5
    given = [f"{option}={value}" for option, value in {**FAST, **OURS}.items()]
    command = [sys.executable, "-m", "scrapy", "retry", "gallery", "-a", f"gallery={site.page}", "-O", "items.json"]
    tried = run(
        [*command, *(word for each in given for word in ("-s", each))],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert statuses(Crawl(tmp_path, tried.returncode, tried.stderr)) == ["downloaded"] * (IMAGES - 2), tried.stderr
    assert site.pages == 6
    assert sorted(Path(name).stem for name in Crawl(tmp_path, 0, "").files) == [f"{n:03}" for n in range(1, IMAGES + 1)]


def test_rows_of_a_list_have_no_page_to_ask(server: Server, tmp_path: Path) -> None:
    site = Site(server, good=0, delay=0.4)
    (tmp_path / "list.csv").write_text(f"url\n{server.url('/i/1.jpg?Expires=17&Signature=s1')}\n")
    assert statuses(crawl(tmp_path, "urls", {"file": "list.csv"}, VERDICT_MAX_FAILED="1", **OURS)) == ["http_403"]
    assert (site.pages, site.refused) == (0, 1)
