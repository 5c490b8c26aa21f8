"""One catalogue in PostgreSQL for two machines, and a crawl whose catalogue goes away."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings

from imgcrawl.catalogue import CatalogueError, open_catalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.catalogue.postgresql import PostgresCatalogue
from tests.pipelines.test_store_settings import queue_of
from tests.support.crawling import Crawl, crawl
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.s3 import BUCKET, s3
from tests.support.server import JPEG, Exchange, Server, jpeg


def serve(server: Server, path: str, *galleries: dict[str, Any]) -> dict[str, str]:
    server.add(path, json.dumps(galleries).encode(), headers={"Content-Type": "application/json"})
    return {"url": server.url(path)}


@pytest.mark.filterwarnings("default")  # of boto3's and moto's own code
def test_two_machines_with_one_catalogue_store_nothing_twice_and_fetch_nothing_on_the_second_night(
    server: Server, tmp_path: Path, postgres: PostgresServer
) -> None:
    """Each has galleries of its own and one that both have; every third image has the bytes of one of the other's."""
    bodies = {f"/{me}/{n}.jpg": jpeg(40 + n, 48 + (0 if n % 3 == 0 else me)) for me in range(2) for n in range(30)}
    for path, body in bodies.items():
        server.add(path, body)
    pages = []
    for me in range(2):
        (tmp_path / str(me)).mkdir()
        urls = [server.url(f"/{me}/{n}.jpg") for n in range(30)]
        galleries = [
            {"url": server.url(f"/g/{me}/{g}"), "title": f"{me} {g}", "image_urls": urls[g * 10 : g * 10 + 10]}
            for g in range(3)
        ]
        shared = {"url": server.url("/g/both"), "title": "both", "image_urls": [server.url("/0/1.jpg")]}
        pages.append(serve(server, f"/page{me}", *galleries, shared))
    with s3(put_delay=0.02) as (settings, client):

        def night(me: int) -> Crawl:
            return crawl(
                tmp_path / str(me),
                "items",
                pages[me],
                CATALOGUE_URL=postgres.url,
                PRIVATE_HOSTS_ALLOWED="127.0.0.1",
                **settings,
            )

        with ThreadPoolExecutor(2) as threads:
            first = list(threads.map(night, range(2)))
        assert [done.code for done in first] == [0, 0], first[0].log + first[1].log
        listed = {entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET)["Contents"]}
        stored = {path: client.get_object(Bucket=BUCKET, Key=path)["Body"].read() for path in listed}
        assert Counter(stored.values()) == Counter(set(bodies.values()))  # all bytes, and none twice
        told = [image for done in first for image in done.images]
        assert {image["status"] for image in told} <= {"downloaded", "uptodate", "duplicate"}
        assert [i for i in told if hashlib.sha256(stored[i["path"]]).hexdigest() != i["checksum"]] == []

        catalogue = open_catalogue(Settings({"CATALOGUE_URL": postgres.url}))
        records = list(catalogue.records())
        known = list(items(catalogue, "items"))
        catalogue.close()
        assert len(records) == len(bodies)  # no row is lost
        assert {record.path for record in records} == listed
        assert sorted(item["title"] for item in known) == ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2", "both"]
        assert sum(len(item["images"]) for item in known) == 61

        asked = len(server.requests)
        pages.reverse()  # each does what the other did
        with ThreadPoolExecutor(2) as threads:
            second = list(threads.map(night, range(2)))
        assert not [request.path for request in server.requests[asked:] if request.path.endswith(".jpg")]
        assert {i["status"] for done in second for i in done.images} <= {"uptodate", "duplicate"}
    assert PASSWORD not in "".join(done.log for done in first + second)


