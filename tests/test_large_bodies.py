"""What strangers send in bulk does not stay in memory."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.support.crawling import start
from tests.support.server import JPEG, Answer, Exchange, Misbehaviour, Server

MB = 1_000_000
IMAGES = 8  # of 100 MB
PAGES = 20  # of 1 MB
PIECE = bytes(256 * 1024)


def large(head: bytes, size: int, *, chunked: bool = False) -> Misbehaviour:
    """*head* and zeros, as fast as they are taken."""

    async def large_(exchange: Exchange) -> None:
        kind = "text/html" if head.startswith(b"<") else "image/jpeg"
        if chunked:
            await exchange.head(content_type=kind, connection="close")
        else:
            await exchange.head(content_type=kind, content_length=str(size))
        await exchange.write(head)
        left = size - len(head)
        while left > 0:
            await exchange.write(PIECE[:left])
            left -= len(PIECE)
        if chunked:
            exchange.close()

    return large_


def ordinary_page(number: int) -> Answer:
    """A page of 1 MB as they are: much text and script, some images."""
    images = "".join(f'<p>Words about it.</p><img src="/i/{number}-{part}.jpg">' for part in range(5))
    script = f"<script>var state = {json.dumps(['some state of the page'] * 20_000)};</script>"
    text = "<p>A paragraph with <b>some</b> words in it, and then some more.</p>\n" * 7_000
    html = f"<!doctype html><html><head><title>page {number}</title></head><body>{images}{script}{text}</body></html>"
    return Answer(html.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def peak_rss(pid: int) -> int:
    """Bytes; 0 if the process is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


@pytest.mark.alone
def test_large_images_and_pages_take_no_memory(server: Server, tmp_path: Path) -> None:
    html = b"<!doctype html><html><title>far too large</title>"
    galleries = ["/g/large", "/huge", "/huge-chunked", *(f"/page/{number}" for number in range(PAGES)), "/huge?again"]
    links = "".join(f'<a class="g" href="{path}">a gallery</a>' for path in galleries)
    server.add("/list", f"<html><body>{links}</body></html>".encode(), headers={"Content-Type": "text/html"})
    images = "".join(f'<img src="/large/{number}">' for number in range(IMAGES))
    server.add("/g/large", f"<title>large</title>{images}".encode(), headers={"Content-Type": "text/html"})
    server.add("/huge", large(html, 100 * MB))
    server.add("/huge-chunked", large(html, 100 * MB, chunked=True))
    for number in range(IMAGES):
        server.add(f"/large/{number}", large(JPEG, 100 * MB))
    for number in range(PAGES):
        server.add(f"/page/{number}", lambda request: ordinary_page(int(request.path.rpartition("/")[2])))
        for part in range(5):
            server.add(f"/i/{number}-{part}.jpg", JPEG)
    process = start(
        tmp_path,
        "gallery",
        {"list": server.url("/list"), "galleries": "a.g", "images": "img"},
        CONCURRENT_REQUESTS_PER_DOMAIN="32",
        DOWNLOAD_TIMEOUT="120",
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_rss(process.pid))
        time.sleep(0.02)
    log, _ = process.communicate()
    assert "Traceback" not in log
    items = json.loads((tmp_path / "items.json").read_text("utf-8"))
    outcomes = [image["status"] for item in items for image in item["images"]]
    assert len(items) == len(galleries)
    assert sorted(item["error"] for item in items if item.get("error")) == ["too_large"] * 3
    assert len(outcomes) == IMAGES + 5 * PAGES
    assert set(outcomes) <= {"downloaded", "duplicate"}
    assert 0 < peak < 400 * MB
