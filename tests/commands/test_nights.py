"""What the catalogue is for: `scrapy galleries`, `failures`, `retry` and `forget`, on a small site whose day is bad."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from scrapy.settings import Settings

from imgcrawl.feeds.tables import write_table
from imgcrawl.spiders.pximg import PximgSpider
from tests.support import processes
from tests.support.crawling import FAST, Crawl, crawl, environment
from tests.support.redis_server import RedisServer
from tests.support.server import Server, jpeg

GALLERIES, IMAGES = 3, 4


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return processes.run(
        [sys.executable, "-m", "scrapy", *arguments],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def site(server: Server) -> None:
    """A list page, galleries and images; of the second gallery two images fail, the third one's page does."""
    links = "".join(f'<a class="g" href="/g{number}">{number}</a>' for number in range(GALLERIES))
    server.add("/list", f"<html>{links}</html>".encode(), headers={"Content-Type": "text/html"})
    server.add("/g2", status=500, times=1)
    for number in range(GALLERIES):
        images = "".join(f'<img src="/{number}/{image}.jpg">' for image in range(IMAGES))
        page = f"<html><h2>Gallery {number}</h2>{images}</html>".encode()
        server.add(f"/g{number}", page, headers={"Content-Type": "text/html"})
        for image in range(IMAGES):
            if number == 1 and image:
                server.add(f"/{number}/{image}.jpg", status=(404, 404, 503, 503)[image], times=1)
            server.add(f"/{number}/{image}.jpg", jpeg(60 + image, 60 + number))


def night(server: Server, folder: Path, **settings: Any) -> Crawl:
    arguments = {"list": server.url("/list"), "galleries": "a.g"}
    return crawl(folder, "gallery", arguments, RETRY_TIMES="0", VERDICT_MAX_FAILED="1", **settings)


