from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from imgcrawl.demo.server import serve
from tests.crawling import start
from tests.sharing import scrapy


def segment(path: Path, *urls: str, torn: str = "") -> None:
    path.write_text("".join(json.dumps({"spider": "s", "url": url}) + "\n" for url in urls) + torn)


def urls(path: Path) -> list[str]:
    return [item["url"] for item in json.loads(path.read_text())]


def test_segments_become_one_feed(tmp_path: Path) -> None:
    segment(tmp_path / "part-1.jsonl", "a", "b", torn='{"spider": "s", "ur')
    segment(tmp_path / "part-2.jsonl", "b", "c")
    code, out, err = scrapy(tmp_path, "merge", "part-1.jsonl", "part-2.jsonl", "-O", "images.json")
    assert (code, out) == (0, "images.json: 3 galleries of 4 items, 1 again\n")
    assert err == "part-1.jsonl: its last line is not complete and was left out\n"
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
        (["a.jsonl", "-O", "s3://bucket/x.json"], "Feed s3://bucket/x.json: expected a local file"),
        (["a.jsonl", "-O", "folder.json"], "Feed folder.json is a folder, a file is needed."),
        (["a.jsonl", "-O", "a.jsonl/x.json"], "Feed "),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    segment(tmp_path / "a.jsonl", "a")
    (tmp_path / "folder.json").mkdir()
    code, out, err = scrapy(tmp_path, "merge", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1


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
