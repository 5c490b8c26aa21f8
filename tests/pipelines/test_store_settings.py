"""What becomes of the same bytes, which time a file has, and what ends a crawl whose store is lost."""

from __future__ import annotations

import hashlib
import json
import shutil
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.pipelines.stores import full_address
from tests.support.crawling import Crawl, crawl
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