def test_a_catalogue_that_goes_away_ends_the_crawl_in_order_and_nothing_is_told_that_is_not_in_it(
    server: Server, tmp_path: Path, postgres: PostgresServer
) -> None:
    async def last(exchange: Exchange) -> None:
        await asyncio.to_thread(postgres.stop)
        await exchange.head(200, Content_Type="image/jpeg", Content_Length=str(len(JPEG)))
        await exchange.write(JPEG)

    galleries = []
    for number in range(6):
        for image in range(5):
            server.add(f"/{number}/{image}.jpg", jpeg(50 + number, 50 + image))
        urls = [server.url(f"/{number}/{image}.jpg") for image in range(5)]
        galleries.append({"url": server.url(f"/g/{number}"), "title": f"{number}", "image_urls": urls})
    server.add("/3/0.jpg", last, times=1)
    server.add("/3/0.jpg", JPEG)
    page = serve(server, "/page", *galleries)
    settings = {
        "CATALOGUE_URL": postgres.url,
        "PRIVATE_HOSTS_ALLOWED": "127.0.0.1",
        "CONCURRENT_ITEMS": 1,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    }
    done = crawl(tmp_path, "items", page, **settings)
    assert done.code == 1, done.log
    assert "the catalogue at CATALOGUE_URL cannot be used any more" in done.log
    assert "Traceback" not in done.log
    assert PASSWORD not in done.log
    postgres.start()
    catalogue = open_catalogue(Settings({"CATALOGUE_URL": postgres.url}))
    noted = {item["url"] for item in items(catalogue)}
    catalogue.close()
    whole = {item["url"] for item in done.items if all("path" in image for image in item["images"])}
    assert whole <= noted
    assert whole

    again = crawl(tmp_path, "items", page, **settings)
    assert again.code == 0, again.log
    assert len(again.files) == len(set(again.files.values())) == 30
    assert [image["status"] for item in again.items if item["url"] in whole for image in item["images"]] == [
        "uptodate"
    ] * (5 * len(whole))


def test_a_catalogue_that_stalls_ends_the_crawl_and_its_page_is_for_the_next_one(
    server: Server, tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    """Its server is there, keeps all connections, and answers nothing. With a queue that workers share."""

    async def stall(exchange: Exchange) -> None:
        postgres.freeze()
        await exchange.head(200, Content_Type="image/jpeg", Content_Length=str(len(JPEG)))
        await exchange.write(JPEG)

    bodies = {f"/{number}.jpg": jpeg(50 + number) for number in range(6)}
    for path, body in bodies.items():
        server.add(path, body)
    server.add("/late.jpg", stall, times=1)
    server.add("/late.jpg", JPEG)
    page = serve(server, "/page", {"title": "t", "image_urls": [server.url(path) for path in (*bodies, "/late.jpg")]})
    settings = {
        "CATALOGUE_URL": postgres.url,
        "CATALOGUE_TIMEOUT": 1.5,
        "REDIS_URL": redis_server.url,
        "VERDICT_MAX_FAILED": 1,  # counted over both crawls, which are one run
        "PRIVATE_HOSTS_ALLOWED": "127.0.0.1",
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    }
    try:
        done = crawl(tmp_path, "items", page, **settings)
    finally:
        postgres.freeze(on=False)
    assert done.code == 1, done.log
    assert "the catalogue at CATALOGUE_URL cannot be used any more: no answer within 1.5 seconds" in done.log
    assert "Traceback" not in done.log
    rows = dict(line.split()[:2] for line in queue_of(tmp_path, redis_server) if len(line.split()) > 1)
    assert (rows["queued"], rows["done"]) == ("1", "0")
    again = crawl(tmp_path, "items", page, **settings)
    assert again.code == 0, again.log
    assert sorted(again.files.values()) == sorted([*bodies.values(), JPEG])
    assert {image["status"] for image in again.items[-1]["images"]} <= {"uptodate", "downloaded"}


def test_what_a_server_refuses_is_an_error_of_the_catalogue(postgres: PostgresServer) -> None:
    with closing(PostgresCatalogue(postgres.url)) as catalogue:
        with pytest.raises(CatalogueError, match="NUL"):
            catalogue.keys_of("a\0")
        catalogue._rows("SET default_transaction_read_only = on")
        with pytest.raises(CatalogueError, match="read-only transaction"):
            catalogue.remove([b"k" * 20])
        with pytest.raises(CatalogueError, match="read-only transaction"):
            catalogue._rows("DELETE FROM claims")
        assert catalogue.keys_of("a") == []  # it goes on
