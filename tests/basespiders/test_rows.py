from __future__ import annotations

import csv
import gzip
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from itemadapter import ItemAdapter
from pyarrow import parquet
from scrapy.utils.test import get_crawler

from imgcrawl.basespiders.rows import slug
from imgcrawl.items import Row
from imgcrawl.retries import retries_of
from imgcrawl.rows import GoodRow, open_address_list
from imgcrawl.spiders.huaban import HuabanSpider
from tests.support import processes
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
        ({"file": "a.csv", "keep": "lable"}, "-a keep=lable: list 'a.csv' has no such column; it has 'name', 'url'"),
        ({"file": "none.csv"}, "list 'none.csv' has no column with addresses in its first 2 rows; say which one it is"),
        (
            {"file": "two.csv"},
            "list 'two.csv' has addresses in 'left', 'right'; say which of them are images: -a column=",
        ),
        ({"file": "a.csv", "encoding": "martian"}, "encoding 'martian' of list 'a.csv': unknown encoding: martian"),
        ({"file": "broken.zip"}, "list 'broken.zip' cannot be read: File is not a zip file; expected a file of rows"),
        (
            {"file": "a.csv", "colum": "url"},
            "-a colum=url: urls has no option 'colum'; it has url, column, keep",
        ),
    ],
)
def test_what_cannot_be_read_is_told_before_any_request(
    arguments: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("name,url\nx,http://127.0.0.1:9/a.jpg\n")
    (tmp_path / "none.csv").write_text("name,label\nx,cat\n")
    (tmp_path / "two.csv").write_text("left,right\nhttp://x/1,http://x/2\n")
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
    assert run.log.count("] INFO: list.csv, line ") == 100
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


# ---- the facts beside the image ---------------------------------------------------------------------------


def labelled(count: int) -> list[dict[str, Any]]:
    """Rows of a data set: some captions have commas, quotes and line ends; the labels repeat."""
    captions = ["a cat, asleep", 'a "dog"\nin the rain', "猫", "plain"]
    return [
        {"id": n, "url": f"http://x/{n}.jpg", "caption": f"{captions[n % 4]} {n}", "label": ["cat", "dog", "鸟"][n % 3]}
        for n in range(count)
    ]


def written(rows: list[dict[str, Any]], path: Path) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=70)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_rows_keep_their_facts_through_a_crawl_and_a_retry(server: Server, tmp_path: Path, name: str) -> None:
    rows = labelled(300)
    missing = [7, 8, 99, 100, 299]
    server.add("*", pictures())
    for n in missing:
        server.add(f"/{n}.jpg", status=404)
    written(rows, tmp_path / name)
    settings = {"IMAGES_NAME": "{label}/{id}"}

    first = crawl(tmp_path, "urls", {"file": name, "base": base(server)}, **settings)

    assert first.code == 0, first.log
    told = {str(item["id"]): item for item in first.items}
    assert {n: (item["caption"], item["label"]) for n, item in told.items()} == {
        str(row["id"]): (row["caption"], row["label"]) for row in rows
    }
    assert set(first.files) == {f"{row['label']}/{row['id']}.jpg" for row in rows if row["id"] not in missing}

    again = processes.run(
        [sys.executable, "-m", "scrapy", "failed", str(tmp_path / "items.json")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (tmp_path / "failed.jsonl").write_text(again)
    for n in missing:
        server.add(f"/{n}.jpg", jpeg(width=700 + n))
    server.forget()
    second = crawl(tmp_path, "urls", {"file": "failed.jsonl", "base": base(server)})

    assert second.code == 0, second.log
    assert sorted(server.paths()) == sorted(f"/{n}.jpg" for n in missing)
    facts = ("url", "id", "caption", "label")
    assert sorted([item[fact] for fact in facts] for item in second.items) == sorted(
        [told[str(n)][fact] for fact in facts] for n in missing
    )
    assert set(second.files) == {f"{row['label']}/{row['id']}.jpg" for row in rows}


def test_a_gallery_is_completed_under_its_own_title_with_its_page_as_referer(server: Server, tmp_path: Path) -> None:
    server.add("*", lambda request: Answer(JPEG if request.headers.get("referer") == "http://g/7?x=1" else b"", 200))
    item = {
        "spider": "pximg", "url": "http://g/7?x=1", "title": "A title", "tags": ["a", "b"], "rank": 3,
        "image_urls": [server.url("/1.jpg"), server.url("/2.jpg")],
        "images": [
            {"url": server.url("/1.jpg"), "status": "downloaded", "path": "pximg/A title/001.jpg"},
            {"url": server.url("/2.jpg"), "status": "failed", "reason": "html", "requested_path": "pximg/A title/002"},
        ],
    }  # fmt: skip
    line = json.dumps(next(retries_of(item, lambda image: image["status"] == "failed")))
    hostile = {
        "image_urls": [server.url("/3.jpg")],
        "image_paths": ["../../../etc/x"],
        "image_pages": [None],
        "url": "",
    }
    (tmp_path / "again.jsonl").write_text(f"{line}\n{json.dumps(hostile)}\n")

    run = crawl(tmp_path, "urls", {"file": "again.jsonl"}, PRIVATE_HOSTS_ALLOWED="127.0.0.1", VERDICT_MAX_FAILED="1")

    assert set(run.files) == {"pximg/A title/002.jpg"}
    whole = next(item for item in run.items if "title" in item)
    assert {name: whole[name] for name in ("url", "title", "tags", "rank", "spider")} == {
        "url": "http://g/7?x=1", "title": "A title", "tags": ["a", "b"], "rank": 3, "spider": "urls",
    }  # fmt: skip
    hidden = next(item for item in run.items if "title" not in item)
    assert hidden["images"][0]["requested_path"] == "untitled/untitled/untitled/etc/x"
    # Whoever writes a list cannot have it trusted by hiding where an address stood.
    guarded = crawl(tmp_path, "urls", {"file": "again.jsonl"}, VERDICT_MAX_FAILED="1")
    assert Counter(image.get("reason") for image in guarded.images) == {None: 1, "private_address": 1}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (",url,caption\n0,http://x/1.jpg,one\n", {"column0": "0", "caption": "one"}),
        ("a,http://x/1.jpg\n", {"column0": "a"}),
        ("page,image,status\nhttp://p/,//x/1.jpg,ok\n", {"page": "http://p/", "status": "ok"}),
        ("src,url,images\nhttp://x/1.jpg,cat,3\n", {"row_url": "cat", "row_images": "3"}),
        ("url;title\nhttp://x/1.jpg;T\n", {"title": "T"}),
        ('url,t,long\n"[""http://x/1.jpg"", \'http://x/2.jpg\']",T,' + "x" * 1001 + "\n", {"t": "T"}),
    ],
)
def test_columns_are_told_by_what_is_in_them(tmp_path: Path, text: str, fields: dict[str, str]) -> None:
    (tmp_path / "list.csv").write_text(text)
    reader, names = open_address_list(tmp_path / "list.csv")
    (row,) = reader
    assert isinstance(row, GoodRow)
    assert (row.values[0].rpartition("/")[2], row.fields) == ("1.jpg", fields)
    assert set(fields) <= names


