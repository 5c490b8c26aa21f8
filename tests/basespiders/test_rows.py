from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from scrapy.utils.test import get_crawler

from imgcrawl.basespiders.rows import slug
from imgcrawl.spiders.huaban import HuabanSpider
from tests.support.crawling import ROOT, Crawl, crawl
from tests.support.server import JPEG, Answer, Request, Server, jpeg

ALL = ROOT / "tests" / "sites" / "huaban" / "all.csv"


def base(server: Server) -> str:
    return server.url("").rstrip("/")


def stat(run: Crawl, name: str) -> int:
    """A stat of a crawl with STATS_DUMP."""
    found = re.search(rf"'{re.escape(name)}': (\d+)", run.log)
    return int(found[1]) if found else 0


def pictures() -> Callable[[Request], Answer]:
    """Another picture for each address."""
    widths: dict[str, int] = {}
    return lambda request: Answer(jpeg(width=widths.setdefault(request.path, 40 + len(widths))), 200)


def test_huaban_every_row_one_outcome(server: Server, tmp_path: Path) -> None:
    server.add("*", pictures())
    rows = [line.split(",") for line in ALL.read_text("utf-8").splitlines()]

    run = crawl(tmp_path, "huaban", {"file": str(ALL), "base": base(server)}, STATS_DUMP="True")

    assert run.code == 0, run.log
    items = sorted(run.items, key=lambda item: int(item["url"].rpartition(":")[2]))
    assert [[item["id"], item["name"]] for item in items] == [row[:2] for row in rows]
    assert [item["url"] for item in items] == [f"all.csv:{line}" for line in range(1, 52)]
    assert Counter(image["status"] for image in run.images) == {
        "downloaded": len({row[2] for row in rows}),
        "duplicate": 51 - len({row[2] for row in rows}),
    }
    assert set(Counter(server.paths()).values()) == {1}
    assert "huaban/卩丬My㊊伴er彎.jpg" in run.files
    assert (stat(run, "row/count"), stat(run, "row/bad")) == (51, 0)


def test_a_second_run_asks_only_for_what_is_missing(server: Server, tmp_path: Path) -> None:
    posts = tmp_path / "posts.csv"
    lists = ["['http://x/a.jpg', 'http://x/b.jpg']", "['http://x/c.jpg']", "[]"]
    posts.write_text("".join(f'{n},,,,,,,,,"{text}"\n' for n, text in enumerate(lists)))
    for number, name in enumerate("ac"):
        server.add(f"/{name}.jpg", jpeg(width=40 + number))
    settings = {"VERDICT_MAX_FAILED": "1", "options": ["-O", "items.json", "-a", f"base={base(server)}"]}

    first = crawl(tmp_path, "weibo", {"file": str(posts)}, **settings)
    failed = [image["url"] for image in first.images if image["status"] == "failed"]
    server.add("/b.jpg", jpeg(width=50))
    server.forget()
    second = crawl(tmp_path, "weibo", {"file": str(posts)}, **settings)

    assert (first.code, second.code) == (0, 0), second.log
    assert failed == [server.url("/b.jpg")]
    assert server.paths() == ["/b.jpg"]
    assert Counter(image["status"] for image in second.images) == {"uptodate": 2, "downloaded": 1}
    assert set(second.files) == {"weibo/a.jpg", "weibo/b.jpg", "weibo/c.jpg"}