def retry(server: Server, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    given = ["-a", f"list={server.url('/list')}", "-a", "galleries=a.g"]
    for name, value in {**FAST, "RETRY_TIMES": "0"}.items():
        given += ["-s", f"{name}={value}"]
    return command(folder, "retry", "gallery", *given, *options)


def test_what_failed_is_tried_again_through_a_shared_queue(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    server.add("/list", b'<html><a class="g" href="/g1">1</a></html>', headers={"Content-Type": "text/html"}, times=1)
    site(server)
    night(server, tmp_path)
    server.forget()
    (tmp_path / "cookies.txt").write_text("127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tmine\n")
    shared = ("-s", f"REDIS_URL={redis_server.url}", "-s", "COOKIES_FILE=cookies.txt")
    again = retry(server, tmp_path, *shared, "-O", "again.json")
    assert again.returncode == 0, again.stderr
    asked = [request for request in server.requests if request.path != "/robots.txt"]
    assert {request.path for request in asked} == {"/1/1.jpg", "/1/2.jpg", "/1/3.jpg"}
    assert {(each.headers["referer"], each.headers["cookie"]) for each in asked} == {
        (server.url("/g1"), "session=mine")
    }
    (item,) = json.loads((tmp_path / "again.json").read_text())
    assert [image["status"] for image in item["images"]] == ["downloaded"] * 3


def failures(folder: Path, *options: str) -> list[dict[str, Any]]:
    told = command(folder, "failures", "gallery", "--json", *options)
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def galleries(folder: Path, feed: str, *options: str) -> list[dict[str, Any]]:
    told = command(folder, "galleries", "gallery", "-O", feed, *options)
    assert (told.returncode, told.stderr) == (0, ""), told.stderr
    rows: list[dict[str, Any]] = json.loads((folder / feed).read_text("utf-8"))
    return rows


def test_what_failed_is_listed_tried_again_alone_and_completes_its_galleries(server: Server, tmp_path: Path) -> None:
    site(server)
    first = night(server, tmp_path)
    lost = {(failure["kind"], failure["reason"], failure["url"]) for failure in failures(tmp_path)}
    page = server.url("/g1")
    assert lost == {
        ("image", "http_404", server.url("/1/1.jpg")),
        ("image", "http_503", server.url("/1/2.jpg")),
        ("image", "http_503", server.url("/1/3.jpg")),
        ("page", "http_500", server.url("/g2")),
    }
    assert [failure["page"] for failure in failures(tmp_path, "--reason", "http_404")] == [page]
    known = galleries(tmp_path, "all.json")
    assert {item["url"]: item for item in known} == {item["url"]: item for item in first.items}
    assert list(known[0]) == list(first.items[0])

    server.forget()
    # Without the crawl's arguments the image may not be asked for: that is no word on what failed.
    slip = command(tmp_path, "retry", "gallery", "--reason", "http_404", "-s", "LOG_LEVEL=INFO")
    assert "private_address" in slip.stderr
    assert server.paths() == []
    assert {(failure["kind"], failure["reason"], failure["url"]) for failure in failures(tmp_path)} == lost

    once = retry(server, tmp_path, "--reason", "http_404", "-O", "again.json")
    assert once.returncode == 0, once.stderr
    assert [path for path in server.paths() if path != "/robots.txt"] == ["/1/1.jpg"]  # and nothing else
    assert server.requests[-1].headers["referer"] == page
    (item,) = json.loads((tmp_path / "again.json").read_text())
    assert (item["title"], item["url"], item["images"][0]["path"]) == ("Gallery 1", page, "gallery/Gallery 1/002.jpg")
    assert {failure["reason"] for failure in failures(tmp_path)} == {"http_503", "http_500"}

    server.forget()
    rest = retry(server, tmp_path)
    assert rest.returncode == 0, rest.stderr
    asked = [path for path in server.paths() if path != "/robots.txt"]
    assert sorted(asked) == ["/1/2.jpg", "/1/3.jpg", "/2/0.jpg", "/2/1.jpg", "/2/2.jpg", "/2/3.jpg", "/g2"]
    assert failures(tmp_path) == []
    known = galleries(tmp_path, "all.json")
    assert [image["status"] for item in known for image in item["images"]] == ["downloaded"] * GALLERIES * IMAGES
    assert sorted(item["title"] for item in known) == ["Gallery 0", "Gallery 1", "Gallery 2"]
    assert not any("error" in item for item in known)
    none = retry(server, tmp_path)
    assert (none.returncode, none.stderr) == (0, "nothing of gallery to try again\n")

    # As rows, and for other programs.
    assert command(tmp_path, "galleries", "-O", "all.csv").returncode == 0
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == {image["path"] for item in known for image in item["images"]}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("{", "[", "None", "b'"))]
    assert [row["path"] for row in galleries(tmp_path, "rows.json", "--rows", "images")] == [r["path"] for r in rows]
    assert command(tmp_path, "galleries", "-O", "all.parquet").returncode == 0
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pylist()
    assert [[image["path"] for image in item["images"]] for item in table] == [
        [image["path"] for image in item["images"]] for item in known
    ]
    lines = command(tmp_path, "galleries", "gallery").stdout.splitlines()
    assert [json.loads(line) for line in lines] == known
    before = (tmp_path / "all.json").read_bytes()
    nobody = command(tmp_path, "galleries", "pximg", "-O", "all.json")
    assert (nobody.returncode, (tmp_path / "all.json").read_bytes()) == (1, before)
    assert "the catalogue has no gallery of pximg; all.json is as it was" in nobody.stderr
    away = command(tmp_path, "galleries", "-O", "s3://me:secret@bucket/all.json")
    assert (away.returncode, away.stderr) == (
        *(2, "Feed s3://bucket/all.json: expected a local file, as in images.json or file:///tmp/images.json\n"),
    )
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("s3")]


def test_what_was_deleted_on_purpose_does_not_come_back_and_what_was_lost_does(server: Server, tmp_path: Path) -> None:
    site(server)
    night(server, tmp_path)
    store = tmp_path / "images"
    gone, lost = "gallery/Gallery 0/001.jpg", "gallery/Gallery 0/002.jpg"
    told = command(tmp_path, "forget", gone, "nothing.jpg")
    assert (told.returncode, told.stderr) == (1, "nothing.jpg: not in the catalogue\n")
    assert not (store / gone).exists()
    assert command(tmp_path, "forget", server.url("/0/2.jpg")).returncode == 0
    (store / lost).unlink()
    server.forget()
    second = night(server, tmp_path)
    (item,) = [item for item in second.items if item["title"] == "Gallery 0"]
    assert [(image["status"], image.get("reason")) for image in item["images"]] == [
        ("refused", "deleted"),
        ("downloaded", None),
        ("refused", "deleted"),
        ("uptodate", None),
    ]
    assert not {"/0/0.jpg", "/0/2.jpg"} & set(server.paths())
    assert (store / lost).exists()
    assert failures(tmp_path) == []
    assert len(failures(tmp_path, "--reason", "deleted")) == 2
    misspelt = command(tmp_path, "failures", "galery")
    assert (misspelt.returncode, misspelt.stdout) == (2, "")
    assert misspelt.stderr.startswith("scrapy failures galery: expected one spider of alexa, ")

    (store / lost).unlink()
    assert command(tmp_path, "forget", "--undo", server.url("/0/0.jpg")).returncode == 0
    third = night(server, tmp_path, IMAGES_KEEP_DELETED="True")
    (item,) = [item for item in third.items if item["title"] == "Gallery 0"]
    assert [image.get("reason", image["status"]) for image in item["images"]] == [
        *("downloaded", "deleted", "deleted", "uptodate")
    ]