@pytest.mark.parametrize(("keep", "kept"), [(None, {"a", "b"}), ("", set()), ("b", {"b"}), ("long, a", {"long", "a"})])
def test_keep_says_which_columns_stay(tmp_path: Path, keep: str | None, kept: set[str]) -> None:
    (tmp_path / "list.csv").write_text(f"a,b,url,long\n1,2,http://x/1.jpg,{'x' * 1001}\n")
    (row,) = open_address_list(tmp_path / "list.csv", keep=keep)[0]
    assert isinstance(row, GoodRow)
    assert set(row.fields) == kept


def test_a_name_of_files_may_use_the_fields_of_the_list_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("label,url\ncat,http://x/1.jpg\n")
    run = crawl(tmp_path, "urls", {"file": "list.csv"}, IMAGES_NAME="{label}/{lable}")
    assert run.code == 2
    assert "{lable} is not one of its fields" in run.log.splitlines()[-1]
    assert "label" in run.log.splitlines()[-1].partition("with fields of")[2]
    assert "Traceback" not in run.log


def test_an_item_takes_any_field_and_no_other_item_knows_it() -> None:
    item = Row(spider="x")
    item["anything"] = 5
    assert (dict(item), dict(item.copy())) == ({"spider": "x", "anything": 5}, {"spider": "x", "anything": 5})
    assert ItemAdapter(item).get_field_meta("anything") == {}
    assert "anything" not in Row.fields
    assert "anything" not in Row(spider="y").fields


