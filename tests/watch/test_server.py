"""What the server of the page answers, and to whom."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from imgcrawl.exceptions import InputError
from imgcrawl.watch.access import Access, check_token
from imgcrawl.watch.history import MOST, History
from imgcrawl.watch.server import WatchServer
from imgcrawl.watch.state import shown
from imgcrawl.watch.thumbnails import NEW, Thumbnails
from tests.support.watched import TOKEN, FakeCrawl, fill_store

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def serving(crawl: FakeCrawl, store: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server that shows *crawl*."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    watch = WatchServer(
        crawl.look, crawl.ask, crawl.requeue, Thumbnails(store, 10**8, 160_000_000), Access(TOKEN, "127.0.0.1")
    )
    task = asyncio.create_task(watch.serve("127.0.0.1", [0], ready.set_result))
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{await ready}") as client:
            yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def first_event(client: aiohttp.ClientSession) -> dict[str, Any]:
    async with client.get("/events", headers=BEARER) as answer:
        assert answer.content_type == "text/event-stream"
        line = await answer.content.readline()
    event: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
    return event


async def test_only_the_page_itself_with_the_token_may_see_or_steer(tmp_path: Path) -> None:
    crawl = FakeCrawl(tmp_path)
    async with serving(crawl, tmp_path) as client:
        origin = str(client._base_url).rstrip("/")
        right = BEARER | {"Origin": origin, "Content-Type": "application/json"}

        async def status(method: str, path: str, headers: Mapping[str, str], body: str = '{"action": "pause"}') -> int:
            async with client.request(method, path, headers=headers, data=body if method == "POST" else None) as answer:
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "Set-Cookie" not in answer.headers
                assert "Access-Control-Allow-Origin" not in answer.headers
                return answer.status

        # Another name that leads here, and another site in the same browser.
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "2130706433", ""):
            assert await status("GET", "/", {"Host": host}) in {400, 421}, host
            assert await status("POST", "/control", right | {"Host": host, "Origin": f"http://{host}"}) in {400, 421}
        for host in ("localhost", "127.0.0.1:9", "[::1]:80", "192.168.0.7"):
            assert await status("GET", "/", {"Host": host}) == 200, host
        for change in (
            {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": origin[:-1]},
            {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"},
            {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        ):  # fmt: skip
            assert await status("POST", "/control", right | change) == 403, change
        assert await status("POST", "/control", {name: right[name] for name in right if name != "Origin"}) == 403
        assert await status("GET", "/", {"Sec-Fetch-Site": "cross-site"}) == 200  # a link leads to the page
        for path in ("/events", "/picture/0", "/static/watch.js"):
            assert await status("GET", path, BEARER | {"Sec-Fetch-Site": "cross-site"}) == 403

        for wrong in ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \udcff"):
            headers = right | {"Authorization": wrong.encode("utf-8", "surrogateescape").decode("latin-1")}
            assert await status("GET", "/events", headers) == 401, wrong
            assert await status("POST", "/control", headers) == 401, wrong

        for body in ("", "[]", "{}", '{"action": "explode"}', '{"action": "slow"}', '{"action": "slow", "factor": 3}',
                     '{"action": "slow", "factor": "4"}', '{"action": ["pause"]}', "[" * 4000):  # fmt: skip
            assert await status("POST", "/control", right, body) == 400, body
        assert await status("POST", "/control", right, '{"action": "pause"}' + " " * 5000) == 413
        assert await status("GET", "/control", right) == 405
        for path in ("/static/server.py", "/static/..%2fserver.py", "/static/", "/picture/", "/nowhere"):
            assert await status("GET", path, BEARER) == 404, path
        assert crawl.asked == []

        assert await status("POST", "/control", right | {"Sec-Fetch-Site": "same-origin"}) == 200
        assert crawl.asked == [{"paused": True}]


async def test_thumbnails_are_of_stored_images_only_and_drawn_anew(tmp_path: Path) -> None:
    store, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    fill_store(store, 3)
    fill_store(elsewhere, 3)
    Image.new("RGBA", (300, 900), (9, 9, 9, 0)).save(store / "clear.png")
    (store / "page.jpg").write_text("<script>alert(1)</script>")
    (store / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (store / "link.jpg").symlink_to(elsewhere / "pximg" / "0.jpg")
    (store / "folder").symlink_to(elsewhere)
    os.mkfifo(store / "pipe.jpg")
    crawl = FakeCrawl(store)
    bad = ["page.jpg", "drawing.svg", "link.jpg", "folder/pximg/0.jpg", "pipe.jpg", "gone.jpg", "pximg"]
    never = [
        "../elsewhere/pximg/0.jpg",
        str(elsewhere / "pximg" / "0.jpg"),
        ".catalogue.sqlite3",
        "",
        "a\0b.jpg",
        "pximg//0.jpg",
        7,
    ]
    good = ["pximg/0.jpg", "clear.png"]
    crawl.now["newest"] = [
        {"path": path, "url": f"https://example.org/{n}", "page": "", "title": str(path), "at": n}
        for n, path in enumerate([*good, *bad, *never])
    ]
    async with serving(crawl, store) as client:
        pictures = (await first_event(client))["pictures"]
        assert len(pictures) == len(good) + len(bad)
        for picture in pictures:
            async with client.get(f"/picture/{picture['key']}") as answer:
                body = await answer.read()
                assert answer.status == 200
                if picture["title"] in good:
                    kind = "png" if picture["title"].endswith("png") else "jpeg"
                    assert answer.content_type == f"image/{kind}"
                    assert body != (store / picture["title"]).read_bytes()
                    with Image.open(io.BytesIO(body)) as small:
                        assert max(small.size) == 224
                else:
                    assert answer.content_type == "image/svg+xml"
                    assert b"script" not in body
        for key in ("0" * 32, "pximg%2f0.jpg", "..%2felsewhere%2fpximg%2f0.jpg"):
            async with client.get(f"/picture/{key}") as answer:
                assert answer.content_type == "image/svg+xml"


def test_a_store_that_the_crawl_names_is_believed_if_a_catalogue_of_ours_is_in_it(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    fill_store(own, 3)
    fill_store(other, 3)
    for name, found in (
        (own, 3),
        (other, 0),
        ("", 0),
        ("other", 0),
        ("s3://bucket/x", 0),
        ("/proc/self", 0),
        ("\0", 0),
    ):
        pictures = Thumbnails(own, 10**8, 160_000_000)
        crawl = FakeCrawl(Path(), images=3)
        assert len(pictures.choose(crawl.now | {"store": str(name)})) == found, name
        pictures.close()
    (other / ".catalogue.sqlite3").touch()
    pictures = Thumbnails(None, 10**8, 160_000_000)
    assert len(pictures.choose(FakeCrawl(other, images=3).now)) == 3
    pictures.close()


def test_of_many_new_images_the_newest_few_are_shown(tmp_path: Path) -> None:
    pictures = Thumbnails(tmp_path, 10**8, 160_000_000)
    crawl = FakeCrawl(tmp_path)
    assert [image["title"] for image in pictures.choose(crawl.now)][4] == "Plate 4"
    new = [{**image, "path": f"new/{n}.jpg", "title": f"New {n}"} for n, image in enumerate(crawl.now["newest"])]
    after = [image["title"] for image in pictures.choose(crawl.now | {"newest": new})]
    assert after[: NEW + 1] == [*(f"New {n}" for n in range(NEW)), crawl.now["newest"][0]["title"]]
    assert len(after) == 24
    pictures.close()


def test_curves_keep_the_whole_run_in_few_points() -> None:
    history = History()
    seen = {"run": "a", "rate": 4.0, "bytes": 0, "images": {"failed": 0, "refused": 0}, "curve": [1.0, 2.0, 3.0]}
    assert history.add(1000.0, seen)
    assert [point[:2] for point in history.points] == [[997.0, 1.0], [998.0, 2.0], [1000.0, 4.0]]
    for n in range(1, 5000):
        now = seen | {"bytes": 2_000_000 * n, "images": {"failed": n, "refused": 0}, "queue": {"queued": n}}
        assert not history.add(1000.0 + n, now)
    assert MOST / 2 <= len(history.points) <= MOST
    assert history.points[0][0] < 1020
    gaps = {b[0] - a[0] for a, b in pairwise(history.points[:-1])}
    assert max(gaps) - min(gaps) <= 1
    assert max(gaps) <= history.step + 1
    when, rate, speed, losing, queued = history.now
    assert (when, rate, queued) == (5999.0, 4.0, 4999)
    assert speed == pytest.approx(2_000_000)
    assert losing == pytest.approx(60)
    assert history.add(6000.0, seen | {"run": "b"})
    assert len(history.points) == 3


def test_what_is_sent_is_printable_finite_and_bounded() -> None:
    deep: Any = "x"
    for _ in range(2000):
        deep = [deep]
    seen = shown(
        {
            "\x1b[1m": [math.nan, math.inf, 10**400, 2**60, -1.5, True, None, b"x", {1}],
            "t": "a\x00\u202e" * 9999,
            "d": deep,
        }
    )
    assert json.loads(json.dumps(seen, allow_nan=False)) == seen
    assert seen["�[1m"] == [None, None, None, None, -1.5, True, None, None, None]
    assert len(seen["t"]) == 2000
    assert seen["t"].isprintable()


@pytest.mark.parametrize(
    "token", ["", "short", "fifteen-letters", "with spaces, and long enough", "zwölf-mal-vier-ist-viel"]
)
def test_a_token_that_can_be_guessed_or_written_in_no_header_is_refused(token: str) -> None:
    with pytest.raises(InputError, match=r"--token: expected at least 16 characters"):
        check_token(token)
