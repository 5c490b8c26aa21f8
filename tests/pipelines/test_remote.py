"""Images that go to an object store, from several machines at once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from math import inf
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scrapy import Spider
from scrapy.cmdline import execute
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from imgcrawl.pipelines import ImagesPipeline
from imgcrawl.pipelines.objects import StoredObjects
from imgcrawl.pipelines.remote import RemoteKeeper
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.watch.thumbnails import Thumbnails
from tests.pipelines.test_videos import mp4
from tests.support.crawling import crawl, project_settings
from tests.support.s3 import BUCKET, s3
from tests.support.server import Server, jpeg


def serve(server: Server, path: str, *galleries: dict[str, Any]) -> dict[str, str]:
    server.add(path, json.dumps(galleries).encode(), headers={"Content-Type": "application/json"})
    return {"url": server.url(path)}


def small_copies(report: Path) -> int:
    return len(re.findall(r"^[jp]/9j/|^[jp]iVBO|>[jp]/9j/|>[jp]iVBO", report.read_text(), re.MULTILINE))


async def is_shown_by_watch(settings: Settings, path: str) -> bool:
    """Whether `scrapy watch` has a small copy of an image of that *path*, of a crawl with these *settings*."""
    pictures = Thumbnails(None, 10**8, 160_000_000, StoredObjects.from_settings(settings))
    try:
        overview = {"store": settings["IMAGES_STORE"], "newest": [{"path": path, "at": 1.0}]}
        (image,) = pictures.choose(overview)
        assert pictures.choose(overview | {"store": "s3://other/"}) == [image], "and none of another store"
        return await pictures.small(image["key"]) is not None
    finally:
        pictures.close()


def stored(client: Any, path: str) -> bytes:
    body: bytes = client.get_object(Bucket=BUCKET, Key=path)["Body"].read()
    return body


@pytest.mark.filterwarnings("default")  # of boto3's and moto's own code
def test_what_two_machines_say_of_an_object_store_is_there_under_that_path(server: Server, tmp_path: Path) -> None:
    """Two crawls that know nothing of each other, equal titles, 50 ms a PUT; then once more, for nothing."""
    for number in range(120):
        server.add(f"/{number}.jpg", jpeg(40 + number))
    pages = []
    for me in range(2):
        (tmp_path / str(me)).mkdir()
        urls = [server.url(f"/{number}.jpg") for number in range(me, 120, 2)]
        pages.append(serve(server, f"/page{me}", {"title": "same", "image_urls": urls}))
    with s3(put_delay=0.05) as (settings, client):

        def run(me: int) -> list[dict[str, Any]]:
            done = crawl(tmp_path / str(me), "items", pages[me], **settings)
            assert done.code == 0, done.log
            return done.images

        with ThreadPoolExecutor(2) as threads:
            images = [image for each in threads.map(run, range(2)) for image in each]
        assert [image["status"] for image in images] == ["downloaded"] * 120
        wrong = [i for i in images if hashlib.sha256(stored(client, i["path"])).hexdigest() != i["checksum"]]
        assert wrong == []
        asked = len(server.requests)
        assert [image["status"] for image in run(0)] == ["uptodate"] * 60
        assert not [request.path for request in server.requests[asked:] if request.path.endswith(".jpg")]


@pytest.mark.filterwarnings("default")  # of boto3's and moto's own code
def test_the_same_bytes_are_uploaded_once_what_is_gone_there_comes_again_and_a_video_is_sent_in_parts(
    server: Server, tmp_path: Path
) -> None:
    for name in "abc":
        server.add(f"/{name}.jpg", jpeg(50))
    page = serve(server, "/page", {"image_urls": [server.url(f"/{name}.jpg") for name in "abc"]})
    with s3(put_delay=0.05) as (settings, client):
        first = crawl(tmp_path, "items", page, **settings)
        assert sorted(image["status"] for image in first.images) == ["downloaded", "duplicate", "duplicate"]
        (path,) = {image["path"] for image in first.images}
        listed = [entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
        assert listed == [path]
        checksum = hashlib.sha256(jpeg(50)).hexdigest()
        assert path.endswith(f"-{checksum[:16]}.jpg")
        client.delete_object(Bucket=BUCKET, Key=path)
        again = crawl(tmp_path, "items", page, **settings)
        assert "downloaded" in {image["status"] for image in again.images}
        for image in again.images:
            assert stored(client, image["path"]) == jpeg(50)
        server.add("/whole", mp4(9_000_000))
        page = serve(server, "/videos", {"video_urls": [server.url("/whole")], "video_names": ["whole.mp4"]})
        settings["ITEM_PIPELINES"] = '{"imgcrawl.pipelines.VideosPipeline": 300}'
        checksum = hashlib.sha256(mp4(9_000_000)).hexdigest()
        killed, other = f"videos/whole-{checksum[:16]}.mp4", "videos/other.mp4"
        for key in (killed, other):  # begun to be sent, and never ended
            client.create_multipart_upload(Bucket=BUCKET, Key=key)
        (video,) = crawl(tmp_path, "videos", page, **settings).items[0]["videos"]
        assert video["path"] == killed
        assert [each["Key"] for each in client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [other]
        found = client.get_object(Bucket=BUCKET, Key=video["path"])
        assert (found["ContentType"], found["Metadata"]["sha256"]) == ("video/mp4", video["checksum"])
        assert found["ETag"].endswith('-2"'), "two parts"
        assert found["Body"].read() == mp4(9_000_000)


@pytest.mark.filterwarnings("default")  # of boto3's and moto's own code
def test_what_is_damaged_in_an_object_store_is_found_and_brought_back_and_what_is_there_is_exported(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {f"{name}.jpg": jpeg(50 + number) for number, name in enumerate("abcd")}
    for name, body in bodies.items():
        server.add(f"/{name}", body, times=1 if name == "d.jpg" else inf)
    server.add("/d.jpg", jpeg(99))
    page = serve(server, "/page", {"title": "t", "image_urls": [server.url(f"/{name}") for name in bodies]})
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with s3() as (settings, client):
        settings |= {"IMAGES_STORE": f"s3://{BUCKET}/some", "CATALOGUE_FILE": str(tmp_path / "catalogue")}
        done = crawl(tmp_path, "items", page, **settings)
        assert done.code == 0, done.log
        paths = {image["path"] for image in done.images}

        def scrapy(*arguments: str) -> tuple[int, list[str], str]:
            project = project_settings()
            project.setdict(settings, "cmdline")
            with pytest.raises(SystemExit) as ended:
                execute(["scrapy", *arguments], project)
            told = capsys.readouterr()
            return int(str(ended.value.code)), told.out.splitlines(), told.err

        assert scrapy("audit") == (0, [], "4 files are as they were\n")
        assert scrapy("report", "-o", str(tmp_path / "report.html"))[0] == 0
        assert small_copies(tmp_path / "report.html") == 4
        project = project_settings()
        project.setdict(settings, "cmdline")
        assert asyncio.run(is_shown_by_watch(project, sorted(paths)[0]))
        missing, cut, changed, _ = sorted(paths)
        client.delete_object(Bucket=BUCKET, Key=f"some/{missing}")
        client.put_object(Bucket=BUCKET, Key=f"some/{cut}", Body=b"cut")
        size = client.head_object(Bucket=BUCKET, Key=f"some/{changed}")["ContentLength"]
        client.put_object(Bucket=BUCKET, Key=f"some/{changed}", Body=bytes(size))
        client.put_object(Bucket=BUCKET, Key="some/mine.txt", Body=b"not of a crawl")
        code, lines, _ = scrapy("audit", "--retry")
        assert (code, lines) == (
            1,
            [f"missing  {missing}", f"damaged  {cut}", f"changed  {changed}", "unknown  mine.txt"],
        )
        asked = len(server.requests)
        again = crawl(tmp_path, "items", page, **settings)
        assert again.code == 0, again.log
        assert len([each for each in server.requests[asked:] if each.path.endswith(".jpg")]) == 3
        assert {path: stored(client, f"some/{path}") for path in paths} == {
            image["path"]: bodies[image["url"].rpartition("/")[2]] for image in done.images
        }
        assert scrapy("audit")[:2] == (1, ["unknown  mine.txt"])
        changed_there = crawl(tmp_path, "items", page, **settings, IMAGES_EXPIRES="0")
        assert changed_there.images[3]["path"] not in paths
        assert scrapy("audit") == (1, ["unknown  mine.txt"], "5 files are as they were; unknown: 1\n")

        assert scrapy("export", "--to", "folder", "-o", str(tmp_path / "tree"), "--name", "{index}")[::2] == (0, "")
        exported = sorted((tmp_path / "tree").glob("*.jpg"))
        assert [file.read_bytes() for file in exported] == [*[*bodies.values()][:3], jpeg(99)]
        code, lines, _ = scrapy("duplicates", "--distance", "0")
        assert code == 0
        settings["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
        code, lines, told = scrapy("audit")
        assert (code, lines) == (1, [])  # nothing is called missing, because nobody answers
        assert told.startswith("the store cannot be read: EndpointConnectionError: Could not connect to the endpoint")


def test_a_directory_of_several_machines_has_the_checksum_in_each_name(server: Server, tmp_path: Path) -> None:
    server.add("/a.jpg", jpeg(50))
    page = serve(server, "/page", {"image_urls": [server.url("/a.jpg")]})
    done = crawl(tmp_path, "items", page, IMAGES_NAME_CHECKSUM="True")
    assert list(done.files) == [f"items/t/001-{hashlib.sha256(jpeg(50)).hexdigest()[:16]}.jpg"]


async def test_as_many_connections_to_s3_are_kept_as_there_are_uploads_at_a_time_in_any_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "IMAGES_STORE": "s3://bucket/"}
    for given, kept in (({}, 32), ({"IMAGES_UPLOADS": 7}, 7), ({"AWS_MAX_POOL_CONNECTIONS": 5}, 5)):
        crawler = get_crawler(Spider, {**keys, **given})
        crawler.spider = crawler._create_spider("x")
        pipeline = ImagesPipeline("s3://bucket/", crawler=crawler)
        pipeline.close_spider()
        assert cast("Any", pipeline.store).s3_client.meta.config.max_pool_connections == kept


async def test_as_many_uploads_are_under_way_as_is_set_on_a_machine_of_any_number_of_cores() -> None:
    """Each of them waits here until 20 are there."""
    meeting = Barrier(20)

    class Store:
        async def persist_file(self, *given: Any, **more: Any) -> None:
            await asyncio.to_thread(meeting.wait, 60)

    settings = project_settings()
    with ThreadPoolExecutor(1) as threads:
        config = PipelineSettings.from_settings(settings, "IMAGES_NAME")
        crawler = get_crawler()
        crawler.crawling = True
        info = SimpleNamespace(spider=SimpleNamespace(crawler=crawler))
        keeper = RemoteKeeper(cast("Any", Store()), cast("Any", None), threads, lambda: cast("Any", info), config)
        await asyncio.gather(*(keeper._persist(f"{number}.jpg", BytesIO(), None) for number in range(20)))