@pytest.mark.parametrize(
    ("redis_url", "page", "url", "is_own"),
    [
        ("", "http://127.0.0.1:80/g", "http://127.0.0.2/1.jpg", True),  # as the crawl before had it
        ("redis://h", "http://127.0.0.1:80/g", "http://127.0.0.2/1.jpg", False),  # where anybody may write
        ("redis://h", "http://127.0.0.1:80/g", "http://127.0.0.1/1.jpg", True),
        ("", "http://127.0.0.3/g", "http://127.0.0.2/1.jpg", False),
        ("", "http://example.org/g", "http://127.0.0.1/1.jpg", False),
    ],
)
def test_what_is_tried_again_may_be_on_another_machine_of_a_site_that_is_not_public(
    redis_url: str, page: str, url: str, is_own: bool
) -> None:
    spider = PximgSpider(base="http://127.0.0.1:80")
    spider.settings = Settings({"REDIS_URL": redis_url})
    assert spider.is_own_private_page(page, url) is is_own


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_values_of_any_kind_are_written(tmp_path: Path, suffix: str) -> None:
    items: list[dict[str, Any]] = [
        {"a": 1, "b": "\ud800", "images": [{"url": "x"}]},
        {"a": "text", "c": True, "images": []},
        {"a": None, "d": {"e": [1]}, "images": [{"url": "y", "width": 3}], "image_facts": {"y": {"author": "me"}}},
    ]
    path = tmp_path / f"x{suffix}"
    assert write_table(path, lambda: iter(items)) == 3
    written = path.read_bytes()
    assert write_table(path, lambda: iter(())) == 0
    assert path.read_bytes() == written
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if suffix == ".parquet":
        rows = pyarrow.parquet.read_table(path).to_pylist()
        assert [row["a"] for row in rows] == ["1", "text", None]
        assert rows[2]["images"] == [{"url": "y", "width": 3}]
        assert json.loads(rows[2]["image_facts"]) == {"y": {"author": "me"}}  # no column for each address
    if suffix == ".csv":
        assert b",true," in written
    if suffix == ".json":
        assert json.loads(written)[1:] == items[1:]


def test_a_quiet_night_asks_for_next_to_nothing_and_a_pinned_gallery_does_not_hide_a_new_one(
    server: Server, tmp_path: Path
) -> None:
    pinned = ["pin0", "pin1", "pin2"]

    def serve(names: list[str]) -> None:
        for page in range(8):
            links = "".join(f'<a class="g" href="/{name}">x</a>' for name in pinned + names[page * 10 : page * 10 + 10])
            more = f'<a rel="next" href="/list{page + 1}">next</a>' if page < 7 else ""
            server.add(f"/list{page}", f"<html>{links}{more}</html>".encode(), headers={"Content-Type": "text/html"})
        for name in pinned + names:
            page_of = f'<html><h2>{name}</h2><img src="/{name}.jpg"></html>'.encode()
            server.add(f"/{name}", page_of, headers={"Content-Type": "text/html"})
            server.add(f"/{name}.jpg", jpeg(40, 40, comment=name))

    def night(*options: tuple[str, str], **settings: Any) -> list[str]:
        server.forget()
        arguments = {"list": server.url("/list0"), "galleries": "a.g", **dict(options)}
        done = crawl(tmp_path, "gallery", arguments, **settings)
        assert done.code == 0, done.log
        return sorted(path for path in server.paths() if path != "/robots.txt")

    names = [f"g{number}" for number in range(77)]
    serve(names)
    quiet = {"GALLERIES_EXPIRES": "30"}
    assert len(night(("pages", "3"))) == 3 + 2 * 33
    # That walk was not whole: what is behind its last page is not taken for known.
    assert len(night(("stop_at_known", "5"), **quiet)) == 8 + 2 * 47
    lists = [f"/list{page}" for page in range(8)]
    assert night(**quiet) == lists
    assert night(("stop_at_known", "5"), **quiet) == ["/list0"]
    serve(["new", *names])
    assert night(("stop_at_known", "5"), **quiet) == ["/list0", "/new", "/new.jpg"]
    serve([*(f"more{number}" for number in range(8)), "new", *names])  # of the first page one is known beside the pins
    assert {"/list0", "/list1", "/more7", "/more7.jpg"} <= set(night(("stop_at_known", "5"), **quiet))
    assert len(night(("stop_at_known", "5"))) == 1 + 13  # opened again: their images are here


