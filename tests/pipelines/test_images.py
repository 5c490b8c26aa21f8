"""The images pipeline in real crawls against a real server."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import json
import sqlite3
import threading
import time
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.http import Response

from tests.commands.test_nights import command
from tests.support import asking
from tests.support.crawling import Crawl, crawl, project_settings, until
from tests.support.processes import patience
from tests.support.server import (
    JPEG,
    Answer,
    Exchange,
    Misbehaviour,
    Server,
    jpeg,
    redirect,
    reset,
    too_many_requests,
)


def picture(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", frames: int = 1, **options: Any) -> bytes:
    """A file of the format *kind* that no other size or mode gives."""
    images = []
    for number in range(frames):
        image = Image.new(mode, size)
        ImageDraw.Draw(image).ellipse(
            (number, 2, size[0] - 5, size[1] - 3), fill=tuple([180, 90, 30, 128][: len(mode)])
        )
        images.append(image)
    file = io.BytesIO()
    extra = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(file, kind, **extra, **options)
    return file.getvalue()


def serve(server: Server, *galleries: dict[str, Any], path: str = "/page") -> dict[str, str]:
    """Let the server show *galleries*; the argument that makes the spider `items` read them."""
    server.add(path, json.dumps(galleries).encode(), headers={"Content-Type": "application/json"})
    return {"url": server.url(path)}


def run(server: Server, folder: Path, *galleries: dict[str, Any], **settings: Any) -> Crawl:
    if any("url" in gallery for gallery in galleries):  # such a page was never asked for: it may name no private host
        settings = {"PRIVATE_HOSTS_ALLOWED": "127.0.0.1", **settings}
    return crawl(folder, "items", serve(server, *galleries), **settings)


def outcomes(done: Crawl) -> list[tuple[str, str]]:
    return [(image["status"], image.get("reason") or image.get("path")) for image in done.images]


FORMATS = {
    "photo.jpg": picture(
        "JPEG",
        exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00",
    ),
    "alpha.png": picture("PNG", mode="RGBA"),
    "moving.gif": picture("GIF", frames=3),
    "moving.webp": picture("WEBP", frames=3, mode="RGBA"),
    "moving.png": picture("PNG", (61, 40), frames=3),
    "still.avif": picture("AVIF"),
    "scan.tif": picture("TIFF"),
}


def test_stores_what_was_served_bit_for_bit_under_the_extension_of_its_bytes(server: Server, tmp_path: Path) -> None:
    for number, body in enumerate(FORMATS.values()):
        server.add(f"/{number}.php?x=.exe", body, headers={"Content-Type": "text/plain", "ETag": f'"{number}"'})
    urls = [server.url(f"/{number}.php?x=.exe") for number in range(len(FORMATS))]

    done = run(server, tmp_path, {"title": "Ünïcode / 写真", "image_urls": urls})

    assert done.code == 0, done.log
    extensions = [Path(name).suffix for name in FORMATS]
    assert done.files == {
        f"items/Ünïcode _ 写真/{number:03}{extension}": body
        for number, (extension, body) in enumerate(zip(extensions, FORMATS.values(), strict=True), start=1)
    }
    for number, (image, body) in enumerate(zip(done.images, FORMATS.values(), strict=True)):
        assert image["url"] == image["final_url"] == urls[number]
        assert image["status"] == "downloaded"
        assert image["checksum"] == hashlib.sha256(body).hexdigest()
        assert image["bytes"] == len(body)
        assert (image["width"], image["height"]) == ((61, 40) if number == 4 else (60, 40))
        assert image["frames"] == (3 if "moving" in list(FORMATS)[number] else 1)
        assert image["etag"] == f'"{number}"'
        assert image["fetched_at"].endswith("+00:00")
    assert [image["format"] for image in done.images] == ["JPEG", "PNG", "GIF", "WEBP", "PNG", "AVIF", "TIFF"]


def test_nine_difficult_addresses(tmp_path: Path) -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        page = server.url("/page")
        for number, name in enumerate(
            ["/offsite.jpg", "/good.jpg", "/target.jpg", "/again.jpg", "/gated.jpg", "/201.jpg"]
        ):
            server.add(name, jpeg(50 + number))
        server.add("/302.jpg", redirect(server.url("/target.jpg", host="127.0.0.2")))
        server.add("/429.jpg", too_many_requests(1), times=1)
        server.add("/429.jpg", jpeg(90))
        gated = jpeg(91)
        server.add("/gate.jpg", lambda r: Answer(gated) if r.headers.get("referer") == page else Answer(b"", 403))
        server.add("/new.jpg", jpeg(92), status=201)
        urls = [
            server.url("/offsite.jpg", host="127.0.0.2"),
            server.url("/302.jpg"),
            server.url("/good.jpg"),
            server.url("/429.jpg"),
            server.url("/html.jpg"),
            server.url("/nothing.jpg"),
            server.url("/gate.jpg"),
            "file:///etc/passwd",
            server.url("/new.jpg"),
        ]
        done = run(server, tmp_path, {"image_urls": urls})
        asked = [r.time for r in server.requests if r.path == "/429.jpg"]

    assert [image["url"] for image in done.images] == urls
    assert outcomes(done) == [
        ("downloaded", "items/t/001.jpg"),
        ("downloaded", "items/t/002.jpg"),
        ("downloaded", "items/t/003.jpg"),
        ("downloaded", "items/t/004.jpg"),
        ("failed", "html"),
        ("failed", "http_404"),
        ("downloaded", "items/t/007.jpg"),
        ("refused", "scheme"),
        ("downloaded", "items/t/009.jpg"),
    ]
    assert done.images[1]["final_url"].endswith("/target.jpg")
    assert done.files["items/t/007.jpg"] == gated
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 1
    assert "Traceback" not in done.log
    assert "root:" not in done.log


def test_bodies_that_are_no_image_are_told_apart(server: Server, tmp_path: Path) -> None:
    big = picture("PNG", (2000, 2000))
    bodies = {
        "html": b"<!DOCTYPE html><html><body>Sorry</body></html>",
        "empty": b"",
        "truncated": FORMATS["photo.jpg"][: len(FORMATS["photo.jpg"]) // 2],
        "not_an_image": b"just some words, no picture",
        "too_many_pixels": big,
        "too_small": picture("PNG", (5, 5)),
        "unsupported_format": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
        "too_large": bytes(3_000_000),
    }
    for reason, body in bodies.items():
        server.add(f"/{reason}", body)
    urls = [server.url(f"/{reason}") for reason in bodies]

    done = run(
        server,
        tmp_path,
        {"image_urls": [*urls, None, "no address", "http://[::1", 7, ["a"], {"a": 1}]},
        IMAGES_MAX_PIXELS=1_000_000,
        IMAGES_MIN_WIDTH=10,
        DOWNLOAD_MAXSIZE=2_000_000,
    )

    assert [image["reason"] for image in done.images] == [*bodies, *["invalid_url"] * 6]
    refused = {"too_many_pixels", "too_small", "too_large", "invalid_url"}
    assert {image["reason"] for image in done.images if image["status"] == "refused"} == refused
    assert done.files == {}
    assert done.code == 1
    assert "Traceback" not in done.log


def test_a_second_run_fetches_only_what_is_missing_or_damaged(server: Server, tmp_path: Path) -> None:
    bodies = [jpeg(50 + number) for number in range(5)]
    for number, body in enumerate(bodies):
        server.add(f"/{number}.jpg", body)
    gallery = {"image_urls": [server.url(f"/{number}.jpg") for number in range(5)]}
    first = run(server, tmp_path, gallery)
    assert [image["status"] for image in first.images] == ["downloaded"] * 5

    store = tmp_path / "images" / "items" / "t"
    (store / "001.jpg").unlink()
    (store / "002.jpg").write_bytes(bodies[1][:100])
    (store / "003.jpg").write_bytes(b"")
    flipped = bytearray(bodies[3])
    flipped[300] ^= 1
    (store / "004.jpg").write_bytes(flipped)
    before = len(server.requests)
    second = run(server, tmp_path, gallery)

    assert second.files == first.files
    assert [image["status"] for image in second.images] == [*["downloaded"] * 4, "uptodate"]
    assert [image["checksum"] for image in second.images] == [image["checksum"] for image in first.images]
    asked = {r.path for r in server.requests[before:] if r.path.endswith(".jpg")}
    assert asked == {"/0.jpg", "/1.jpg", "/2.jpg", "/3.jpg"}


def test_a_lost_catalogue_costs_downloads_and_no_second_copies(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG)
    gallery = {"image_urls": [server.url("/a.jpg")]}
    first = run(server, tmp_path, gallery)
    for file in (tmp_path / "images").glob(".catalogue*"):
        file.unlink()
    second = run(server, tmp_path, gallery)
    assert second.files == first.files
    assert outcomes(second) == [("downloaded", "items/t/001.jpg")]


def test_a_broken_catalogue_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".catalogue.sqlite3").write_bytes(b"no database at all" * 100)
    done = run(server, tmp_path, {"image_urls": []})
    assert done.code == 2
    assert ".catalogue.sqlite3" in done.log.splitlines()[-1]
    assert "Traceback" not in done.log


def test_an_expired_image_is_asked_for_conditionally(server: Server, tmp_path: Path) -> None:
    server.add(
        "/same.jpg",
        lambda r: Answer(JPEG, headers={"ETag": '"1"'}) if "if-none-match" not in r.headers else Answer(b"", 304),
    )
    server.add("/new.jpg", jpeg(70), times=1)
    server.add("/new.jpg", jpeg(71))
    gallery = {"image_urls": [server.url("/same.jpg"), server.url("/new.jpg")]}
    run(server, tmp_path, gallery)
    with closing(sqlite3.connect(tmp_path / "images" / ".catalogue.sqlite3")) as catalogue, catalogue:
        catalogue.execute("UPDATE images SET checked_at = checked_at - 91 * 86400")
    done = run(server, tmp_path, gallery)
    (_, same), (status, path) = outcomes(done)
    assert [image["status"] for image in done.images] == ["uptodate", "downloaded"]
    assert same == "items/t/001.jpg"
    assert done.files["items/t/002.jpg"] == jpeg(70), "a changed image must not overwrite the one that was archived"
    assert status == "downloaded"
    assert done.files[path] == jpeg(71)
    audit = command(tmp_path, "audit")
    assert (audit.returncode, audit.stdout, audit.stderr) == (0, "", "3 files are as they were\n")


def test_no_image_overwrites_another(server: Server, tmp_path: Path) -> None:
    for number in range(4):
        server.add(f"/{number}.jpg", jpeg(60 + number))
    done = run(
        server,
        tmp_path,
        {"url": server.url("/g1"), "title": "Same", "image_urls": [server.url("/0.jpg"), server.url("/1.jpg")]},
        {"url": server.url("/g2"), "title": "Same", "image_urls": [server.url("/2.jpg"), server.url("/3.jpg")]},
    )
    assert sorted(done.files.values()) == sorted(jpeg(60 + number) for number in range(4))
    for image in done.images:
        assert hashlib.sha256(done.files[image["path"]]).hexdigest() == image["checksum"]


def test_the_same_address_and_the_same_bytes_are_stored_once(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG, delay=0.2)
    server.add("/copy.jpg", JPEG)
    done = run(
        server,
        tmp_path,
        {"url": server.url("/g1"), "title": "one", "image_urls": [server.url("/a.jpg"), server.url("/copy.jpg")]},
        {"url": server.url("/g2"), "title": "two", "image_urls": [server.url("/a.jpg")]},
    )
    assert len(done.files) == 1
    assert sorted(image["status"] for image in done.images) == ["downloaded", "duplicate", "duplicate"]
    assert {image["path"] for image in done.images} == set(done.files)
    assert server.paths().count("/a.jpg") == 1

    again = run(
        server,
        tmp_path,
        {"url": server.url("/g1"), "title": "one", "image_urls": [server.url("/a.jpg"), server.url("/copy.jpg")]},
        {"url": server.url("/g2"), "title": "two", "image_urls": [server.url("/a.jpg")]},
    )
    assert again.files == done.files
    assert server.paths().count("/a.jpg") == 1
    assert {image["status"] for image in again.images} <= {"uptodate", "duplicate"}


def test_one_address_under_two_names_at_once_is_one_file(server: Server, tmp_path: Path) -> None:
    """Two crawls with one store fetch it at the same moment, neither knowing of the other."""
    go = threading.Event()
    server.add("/a.jpg", JPEG, delay=go)
    galleries = [
        serve(
            server, {"url": server.url(f"/g{n}"), "title": f"title {n}", "image_urls": [server.url("/a.jpg")]}, path=p
        )
        for n, p in enumerate(("/first", "/second"))
    ]
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    with ThreadPoolExecutor() as threads:
        crawls = [
            threads.submit(
                crawl,
                tmp_path / str(n),
                "items",
                arguments,
                IMAGES_STORE=str(tmp_path / "store"),
                PRIVATE_HOSTS_ALLOWED="127.0.0.1",
            )
            for n, arguments in enumerate(galleries)
        ]
        while server.paths().count("/a.jpg") < 2 and not any(each.done() for each in crawls):
            time.sleep(0.01)
        go.set()
        done = [each.result() for each in crawls]
    images = [each.images[0] for each in done]
    assert sorted(image["status"] for image in images) == ["downloaded", "duplicate"]
    assert len({image["path"] for image in images}) == 1
    first = min(range(2), key=lambda n: images[n]["status"] == "duplicate")
    again = [
        crawl(tmp_path / str(n), "items", arguments, IMAGES_STORE=str(tmp_path / "store")).images[0]["status"]
        for n, arguments in enumerate(galleries)
    ]
    assert again == (["uptodate", "duplicate"] if first == 0 else ["duplicate", "uptodate"])


def test_an_address_that_failed_is_not_tried_anew_by_each_gallery_that_names_it(server: Server, tmp_path: Path) -> None:
    server.add("/reset.jpg", reset)
    server.add("/busy.jpg", b"", status=503)
    server.add("/broken.jpg", FORMATS["photo.jpg"][:200])
    server.add("/gated.jpg", lambda r: Answer(JPEG) if r.headers["referer"].endswith("/g3") else Answer(b"", 403))
    urls = [server.url(path) for path in ("/gone.jpg", "/reset.jpg", "/busy.jpg", "/broken.jpg", "/gated.jpg")]
    galleries = [{"url": server.url(f"/g{n}"), "image_urls": urls} for n in range(30)]
    began = time.monotonic()
    done = run(server, tmp_path, *galleries, RETRY_TIMES=2, CONCURRENT_REQUESTS_PER_DOMAIN=1)
    assert time.monotonic() - began < patience(8), "31 s where each gallery tries it anew"
    assert len(done.items) == 30
    for item in done.items:
        assert [image.get("reason") for image in item["images"]][:4] == [
            "http_404",
            "connection",
            "http_503",
            "truncated",
        ]
    asked = Counter(server.paths())
    assert (asked["/gone.jpg"], asked["/busy.jpg"], asked["/broken.jpg"]) == (1, 3, 1)
    assert asked["/reset.jpg"] in range(3, 7)  # aiohttp tries a connection that was open before once more by itself
    gated = [item["images"][4] for item in done.items]
    assert "downloaded" in {image["status"] for image in gated}, "what depends on the page is asked for by each"


@pytest.mark.parametrize(
    "title", ["../../../etc/cron.d/x", "/etc/passwd", "..", "CON", "a\x00b\x1b[2J", "長" * 300, ""]
)
def test_titles_from_strangers_stay_inside_the_store(server: Server, tmp_path: Path, title: str) -> None:
    server.add("/a.jpg", JPEG)
    done = run(server, tmp_path, {"title": title, "image_urls": [server.url("/a.jpg")]})
    (image,) = done.images
    assert image["status"] == "downloaded"
    assert done.files == {image["path"]: JPEG}
    assert len(Path(image["path"]).parts) == 3
    outside = [
        path for path in tmp_path.rglob("*") if path.suffix == ".jpg" and tmp_path / "images" not in path.parents
    ]
    assert outside == []


def test_names_follow_the_template(server: Server, tmp_path: Path) -> None:
    server.add("/x/cat.jpeg", JPEG)
    server.add("/dog", jpeg(70))
    server.add("/fox.jpg!dta", jpeg(71))
    gallery = {
        "url": "http://site.example/2026/sunday-walk.html",
        "image_urls": [server.url("/x/cat.jpeg"), server.url("/dog"), server.url("/fox.jpg!dta")],
        "image_names": ["Same", "same.JPG", ""],
    }
    done = run(server, tmp_path, gallery, IMAGES_NAME="{host}/{slug}-{name}")
    assert [image["path"] for image in done.images] == [
        "127.0.0.1/sunday-walk-Same.jpg",
        "127.0.0.1/sunday-walk-same-2.jpg",
        "127.0.0.1/sunday-walk-fox.jpg",
    ]


@pytest.mark.parametrize(
    "template", ["{nonsense}", "", "/abs/{title}", "../{title}", "{title.__class__}", "{index:zz}"]
)
def test_a_bad_template_is_one_sentence_before_any_request(server: Server, tmp_path: Path, template: str) -> None:
    done = run(server, tmp_path, {"image_urls": []}, IMAGES_NAME=template)
    assert done.code == 2
    assert "IMAGES_NAME" in done.log.splitlines()[-1]
    assert "Traceback" not in done.log
    assert server.paths() == []


def test_thumbnails_are_upright_and_keep_transparency(server: Server, tmp_path: Path) -> None:
    server.add("/rotated.jpg", FORMATS["photo.jpg"])
    server.add("/alpha.png", FORMATS["alpha.png"])
    settings = tmp_path / "thumbs.py"
    settings.write_text("from tests.spiders import *\nIMAGES_THUMBS = {'small': (30, 30)}\n")
    urls = [server.url("/rotated.jpg"), server.url("/alpha.png")]
    arguments = serve(server, {"image_urls": urls})
    done = crawl(tmp_path, "items", arguments, options=["-O", "items.json", "-s", 'IMAGES_THUMBS={"small": [30, 30]}'])
    assert done.code == 0, done.log
    assert [done.files["items/t/001.jpg"], done.files["items/t/002.png"]] == [
        FORMATS["photo.jpg"],
        FORMATS["alpha.png"],
    ]
    upright = Image.open(io.BytesIO(done.files["thumbs/small/items/t/001.jpg"]))
    assert upright.size == (20, 30)
    assert Image.open(io.BytesIO(done.files["thumbs/small/items/t/002.png"])).mode == "RGBA"


def test_an_item_that_could_not_show_its_outcomes_is_an_error(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG)
    arguments = serve(server, {"image_urls": server.url("/a.jpg")}, {"image_urls": [server.url("/a.jpg")]})
    done = crawl(tmp_path, "dicts", arguments)
    assert done.code == 1
    assert "is not a list of addresses" in done.log
    assert "Traceback" not in done.log
    assert [image["status"] for image in done.images] == ["downloaded"]


def test_a_full_disk_ends_the_crawl_in_one_sentence(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", JPEG)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "items").write_text("a file where a folder must be")
    done = run(server, tmp_path, {"image_urls": [server.url("/a.jpg")]})
    assert outcomes(done) == [("failed", "storage")]
    assert done.code == 1
    assert "Traceback" not in done.log


def test_images_that_are_published_together_are_judged_one_by_one(server: Server, tmp_path: Path) -> None:
    assert run(server, tmp_path, {"image_urls": []}).code == 1
    catalogue = sqlite3.connect(tmp_path / "images" / ".catalogue.sqlite3", isolation_level=None)
    (tmp_path / "images" / "items").mkdir()
    (tmp_path / "images" / "items" / "bad").write_text("a file where a folder must be")
    locked = threading.Event()
    for number in range(12):
        server.add(f"/{number}.jpg", jpeg(60 + number % 10), delay=locked)  # so that two have the bytes of others
    server.add("/bad.jpg", jpeg(99))
    urls, bad = [server.url(f"/{number}.jpg") for number in range(12)], server.url("/bad.jpg")
    with ThreadPoolExecutor() as threads:
        crawling = threads.submit(
            run, server, tmp_path, {"title": "good", "image_urls": urls}, {"title": "bad", "image_urls": [bad]}
        )
        until(lambda: server.count("/0.jpg"))
        catalogue.execute("BEGIN IMMEDIATE")  # another worker is writing: what comes now is published together
        locked.set()
        until(lambda: server.count("/bad.jpg") and server.count("/11.jpg"))
        time.sleep(0.5)
        catalogue.execute("COMMIT")
        catalogue.close()
        done = crawling.result()
    assert Counter(status for status, _ in outcomes(done)) == {"downloaded": 10, "duplicate": 2, "failed": 1}
    assert ("failed", "storage") in outcomes(done)
    assert sorted(path for path in done.files if path.startswith("items/good/")) == sorted(
        {path for _, path in outcomes(done) if path.startswith("items/good/")}
    )
    assert "Traceback" not in done.log


async def test_the_body_of_a_refused_image_is_not_kept(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor until the collector of cycles comes: that is after thousands of objects, each of which may be large."""
    caplog.set_level("INFO")  # pytest keeps what is logged: at DEBUG, which another test may leave, errors with frames
    server.add("*", b"<html>" * 1000)
    bodies: list[weakref.ref[Response]] = []

    async def script(crawler: Crawler) -> None:
        assert crawler.engine
        received = lambda response: bodies.append(weakref.ref(response))  # noqa: E731 -- signals hold it weakly
        crawler.signals.connect(received, signals.response_received)
        (pipeline,) = crawler.engine.scraper.itemproc.middlewares
        item = {"title": "t", "image_urls": [server.url(f"/{number}.jpg") for number in range(6)], "images": []}
        gc.collect()
        gc.disable()
        try:
            done = await pipeline.process_item(item)
            assert [image["reason"] for image in done["images"]] == ["html"] * 6
            del done
            assert len(bodies) == 6
            # A thread or a task that has just ended lets go of its frame a moment later.
            await asyncio.to_thread(until, lambda: not any(body() for body in bodies))
        finally:
            gc.enable()

    ours = project_settings()
    settings = {name: ours[name] for name in ours if name.startswith("IMAGES_") or name == "ITEM_PIPELINES"}
    await asking.crawl(script, **settings | {"IMAGES_STORE": str(tmp_path), "ROBOTSTXT_OBEY": False})


