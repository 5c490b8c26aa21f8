"""The replica answers exactly as its truth says: a patient, polite client that is not Scrapy goes through all of it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from parsel import Selector
from PIL import Image
from protego import Protego
from w3lib.url import safe_url_string

import imgcrawl
from imgcrawl.demo.pximg import BEHAVIOUR_CYCLE, NASTY
from imgcrawl.demo.server import SITES, Replica, serve
from imgcrawl.demo.site import SLOW
from imgcrawl.exceptions import InputError

ROOT = Path(imgcrawl.__file__).parents[1]
SMALL = {"galleries": 12, "per_page": 5, "width": 90}  # 84 images: every format and behaviour


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with serve(**SMALL) as running:
        yield running


async def text(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url) as response:
        return response.status, await response.text()


async def outcome(session: aiohttp.ClientSession, url: str, referer: str, robots: Protego) -> tuple[Any, ...]:
    """(status, reason, sha256, final address) of an image, as a client sees it that tries twice."""
    if not robots.can_fetch(url, "imgcrawl"):
        return "refused", "robots", None, url
    for _ in range(2):
        try:
            async with session.get(url, headers={"Referer": referer}) as response:
                body, status, final = await response.read(), response.status, str(response.url)
        except aiohttp.ClientPayloadError:
            continue
        if status in (429, 503):
            await asyncio.sleep(int(response.headers.get("Retry-After", 0)))
            continue
        break
    if not 200 <= status < 300:
        return "failed", f"http_{status}", None, final
    if body.startswith(b"<!DOCTYPE"):
        return "failed", "html", None, final
    try:
        Image.open(io.BytesIO(body)).load()
    except (OSError, SyntaxError):
        return "failed", "truncated", None, final
    return "downloaded", None, hashlib.sha256(body).hexdigest(), final


async def test_every_image_answers_as_the_truth_says(replica: Replica) -> None:
    shown = [(gallery["url"], image) for gallery in replica.galleries for image in gallery["images"]]
    assert {image["behaviour"] for _, image in shown} == {"good", *BEHAVIOUR_CYCLE.values()}
    assert {image["format"] for _, image in shown} == {"JPEG", "PNG", "WEBP", "GIF", "AVIF"}
    seen: set[str] = set()
    async with aiohttp.ClientSession() as session:
        robots = Protego.parse((await text(session, f"{replica.image_base}/robots.txt"))[1])
        for page, image in shown:
            status, reason, sha256, final = await outcome(session, image["clean"], page, robots)
            if sha256 in seen:
                status = "duplicate"
            assert (status, reason) == (image["status"], image["reason"]), image
            assert final == image["final_url"]
            if sha256:
                seen.add(sha256)
                assert sha256 == image["sha256"]


async def test_the_pages_show_what_the_truth_says(replica: Replica) -> None:
    links: list[str] = []
    async with aiohttp.ClientSession() as session:
        for number in (1, 2, 3):
            url = f"{replica.base}/topic/nvshen/page/{number}"
            page = Selector((await text(session, url))[1])
            found = page.xpath("//div[contains(@class, 'camLiTitleC')]/p/a/@href").getall()
            assert len(found) == (5, 5, 2)[number - 1]
            links += [aiohttp.client.URL(url).join(aiohttp.client.URL(link)).human_repr() for link in found]
            assert len(page.xpath("//li/a[@class='itemimg']/img/@src")) == len(found)
        assert links == [gallery["url"] for gallery in replica.galleries]
        for gallery in replica.galleries:
            page = Selector((await text(session, gallery["url"]))[1])
            assert page.xpath("//li/a/img/@src").getall() == [image["address"] for image in gallery["images"]]
            assert page.xpath("normalize-space((//h2 | //title[not(//h2)])[1])").get() == gallery["title"]


async def test_links_and_addresses_are_of_every_kind(replica: Replica) -> None:
    addresses = [image["address"] for gallery in replica.galleries for image in gallery["images"]]
    for start in ("http://", "//", "/wp-content"):
        assert any(address.startswith(start) for address in addresses), start
    assert {"x-oss-process" in address for address in addresses} == {True, False}
    async with aiohttp.ClientSession() as session:
        page = Selector((await text(session, f"{replica.base}/topic/nvshen/page/1"))[1])
    links = page.xpath("//div[contains(@class, 'camLiTitleC')]/p/a/@href").getall()
    for start in ("http://", "//", "/3", "../"):
        assert any(link.startswith(start) for link in links), start
    assert len(set(page.xpath("//div[contains(@class, 'camLiTitleC')]/@class").getall())) > 2


async def test_the_reduced_copy_is_not_the_original(replica: Replica) -> None:
    image = next(i for g in replica.galleries for i in g["images"] if i["behaviour"] == "good" and "?" in i["address"])
    async with (
        aiohttp.ClientSession() as session,
        session.get(image["clean"] + "?" + urlsplit(image["address"]).query) as response,
    ):
        body = await response.read()
    assert Image.open(io.BytesIO(body)).format == "WEBP"
    assert hashlib.sha256(body).hexdigest() != image["sha256"]


async def test_an_image_that_is_known_is_not_sent_again(replica: Replica) -> None:
    url = next(i["clean"] for g in replica.galleries for i in g["images"] if i["behaviour"] == "good")
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            etag = response.headers["ETag"]
        async with session.get(url, headers={"If-None-Match": etag}) as response:
            assert (response.status, await response.read()) == (304, b"")


def test_the_truth_of_another_process_is_the_same(replica: Replica) -> None:
    def facts(running: Replica) -> str:
        text = json.dumps(running.truth)
        return text.replace(urlsplit(running.image_base).netloc, "image").replace(urlsplit(running.base).netloc, "page")

    with serve(**SMALL) as again, serve(**SMALL, seed="another") as other:
        assert facts(again) == facts(replica)
        assert facts(other) != facts(replica)


def test_the_full_replica_is_as_large_and_as_nasty_as_promised() -> None:
    with serve(width=40) as full:
        galleries = full.galleries
    images = [image for gallery in galleries for image in gallery["images"]]
    good = sum(image["status"] == "downloaded" for image in images)
    bad = sum(image["status"] == "failed" for image in images)
    assert len(galleries) > 3 * 24
    assert good >= 500
    assert 0.03 < bad / len(images) < 0.06
    assert set(NASTY) <= {gallery["title"].removesuffix(" - pximg") for gallery in galleries}
    assert len({image["clean"] for image in images}) == len(images)
    twins = sum(image["behaviour"] == "twin" for image in images)
    assert len({image["sha256"] for image in images}) == len(images) - twins


def test_a_replica_can_be_without_faults() -> None:
    with serve(galleries=5, images=3, width=40, misbehave=False) as good:
        images = [image for gallery in good.galleries for image in gallery["images"]]
    assert [image["status"] for image in images] == ["downloaded"] * 15


@pytest.mark.parametrize(("end", "expected"), [("404", (404, 0)), ("empty", (200, 0)), ("first", (200, 2))])
async def test_past_the_last_page(end: str, expected: tuple[int, int]) -> None:
    with serve(galleries=3, images=1, per_page=2, width=40, end=end) as short:
        async with aiohttp.ClientSession() as session:
            status, page = await text(session, f"{short.base}/topic/nvshen/page/3")
            assert (status, page.count('class="itemimg"')) == expected
            assert (await text(session, f"{short.base}/topic/nosuch/page/1"))[0] == 404


async def test_it_counts_requests_connections_and_what_is_in_flight() -> None:
    with serve(galleries=5, images=2, width=40, misbehave=False, latency=0.3) as counting:
        urls = [image["clean"] for gallery in counting.galleries for image in gallery["images"]]
        urls = [url for url in urls if url.startswith(counting.image_base)][:6]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=3)) as session:
            start = time.monotonic()
            await asyncio.gather(*(text_of(session, url) for url in urls))
            assert time.monotonic() - start >= 0.6
            await text_of(session, urls[0])
        stats = counting.stats()
    assert stats["requests"] == {url: 2 if url == urls[0] else 1 for url in urls}
    true = {image["clean"]: image["sha256"] for gallery in counting.galleries for image in gallery["images"]}
    assert stats["sent"] == {url: true[url] for url in urls}
    assert stats["hosts"][counting.image_base] == {"requests": 7, "max_in_flight": 3, "connections": 3}
    assert stats["hosts"][counting.base] == {"requests": 0, "max_in_flight": 0, "connections": 0}


async def text_of(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        return await response.read()


async def test_a_slow_image_takes_its_time(replica: Replica) -> None:
    url = next(i["clean"] for g in replica.galleries for i in g["images"] if i["behaviour"] == "slow")
    async with aiohttp.ClientSession() as session:
        start = time.monotonic()
        await text_of(session, url)
        assert SLOW <= time.monotonic() - start < SLOW + 5


async def test_the_gate_opens_for_the_gallerys_page_alone(replica: Replica) -> None:
    page, url = next(
        (g["url"], i["clean"]) for g in replica.galleries for i in g["images"] if i["behaviour"] == "gated"
    )
    async with aiohttp.ClientSession() as session:
        for referer, status in (("", 403), (replica.base + "/", 403), (page, 200)):
            async with session.get(url, headers={"Referer": referer}) as response:
                assert response.status == status


async def test_strange_paths_are_not_found(replica: Replica) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/../../etc/passwd", "/%2e%2e/x", "/topic/nvshen/page/0", "/topic/nvshen/page/" + "9" * 300, "/ä"):
            assert (await text(session, replica.base + safe_url_string(path)))[0] == 404, path
        assert (await text(session, replica.base + "/"))[0] == 200


# ---- the process ------------------------------------------------------------------------------------------


def listens(base: str) -> bool:
    parts = urlsplit(base)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def gone_within(base: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while listens(base) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not listens(base)


def started(*arguments: str, stdin: int = subprocess.PIPE) -> tuple[subprocess.Popen[bytes], str]:
    command = [sys.executable, "-m", "imgcrawl.demo", "--galleries=1", "--width=40", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE)
    assert process.stdout
    return process, json.loads(process.stdout.readline())["base"]


def test_it_ends_with_its_context() -> None:
    with serve(galleries=1, width=40) as short:
        assert listens(short.base)
        assert listens(short.image_base)
    assert not listens(short.base)


def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "import time; from imgcrawl.demo.server import serve\n"
        "with serve(galleries=1, width=40) as r: print(r.base, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        base = parent.stdout.readline().decode().strip()
        assert listens(base)
        parent.kill()
    assert gone_within(base, 10)


def test_it_ends_when_stdin_is_closed() -> None:
    process, base = started()
    with process:
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0
    assert not listens(base)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_a_signal_and_not_for_want_of_a_pipe(number: int) -> None:
    process, base = started(stdin=subprocess.DEVNULL)
    with process:
        assert listens(base)
        os.kill(process.pid, number)
        assert process.wait(10) == 0


def test_errors_are_sentences() -> None:
    with serve(galleries=1, width=40) as first:
        port = urlsplit(first.base).port or 0
        with (
            pytest.raises(
                InputError, match=rf"^The replica cannot use port {port} of 127.0.0.1: Address already in use"
            ),
            serve(port=port),
        ):
            pass
    for options, sentence in (
        ({"site": "nosuch"}, f"There is no replica of 'nosuch'; there is one of: {', '.join(sorted(SITES))}."),
        ({"port": 70000}, "The replica's port is 70000, but must be 0 (any free one) to 65535."),
        ({"galleries": 0}, "The replica's galleries is 0, but must be 1 or more."),
        ({"end": "never"}, "The replica's end is 'never', but must be one of 404, empty, first."),
    ):
        with pytest.raises(InputError) as caught, serve(**options):
            pass
        assert str(caught.value) == sentence