def test_a_site_that_is_down_replaces_no_feed_by_an_empty_one(server: Server, tmp_path: Path) -> None:
    site(server)
    feeds = ["items.json", "items.jsonl", "items.csv", "items.xml"]
    options = [option for feed in feeds for option in ("-O", feed)]
    night(server, tmp_path, options=options)
    before = {feed: (tmp_path / feed).read_bytes() for feed in feeds}
    assert all(before.values())
    server.add("/list", status=503, times=1)
    server.add("/list", b'<html><a class="g" href="/g0">0</a></html>', headers={"Content-Type": "text/html"})
    down = night(server, tmp_path, options=[*options, "-O", "new.json"])
    assert down.code == 1
    assert {feed: (tmp_path / feed).read_bytes() for feed in feeds} == before
    for feed in feeds:
        assert f"{feed} is as it was: this crawl has brought no item to take its place" in down.log
    assert json.loads((tmp_path / "new.json").read_text()) == []

    up = night(server, tmp_path, options=options)
    assert up.code == 0, up.log
    assert [item["title"] for item in up.items] == ["Gallery 0"]
    assert [json.loads(line)["title"] for line in (tmp_path / "items.jsonl").read_text().splitlines()] == ["Gallery 0"]
    with (tmp_path / "items.csv").open(newline="", encoding="utf-8") as file:
        assert [row["title"] for row in csv.DictReader(file)] == ["Gallery 0"]


def test_an_audit_finds_what_is_not_as_it_was_and_retry_brings_it_back(server: Server, tmp_path: Path) -> None:
    server.add("/list", b'<html><a class="g" href="/g0">0</a></html>', headers={"Content-Type": "text/html"}, times=1)
    site(server)
    night(server, tmp_path)
    store = tmp_path / "images" / "gallery" / "Gallery 0"
    assert command(tmp_path, "audit").returncode == 0
    before = {path: path.read_bytes() for path in store.iterdir()}
    missing, cut, changed, _ = sorted(before)
    missing.unlink()
    cut.write_bytes(before[cut][:-9])
    times = changed.stat()
    changed.write_bytes(before[changed][:-1] + b"\0")
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a disk does that errs
    (store / "mine.txt").write_text("not an image of a crawl")
    found = command(tmp_path, "audit", "--retry")
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        "missing  gallery/Gallery 0/001.jpg",
        "damaged  gallery/Gallery 0/002.jpg",
        "changed  gallery/Gallery 0/003.jpg",
        "unknown  gallery/Gallery 0/mine.txt",
    ]
    assert found.stderr == "1 files are as they were; changed: 1, damaged: 1, missing: 1, unknown: 1\n"
    assert {failure["reason"] for failure in failures(tmp_path)} == {"lost"}
    server.forget()
    assert retry(server, tmp_path).returncode == 0
    assert sorted(path for path in server.paths() if path != "/robots.txt") == ["/0/0.jpg", "/0/1.jpg", "/0/2.jpg"]
    assert {path: path.read_bytes() for path in before} == before
    assert failures(tmp_path) == []
    told = command(tmp_path, "audit", "--json")
    assert json.loads(told.stdout) == {"found": "unknown", "path": "gallery/Gallery 0/mine.txt"}
    assert not (tmp_path / "images" / ".audit.sqlite3").exists()
