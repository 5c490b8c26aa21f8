from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crawling import ROOT, crawl
from tests.support.server import JPEG, Server, reset


def failed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scrapy", "failed", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


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
    lines = told.stdout.splitlines()
    assert sorted(zip(lines[::2], lines[1::2], strict=True)) == [
        ("# connection on url:3", urls[2]),
        ("# http_404 on url:2", urls[1]),
    ]
    assert "# scheme on url:4\nftp://x/a.jpg\n" in failed("--refused", str(tmp_path / feed)).stdout

    (tmp_path / "failed.txt").write_text(told.stdout)
    server.add("/gone.jpg", JPEG + b"\0")
    server.forget()
    again = crawl(tmp_path, "urls", {"file": "failed.txt", "base": server.url("").rstrip("/")}, RETRY_TIMES="0")
    assert set(server.paths()) == {"/broken.jpg", "/gone.jpg"}
    assert sorted(image["status"] for image in again.images) == ["downloaded", "failed"]


def test_pages_are_listed_as_comments(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text(
        '{"url": "http://x/1", "error": "timeout", "images": []}\n'
        '{"url": "http://x/2", "images": [], "failed_pages": [{"url": "http://x/2/3", "reason": "http_500"}]}\n'
    )
    assert failed(str(feed)).stdout == (
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
