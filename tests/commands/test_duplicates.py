"""Copies are found though their bytes differ, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from PIL import Image
from scrapy.cmdline import execute

from imgcrawl.demo.pictures import picture
from imgcrawl.images.lookalikes import DISTANCE, groups_of, hash_of
from tests.attacks.stage import Stage
from tests.images import hostile
from tests.support.crawling import ROOT, crawl, project_settings
from tests.support.server import Server

WIDTH = 240


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, kind, **options)
    return file.getvalue()


def cut(image: Image.Image, share: float) -> Image.Image:
    across, down = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((across, down, image.width - across, image.height - down))


def test_copies_in_other_formats_and_sizes_are_found_and_no_others() -> None:
    """30 pictures of the demo's sites, each with five copies: precision 1, recall 26 of 30 and more."""
    originals = [picture(number, ("JPEG", "WEBP", "PNG")[number % 3], WIDTH) for number in range(30)]
    kinds: dict[str, list[int]] = {}
    hashes = [hash_of(body) for body in originals]
    for number, body in enumerate(originals):
        with Image.open(io.BytesIO(body)) as image:
            image.load()
            copies = {
                "jpeg": encoded(image, "JPEG", quality=60),
                "webp": encoded(image, "WEBP", quality=70),
                "half": encoded(image.convert("RGB").resize((image.width // 2, image.height // 2)), "PNG"),
                "third": encoded(image.convert("RGB").resize((image.width // 3, image.height // 3)), "JPEG"),
                "cut": encoded(cut(image, 0.02), "JPEG"),
            }
        for kind, copy in copies.items():
            hashes.append(hash_of(copy))
            kinds.setdefault(kind, []).append(number)
    known = [found for found in hashes if found]
    assert len(known) == len(hashes)
    of = [*range(30), *(number for number in range(30) for _ in kinds)]
    groups = groups_of(known, DISTANCE)
    assert [group for group in groups if len({of[place] for place in group}) > 1] == []  # precision
    found = {of[group[0]]: set(group) for group in groups}
    names = [*kinds]
    recall = dict.fromkeys(names, 0)
    for number in range(30):
        for position, name in enumerate(names):
            recall[name] += 30 + number * len(names) + position in found.get(number, set())
    assert min(recall.values()) >= 26, recall


def test_groups_are_listed_with_the_largest_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgcrawl.commands.progress.PATIENCE", 1e9)  # a machine that is late makes it say how far it is
    store = tmp_path / "images"
    store.mkdir()
    images = []
    with Image.open(io.BytesIO(picture("hills/1", "JPEG", WIDTH))) as image:
        bodies = {"small.jpg": encoded(image.resize((120, 80)), "JPEG"), "large.png": encoded(image, "PNG")}
        bodies["other.jpg"] = picture("mandala/2", "JPEG", WIDTH)
    bodies["none.svg"] = b"<svg/>"
    for name, body in bodies.items():
        (store / name).write_bytes(body)
        size = {"width": 240, "height": 160} if name == "large.png" else {"width": 120, "height": 80}
        images.append({"url": f"http://x/{name}", "status": "downloaded", "path": name, "bytes": len(body), **size})
    images.append({"url": "http://x/gone", "status": "downloaded", "path": "gone.jpg"})
    feed = tmp_path / "feed.jsonl"
    feed.write_text(json.dumps({"url": "http://x/", "images": images}) + "\n")

    def run(*options: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            execute(["scrapy", "duplicates", *options, "--images", str(store), str(feed)], settings=project_settings())
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    code, out, err = run()
    assert [line.split("  ")[-2:][0].strip() for line in out.splitlines()] == ["large.png", "small.jpg"]
    assert (code, err) == (1, f"{store / 'gone.jpg'}: No such file or directory\n")
    assert run("--keep", "largest")[1] == "small.jpg\n"
    assert [row["path"] for row in json.loads(run("--json")[1])] == ["large.png", "small.jpg"]
    assert run("--keep", "newest")[::2] == (2, "--keep newest: expected largest\n")
    assert run("--distance", "300")[::2] == (2, "--distance 300: expected a number from 0 to 128\n")
    assert run("--distance", "9" * 5000)[0] == 2


def hills() -> Image.Image:
    return Image.open(io.BytesIO(picture("hills/1", "JPEG", WIDTH)))


# Each would take seconds or hundreds of MB where nothing bounds it.
COSTLY: dict[str, Callable[[], bytes]] = {
    "junk.jpg": lambda: hostile.jpeg_of_junk(12_000_000),
    "plain.webp": lambda: hostile.plain_webp(6000, 6000),
    "progressive.jpg": lambda: hostile.progressive_jpeg(6000, 6000),
    "tile.tif": lambda: hostile.tiff_of_a_large_tile(11_000),
    "layers.jp2": lambda: hostile.plain_jpeg2000(4000, 4000, num_resolutions=1),
    "icon.icns": lambda: hostile.icns_of(hostile.plain_jpeg2000(6000, 6000, "L")),
    "grid.avif": lambda: encoded(Image.new("RGB", (6000, 6000)), "AVIF", speed=10),
    "photo.png": lambda: encoded(hills().resize((3000, 2400)), "PNG", compress_level=1),
    "photo.webp": lambda: encoded(hills().resize((3000, 2400)), "WEBP", method=0),
}


@cache
def costly() -> dict[str, bytes]:
    return {name: made() for name, made in COSTLY.items()}


@pytest.mark.alone
@pytest.mark.parametrize("by", ["duplicates", "report", "crawl"])
def test_what_costs_much_is_looked_at_within_the_bounds_of_a_crawl(tmp_path: Path, server: Server, by: str) -> None:
    """By the command, by `scrapy report`, and by a crawl that refuses what is similar. Costly images that are
    good are compared as all are."""
    stage = Stage(tmp_path, ROOT, server)
    store = tmp_path / "images"
    store.mkdir()
    bodies = costly()
    if by == "crawl":
        for name, body in bodies.items():
            server.add(f"/{name}", body)
        page = "<title>g</title>" + "".join(f"<img src=/{name}>" for name in bodies)
        server.add("/list", b"<a class=g href=/g>g</a>", headers={"Content-Type": "text/html"})
        server.add("/g", page.encode(), headers={"Content-Type": "text/html"})
        arguments = {"list": server.url("/list"), "galleries": "a.g"}
        done = stage.crawl("gallery", arguments, IMAGES_SIMILAR="refuse", IMAGES_VERIFY="structure")
        assert sorted(done.outcomes).count("similar") == 1, done.outcomes
    else:
        for name, body in bodies.items():
            (store / name).write_bytes(body)
        images = [{"url": f"http://x/{name}", "status": "downloaded", "path": name} for name in bodies]
        item = {"url": "http://x/", "title": "g", "image_urls": [image["url"] for image in images], "images": images}
        (tmp_path / "feed.jsonl").write_text(json.dumps(item) + "\n")
        options = ["-o", "report.html", "--lookalikes"] if by == "report" else []
        done = stage.scrapy(by, *options, "--images", str(store), "feed.jsonl")
        assert by == "report" or ("photo.png" in done.said and "photo.webp" in done.said)
        assert done.code == 0, done.said
    assert "Traceback" not in done.said, done.said
    assert stage.megabytes < 400
    assert stage.cpu < 40


def test_what_looks_like_a_stored_image_and_is_not_larger_is_refused(server: Server, tmp_path: Path) -> None:
    """One image at a time, one after the other; a second night asks for none of those that were refused."""
    with Image.open(io.BytesIO(picture("hills/1", "PNG", WIDTH))) as image:
        image.load()
    half = image.resize((image.width // 2, image.height // 2))
    bodies = {
        "first.jpg": encoded(image, "JPEG", quality=90),
        "again.webp": encoded(image, "WEBP", quality=70),
        "half.png": encoded(half, "PNG"),
        "other.jpg": picture("mandala/2", "JPEG", WIDTH),
        "cut.jpg": encoded(cut(image, 0.02), "JPEG"),
        "larger.png": encoded(image.resize((image.width * 2, image.height * 2)), "PNG"),
        "larger.jpg": encoded(image.resize((image.width * 2, image.height * 2)), "JPEG"),
        "same.jpg": encoded(image, "JPEG", quality=90),
    }
    for name, body in bodies.items():
        server.add(f"/{name}", body)
    galleries = [{"title": name, "image_urls": [server.url(f"/{name}")]} for name in bodies]
    server.add("/page", json.dumps(galleries).encode(), headers={"Content-Type": "application/json"})
    settings = {"IMAGES_SIMILAR": "refuse", "CONCURRENT_ITEMS": 1, "CONCURRENT_REQUESTS_PER_DOMAIN": 1}
    nights = []
    for _ in range(2):
        server.forget()
        done = crawl(tmp_path, "items", {"url": server.url("/page")}, **settings)
        assert done.code == 0, done.log
        nights.append(
            {item["title"]: item["images"][0].get("reason", item["images"][0]["status"]) for item in done.items}
        )
    similar = dict.fromkeys(("again.webp", "half.png", "cut.jpg", "larger.jpg"), "similar")
    stored = dict.fromkeys(("first.jpg", "other.jpg", "larger.png"), "downloaded")
    assert nights[0] == {**similar, **stored, "same.jpg": "duplicate"}
    assert nights[1] == {**similar, **dict.fromkeys((*stored, "same.jpg"), "uptodate")}
    assert not [path for path in server.paths() if path not in {"/page", "/robots.txt"}]
