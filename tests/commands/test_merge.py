from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from imgcrawl.demo.server import serve
from tests.support.crawling import start
from tests.support.sharing import scrapy


def segment(path: Path, *urls: str, torn: str = "") -> None:
    path.write_text("".join(json.dumps({"spider": "s", "url": url}) + "\n" for url in urls) + torn)


def urls(path: Path) -> list[str]:
    return [item["url"] for item in json.loads(path.read_text())]


def test_segments_become_one_feed(tmp_path: Path) -> None:
    segment(tmp_path / "part-1.jsonl", "a", "b", torn='{"spider": "s", "ur')
    segment(tmp_path / "part-2.jsonl", "b", "c")
    code, out, err = scrapy(tmp_path, "merge", "part-1.jsonl", "part-2.jsonl", "-O", "images.json")
    assert (code, out) == (0, "images.json: 3 galleries of 4 items, 1 again\n")
    assert err == "part-1.jsonl: its last line is not complete, and what is missing was left out\n"
    assert urls(tmp_path / "images.json") == ["a", "b", "c"]

    segment(tmp_path / "part-3.jsonl", "d", "a")
    assert scrapy(tmp_path, "merge", "part-3.jsonl", "-o", "images.json")[0] == 0
    assert urls(tmp_path / "images.json") == ["a", "b", "c", "d"]
    assert scrapy(tmp_path, "merge", "part-3.jsonl", "-O", "images.json")[0] == 0
    assert urls(tmp_path / "images.json") == ["d", "a"]


def test_broken_lines_are_told_and_are_not_all_right(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"url": "a"}\n\x1b[2Jnonsense\n{"url": "b"}\n')
    code, out, err = scrapy(tmp_path, "merge", "a.jsonl", "-O", "images.csv")
    assert (code, out) == (1, "images.csv: 2 galleries of 2 items\n")
    assert err.startswith("a.jsonl, line 2 is no item and was left out")
    assert "\x1b" not in err
    assert (tmp_path / "images.csv").read_text().split() == ["url", "a", "b"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-O", "x.json"], "scrapy merge: expected segments, as in scrapy merge part-*.jsonl -O images.json"),
        (["a.jsonl"], "scrapy merge: expected a feed to write, as in -O images.json"),
        (["part-*.jsonl", "-O", "x.json"], "part-*.jsonl: No such file or directory; expected a feed"),
        (["a.jsonl", "-O", "x.xyz"], "Unrecognized output format 'xyz'"),
        (["a.jsonl", "-O", "x.json", "-o", "y.json"], "Please use only one of -o/--output and -O/--overwrite-output"),
        (["a.jsonl", "-o", "s3://bucket/x.json"], "Feed s3://bucket/x.json: expected a local file"),
        (
            ["a.jsonl", "-O", "ftp://me:secret@127.0.0.1:1/x.xml"],
            "A feed could not be written: Error storing xml feed (1 items) in: ftp://127.0.0.1:1/x.xml: Connect",
        ),
        (["a.jsonl", "-O", "folder.json"], "Feed folder.json is a folder, a file is needed."),
        (["a.jsonl", "-O", "a.jsonl/x.json"], "Feed a.jsonl/x.json cannot be written: Not a directory."),
        (["a.jsonl", "-O", f"{'x' * 300}.json"], f"Feed {'x' * 300}.json cannot be written: File name too long."),
        (["a.jsonl", "-O", "loop.json"], "Feed loop.json cannot be written: Too many levels of symbolic links."),
        (["a.jsonl", "-O", "fifo.json"], "Feed fifo.json is a pipe or a device, a file is needed."),
        (["a.jsonl", "-O", ":json"], "Feed '': expected the name of a file"),
        (["a.jsonl", "-O", "%(time)s.json"], "Feed %(time)s.json: expected a name without %(...)s"),
        (["a.jsonl", "-O", "file://tmp/x.json"], "Feed file://tmp/x.json: expected a local file, as in "),
        (["a.jsonl", "-O", "file:x%00.json"], "Feed 'file:x%00.json': expected the name of a file"),
        (["a.jsonl", "-o", "there.csv"], "Feed there.csv: scrapy merge cannot add to csv; -O replaces it"),
        ([".", "-O", "x.json"], ". is a folder; expected a feed: JSON Lines or a JSON array"),
        (["/", "-O", "x.json"], "/ is a folder; expected a feed"),
        (["a.jsonl", "folder.json", "-O", "x.json"], "folder.json is a folder; expected a feed"),
        (["fifo.json", "-O", "x.json"], "fifo.json is a pipe or a device; expected a feed"),
        (
            ["rows.csv", "-O", "x.json"],
            "rows.csv holds not one item in JSON; expected a feed: JSON Lines or a JSON arr",
        ),
        (["", "-O", "x.json"], "Feed '': expected the name of a file"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    segment(tmp_path / "a.jsonl", "a")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "there.csv").write_text("url\r\n")
    (tmp_path / "rows.csv").write_text("url,title\r\nhttps://example.org/1,One\r\n")
    os.mkfifo(tmp_path / "fifo.json")
    code, out, err = scrapy(tmp_path, "merge", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert not (tmp_path / "x.json").exists()


def test_addresses_of_files_are_those_of_scrapy(tmp_path: Path) -> None:
    segment(tmp_path / "a 1.jsonl", "a")
    folder = tmp_path.as_uri()
    assert scrapy(tmp_path, "merge", f"{folder}/a%201.jsonl", "-O", f"{folder}/new/o8%20x.json")[0] == 0
    assert urls(tmp_path / "new" / "o8 x.json") == ["a"]


def test_the_json_feed_of_a_killed_crawl_is_taken_with_its_journal(tmp_path: Path) -> None:
    with serve(galleries=40, images=2, per_page=20, latency=0.1, width=60, misbehave=False) as replica:
        process = start(tmp_path, "pximg", {"base": replica.base}, options=["-O", "images.json"])
        journal = tmp_path / ".images.json.journal"
        until = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b'"spider"') < 5:
            assert time.monotonic() < until and process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        fed = journal.read_bytes().count(b'"spider"')
        code, out, err = scrapy(tmp_path, "merge", "images.json", "-O", "merged.json")
        assert code == 0, err
        # What is in the journal is in the feed; its last item may have been cut.
        assert fed - 1 <= len(urls(tmp_path / "merged.json")) <= fed + 1, out
        assert not journal.exists()
