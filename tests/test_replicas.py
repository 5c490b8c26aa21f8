"""Every site's spider on its replica: a real crawl each, with exactly the items, files, names and outcomes of the
replica's truth."""

from __future__ import annotations

import csv
import hashlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.demo import server
from imgcrawl.demo.server import Replica, serve
from tests.support.crawling import Crawl, crawl
from tests.test_promises import assert_as_served

# A host that has once answered 503 is asked more slowly for a while; tests need not be so considerate.
HURRY = {"STATS_DUMP": "True", "AUTOTHROTTLE_MAX_DELAY": "0.05", "LIMITS_SPEEDUP": "1000"}
# What an outcome says of a stored file that the truth knows.
FACTS = ("bytes", "format", "width", "height", "frames", "final_url")


def run(replica: Replica, folder: Path, arguments: dict[str, str] | None = None, **settings: Any) -> Crawl:
    """The crawl of *replica* in *folder*, with its lists there."""
    replica.write_lists(folder)
    return crawl(folder, replica.site, replica.arguments | (arguments or {}), **HURRY, **settings)


def assert_true(done: Crawl, replica: Replica, file: str = "") -> None:
    """Everything is as *replica*'s truth says, its list being called *file* if that is another one than usual."""
    media = replica.media
    usual = replica.arguments.get("file", "")
    true_items = {str(true["url"]).replace(f"{usual}:", f"{file or usual}:"): true for true in replica.galleries}
    assert Counter(item["url"] for item in done.items) == dict.fromkeys(true_items, 1)
    stored: list[str] = []
    for item in done.items:
        true = true_items[item["url"]]
        told = {name: value for name, value in item.items() if name not in ("scraped_at", f"{media}s")}
        assert told == true["item"] | {"url": item["url"]}
        assert [outcome["url"] for outcome in item[f"{media}s"]] == item[f"{media}_urls"]
        for outcome, image in zip(item[f"{media}s"], true["images"], strict=True):
            said = (outcome["status"], outcome.get("reason"))
            assert said == (image["status"], image["reason"]), (outcome, image)
            if not image["paths"]:
                assert set(outcome) == {"url", "status", "reason", "requested_path"}
                continue
            assert outcome["path"] in image["paths"], (outcome, image)
            assert hashlib.sha256(done.files[outcome["path"]]).hexdigest() == outcome["checksum"] == image["sha256"]
            assert {fact: outcome.get(fact) for fact in FACTS} == {fact: image.get(fact) for fact in FACTS}
            if outcome["status"] == "downloaded":
                stored.append(outcome["path"])
    assert sorted(done.files) == sorted(stored)
    assert "Traceback" not in done.log
    assert_bad_rows(done, replica, file or usual)
    asked = replica.stats()["requests"]
    assert not set(asked) & set(replica.truth["others"])


def assert_bad_rows(done: Crawl, replica: Replica, file: str) -> None:
    bad = replica.truth["bad_rows"]
    name = file.removesuffix(".zip")
    for line in bad:
        assert any(f"{shown}, line {line}: " in done.log for shown in (file, name)), line
    counted = [line for line in done.log.splitlines() if "'row/bad':" in line]
    assert [int(line.partition(":")[2].strip(" ,}")) for line in counted] == ([len(bad)] if bad else [])


def statuses(replica: Replica) -> set[tuple[str, str | None]]:
    return {(image["status"], image["reason"]) for true in replica.galleries for image in true["images"]}


DOWNLOADED, AGAIN = ("downloaded", None), ("duplicate", None)
GONE, HTML, CUT, DEAD = (("failed", reason) for reason in ("http_404", "html", "truncated", "connection"))

# How large the replicas are: each as small as shows all its quirks. And the outcomes that must occur there.
SITES: dict[str, tuple[dict[str, Any], set[tuple[str, str | None]]]] = {
    "mzitu": ({"galleries": 10, "images": 17, "per_page": 4, "width": 40}, {DOWNLOADED, GONE, CUT, DEAD}),
    "doutula": ({"galleries": 3, "images": 12, "width": 60}, {DOWNLOADED, GONE, HTML, DEAD}),
    "weibo": ({"galleries": 40, "images": 4, "width": 40}, {DOWNLOADED, AGAIN, GONE, HTML, CUT}),
    "huaban": ({"width": 40}, {DOWNLOADED, AGAIN, GONE, CUT}),
    "douyin": ({"width": 300_000}, {DOWNLOADED, GONE, HTML, CUT}),
}


@pytest.mark.parametrize("site", SITES)
def test_the_spider_finds_what_there_is(site: str, tmp_path: Path) -> None:
    options, outcomes = SITES[site]
    with serve(site, **options) as replica:
        done = run(replica, tmp_path)
        assert done.code == 0, done.log
        assert statuses(replica) == outcomes
        assert_true(done, replica)


def test_mzitu_asks_for_sub_pages_as_long_as_there_are_any(tmp_path: Path) -> None:
    with serve("mzitu", galleries=3, images=20, width=40) as replica:
        done = run(replica, tmp_path, RETRY_TIMES=0)
        assert_true(done, replica)
        asked = Counter(replica.stats()["requests"])
        _, too_large, too_small = replica.galleries
        assert [len(true["images"]) for true in replica.galleries] == [20, 22, 19]
        for true in replica.galleries:
            for page in true["item"]["image_pages"]:
                assert asked[page] == 1
        # It says 30 more than there are; the walk ends within a window of the last.
        past = [url for url in asked if url.startswith(f"{too_large['url']}/") and int(url.rpartition("/")[2]) > 22]
        assert 0 < len(past) <= 30
        assert not [url for url in asked if url == f"{too_small['url']}/20"]