def test_pages_of_rows_are_bounded_by_what_they_hold(tmp_path: Path) -> None:
    rows = ({"url": f"http://x/{n}.jpg", "text": "é" * 900} for n in range(300))
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pages = list(open_address_list(tmp_path / "list.jsonl")[0].pages(100))
    assert sum(len(page.rows) for page in pages) == 300
    assert max(len(json.dumps(page.rows)) for page in pages) < 300_000


def test_a_list_may_be_at_an_address_or_on_standard_input(server: Server, tmp_path: Path) -> None:
    table = "url,label\n//x/1.jpg,cat\n"
    server.add("/lists/of%20cats.csv?v=2", gzip.compress(table.encode()))
    server.add("/lists/gone.csv", status=404)
    server.add("/1.jpg", JPEG)
    arguments = {"file": server.url("/lists/of%20cats.csv?v=2"), "base": base(server)}
    fetched = crawl(tmp_path, "urls", arguments)
    assert [(item["url"], item["label"], item["images"][0]["status"]) for item in fetched.items] == [
        ("of cats.csv:2", "cat", "downloaded")
    ]

    gone = crawl(tmp_path, "urls", {"file": server.url("/lists/gone.csv")})
    sentence = f"list '{server.url('/lists/gone.csv')}' cannot be read: HTTP Error 404"
    assert (gone.code, gone.log.splitlines()[-1][: len(sentence)]) == (2, sentence)

    command = [sys.executable, "-m", "scrapy", "crawl", "urls", "-a", "file=-", "-a", f"base={base(server)}"]
    environment = os.environ | {"SCRAPY_SETTINGS_MODULE": "imgcrawl.settings", "PYTHONPATH": str(ROOT)}
    for text, told in ((table, "stdin:2"), ("a,b\n", "list '-' has no column with addresses")):
        done = processes.run(
            [*command, "-O", "piped.json"],
            input=text, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert told in (done.stderr if done.returncode else (tmp_path / "piped.json").read_text()), done.stderr
    shared = processes.run(
        [*command, "--workers", "2"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (shared.returncode, shared.stderr.splitlines()[-1][:25]) == (2, "-a file=- with --workers:")


def test_servers_may_name_files_and_items_without_a_title_are_kept_apart(server: Server, tmp_path: Path) -> None:
    for number, name in enumerate(
        ("attachment; filename=x.png; filename*=UTF-8''%E7%8C%AB.jpg", 'inline; filename="../../b c.jpg"', "")
    ):
        server.add(f"/{number}.jpg", jpeg(width=40 + number), headers={"Content-Disposition": name} if name else {})
    rows = [
        {"url": f"http://g/{page}", "image_urls": [f"http://x/{number}.jpg"]}
        for number, page in enumerate(("show?id=1", "show?id=2", ""))
    ]
    (tmp_path / "list.json").write_text(json.dumps(rows))
    settings = {"IMAGES_NAME": "{title}/{filename}"}
    run = crawl(tmp_path, "urls", {"file": "list.json", "base": base(server)}, **settings)
    assert set(run.files) == {"show_id=1/猫.jpg", "show_id=2/b c.jpg", "g/2.jpg"}
    again = crawl(tmp_path, "urls", {"file": "list.json", "base": base(server)}, **settings)
    assert [image["status"] for image in again.images] == ["uptodate"] * 3
