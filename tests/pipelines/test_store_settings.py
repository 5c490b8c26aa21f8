"""What becomes of the same bytes, which time a file has, and what ends a crawl whose store is lost."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgcrawl.demo.pictures import picture
from imgcrawl.pipelines.stores import full_address
from tests.support.crawling import FAST, Crawl, crawl, crawl_command, environment
from tests.support.disk import remount, small_disk
from tests.support.ftp import ftp
from tests.support.redis_server import RedisServer
from tests.support.s3 import BUCKET, s3
from tests.support.server import JPEG, Exchange, Server, jpeg
from tests.support.sharing import scrapy

SAID = "Sun, 01 Mar 2020 10:00:00 GMT"
THEN = parsedate_to_datetime(SAID).timestamp()


def as_one_whom_permissions_hold() -> tuple[str, ...]:
    """What stands before a command for that: root may write anywhere, unless that is taken from it."""
    if os.geteuid():
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("root may write anywhere, and there is no setpriv")
    return ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override")


def run(server: Server, folder: Path, paths: str, before: tuple[str, ...] = (), **settings: Any) -> Crawl:
    urls = [server.url(f"/{name}.jpg") for name in paths]
    page = json.dumps([{"title": "t", "image_urls": urls}]).encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    if not before:
        return crawl(folder, "items", {"url": server.url("/page")}, **settings)
    arguments = {"url": server.url("/page")}
    command = crawl_command("items", "-O", "items.json", arguments=arguments, settings=FAST | settings)
    done = subprocess.run(
        [*before, *command], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    return Crawl(folder, done.returncode, done.stderr)


def queue_of(folder: Path, server: RedisServer) -> list[str]:
    code, out, err = scrapy(folder, "queue", "items", redis_url=server.url)
    assert (code, err) == (0, "")
    return out.splitlines()


def queued_and_done(folder: Path, server: RedisServer) -> tuple[str, str]:
    rows = dict(line.split()[:2] for line in queue_of(folder, server) if len(line.split()) > 1)
    return rows["queued"], rows["done"]


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
    twins: Server, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a queue that workers share: the page of the images that are not stored is not acknowledged."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
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
        assert queued_and_done(tmp_path, redis_server) == ("1", "0")
        denied.unlink()
        with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never says a word
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            lost = run(twins, tmp_path, "abc", **settings | {"AWS_ENDPOINT_URL": endpoint, "IMAGES_STORE_TIMEOUT": 0.5})
        assert lost.code == 1
        (sentence,) = {line for line in lost.log.splitlines() if line.startswith("an image could not be stored in")}
        assert f"in s3://{BUCKET}/some/prefix: ReadTimeoutError: Read timeout on endpoint URL" in sentence
        assert "Traceback" not in lost.log
        assert queued_and_done(tmp_path, redis_server) == ("1", "0")
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


@pytest.mark.filterwarnings("default")  # of pyftpdlib's own code
def test_a_store_at_an_ftp_server_has_whole_files_and_one_that_falls_silent_ends_the_crawl_which_goes_on_later(
    twins: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    with ftp(tmp_path / "server") as store:
        settings = {"IMAGES_STORE": store.url, "IMAGES_STORE_TIMEOUT": 1, "IMAGES_SAME_BYTES": "again"}
        first = run(twins, tmp_path, "ab", **settings)
        assert (first.code, [image["status"] for image in first.images]) == (0, ["downloaded"] * 2), first.log
        twins.forget()
        assert [image["status"] for image in run(twins, tmp_path, "ab", **settings).images] == ["uptodate"] * 2
        assert twins.paths().count("/a.jpg") == 0
        store.is_silent = True
        settings["REDIS_URL"] = redis_server.url
        lost = run(twins, tmp_path, "abc", **settings)
        assert lost.code == 1
        (sentence,) = {line for line in lost.log.splitlines() if line.startswith("an image could not be stored in")}
        assert "/some/folder: TimeoutError: timed out" in sentence
        assert not [word for word in ("Traceback", "se%40ret", "se@ret") if word in lost.log]
        assert queued_and_done(tmp_path, redis_server) == ("1", "0")
        store.is_silent = False
        images = run(twins, tmp_path, "abc", **settings).images[-3:]
        assert [image["status"] for image in images] == ["uptodate", "uptodate", "downloaded"]
        files = {path.relative_to(tmp_path / "server/some/folder").as_posix(): path.read_bytes()
                 for path in (tmp_path / "server").rglob("*") if path.is_file()}  # fmt: skip
        assert {image["path"]: image["checksum"] for image in images} == {
            path: hashlib.sha256(body).hexdigest() for path, body in files.items()
        }


@pytest.mark.parametrize(
    ("told", "was_lost"),
    [("No such file or directory", "not mounted any more"), ("Permission denied", "not to be written to any more")],
)
def test_a_folder_that_is_lost_in_mid_crawl_ends_it_in_order_and_the_same_command_goes_on(
    server: Server, tmp_path: Path, told: str, was_lost: str
) -> None:
    folder, away = tmp_path / "images", tmp_path / "away"

    def allow(mode: int) -> None:
        for each in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            each.chmod(mode)

    async def lose(exchange: Exchange) -> None:
        if "mounted" in was_lost:
            folder.rename(away)
        else:
            allow(0o500)
        await exchange.head(200, content_type="image/jpeg", content_length=str(len(JPEG)))
        await exchange.write(JPEG)

    for number in range(3):
        server.add(f"/{number}.jpg", jpeg(50 + number))
    server.add("/3.jpg", lose, times=1)
    server.add("/3.jpg", JPEG)
    as_user = () if "mounted" in was_lost else as_one_whom_permissions_hold()
    lost = run(server, tmp_path, "0123", as_user, CONCURRENT_REQUESTS_PER_DOMAIN=1)
    assert lost.code == 1, lost.log
    (sentence,) = {line for line in lost.log.splitlines() if line.startswith("an image could not be stored in")}
    assert told in sentence
    assert "Traceback" not in lost.log
    if away.exists():
        shutil.rmtree(folder, ignore_errors=True)
        away.rename(folder)
    allow(0o700)
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

    def night(*sentences: str) -> Crawl:
        arguments = {"list": server.url("/list"), "galleries": "a.g"}
        settings = {"IMAGES_NAME": "{host}/{basename}", "CONCURRENT_REQUESTS_PER_DOMAIN": 2}
        options = ["-o", "items.json"]
        done = crawl(tmp_path, "gallery", arguments, REDIS_URL=redis_server.url, options=options, **settings)
        assert done.code == (1 if sentences else 0), done.log
        told = [f"an image could not be stored in images: {sentence}" for sentence in sentences]
        assert any(sentence in done.log for sentence in told) or not sentences, done.log
        assert "Traceback" not in done.log
        for image in done.images:  # what is told to be there is
            if "path" in image:
                assert done.files[image["path"]] == bodies[image["url"].removeprefix(server.url(""))]
        whole = {item["url"] for item in done.items if all("path" in image for image in item["images"])}
        _, out, _ = scrapy(tmp_path, "queue", "gallery", redis_url=redis_server.url)
        rows = dict(line.split()[:2] for line in out.splitlines() if len(line.split()) > 1)
        # The list, and galleries with all of their images.
        assert int(rows.get("done", 0)) <= 1 + len(whole), (rows, whole)
        assert not sentences or int(rows["queued"]) > 0
        return done

    with small_disk(folder, "1200k") as is_mounted:
        if not is_mounted:
            pytest.skip("this user may mount no small disk")
        first = night("[Errno 28] No space left on device", "database or disk is full")  # an image, or the catalogue
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
