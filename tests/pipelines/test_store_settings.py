"""What becomes of the same bytes, which time a file has, and what ends a crawl whose store is lost."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgcrawl.demo.pictures import picture
from imgcrawl.pipelines.stores import full_address
from tests.support.crawling import Crawl, crawl
from tests.support.disk import remount, small_disk
from tests.support.redis_server import RedisServer
from tests.support.s3 import BUCKET, s3
from tests.support.server import JPEG, Exchange, Server, jpeg
from tests.support.sharing import scrapy

SAID = "Sun, 01 Mar 2020 10:00:00 GMT"
THEN = parsedate_to_datetime(SAID).timestamp()


def run(server: Server, folder: Path, paths: str, **settings: Any) -> Crawl:
    urls = [server.url(f"/{name}.jpg") for name in paths]
    page = json.dumps([{"title": "t", "image_urls": urls}]).encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    return crawl(folder, "items", {"url": server.url("/page")}, **settings)


def queue_of(folder: Path, server: RedisServer) -> list[str]:
    code, out, err = scrapy(folder, "queue", "items", redis_url=server.url)
    assert (code, err) == (0, "")
    return out.splitlines()


@pytest.fixture
def twins(server: Server) -> Server:
    """/a.jpg and /b.jpg with the same bytes, /c.jpg with others and without a time that can be read."""
    server.add("/a.jpg", jpeg(50), headers={"Last-Modified": SAID})
    server.add("/b.jpg", jpeg(50), headers={"Last-Modified": SAID})
    server.add("/c.jpg", jpeg(60), headers={"Last-Modified": "today"})
    return server


@pytest.mark.parametrize(("kind", "inodes"), [("link", 2), ("again", 3)])
def test_the_same_bytes_get_a_name_of_their_own_and_files_the_time_of_their_site(
    twins: Server, tmp_path: Path, kind: str, inodes: int
) -> None:
    settings = {"IMAGES_SAME_BYTES": kind, "IMAGES_LAST_MODIFIED": "True", "IMAGES_EXPIRES": "0"}
    done = run(twins, tmp_path, "abc", **settings)
    assert [image["status"] for image in done.images] == ["downloaded"] * 3
    files = [tmp_path / "images" / image["path"] for image in done.images]
    assert [file.read_bytes() for file in files] == [jpeg(50), jpeg(50), jpeg(60)]
    assert len({file.stat().st_ino for file in files}) == inodes
    assert [file.stat().st_mtime for file in files[:2]] == [THEN, THEN]
    assert files[2].stat().st_mtime > THEN
    again = run(twins, tmp_path, "abc", **settings)  # asked for anew, and served whole
    assert [(image["status"], image["path"]) for image in again.images] == [
        ("uptodate", image["path"]) for image in done.images
    ]
    assert again.files == done.files


@pytest.mark.filterwarnings("default")  # of boto3's and moto's own code
def test_an_object_store_that_takes_nothing_any_more_ends_the_crawl_which_goes_on_later(
    twins: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """With a queue that workers share: the page of the images that are not stored is not acknowledged."""
    denied = tmp_path / "denied"
    with s3(denied=str(denied)) as (settings, client):
        settings |= {"IMAGES_STORE": f"s3://{BUCKET}/some/prefix", "IMAGES_SAME_BYTES": "again"}
        first = run(twins, tmp_path, "a", **settings)
        assert first.code == 0, first.log
        denied.touch()
        settings["REDIS_URL"] = redis_server.url
        lost = run(twins, tmp_path, "abc", **settings)
        assert lost.code == 1
        (sentence,) = {line for line in lost.log.splitlines() if line.startswith("an image could not be stored in")}
        assert f"in s3://{BUCKET}/some/prefix: AccessDenied: An error occurred (AccessDenied)" in sentence
        assert "Traceback" not in lost.log
        rows = dict(line.split()[:2] for line in queue_of(tmp_path, redis_server) if len(line.split()) > 1)
        assert (rows["queued"], rows["done"]) == ("1", "0")
        denied.unlink()
        done = run(twins, tmp_path, "abc", **settings)
        images = done.images[-3:]  # in the feed of a run that goes on the page stands once more
        assert [image["status"] for image in images] == ["uptodate", "downloaded", "downloaded"]
        for image in images:
            found = client.get_object(Bucket=BUCKET, Key=f"some/prefix/{image['path']}")
            body = found["Body"].read()
            assert found["ContentType"] == "image/jpeg"
            assert found["Metadata"]["sha256"] == image["checksum"] == hashlib.sha256(body).hexdigest()
        assert len(client.list_objects_v2(Bucket=BUCKET)["Contents"]) == 3

        # What looks like an image that is there is not stored beside it, and not asked for again.
        twins.add("/d.jpg", large := picture("hills/1", "JPEG", 240))
        with Image.open(io.BytesIO(large)) as image:
            image.reduce(2).save(small := io.BytesIO(), "JPEG")
        twins.add("/e.jpg", small.getvalue())
        settings |= {"IMAGES_STORE": f"s3://{BUCKET}/looks", "IMAGES_SIMILAR": "refuse", "REDIS_URL": ""}
        told = [[image.get("reason", image["status"]) for image in run(twins, tmp_path, paths, **settings).images]
                for paths in ("d", "de", "de")]  # fmt: skip
        assert told == [["downloaded"], ["uptodate", "similar"], ["uptodate", "similar"]]
        assert twins.paths().count("/e.jpg") == 1
        assert len(client.list_objects_v2(Bucket=BUCKET, Prefix="looks/")["Contents"]) == 1


def test_a_folder_that_is_gone_in_mid_crawl_ends_it_in_order_and_the_same_command_goes_on(
    server: Server, tmp_path: Path
) -> None:
    """As where a disk is not mounted any more."""
    folder, away = tmp_path / "images", tmp_path / "away"

    async def unmount(exchange: Exchange) -> None:
        folder.rename(away)
        await exchange.head(200, content_type="image/jpeg", content_length=str(len(JPEG)))
        await exchange.write(JPEG)

    for number in range(3):
        server.add(f"/{number}.jpg", jpeg(50 + number))
    server.add("/3.jpg", unmount, times=1)
    server.add("/3.jpg", JPEG)
    lost = run(server, tmp_path, "0123", CONCURRENT_REQUESTS_PER_DOMAIN=1)
    assert lost.code == 1, lost.log
    (sentence,) = {line for line in lost.log.splitlines() if line.startswith("an image could not be stored in")}
    assert "No such file or directory" in sentence
    assert "Traceback" not in lost.log
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)
    done = run(server, tmp_path, "0123")
    assert done.code == 0, done.log
    assert {image["status"] for image in done.images} <= {"uptodate", "downloaded"}
    assert sorted(done.files.values()) == sorted([JPEG, *(jpeg(50 + number) for number in range(3))])


def test_a_full_disk_ends_the_crawl_and_no_page_is_done_whose_images_are_not_stored(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Eight galleries with three images each, of which half have room. When there is more, the same command goes on."""
    folder = tmp_path / "images"
    bodies = {f"/{number}.png": _noise(number) for number in range(24)}
    html = {"Content-Type": "text/html"}
    server.add("/list", "".join(f'<a class="g" href="/g{g}">{g}</a>' for g in range(8)).encode(), headers=html)
    for g in range(8):
        server.add(f"/g{g}", "".join(f'<img src="/{g * 3 + i}.png">' for i in range(3)).encode(), headers=html)
    for path, body in bodies.items():
        server.add(path, body)

    def night(sentence: str = "") -> Crawl:
        arguments = {"list": server.url("/list"), "galleries": "a.g"}
        settings = {"IMAGES_NAME": "{host}/{basename}", "CONCURRENT_REQUESTS_PER_DOMAIN": 2}
        options = ["-o", "items.json"]
        done = crawl(tmp_path, "gallery", arguments, REDIS_URL=redis_server.url, options=options, **settings)
        assert done.code == (1 if sentence else 0), done.log
        assert f"an image could not be stored in images: {sentence}" in done.log or not sentence, done.log
        assert "Traceback" not in done.log
        for image in done.images:  # what is told to be there is
            if "path" in image:
                assert done.files[image["path"]] == bodies[image["url"].removeprefix(server.url(""))]
        whole = {item["url"] for item in done.items if all("path" in image for image in item["images"])}
        _, out, _ = scrapy(tmp_path, "queue", "gallery", redis_url=redis_server.url)
        rows = dict(line.split()[:2] for line in out.splitlines() if len(line.split()) > 1)
        # The list, and galleries with all of their images.
        assert int(rows.get("done", 0)) <= 1 + len(whole), (rows, whole)
        assert not sentence or int(rows["queued"]) > 0
        return done

    with small_disk(folder, "1200k") as is_mounted:
        if not is_mounted:
            pytest.skip("this user may mount no small disk")
        first = night("[Errno 28] No space left on device")
        assert 0 < len(first.files) < len(bodies)

        remount(folder, "size=16m")
        done = night()
        assert sorted(done.files.values()) == sorted(bodies.values())


def _noise(seed: int) -> bytes:
    """A picture of 68 KB that nothing makes smaller."""
    file = io.BytesIO()
    Image.frombytes("RGB", (150, 150), random.Random(seed).randbytes(67_500)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/a", "s3://bucket/a/"),
        ("gs://bucket/a/", "gs://bucket/a/"),
        ("images", "images"),
        ("ftp://host/a", "ftp://host:21/a"),
        ("ftp://me:se:cret@host", "ftp://me:se:cret@host:21"),
        ("ftp://[::1]/a", "ftp://[::1]:21/a"),
        ("ftp://host:2121/a", "ftp://host:2121/a"),
    ],
)
def test_what_scrapys_stores_need_in_an_address_is_there(given: str, made: str) -> None:
    assert full_address(given) == made
