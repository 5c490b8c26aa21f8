"""`--workers N` gives the feed that one process gives; and feeds that workers cannot have are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.storage import check_shared_feeds
from tests.support.crawling import crawl, project_settings
from tests.support.server import JPEG, Answer, Server

GZIP = ["scrapy.extensions.postprocessing.GzipPlugin"]


def rows(folder: Path) -> list[tuple[str, str]]:
    """Where each item came from, and what it has."""
    lines = (folder / "items.jsonl").read_text("utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    assert not [item for item in items if "_lease" in item]
    return sorted(
        (item["url"], item["image_urls"][0].rpartition("/")[2] if item["image_urls"] else "") for item in items
    )


def test_no_line_of_another_list_or_of_the_same_domain_is_lost(server: Server, tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    for name in names:
        server.add(f"/{name}", JPEG)
    a, b, c, d = (server.url(f"/{name}") for name in names)
    for folder, address in (("1", c), ("2", d)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text(f"{address}\n")
    base = server.url("").rstrip("/")
    options = ["--workers", "1", "-o", "items.jsonl"]
    for arguments in ({"url": a}, {"url": b}, {"file": "1/x.txt", "base": base}, {"file": "2/x.txt", "base": base}):
        done = crawl(tmp_path, "urls", arguments, options=options)
        assert done.code == 0, done.log
    expected = [("url:1", "a.jpg"), ("url:1", "b.jpg"), ("x.txt:1", "c.jpg"), ("x.txt:1", "d.jpg")]
    assert rows(tmp_path) == expected

    # A domain twice in a list is two items; and what was in the feed stays.
    server.add("/", lambda request: Answer(b"<title>page</title>", 200, {"Content-Type": "text/html"}))
    (tmp_path / "list.csv").write_text("1,one.test\n2,two.test\n3,one.test\n")
    done = crawl(tmp_path, "alexa", {"file": "list.csv", "base": base}, options=options)
    assert done.code == 0, done.log
    domains = [("http://one.test/", ""), ("http://one.test/", ""), ("http://two.test/", "")]
    assert rows(tmp_path) == sorted([*expected, *domains])
    assert not (tmp_path / ".imgcrawl").exists()


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("a.jsonl.gz", {"format": "jsonl", "postprocessing": GZIP}),
        ("a.xml", {"format": "xml"}),
        ("a.pickle", {"format": "pickle"}),
        ("a.json", {"format": "json", "encoding": "utf-16"}),
        ("s3://me:secret@bucket/a.jsonl", {"format": "jsonl"}),
        ("stdout:", {"format": "json"}),
    ],
)
def test_a_feed_that_a_kill_can_take_items_from_is_refused_where_pages_are_shared(
    uri: str, options: dict[str, Any]
) -> None:
    settings = project_settings()
    settings.set("FEEDS", {"fine.jsonl": {"format": "jsonl"}, uri: options})
    with pytest.raises(InputError) as refusal:
        check_shared_feeds(settings)
    sentence = str(refusal.value)
    assert sentence.startswith(
        f"Feed {uri.replace('me:secret@', '')}: workers that share a queue need a feed that is on"
    )
    assert "scrapy merge" in sentence and "--workers" in sentence and "secret" not in sentence


def test_a_feed_that_keeps_each_item_is_taken(tmp_path: Path) -> None:
    settings = project_settings()
    feeds = {
        "a.json": "json",
        "a.jsonl": "jsonl",
        "%(worker)s.csv": "csv",
        "stdout:": "jsonl",
        (tmp_path / "b.jl").as_uri(): "jl",
    }
    settings.set("FEEDS", {uri: {"format": format_} for uri, format_ in feeds.items()})
    check_shared_feeds(settings)


def test_a_crawl_with_such_a_feed_does_not_begin(tmp_path: Path) -> None:
    done = crawl(
        tmp_path, "urls", {"url": "http://127.0.0.1:1/a.jpg"}, options=["-O", "a.xml"], REDIS_URL="redis://127.0.0.1:1"
    )
    assert (done.code, done.log.count("\n")) == (2, 1), done.log
    assert done.log.startswith("Feed a.xml: workers that share a queue need a feed that is on disk item by item, ")