def test_a_stranger_names_no_private_host_but_the_user_may(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG)
    (tmp_path / "list.txt").write_text(server.url("/a.jpg"))
    listed = crawl(tmp_path, "urls", {"file": "list.txt"}).images
    typed = crawl(tmp_path, "urls", {"url": server.url("/a.jpg")}).images
    assert [image["reason"] for image in listed] == ["private_address"]
    assert [image["status"] for image in typed] == ["downloaded"]
    assert server.paths() == ["/a.jpg"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "urls needs either -a file=FILE or -a url=ADDRESS,ADDRESS,…"),
        ({"file": "a.csv", "url": "http://x/"}, "urls needs either -a file=FILE or -a url=ADDRESS,ADDRESS,…"),
        ({"file": "nowhere.csv"}, "list 'nowhere.csv' cannot be read: No such file or directory; expected a file"),
        (
            {"file": "a.csv", "column": "address"},
            "column 'address' is unknown in list 'a.csv', which has 'name', 'url'",
        ),
        ({"file": "a.csv", "encoding": "martian"}, "encoding 'martian' of list 'a.csv': unknown encoding: martian"),
        ({"file": "broken.zip"}, "list 'broken.zip' cannot be read: File is not a zip file; expected a file of rows"),
        ({"file": "a.csv", "colum": "url"}, "-a colum=url: urls has no option 'colum'; it has url, column, format"),
    ],
)
def test_what_cannot_be_read_is_told_before_any_request(
    arguments: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("name,url\nx,http://127.0.0.1:9/a.jpg\n")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    run = crawl(tmp_path, "urls", arguments)
    assert run.code == 2
    assert run.log.splitlines()[-1].startswith(sentence), run.log
    assert "Traceback" not in run.log
    assert "Spider opened" not in run.log


def test_a_list_that_breaks_off_is_the_verdict(server: Server, tmp_path: Path) -> None:
    server.add("*", JPEG)
    whole = gzip.compress("".join(f"http://x/{n:05}.jpg\n" for n in range(30_000)).encode())
    (tmp_path / "list.txt.gz").write_bytes(whole[: len(whole) // 2])

    arguments = {"file": "list.txt.gz", "base": base(server)}
    run = crawl(tmp_path, "urls", arguments, STATS_DUMP="True", ITEM_PIPELINES="{}", VERDICT_IMAGES_EXPECTED="False")

    assert run.code == 1
    assert re.search(r"\nlist.txt.gz, line \d+: the file is broken from here on: ", run.log)
    assert stat(run, "row/bad") == 1
    assert 1000 < stat(run, "row/count") == len(run.items) < 29_000


def test_every_bad_row_is_counted_and_the_log_stays_short(tmp_path: Path) -> None:
    with (tmp_path / "list.csv").open("w") as file:
        for number in range(1000):
            file.write(f"{number},name\n" if number % 4 == 1 else f"{number},name,not an address\n")

    run = crawl(tmp_path, "huaban", {"file": "list.csv"}, STATS_DUMP="True", ITEM_PIPELINES="{}")

    assert (stat(run, "row/count"), stat(run, "row/bad")) == (750, 250)
    assert run.log.count("] WARNING: list.csv, line ") == 100
    assert "250 bad rows in all, of which the log told the first 100" in run.log
    assert [item["url"] for item in run.items][:3] == ["list.csv:1", "list.csv:3", "list.csv:4"]


def test_a_list_is_read_as_the_crawl_gets_there(server: Server, tmp_path: Path) -> None:
    server.add("*", JPEG, delay=0.2)
    (tmp_path / "list.txt").write_text("".join(f"http://x/{n}.jpg\n" for n in range(200_000)))
    arguments = {"file": "list.txt", "base": base(server)}
    run = crawl(tmp_path, "urls", arguments, STATS_DUMP="True", CLOSESPIDER_ITEMCOUNT="50")
    assert 0 < stat(run, "scheduler/enqueued") <= 20
    assert stat(run, "item_scraped_count") >= 50


def test_rows_of_a_page_are_known_by_what_they_are(tmp_path: Path) -> None:
    """A list that is named twice, or seeded by two workers, is done once."""
    (tmp_path / "copy.csv").write_bytes(ALL.read_bytes())
    prints = []
    for file in (ALL, tmp_path / "copy.csv"):
        spider = HuabanSpider.from_crawler(get_crawler(HuabanSpider), file=str(file))
        prints.append([spider.rows_request(page).url for page in spider.pages_of_rows])
    assert prints[0] == prints[1] != []


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("no list of addresses: 'abc' at character 3", "no-list-of-addresses"),
        ("no field 'url'", "no-field"),
        ("3 columns; column 9, counted from 0, is wanted", "columns-column-counted-from-is-wanted"),
        ("图", "bad"),
    ],
)
def test_slugs_hold_no_values(reason: str, expected: str) -> None:
    assert slug(reason) == expected


def test_json_lines(server: Server, tmp_path: Path) -> None:
    server.add("*", pictures())
    rows = [{"id": 1, "photo": "http://x/1.jpg"}, {"id": 2}, {"id": 3, "photo": "http://x/2.jpg"}]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = crawl(tmp_path, "urls", {"file": "list.jsonl", "column": "photo", "base": base(server)})
    assert run.code == 1, run.log
    assert "1 of 3 rows failed, more than 20% (no-field: 1)" in run.log
    assert set(run.files) == {"urls/127.0.0.1/1.jpg", "urls/127.0.0.1/2.jpg"}
