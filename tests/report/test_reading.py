"""Feeds, logs and the catalogue are read, counted and found again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.tables import write_table
from imgcrawl.items import image_rows
from imgcrawl.report import reading, server
from imgcrawl.report.columns import Columns, as_script
from imgcrawl.report.index import Index
from imgcrawl.report.logs import LogTally, read_log
from imgcrawl.report.page import FilePage, head_of
from imgcrawl.report.parts import parts_of
from imgcrawl.report.pictures import ReportFiles
from imgcrawl.report.records import GalleryRecord, gallery_record
from imgcrawl.report.search import Filter, Texts
from imgcrawl.report.tally import DAY, Tally, Timeline

MONDAY = int(datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp())


def iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def stored(url: str, at: int, status: str = "downloaded", checksum: str = "", **more: Any) -> dict[str, Any]:
    facts = {"path": f"s/{url[-5:]}.jpg", "checksum": checksum or url, "bytes": 1000, "format": "JPEG"}
    return {"url": url, "status": status, **facts, "width": 640, "height": 480, "fetched_at": iso(at), **more}


def gallery(number: int, at: int, *images: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {"spider": "s", "url": f"http://a.example/{number}", "title": f"Gallery {number}", "scraped_at": iso(at)}
    return {**about, "image_urls": [image["url"] for image in images], "images": list(images), **more}


def two_nights() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The second night sees the first's pictures again, one of them under a second address, and two that fail."""
    one = [
        gallery(
            1, MONDAY, stored("http://i.example/1.jpg", MONDAY), stored("http://i.example/2.jpg", MONDAY), label="x"
        ),
        gallery(2, MONDAY, stored("http://j.example/3.jpg", MONDAY), tags=["x", "y"]),
        gallery(3, MONDAY, error="http_503"),
    ]
    tuesday = MONDAY + DAY
    lost = {"url": "http://j.example/4.jpg", "status": "failed", "reason": "http_404", "requested_path": "s/4"}
    two = [
        gallery(1, tuesday, stored("http://i.example/1.jpg", MONDAY, "uptodate"),
                stored("http://i.example/2b.jpg", tuesday, "duplicate", "http://i.example/2.jpg"), label="x"),
        gallery(2, tuesday, stored("http://j.example/3.jpg", MONDAY, "uptodate"), lost, tags=["x", "y"]),
        gallery(3, tuesday, stored("http://i.example/5.jpg", tuesday)),
    ]  # fmt: skip
    return one, two


def written(path: Path, items: list[dict[str, Any]]) -> Path:
    write_table(path, lambda: items)
    return path


def test_feeds_of_every_format_tell_the_same(tmp_path: Path) -> None:
    items = [*two_nights()[1], gallery(9, MONDAY, stored("http://i.example/9.jpg", MONDAY, warnings=["odd"]))]
    rows = [row for item in items for row in image_rows(item)]
    feeds = [written(tmp_path / f"galleries{kind}", items) for kind in (".json", ".jsonl", ".parquet")]
    feeds += [written(tmp_path / f"rows{kind}", rows) for kind in (".json", ".csv", ".parquet")]
    expected = [gallery_record(item) for item in items]
    for feed in feeds:
        part = reading.read_feed(feed, tmp_path / "part")
        found = [reading.from_json(json.loads(line)) for line in part.file.read_text("ascii").splitlines()]
        assert [one._replace(quality=[]) for one in found] == [one._replace(quality=[]) for one in expected], feed.name
        assert part.problems == []


