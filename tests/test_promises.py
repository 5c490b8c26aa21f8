"""The promises of the README, each kept by a whole crawl: `scrapy crawl pximg` on the replica, and worse sites."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgcrawl.demo.server import Replica, serve
from imgcrawl.items import REASONS
from tests.support.crawling import Crawl, crawl, start, until
from tests.support.server import Server, jpeg

# What the summary of a crawl says last, and its parts.
STATUSES = ("downloaded", "uptodate", "duplicate", "refused", "failed")


def assert_as_served(done: Crawl, replica: Replica, *, again: bool = False) -> None:
    """Every gallery is there once, every address has its true outcome, every file the true bytes."""
    assert Counter(item["url"] for item in done.items) == Counter(gallery["url"] for gallery in replica.galleries)
    titles = {gallery["url"]: gallery["title"] for gallery in replica.galleries}
    truth = {gallery["url"]: gallery["images"] for gallery in replica.galleries}
    for item in done.items:
        assert item["title"] == titles[item["url"]]
        assert item["image_urls"] == [image["clean"] for image in truth[item["url"]]]
        assert [image["url"] for image in item["images"]] == item["image_urls"]
        for image, true in zip(item["images"], truth[item["url"]], strict=True):
            if true["status"] in ("failed", "refused"):
                assert (image["status"], image["reason"]) == (true["status"], true["reason"]), true
                continue
            stored = {"uptodate", "downloaded", "duplicate"} if again else {"downloaded", "duplicate"}
            assert image["status"] in stored, (image, true)
            facts = {name: image[name] for name in ("bytes", "format", "width", "height", "frames", "final_url")}
            assert facts == {name: true[name] for name in facts}
            assert hashlib.sha256(done.files[image["path"]]).hexdigest() == image["checksum"] == true["sha256"]
    assert set(done.files) == {image["path"] for image in done.images if "path" in image}


def test_every_image_of_the_replica_comes_home_bit_for_bit_and_a_second_run_asks_for_none(tmp_path: Path) -> None:
    with serve(galleries=30, images=6, per_page=12, end="first", width=300) as replica:
        first = crawl(tmp_path, "pximg", {"base": replica.base})
        assert first.code == 0, first.log
        assert_as_served(first, replica)
        assert {true["format"] for gallery in replica.galleries for true in gallery["images"]} == {
            "JPEG",
            "PNG",
            "WEBP",
            "GIF",
            "AVIF",
        }
        counts = Counter(image["status"] for image in first.images)
        assert f"images found{sum(counts.values()):8}" in first.log
        for status in STATUSES:
            assert f"{status:10}{counts[status]:8}" in first.log
        assert "Traceback" not in first.log
        # What the summary counts is no warning, and one of each reason stands below it.
        assert not re.search(r"\] (WARNING|ERROR): ", first.log)
        told = first.log.partition("one of each:\n")[2]
        for image in first.images:
            if "reason" in image:
                assert f"  image {image['status']} ({image['reason']}): http" in told

        asked = Counter(replica.stats()["requests"])
        second = crawl(tmp_path, "pximg", {"base": replica.base})
        assert second.code == 0, second.log
        assert_as_served(second, replica, again=True)
        assert second.files == first.files
        stored = {image["url"] for image in first.images if "path" in image}
        again = Counter(replica.stats()["requests"]) - asked
        assert not stored & set(again)
        assert "downloaded" not in {image["status"] for image in second.images}


@pytest.mark.parametrize("end", ["404", "empty"])
def test_the_walk_ends_where_the_list_does(tmp_path: Path, end: str) -> None:
    with serve(galleries=5, images=1, per_page=2, end=end, width=60, misbehave=False) as replica:
        done = crawl(tmp_path, "pximg", {"base": replica.base})
        assert done.code == 0, done.log
        assert len(done.items) == 5
        one = crawl(tmp_path, "pximg", {"base": replica.base, "pages": "1"})
        assert len(one.items) == 2


def test_a_killed_crawl_started_again_is_complete_and_its_feed_is_whole_at_every_moment(tmp_path: Path) -> None:
    with serve(galleries=40, images=4, per_page=10, latency=0.05, width=200) as replica:
        dice = random.Random(7)
        feed = tmp_path / "items.json"
        seen: dict[str, Any] = {}
        for _ in range(4):
            process = start(tmp_path, "pximg", {"base": replica.base}, options=["-o", "items.json"])
            items: list[dict[str, Any]] = []
            goal = dice.randint(1, 8)
            until(feed.exists, 60)
            had = len(json.loads(feed.read_text("utf-8")))
            while len(items) < had + goal and process.poll() is None:
                items = json.loads(feed.read_text("utf-8"))
                seen |= {item["url"]: item for item in items}
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert_no_partial_file(tmp_path, replica)
        assert seen, "no crawl had one gallery"
        done = crawl(tmp_path, "pximg", {"base": replica.base}, options=["-o", "items.json"])
        assert done.code == 0, done.log
        last: dict[str, Any] = {item["url"]: item for item in done.items}
        assert set(seen) <= set(last)
        feed.write_text(json.dumps(list(last.values())), "utf-8")
        assert_as_served(done, replica, again=True)


def assert_no_partial_file(folder: Path, replica: Replica) -> None:
    true = {image["sha256"] for gallery in replica.galleries for image in gallery["images"]}
    for path in (folder / "images").rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        assert hidden or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() in true, path


def test_limits_hold_for_images_and_connections_are_reused(tmp_path: Path) -> None:
    with serve(galleries=55, images=20, per_page=55, latency=0.01, width=60, misbehave=False) as replica:
        done = crawl(tmp_path, "pximg", {"base": replica.base}, CONCURRENT_REQUESTS_PER_DOMAIN=8)
        assert done.code == 0, done.log
        images = replica.stats()["hosts"][replica.image_base]
        assert images["requests"] >= 1000
        assert images["max_in_flight"] <= 8
        assert images["connections"] <= 12


def lag_of(log: str) -> float:
    return float(log.rpartition("event loop lag p99: ")[2].split()[0])


@pytest.mark.alone
def test_the_event_loop_stays_free_while_24_megapixel_images_come_in(server: Server, tmp_path: Path) -> None:
    noise = Image.effect_noise((750, 500), 12).resize((6000, 4000))
    file = io.BytesIO()
    Image.merge("RGB", [noise, noise.transpose(Image.Transpose.ROTATE_180), noise]).save(file, "JPEG", quality=80)
    photo = file.getvalue()
    for number in range(60):
        server.add(f"/{number}.jpg", photo + b"%d" % number)  # what follows an image belongs to the file
    page = json.dumps([{"image_urls": [server.url(f"/{number}.jpg") for number in range(60)]}]).encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    lags = []
    for run in range(6):  # the machine has other work, too: the best of six runs counts
        folder = tmp_path / str(run)
        folder.mkdir()
        extension = '{"tests.spiders.looplag.LoopLag": 0}'
        done = crawl(folder, "items", {"url": server.url("/page")}, EXTENSIONS=extension)
        assert [(image["status"], image["width"]) for image in done.images] == [("downloaded", 6000)] * 60
        lags.append(lag_of(done.log))
        if lags[-1] < 20:
            return
    raise AssertionError(f"the 99th percentile was {lags} ms")


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ({}, "the start page could not be had (http_404)"),
        ({"/topic/nvshen/page/1": (b"", 500)}, "the start page could not be had (http_500)"),
        ({"/topic/nvshen/page/1": (b"<html><body>nothing</body></html>", 200)}, "page one has no galleries"),
        ({"/robots.txt": (b"User-agent: *\nDisallow: /", 200)}, "the start page could not be had (robots)"),
    ],
)
def test_a_crawl_that_found_nothing_says_so(
    server: Server, tmp_path: Path, resources: dict[str, tuple[bytes, int]], sentence: str
) -> None:
    for path, (body, status) in resources.items():
        server.add(path, body, status=status, headers={"Content-Type": "text/html"})
    done = crawl(tmp_path, "pximg", {"base": server.url("")})
    assert done.code == 1
    assert sentence in done.log.splitlines()[-1] or sentence in done.log.splitlines()[-2]
    assert "Traceback" not in done.log
    assert done.items == []


def test_no_network_is_one_sentence_within_seconds(tmp_path: Path) -> None:
    before = time.monotonic()
    done = crawl(tmp_path, "pximg")
    assert done.code == 1
    assert "could not be had" in done.log
    assert "Traceback" not in done.log
    assert time.monotonic() - before < 30


def test_hostile_pages_get_outcomes_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.add("/good.jpg", jpeg(70))
    hostile = [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://127.0.0.1/x",
        "javascript:alert(1)",
        "s3://bucket/key",
        "//",
        "http://",
        "http://[::1",
        "http://user:pass@/x.jpg",
        "http://" + "a" * 70 + ".example/x.jpg",
        "http://\u2028/x",
        "http://127.0.0.1:99999/x.jpg",
        "data:image/png;base64,AAAA",
        "about:blank",
        "\x00",
        "x" * 100_000,
        server.url("/good.jpg"),
    ]
    page = json.dumps([{"title": "../" * 50, "image_urls": hostile}]).encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    done = crawl(tmp_path, "items", {"url": server.url("/page")})
    assert [image["url"] for image in done.images] == hostile
    assert [image["status"] for image in done.images[-1:]] == ["downloaded"]
    for image in done.images[:-1]:
        assert image["status"] in ("refused", "failed"), image
        assert image["reason"] in REASONS[image["status"]], image
    assert "Traceback" not in done.log
    assert list(done.files.values()) == [jpeg(70)]
