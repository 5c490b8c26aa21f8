from __future__ import annotations

import json
import os
import random
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.exceptions import InputError
from imgcrawl.extensions.counts import count_item
from imgcrawl.feeds import json_array
from imgcrawl.feeds.merge import MOST_OPEN, Segments
from imgcrawl.feeds.output import OutputWriter
from imgcrawl.feeds.segments import file_name
from tests.support.crawling import project_settings

STORED = {"url": "i", "status": "downloaded", "path": "a.jpg"}
FAILED = {"url": "i", "status": "failed", "reason": "timeout"}


def item(url: str, *images: dict[str, str], at: str = "2026-11-21T03:36:00+00:00", **more: Any) -> dict[str, Any]:
    return {"spider": "s", "url": url, "scraped_at": at, "images": list(images), **more}


def lines(path: Path, *items: dict[str, Any], torn: str = "") -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in items) + torn, "utf-8")
    return path


def write_feed(segments: Segments, path: Path, format_: str, **options: Any) -> None:
    settings = project_settings()
    settings.set("FEEDS", {str(path): {"format": format_, "overwrite": True, **options}})
    OutputWriter(settings).write_files(segments)


def merged(*paths: Path) -> list[dict[str, Any]]:
    with Segments(paths) as segments:
        return [json.loads(line) for line in segments]


EARLY, LATE = "2026-11-21T03:36:00+00:00", "2026-11-21T04:36:00+00:00"
NEXT_DAY_ELSEWHERE = "2026-11-22T00:00:00+14:00"  # earlier than it looks


def test_an_item_that_is_too_large_is_named_and_never_held_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_array, "MAX_ITEM", 1 << 20)
    large = item("x" * (8 << 20))
    segment = lines(tmp_path / "a.jsonl", item("1"), large, item("2"), torn=json.dumps(large))
    (tmp_path / "b.json").write_text(json.dumps([item("3"), large, item("4")]))
    tracemalloc.start()
    try:
        with Segments([segment, tmp_path / "b.json"]) as segments:
            assert [json.loads(line)["url"] for line in segments] == ["1", "2", "3"]
            broken, torn = segments.report.broken, segments.report.torn
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert [sentence.partition(" is no item")[0] for sentence in broken] == [
        f"{segment}, line {number}, of more than 1048576 bytes," for number in (2, 4)
    ]
    assert torn == [
        f"{tmp_path / 'b.json'}: the array, after 1 items, is not complete, and what is missing was left out"
    ]


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (item("g", at=LATE, error="http_503"), item("g", at=EARLY)),
        (item("g", FAILED, at=LATE), item("g", STORED, FAILED, FAILED, at=EARLY)),
        (item("g", STORED, FAILED, at=LATE), item("g", STORED, STORED, at=EARLY)),
        (item("g", STORED, STORED, at=EARLY), item("g", STORED, at=LATE)),
        (item("g", STORED, at=NEXT_DAY_ELSEWHERE), item("g", STORED, at="2026-11-21T11:00:00+00:00")),
        (item("g", STORED, at="yesterday"), item("g", STORED, at=EARLY)),
        (item("g", at=LATE), {**item("g", at=EARLY), "videos": [STORED]}),
    ],
)
def test_the_most_complete_counts_or_else_the_latest(
    tmp_path: Path, worse: dict[str, Any], better: dict[str, Any]
) -> None:
    for order in ([worse, better], [better, worse]):
        assert merged(lines(tmp_path / "a.jsonl", *order)) == [better]


def test_of_equals_the_last_counts_and_stands_where_the_first_stood(tmp_path: Path) -> None:
    first = lines(tmp_path / "1.jsonl", item("a", title="1"), item("b"), item("c", title="1"))
    second = lines(tmp_path / "2.jsonl", item("c", title="2"), item("d"), item("a", title="2"))
    assert [(one["url"], one.get("title")) for one in merged(first, second)] == [
        ("a", "2"),
        ("b", None),
        ("c", "2"),
        ("d", None),
    ]


def test_what_a_gallery_is(tmp_path: Path) -> None:
    others = [item("a"), {**item("a"), "spider": "t"}, item("a", parent="p"), {"title": "x"}, {"title": "x"}]
    assert merged(lines(tmp_path / "a.jsonl", *others, item("a"))) == others


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_line_cut_anywhere_is_passed_over_and_told(tmp_path: Path, cut: int) -> None:
    last = json.dumps(item("b", title="é"), ensure_ascii=False).encode()
    path = lines(tmp_path / "a.jsonl", item("a"))
    path.write_bytes(path.read_bytes() + last[:-cut])
    with Segments([path]) as segments:
        assert [json.loads(line)["url"] for line in segments] == ["a"]
    assert segments.report.torn == [f"{path}: its last line is not complete, and what is missing was left out"]
    assert segments.report.broken == []


def test_a_last_line_that_only_lacks_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(item("a")).encode() + b"\r\n" + json.dumps(item("b")).encode())
    assert [one["url"] for one in merged(path)] == ["a", "b"]