def test_doutula_ends_where_the_list_does(tmp_path: Path) -> None:
    for end in ("empty", "first"):
        folder = tmp_path / end
        folder.mkdir()
        with serve("doutula", galleries=2, images=3, width=40, end=end, misbehave=False) as replica:
            assert_true(run(replica, folder), replica)


def test_douban_has_what_each_entry_tells(tmp_path: Path) -> None:
    with serve("douban", galleries=75, width=40) as replica:
        done = run(replica, tmp_path, {"pages": "3"})
        assert done.code == 0, done.log
        assert statuses(replica) == {DOWNLOADED, GONE, CUT, DEAD}
        assert_true(done, replica)
        assert [item["rank"] for item in sorted(done.items, key=lambda item: item["rank"])] == list(range(1, 76))


def test_douban_turns_away_who_does_not_say_who_he_is(tmp_path: Path) -> None:
    with serve("douban", galleries=1, width=40) as replica:
        done = run(replica, tmp_path, USER_AGENT="Scrapy/2.19.0 (+https://scrapy.org)")
        assert done.code == 1
        assert done.items == []
        assert "could not be had (http_403)" in "\n".join(done.log.splitlines()[-4:])


def test_weibo_again_downloads_only_what_is_missing(tmp_path: Path) -> None:
    with serve("weibo", galleries=20, images=3, width=40) as replica:
        first = run(replica, tmp_path)
        lost = sorted(first.files)[:3]
        for path in lost:
            (tmp_path / "images" / path).unlink()
        before = Counter(replica.stats()["requests"])
        second = run(replica, tmp_path)
        assert second.files == first.files
        assert {image["path"] for image in second.images if image["status"] == "downloaded"} == set(lost)
        asked = Counter(replica.stats()["requests"]) - before
        missing = {image["url"] for image in first.images if image.get("path") in lost or image["status"] == "failed"}
        assert {url for url in asked if not url.endswith("/robots.txt")} == missing


def test_huaban_says_what_became_of_each_of_51_rows(tmp_path: Path) -> None:
    with serve("huaban", width=40) as replica:
        done = run(replica, tmp_path)
        with (tmp_path / "huaban.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) == len(done.images) == 51
        assert sorted(item["id"] for item in done.items) == sorted(row[0] for row in rows)
        asked = replica.stats()["requests"]
        repeated = [url for url, count in Counter(row[2] for row in rows).items() if count > 1]
        assert len(repeated) == 2
        for url in repeated:
            there = url.replace("https://hbimg.huabanimg.com", replica.image_base)
            assert asked[there] == 1
            outcomes = [image for image in done.images if image["url"] == there]
            assert Counter(image["status"] for image in outcomes) == {"downloaded": 1, "duplicate": len(outcomes) - 1}


LISTS = {
    "urls.txt": {},
    "urls.csv.gz": {"column": "address", "keep": ""},
    "urls.tsv.zip": {"column": "1", "keep": ""},
    "urls.jsonl": {"column": "image", "keep": ""},
    "urls-gbk.csv": {"column": "address", "encoding": "gb18030", "delimiter": ";", "keep": ""},
}


def test_urls_come_in_every_form(tmp_path: Path) -> None:
    with serve("urls", galleries=22, width=40) as replica:
        assert set(replica.lists) == set(LISTS)
        for number, (file, arguments) in enumerate(LISTS.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            done = run(replica, folder, {"file": file, **arguments})
            assert done.code == 0, done.log
            assert_true(done, replica, file)
        assert statuses(replica) == {DOWNLOADED, AGAIN, GONE, HTML}


def test_gallery_takes_a_site_by_its_declarations(tmp_path: Path) -> None:
    with serve("gallery", galleries=14, images=6, per_page=5, end="first", width=40) as replica:
        done = run(replica, tmp_path)
        assert done.code == 0, done.log
        assert_as_served(done, replica)


def test_alexa_says_what_became_of_each_domain(tmp_path: Path) -> None:
    with serve("alexa", galleries=60, width=40) as replica:
        begun = time.monotonic()
        done = run(replica, tmp_path, **replica.settings | {"DOWNLOAD_IDLE_TIMEOUT": 6})
        assert done.code == 0, done.log
        # Four of the domains never answer.
        assert 6 < time.monotonic() - begun < 20
        assert_true(done, replica)
        errors = Counter(item.get("error") for item in done.items)
        assert errors == {
            None: 48,
            "timeout": 4,
            "http_404": 2,
            "robots": 1,
            "no_robots": 1,
            "connection": 1,
            "dns": 1,
            "not_a_page": 1,
            "private_address": 1,
        }
        asked = replica.stats()["requests"]
        forbidden = [item["url"] for item in done.items if item.get("error") in ("robots", "no_robots")]
        assert len(forbidden) == 2
        assert not set(forbidden) & set(asked)


def test_every_spider_has_its_replica() -> None:
    spiders = (Path(server.__file__).parents[1] / "spiders").glob("[!_]*.py")
    assert {path.stem for path in spiders} == set(server.SITES)
