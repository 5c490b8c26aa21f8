"""Feeds in an object store: each gallery once, whoever is killed, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scrapy import Spider
from scrapy.utils.test import get_crawler

from imgcrawl.demo.server import serve
from imgcrawl.feeds.elsewhere import has_brought_nothing
from tests.support.crawling import FAST, crawl, crawl_command, environment, until
from tests.support.processes import Process
from tests.support.redis_server import RedisServer
from tests.support.s3 import BUCKET, s3
from tests.test_workers import ended, fed, worker_pids

FEEDS = ["-O", f"s3://{BUCKET}/feed.json", "-O", f"s3://{BUCKET}/feed.jsonl"]
SMALL = {"galleries": 60, "images": 2, "per_page": 20, "width": 60, "misbehave": False}


def keys(client: Any) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def galleries(client: Any) -> list[str]:
    """The galleries in the feeds, which are equal."""
    texts = [client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in ("feed.json", "feed.jsonl")]
    whole, lines = json.loads(texts[0]), [json.loads(line) for line in texts[1].splitlines()]
    assert len({json.dumps(sorted(map(str, items))) for items in (whole, lines)}) == 1
    assert not [item for item in whole if "_lease" in item or len(item["images"]) != SMALL["images"]]
    return sorted(item["url"] for item in whole)


@pytest.mark.filterwarnings("default")  # of boto3's and moto's own code
@pytest.mark.parametrize("workers", ["2", ""], ids=["two workers", "one process"])
def test_a_feed_in_an_object_store_has_each_gallery_once_after_a_kill(tmp_path: Path, workers: str) -> None:
    with serve(**SMALL, latency=0.1) as replica, s3() as (settings, client):
        known = {**FAST, **settings, "IMAGES_STORE": "images"}
        options = [*FEEDS, *(["--workers", workers] if workers else [])]

        def start(base: str = replica.base) -> Any:
            command = crawl_command("pximg", *options, arguments={"base": base}, settings=known)
            with (tmp_path / "log").open("a") as log:
                return Process(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log, text=True)

        process = start()
        until(lambda: (fed(tmp_path) if workers else len(list(tmp_path.glob("images/*/*/*.jpg")))) > 10)
        process.kill()
        process.wait()
        assert keys(client) == []
        if workers:  # the bucket is not there when the feed is to be written: nothing is lost by that
            until(lambda: worker_pids(tmp_path) == [])
            client.delete_bucket(Bucket=BUCKET)
            refused = ended(tmp_path, start())
            assert refused.code == 2, refused.log
            assert "NoSuchBucket" in refused.log and "Traceback" not in refused.log
            client.create_bucket(Bucket=BUCKET)
        done = ended(tmp_path, start())
        assert done.code == 0, done.log
        found = galleries(client)
        assert len(found) == len(set(found)) == SMALL["galleries"]
        assert not (tmp_path / ".imgcrawl").exists()
        (tmp_path / "log").unlink()
        down = ended(tmp_path, start("http://127.0.0.1:1"))
        assert down.code == 1, down.log
        for feed in FEEDS[1::2]:
            assert f"Feed {feed} is as it was: this crawl has brought no item to take its place" in down.log
        assert galleries(client) == found


def test_a_worker_started_by_hand_is_refused_a_feed_in_an_object_store(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    done = crawl(
        tmp_path,
        "pximg",
        {"base": "http://127.0.0.1:1"},
        options=["-O", f"s3://key:secret@{BUCKET}/feed.json"],
        REDIS_URL=redis_server.url,
    )
    assert (done.code, done.log.count("\n")) == (2, 1), done.log
    assert done.log.startswith(f"Feed s3://{BUCKET}/feed.json: workers that share a queue need a feed that is on disk")
    with redis_server.client() as client:
        assert client.dbsize() == 0


def test_where_nobody_counts_items_every_feed_is_stored() -> None:
    crawler = get_crawler(Spider)
    assert not has_brought_nothing(crawler)  # a project without Scrapy's CoreStats
    crawler.stats.set_value("start_time", 1)
    assert has_brought_nothing(crawler)
    crawler.stats.inc_value("item_scraped_count")
    assert not has_brought_nothing(crawler)
