"""Large bodies reach the disk as they come, and go on where they broke."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest
from scrapy.crawler import Crawler

from imgcrawl.bodies import BodyFile, MediaRequest
from imgcrawl.downloader import downloader_of
from imgcrawl.failures import reason_of
from imgcrawl.images.filters import ImageFilters
from tests.support.asking import crawl
from tests.support.server import Exchange, Misbehaviour, Server

BODY = random.Random(7).randbytes(5_000_000)
OTHER = BODY[::-1]
PART = 1_500_000


def breaks(
    *,
    etag: str = '"one"',
    stalls: bool = False,
    offset: int = 0,
    body: bytes = BODY,
    part: int = PART,
    says: str = "",
    short: bool = False,
) -> Misbehaviour:
    """Sends *part* bytes, then no more; knows ranges, and answers them from *offset* bytes further on, as those of
    what it *says* is another version, or with *short* ones, each whole in itself."""

    async def breaks_(exchange: Exchange) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", exchange.request.headers.get("range", ""))
        start = int(asked[1]) if asked and exchange.request.headers.get("if-range") == etag else 0
        if start:
            start += offset
            end = min(start + part, len(body)) if short else len(body)
            await exchange.head(
                206,
                content_length=str(end - start),
                content_range=f"bytes {start}-{end - 1}/{len(body)}",
                etag=says or etag,
            )
            if short:
                await exchange.write(body[start:end])
                return
        else:
            await exchange.head(200, content_length=str(len(body)), etag=etag)
        await exchange.write(body[start : start + part])
        if start + part < len(body):
            if stalls:
                await asyncio.sleep(3600)
            exchange.close()

    return breaks_


async def received(
    server: Server, folder: Path, filters: ImageFilters | None = None, *, path: str = "/a.jpg", **settings: object
) -> tuple[BodyFile, object]:
    body_file = BodyFile(lambda: folder / "body", filters=filters)
    outcomes: list[object] = []

    async def script(crawler: Crawler) -> None:
        request = MediaRequest(server.url(path), meta={"media": True}, body_file=body_file)
        try:
            outcomes.append((await downloader_of(crawler).download(request)).status)
        except Exception as error:
            outcomes.append(reason_of(error)[1])
        outcomes.append(crawler.stats.get_value("retry/count", 0))

    await crawl(script, **settings)
    return body_file, tuple(outcomes)


@pytest.mark.parametrize(
    ("part", "outcome"),
    [("", 206), (f"bytes 0-{len(BODY) - 1}/{len(BODY)}", 206), ("bytes 9-18/99", "connection")],
)
async def test_what_was_not_asked_for_as_a_part_is_whole_unless_it_says_that_it_is_one(
    server: Server, tmp_path: Path, part: str, outcome: object
) -> None:
    async def partial(exchange: Exchange) -> None:
        await exchange.head(206, content_length=str(len(BODY)), **({"content_range": part} if part else {}))
        await exchange.write(BODY)

    server.add("/a.jpg", partial)
    body_file, outcomes = await received(server, tmp_path, RETRY_ENABLED=False, RETRY_TIMES=0)
    assert outcomes == (outcome, 0)
    assert not body_file.is_written or body_file.path.read_bytes() == BODY


@pytest.mark.parametrize("how", [{}, {"stalls": True}, {"short": True}])
async def test_a_large_body_goes_on_where_it_broke(server: Server, tmp_path: Path, how: dict[str, Any]) -> None:
    server.add("/a.jpg", breaks(**how))
    body_file, outcome = await received(server, tmp_path, RETRY_TIMES=0, DOWNLOAD_TIMEOUT=2)
    assert outcome == (200, 0), "none of it counts as a retry"
    assert body_file.is_written
    assert body_file.path.read_bytes() == BODY
    first, *ranges = [request.headers.get("range", "") for request in server.requests]
    assert first == ""
    offsets = [int(each.removeprefix("bytes=").removesuffix("-")) for each in ranges]
    assert len(offsets) >= 3
    assert offsets == sorted(set(offsets)), "each brought more"


@pytest.mark.parametrize("etag", ['W/"weak"', ""])
async def test_what_has_no_version_is_had_as_a_whole_or_not(server: Server, tmp_path: Path, etag: str) -> None:
    server.add("/a.jpg", breaks(etag=etag))
    _, outcome = await received(server, tmp_path, RETRY_TIMES=2)
    assert outcome == ("truncated", 2)
    assert not [request for request in server.requests if "range" in request.headers]


async def test_a_small_body_goes_on_where_it_broke_too(server: Server, tmp_path: Path) -> None:
    """With a retry for each answer that brought little, and without one for each that brought more."""
    for part, retries in ((100_000, 0), (300, 3)):
        body = BODY[: 4 * part]
        server.add(f"/{part}.jpg", breaks(body=body, part=part))
        body_file, outcome = await received(server, tmp_path, path=f"/{part}.jpg", RETRY_TIMES=retries)
        assert outcome == (200, retries)
        assert body_file.path.read_bytes() == body
        asked = [request.headers.get("range") for request in server.requests if request.path == f"/{part}.jpg"]
        assert asked == [None, *(f"bytes={n * part}-" for n in (1, 2, 3))]


async def test_a_new_version_begins_anew(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", breaks(), times=1)
    server.add("/a.jpg", OTHER, headers={"ETag": '"two"'})
    body_file, outcome = await received(server, tmp_path, RETRY_TIMES=0)
    assert outcome == (200, 0)
    assert server.requests[-1].headers["if-range"] == '"one"'
    assert body_file.path.read_bytes() == OTHER


@pytest.mark.parametrize("other", [{"offset": 5}, {"says": '"two"', "body": OTHER}])
async def test_a_part_that_was_not_asked_for_is_not_joined(
    server: Server, tmp_path: Path, other: dict[str, Any]
) -> None:
    server.add("/a.jpg", breaks(), times=1)
    server.add("/a.jpg", breaks(**other), times=1)
    server.add("/a.jpg", BODY)
    body_file, outcome = await received(server, tmp_path, RETRY_TIMES=1)
    assert outcome == (200, 1)
    assert body_file.path.read_bytes() == BODY


@pytest.mark.parametrize("status", [200, 206, 416])
async def test_a_server_that_begins_once_more_each_time_is_not_asked_for_ever(
    server: Server, tmp_path: Path, status: int
) -> None:
    whole = {206: {"content_range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}, 416: {"content_range": f"bytes */{PART}"}}

    async def breaks_(exchange: Exchange) -> None:
        is_rest = "range" in exchange.request.headers
        body = b"" if is_rest and status == 416 else BODY
        said = whole.get(status, {}) if is_rest else {}
        await exchange.head(status if is_rest else 200, content_length=str(len(body)), etag='"one"', **said)
        await exchange.write(body[:PART])
        exchange.close()

    server.add("/a.jpg", breaks_, times=12)
    server.add("/a.jpg", BODY)
    _, outcome = await received(server, tmp_path, RETRY_TIMES=2)
    assert outcome == ("connection" if status == 416 else "truncated", 2)
    assert len(server.requests) <= 6


async def test_a_small_body_stays_in_memory(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", BODY[:1000])
    body_file, outcome = await received(server, tmp_path)
    assert outcome == (200, 0)
    assert not body_file.is_written
    assert not body_file.path.exists()


async def test_a_body_without_a_length_is_bounded_on_its_way_to_the_disk(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", server._resource("/endless"))
    _, outcome = await received(server, tmp_path, DOWNLOAD_MAXSIZE=3_000_000)
    assert outcome == ("too_large", 0)


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("text/html", 500, (200, 0)),
        ("Application/JSON; charset=utf-8", 500, (200, 0)),
        ("image/jpeg", 500, ("too_small", 0)),
        ("image/jpeg", 0, (200, 1)),  # it is empty, and asked for once more
    ],
)
async def test_the_length_of_a_page_in_place_of_an_image_is_not_judged(
    server: Server, tmp_path: Path, kind: str, size: int, expected: object
) -> None:
    server.add("/a.jpg", b"x" * size, headers={"Content-Type": kind})
    _, outcome = await received(server, tmp_path, ImageFilters(min_bytes=1000), RETRY_DELAY=0.01)
    assert outcome == expected