def test_a_body_that_breaks_off_behind_its_image_is_kept_and_told(server: Server, tmp_path: Path) -> None:
    noise = Image.effect_noise((1300, 1100), 90).convert("RGB")
    noise.save(large := io.BytesIO(), "PNG", compress_level=0)  # more than is kept in memory
    bodies = {"small": JPEG, "png": picture("PNG"), "large": large.getvalue()}

    def broken(body: bytes, how: str) -> Misbehaviour:
        async def broken_(exchange: Exchange) -> None:
            if how == "chunked":
                await exchange.head(transfer_encoding="chunked")
                await exchange.write(b"%x\r\n%s" % (len(body) + 5, body))
            else:
                await exchange.head(content_length=str(len(body) + 10))
                await exchange.write(body)
            if how != "open":
                exchange.close()

        return broken_

    for name, body in bodies.items():
        for how in ("closed", "open", "chunked"):
            server.add(f"/{name}/{how}", broken(body, how))
    server.add("/lacks", broken(JPEG[:-40], "closed"))
    paths = [f"/{name}/{how}" for name in bodies for how in ("closed", "open", "chunked")]
    gallery = {"image_urls": [server.url(path) for path in (*paths, "/lacks")]}
    hasty = {"DOWNLOAD_IDLE_TIMEOUT": "1", "RETRY_TIMES": "1", "VERDICT_MAX_FAILED": "1"}
    done = run(server, tmp_path, gallery, **hasty)
    assert [server.count(path) for path in (*paths, "/lacks")] == [1] * 9 + [2]
    assert [image.get("reason") for image in done.images] == [None] * 9 + ["truncated"]
    assert [image.get("warnings") for image in done.images] == [["cut_off"]] * 9 + [None]
    kept = {image["checksum"] for image in done.images if "path" in image}
    assert kept == {hashlib.sha256(body).hexdigest() for body in bodies.values()}
    assert sorted(done.files.values()) == sorted(bodies.values())
    (strict := tmp_path / "strict").mkdir()
    done = run(server, strict, {"image_urls": [server.url("/small/closed")]}, **hasty, IMAGES_STRICT="True")
    assert outcomes(done) == [("failed", "truncated")]