def test_visits_and_different_images_are_counted_by_day_and_host_in_as_many_processes_as_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = (".json", ".jsonl")
    feeds = [written(tmp_path / f"night{kind}", night) for kind, night in zip(kinds, two_nights(), strict=True)]
    assert len(parts_of(feeds[1], 2)) == 2, "one feed is read by two processes"
    told = []
    for small in (0, 1 << 30):  # by processes, and in this one
        monkeypatch.setattr(reading, "_SMALL", small)
        monkeypatch.setattr(reading.os, "cpu_count", lambda: 2)
        found = reading.collect(feeds, tmp_path)
        told.append((found.tally.charts(), [*found]))
    assert told[0] == told[1]
    charts, galleries = told[0]
    # Per day: downloaded, uptodate, duplicate, refused, failed, bytes that came, different ones.
    assert charts["days"] == [MONDAY // DAY, MONDAY // DAY + 1]
    assert charts["total"] == [[3, 0, 0, 0, 0, 3000, 3], [1, 2, 1, 0, 1, 1000, 5]]
    assert charts["distinct"] == 5, "two addresses have the same bytes"
    assert charts["pages_failed"] == [1, 0]
    hosts = {host["host"]: (host["distinct"], host["rows"]) for host in charts["hosts"]}
    assert hosts["j.example"] == (2, [[1, 0, 0, 0, 0, 1000, 1], [0, 1, 0, 0, 1, 0, 2]])
    assert [one.title for one in galleries] == ["Gallery 1", "Gallery 3", "Gallery 2"] or len(galleries) == 3
    best = {one.title: one for one in galleries}
    assert [image.status for image in best["Gallery 2"].images] == ["downloaded"], "the visit without a failure"
    assert best["Gallery 3"].error == "" and best["Gallery 1"].at == MONDAY + DAY, "one that was had; else the later"


@pytest.mark.parametrize("most", [2, 3, 5, 50])
def test_parts_of_a_feed_have_each_line_once_and_no_gallery_is_cut(tmp_path: Path, most: int) -> None:
    images = [[stored(f"http://i.example/{n}-{i}.jpg", MONDAY) for i in range(n % 4)] for n in range(40)]
    galleries = [gallery(n, MONDAY, *some) for n, some in enumerate(images)]
    rows = [row for item in galleries for row in image_rows(item)]
    for feed in (written(tmp_path / "mixed.jsonl", [*rows, *galleries]), written(tmp_path / "rows.jsonl", rows)):
        with feed.open("ab") as file:
            file.write(b'{"no item": 1}\nno JSON\n{"cut')
        whole = reading.read_feed(feed, tmp_path / "whole")
        parts = parts_of(feed, most)
        assert len(parts) > 1
        found = [reading.read_feed(feed, tmp_path / str(number), part=part) for number, part in enumerate(parts)]
        assert b"".join(part.file.read_bytes() for part in found) == whole.file.read_bytes()
        assert sum(len(part.problems) for part in found) == len(whole.problems) == 3
    assert parts_of(written(tmp_path / "array.json", galleries), most) == [None]


def test_of_many_problems_of_a_feed_the_first_are_told_and_how_many_there_are(tmp_path: Path) -> None:
    feed = written(tmp_path / "feed.jsonl", [gallery(1, MONDAY)])
    with feed.open("ab") as file:
        file.write(b"no JSON\n" * 1234)
    problems = reading.read_feed(feed, tmp_path / "part").problems
    assert len(problems) == reading.MOST_TOLD + 1
    assert problems[-1] == f"{feed}: 1,214 more like these"


def test_a_curve_has_few_points_however_long_it_is() -> None:
    whole, parts = Timeline(), [Timeline(), Timeline()]
    for second in range(0, 40 * DAY, 61):
        for timeline in (whole, parts[second % 2]):
            timeline.add(MONDAY + second, 2, 10, 1)
    parts[0].merge(parts[1])
    for timeline in (whole, parts[0]):
        curve = timeline.curve()
        count = len(range(0, 40 * DAY, 61))
        assert [sum(curve[name]) for name in ("images", "bytes", "failed")] == [2 * count, 10 * count, count]
        assert len(curve["images"]) < 250 and len(timeline.points) <= 4000
        assert curve["from"] <= MONDAY < curve["from"] + curve["step"]
    assert Timeline().curve() == {}


LOG = """2026-11-23 10:00:00 [scrapy.core.engine] INFO: Spider opened
2026-11-23 10:00:01 [scrapy] DEBUG: Crawled (200) <GET http://a.example/1> (referer: None)
2026-11-23 10:00:02 [scrapy] DEBUG: Crawled (404) <GET http://a.example/1> (referer: None)
2026-11-23 10:00:10 [imgcrawl] INFO: 2 galleries, 10 of 12 images, 1.5 MB, 1.0 images/s, 1 failed, 1 refused
2026-11-23 10:00:20 [imgcrawl] INFO: 3 galleries, 1,010 of 1,012 images, 3.5 MB, 9.0 images/s, 1 failed, 1 refused
2026-11-23 10:00:21 [x] WARNING: a title with
  2026-11-23 10:00:21 [x] INFO: 9 galleries, 9 of 9 images, 9.0 MB, 9.0 images/s, 9 failed, 9 refused
2026-11-23 10:00:29 [scrapy.core.engine] INFO: Spider closed (finished)
2026-11-23 10:00:30 [imgcrawl.commands.crawl] INFO: What became of it:
  images found   1,012
    downloaded   1,000
    uptodate        10
    duplicate        0
    refused          1
      robots         1  robots.txt forbids the address
    failed           1
      downloaded    77  what a stranger called a reason
  galleries found   80
    scraped         79
    failed           1
  3.5 MB in 1 day, 0:00:30, 27.1 images/s
2026-11-23 10:00:40 [imgcrawl] INFO: 1 galleries, 5 of 5 images, 0.5 MB, 1.0 images/s, 0 failed, 0 refused
"""


def test_logs_tell_the_rate_the_answers_and_how_crawls_ended(tmp_path: Path) -> None:
    (tmp_path / "crawl.log").write_text(LOG)
    summary = {"images": {"found": 7, "downloaded": 6, "failed": 1}, "bytes": 60, "seconds": 5.5}
    entries = [
        {"time": iso(MONDAY + 60), "level": "DEBUG", "message": "Crawled (200) <GET http://b.example/> (-)"},
        {"time": iso(MONDAY + 61), "level": "INFO", "message": "What became of it:\n", "summary": summary},
    ]
    (tmp_path / "crawl.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    written(tmp_path / "feed.json", two_nights()[0])
    found = reading.collect([tmp_path / name for name in ("crawl.log", "feed.json", "crawl.jsonl")], tmp_path)
    charts = found.logs.charts()
    assert sum(charts["rate"]["images"]) == 1015 and sum(charts["rate"]["failed"]) == 2
    assert sum(charts["rate"]["bytes"]) == 4_000_000
    assert sum(row[1] for row in charts["days"]) == 3 and sum(row[2] for row in charts["days"]) == 2
    run, other = sorted(charts["runs"], key=lambda each: -each["found"])
    assert run["to"] - run["from"] == DAY + 30
    assert (run["reason"], run["found"], run["downloaded"], run["failed"]) == ("finished", 1012, 1000, 1)
    assert run["bytes"] == 3_500_000
    assert (other["from"], other["to"], other["found"], other["bytes"]) == (MONDAY + 56, MONDAY + 61, 7, 60)
    assert len([*found]) == 3, "a log is none of the feeds"
    assert read_log(tmp_path / "feed.json").charts() == LogTally().charts()


@pytest.mark.parametrize(
    "content, told", [(b"", "holds"), (b"\x00\x01\xff", "cannot be read|no item"), (b"[1, 2]", "no item")]
)
def test_what_is_no_feed_is_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "feed.json").write_bytes(content)
    if not content:
        assert [*reading.collect([tmp_path / "feed.json"], tmp_path)] == []
        return
    with pytest.raises(InputError, match=told):
        reading.collect([tmp_path / "feed.json"], tmp_path)
    with pytest.raises(InputError, match="No such file"):
        reading.collect([tmp_path / "none.json"], tmp_path)


HOSTILE = "</script><script>alert(1)</script><!--\u2028\u202e'\"&\ud800"


def test_what_strangers_wrote_ends_no_script(tmp_path: Path) -> None:
    item = gallery(1, MONDAY, stored("http://i.example/1.jpg", MONDAY, path=HOSTILE), title=HOSTILE, label=HOSTILE)
    item |= {"spider": 7, "scraped_at": [], "image_names": [HOSTILE * 1000]}
    columns = Columns()
    record = gallery_record(item)
    columns.add_gallery(0, record, total=1, shown=1)
    columns.add_image(0, record.images[0], has_file=False)
    text = as_script(columns.as_json())
    assert "<" not in text and "\u2028" not in text
    assert len(text.encode()) < 10_000, "of any length"
    shown = HOSTILE.translate({0xD800: "?", 0x202E: 0xFFFD, 0x2028: 0xFFFD})
    assert json.loads(text)["galleries"]["title"] == [shown]
    page = FilePage(ReportFiles(Settings()), "")
    page.add(record)
    head = head_of("a report", ["\udcff.json"], Tally(), LogTally())  # a name that is no UTF-8
    assert b'"sources":["?.json"]' in b"".join(page.html(head, 0))


def test_a_word_is_found_in_whatever_place_of_a_line_it_stands() -> None:
    texts, lines, first = Texts(), [], 0
    for number in range(6):
        images = [stored(f"http://I.example/{number}\t/{n}.{'jpg' if n else 'PNG'}", MONDAY) for n in range(number)]
        one = gallery_record(gallery(number, MONDAY, *images, title="Σ red\nbird"))
        own = texts.add(one, first)
        first += len(images)
        lines += [f"{own}\n{image.url}\t{image.path}\t{image.name}\t{image.page}".lower() for image in one.images]
    wholes = ("jpg", "png", "i.example", "http://i", "1.jpg", "red", "bird", "σ", "s/", "e/5", "none", "3.jpg\ts")
    for words in [*([word] for word in wholes), ["red", "jpg"], ["2.jpg", "e/5"], ["i.ex", "png", "s/"]]:
        expected = [number for number, line in enumerate(lines) if all(word in line for word in words)]
        assert [*texts.find(words)] == expected, words


def test_a_search_for_look_alikes_ends_with_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(root: Path, images: object, on_step: Callable[[int], None], bounds: object) -> list[list[int]]:
        while True:
            time.sleep(0.01)
            on_step(1)

    monkeypatch.setattr(server, "find", find)
    search = server.Search()
    stored: Any = SimpleNamespace(root=Path(), bounds=None)
    with closing(Index([])) as index:
        search.begin(stored, [(1, "a.jpg")], index)
        assert search.state()["total"] == 1
        search.close()
    assert search.state()["error"] == "the search broke off: InterruptedError"


def everything() -> Iterator[GalleryRecord]:
    for item in [*two_nights()[1], gallery(4, MONDAY, error="timeout"), gallery(5, MONDAY)]:
        yield gallery_record(item)
    big = stored("http://k.example/Bird.png", MONDAY + 9 * DAY, bytes=9_000_000, width=4000, height=3000, format="PNG")
    yield gallery_record(gallery(6, MONDAY + 9 * DAY, big, image_names=["A Red BIRD"]))


@pytest.mark.parametrize(
    "asked, urls",
    [
        (Filter(), ["1.jpg", "2b.jpg", "3.jpg", "4.jpg", "5.jpg", "Bird.png"]),
        (Filter(text="red bird GALLERY"), ["Bird.png"]),
        (Filter(text="j.example"), ["3.jpg", "4.jpg"]),
        (Filter(text="nowhere"), []),
        (Filter(label="y"), ["3.jpg", "4.jpg"]),
        (Filter(label="%"), []),
        (Filter(host="k.example", format="PNG"), ["Bird.png"]),
        (Filter(status="failed"), ["4.jpg"]),
        (Filter(reason="http_404", text="4"), ["4.jpg"]),
        (Filter(side=1000), ["Bird.png"]),
        (Filter(since=MONDAY // DAY + 1, until=MONDAY // DAY + 1), ["2b.jpg", "4.jpg", "5.jpg"]),
        (Filter(gallery=2), ["3.jpg", "4.jpg"]),
        (Filter(sort="bytes", bytes=500), ["Bird.png", "1.jpg", "2b.jpg", "3.jpg", "5.jpg"]),
        (Filter(sort="newest", text="jpg"), ["Bird.png", "2b.jpg", "4.jpg", "5.jpg", "1.jpg", "3.jpg"]),
    ],
)
def test_images_are_found(asked: Filter, urls: list[str]) -> None:
    with closing(Index(everything())) as index:
        numbers = index.find(asked)
        found = index.records(numbers)
        assert [found[number].url.rpartition("/")[2] for number in numbers] == urls
        groups = index.find_galleries(asked)
        assert sum(groups[2::3]) == len(urls)


def test_failures_are_counted_by_reason_and_pages_are_found() -> None:
    with closing(Index(everything())) as index:
        assert index.reasons(Filter()) == [("failed", "http_404", 1), ("page", "timeout", 1)]
        assert index.reasons(Filter(text="a.example/4")) == [("page", "timeout", 1)]
        assert [*index.find_failed_pages(Filter(reason="timeout"))] == [3]
        assert [*index.find_failed_pages(Filter(reason="x"))] == []
    with pytest.raises(ValueError, match="no such"):
        Filter.of({"sort": "1; DROP TABLE images"})


def test_the_catalogues_images_count_once_at_the_day_on_which_they_came() -> None:
    tally = Tally(by_visit=False)
    for each in everything():
        tally.add(each)
    charts = tally.charts()
    assert charts["days"] == [MONDAY // DAY, MONDAY // DAY + 1, MONDAY // DAY + 9]
    assert [row[5] for row in charts["total"]] == [2000, 1000, 9_000_000]


@pytest.mark.parametrize(
    ("more", "title"),
    [
        ({"caption": "A", "label": "sea"}, "A"),
        ({"label": "sea"}, "sea"),
        ({"title": "T", "caption": "c"}, "T"),
    ],
)
def test_a_row_of_a_list_is_called_what_it_says_of_its_image(more: dict[str, str], title: str) -> None:
    row = {"spider": "urls", "url": "list.csv:20", "images": [stored("http://a/1.jpg", MONDAY)], **more}
    assert gallery_record(row).title == title
    page = {**row, "url": "http://a.example/20"}
    assert gallery_record(page).title == more.get("title", "")
