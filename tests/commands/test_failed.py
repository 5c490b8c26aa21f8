from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.commands.failed import items_of
from imgcrawl.exceptions import InputError
from tests.support import processes
from tests.support.crawling import ROOT, crawl
from tests.support.server import JPEG, Server, reset


def failed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scrapy", "failed", *arguments]
    return processes.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("feed", ["feed.json", "feed.jsonl"])
def test_what_failed_can_be_listed_and_tried_again(server: Server, tmp_path: Path, feed: str) -> None:
    server.add("/good.jpg", JPEG)
    server.add("/gone.jpg", status=404)
    server.add("/broken.jpg", reset)
    urls = [server.url(path) for path in ("/good.jpg", "/gone.jpg", "/broken.jpg")]
    arguments = {"url": ",".join([*urls, "ftp://x/a.jpg"])}
    crawl(tmp_path, "urls", arguments, RETRY_TIMES="0", options=["-O", feed])

    told = failed(str(tmp_path / feed))
    assert (told.returncode, told.stderr) == (0, "")
    lines = sorted((json.loads(line) for line in told.stdout.splitlines()), key=lambda line: line["url"])
    assert [(line["url"], line["image_urls"], line["failed"], line["image_paths"]) for line in lines] == [
        ("url:2", urls[1:2], ["http_404"], ["urls/127.0.0.1/gone"]),
        ("url:3", urls[2:], ["connection"], ["urls/127.0.0.1/broken"]),
    ]
    assert '["ftp://x/a.jpg"]' in failed("--refused", str(tmp_path / feed)).stdout
    told_as_text = failed("--urls", str(tmp_path / feed)).stdout
    assert f"# http_404 on url:2\n{urls[1]}\n" in told_as_text
    assert len(told_as_text.splitlines()) == 4

    (tmp_path / "failed.txt").write_text(told.stdout)  # whatever it is called
    server.add("/gone.jpg", JPEG + b"\0")
    server.forget()
    again = crawl(tmp_path, "urls", {"file": "failed.txt", "base": server.url("").rstrip("/")}, RETRY_TIMES="0")
    assert set(server.paths()) == {"/broken.jpg", "/gone.jpg"}
    assert sorted(image["status"] for image in again.images) == ["downloaded", "failed"]
    assert sorted(item["url"] for item in again.items) == ["url:2", "url:3"]


def test_videos_are_tried_again_by_their_own_spider(server: Server, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("first,http://x/1.mp4\nsecond,http://x/2.mp4\n")
    options = {"RETRY_TIMES": "0", "VERDICT_MAX_FAILED": "1"}
    base = server.url("").rstrip("/")
    crawl(tmp_path, "douyin", {"file": "list.csv", "base": base}, **options)
    (tmp_path / "again.jsonl").write_text(failed(str(tmp_path / "items.json")).stdout)
    again = crawl(tmp_path, "douyin", {"file": "again.jsonl", "base": base}, **options)
    found = {(item["url"], item["name"], item["videos"][0]["requested_path"]) for item in again.items}
    assert found == {("list.csv:1", "first", "douyin/first"), ("list.csv:2", "second", "douyin/second")}


def test_pages_are_told_beside_the_list(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text(
        '{"url": "http://x/1", "error": "timeout", "images": []}\n'
        '{"url": "http://x/2", "images": [], "failed_pages": [{"url": "http://x/2/3", "reason": "http_500"}]}\n'
    )
    told = failed(str(feed))
    assert (told.stdout, told.stderr) == (
        "",
        "a page: timeout: http://x/1\na sub-page: http_500 on http://x/2: http://x/2/3\n",
    )
    assert failed("--urls", str(feed)).stdout == (
        "# a page: timeout\n# http://x/1\n# a sub-page: http_500 on http://x/2\n# http://x/2/3\n"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: [Errno 2] No such file or directory"),
        (b"url,images\nx,y\n", ", line 1: expected a feed with an item a line, .json or .jsonl"),
        (b"\xff\xfe", "cannot be read: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_bad_input(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    feed = tmp_path / "feed"
    if content is not None:
        feed.write_bytes(content)
    told = failed(str(feed))
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1)
    assert sentence in told.stderr


@pytest.mark.parametrize(
    "item",
    [
        *({"images": images} for images in (5, [1], [{}], [{"url": 1, "status": "failed"}], {"url": "http://x/"})),
        {"images": [{"url": "http://x/", "status": "failed"}]},
        {"images": [{"url": "http://x/", "status": "failed", "reason": ["timeout"]}]},
        {"failed_pages": [{"url": "http://x/"}]},
        {"videos": [{"url": "http://x/", "status": "failed", "reason": "x"}], "video_pages": "http://x/"},
    ],
)
def test_a_feed_of_somebody_else_is_one_sentence(tmp_path: Path, item: dict[str, Any]) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text(json.dumps({"url": "http://x/"}) + "\n" + json.dumps(item))
    with pytest.raises(InputError, match="line 2: expected a feed with an item a line"):
        list(items_of(feed))


def test_a_line_without_an_end_is_not_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcrawl.commands.failed.MAX_LINE", 1000)
    feed = tmp_path / "feed.jsonl"
    feed.write_text('{"url": "' + "x" * 3000)
    with pytest.raises(InputError, match="line 1: expected a feed"):
        list(items_of(feed))