@pytest.mark.parametrize("indent", [None, 2])
def test_arrays_are_segments_too_also_when_cut(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "a.json"
    whole = [item(str(n), STORED, title="é\n]," * n, n=1.10) for n in range(30)]
    text = json.dumps(whole, indent=indent, ensure_ascii=False)
    path.write_text(text, "utf-8")
    assert merged(path) == whole
    dice = random.Random(1)
    for _ in range(30):
        cut = dice.randrange(1, len(text))
        path.write_text(text[:cut], "utf-8")
        with Segments([path]) as segments:
            had = [json.loads(line) for line in segments]
        assert had == whole[: len(had)]
        assert len(segments.report.torn) == 1
        assert text[:cut].count('"spider"') <= len(had) + 1


def test_an_array_larger_than_what_is_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcrawl.feeds.json_array.CHUNK", 50)
    whole = [item(str(n), STORED, title="x" * n) for n in range(100)]
    (tmp_path / "a.json").write_text(json.dumps(whole), "utf-8")
    assert merged(tmp_path / "a.json") == whole


def test_lines_that_are_no_items_are_told_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    hostile = [b"[1]", b"\xff\xfe", b"[" * 100_000, b"nonsense", b"\x00" * 100]
    path.write_bytes(b'{"url":"a"}\n' + b"\n".join(hostile) + b"\n\n" + b'{"url":"b"}\n')
    with Segments([path]) as segments:
        assert [json.loads(line)["url"] for line in segments] == ["a", "b"]
    told = segments.report.broken
    assert [sentence.split(" is no item")[0] for sentence in told] == [f"{path}, line {n}" for n in range(2, 7)]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n....", b"a,b\r\n1,2\r\n", b"hello\n", b"[1, 2]"])
def test_what_is_no_feed_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a feed: JSON Lines or a JSON array"):
        Segments([path])


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "is a folder"),
        (Path(), r"^\. is a folder"),
        (Path(os.devnull), "is a pipe or a device"),
    ):
        with pytest.raises(InputError, match=f"{why}.*; expected a feed"):
            Segments([path])


def test_a_journal_that_cannot_be_read_is_what_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / ".a.json.journal").mkdir()
    with pytest.raises(
        InputError, match=r"\.a\.json\.journal is a folder, and a file of ours is to stand there: remove it"
    ):
        Segments([tmp_path / "a.json"])


def test_a_segment_given_twice_is_read_once(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", item("a"), {"title": "no url"})
    (tmp_path / "same.jsonl").symlink_to(path)
    assert merged(path, tmp_path / "same.jsonl", path) == [item("a"), {"title": "no url"}]


def test_empty_segments_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.json").write_text("[]")
    assert merged(tmp_path / "a.jsonl", tmp_path / "b.json") == []


def test_feeds_are_as_a_crawl_writes_them(tmp_path: Path) -> None:
    half = {"spider": "s", "url": "b", "title": "\ud800"}
    path = lines(tmp_path / "a.jsonl", item("a", STORED), half)
    with Segments([path]) as segments:
        for format_ in ("json", "jsonl", "csv"):
            feed = tmp_path / f"out.{format_}"
            feed.write_text("old")
            write_feed(segments, feed, format_)
    assert json.loads((tmp_path / "out.json").read_text()) == [item("a", STORED), half]
    assert (tmp_path / "out.jsonl").read_bytes() == path.read_bytes()
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "spider,url,scraped_at,images,title"
    assert not [name for name in tmp_path.iterdir() if name.name.startswith(".")]


def test_a_feed_that_is_its_own_segment(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", item("a"), item("b"), item("a"))
    with Segments([path]) as segments:
        write_feed(segments, path, "jsonl")
    assert [one["url"] for one in merged(path)] == ["a", "b"]


def test_a_feed_that_cannot_be_written_stays_as_it_is(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", item("a"))
    with Segments([path]) as segments, pytest.raises(InputError, match="cannot be written"):
        write_feed(segments, path / "below", "jsonl")
    assert merged(path) == [item("a")]


def test_any_number_of_segments_with_few_files_open(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    paths = [lines(tmp_path / f"{n}.jsonl", item("a", title=str(n)), item(str(n))) for n in range(200)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = sum(1 for _ in Path("/dev/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + MOST_OPEN + 20, limits[1]))
    try:
        for _ in range(2):
            assert [one["url"] for one in merged(*paths)] == ["a", *map(str, range(200))]
        assert sum(1 for _ in Path("/dev/fd").iterdir()) <= open_now
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("change", ["removed", "replaced", "truncated"])
def test_a_segment_that_changes_while_it_is_merged_is_told(tmp_path: Path, change: str) -> None:
    path = lines(tmp_path / "a.jsonl", item("a"), item("b"))
    with Segments([path]) as segments:
        if change == "removed":
            path.unlink()
        elif change == "replaced":
            lines(tmp_path / "b.jsonl", item("c"), item("d")).replace(path)
        else:
            path.write_text("")
        with pytest.raises(InputError, match="expected it to stay until it is read"):
            write_feed(segments, tmp_path / "out.json", "json")
    assert not (tmp_path / "out.json").exists()


def test_memory_is_bounded(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for n in range(count):
                file.write(json.dumps(item(f"https://example.org/galleries/{n}", STORED)) + "\n")
        tracemalloc.start()
        with Segments([path]) as segments:
            write_feed(segments, tmp_path / "out.json", "json")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(20_000) < peak(2_000) + 100_000


def test_counts_are_those_of_the_crawl() -> None:
    stats: Counter[str] = Counter()
    count_item(stats, item("a", STORED, FAILED))
    count_item(stats, item("b"))
    count_item(stats, item("c", error="http_404"))
    count_item(stats, {"url": "d", "error": "of another's spider"})
    assert stats == {
        "gallery/count": 2,
        "gallery/empty": 1,
        "gallery/failed": 1,
        "gallery/failed/http_404": 1,
        "image/found": 2,
        "image/downloaded": 1,
        "image/failed": 1,
        "image/failed/timeout": 1,
    }


def test_names_of_workers_are_safe_in_names_of_files() -> None:
    assert file_name("host.example-12-ab\n/../é%(x)s") == "host.example-12-ab__..____x_s"
    assert len(file_name("x" * 1000)) == 120
