"""A feed with a row for each image in place of each gallery."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.commands.failed import items_of
from imgcrawl.exceptions import InputError
from imgcrawl.items import by_image, image_rows, row_columns
from tests.support.crawling import crawl
from tests.support.server import Server, jpeg
from tests.support.sharing import scrapy


def test_every_format_of_a_crawl_and_of_a_merge(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", jpeg(50))
    rows: list[dict[str, Any]] = [
        {"title": "=1+1", "tags": ["x", "y"], "image_urls": [server.url("/a.jpg"), server.url("/gone.jpg")]},
        {"title": "None", "image_urls": []},
    ]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"PRIVATE_HOSTS_ALLOWED": "127.0.0.1", "VERDICT_MAX_FAILED": "1", "RETRY_TIMES": "0"}
    names = ["a.csv", "a.jsonl", "a.json"]
    options = [word for name in names for word in ("-O", name)]
    done = crawl(tmp_path, "urls", {"file": "list.jsonl"}, options=options, FEED_ROWS="images", **settings)
    assert done.code == 0, done.log
    crawl(tmp_path, "urls", {"file": "list.jsonl"}, **settings)
    for name in names:
        code, _, err = scrapy(tmp_path, "merge", "items.json", "--rows", "images", "-O", f"merged-{name}")
        assert (code, err) == (0, "")

    def read(name: str) -> list[dict[str, Any]]:
        text = (tmp_path / name).read_text("utf-8")
        if name.endswith("csv"):
            assert "{'" not in text
            return list(csv.DictReader(text.splitlines()))
        found = json.loads(text) if name.endswith("json") else map(json.loads, text.splitlines())
        return list(found)

    lost = [[row for row in read(name) if not row.get("url")] for name in names]
    assert [[row["gallery_url"] for row in table] for table in lost] == [["list.jsonl:2"]] * 3
    for name in (*names, *(f"merged-{name}" for name in names)):
        table = sorted((row for row in read(name) if row.get("url")), key=lambda row: str(row["index"]))
        assert [row["url"] for row in table] == rows[0]["image_urls"], name
        assert {row["gallery_url"] for row in table} == {"list.jsonl:1"}
        assert [row.get("reason") or "" for row in table] == ["", "http_404"]
        assert str(table[0]["width"]) == "50"
        assert table[0]["title"] == ("'=1+1" if name.endswith("csv") else "=1+1")
        assert table[0]["tags"] == ("x,y" if name.endswith("csv") else ["x", "y"])
        assert not {"images", "image_urls"} & table[0].keys()
    # Rows stay as they are, each once, whichever feeds they are read from again.
    before = read("a.jsonl")
    for feed in (["-o", "a.jsonl"], ["-O", "again.csv"]):
        code, _, err = scrapy(tmp_path, "merge", "a.json", *feed, "--rows", "images")
        assert (code, err) == (0, "")
    assert read("a.jsonl") == before
    filled = [[{k: v for k, v in row.items() if v} for row in read(name)] for name in ("again.csv", "a.csv")]
    assert filled[0] == filled[1]
    code, _, err = scrapy(tmp_path, "merge", "items.json", "-o", "a.jsonl", "--rows", "images")
    assert (code, err.count("\n"), read("a.jsonl")) == (2, 1, before)
    assert "3 of 5 items are rows of images (FEED_ROWS), the others galleries; expected feeds of one kind" in err
    with pytest.raises(InputError, match="line 1 is a row of an image"):
        list(items_of(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("extra", [{}, {"name": "n", "status": 200}])
def test_the_columns_are_those_of_every_row(extra: dict[str, Any]) -> None:
    image = {"url": "http://x/a.jpg", "status": "failed", "reason": "tls"}
    item = {
        "url": "http://x/",
        "title": "t",
        "images": [image],
        "image_urls": [image["url"]],
        "image_names": ["a"],
        **extra,
    }
    (row,) = by_image(item)
    assert row.keys() <= set(row_columns(item))
    assert row["image_name"] == "a"
    assert row["status"] == "failed"
    assert row.get("gallery_status") == extra.get("status")
    assert list(by_image({"url": "http://x/", "images": []})) == [{"gallery_url": "http://x/"}]
    assert list(image_rows({"url": "http://x/"})) == []


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    code, _, err = scrapy(tmp_path, "crawl", "urls", "-a", "url=http://x/", "-O", "a.csv", "-s", "FEED_ROWS=rows")
    assert code == 2
    assert "-s FEED_ROWS=rows: expected galleries or images" in err
