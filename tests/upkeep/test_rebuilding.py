"""A catalogue that was lost is made again from the files and the feeds, and what others have fetched is taken in."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from scrapy.cmdline import execute

from imgcrawl.catalogue import SqliteCatalogue
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.upkeep.addresses import AddressKeys
from imgcrawl.upkeep.rebuilding import StoredFiles
from tests.commands.test_nights import command, night, site
from tests.support.crawling import project_settings
from tests.support.server import Server, jpeg


def told(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], list[str]]:
    """`scrapy` with these: exit code, lines of stdout, lines of stderr."""
    settings = project_settings()
    settings.set("IMAGES_STORE", str(folder / "images"), "cmdline")
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", *arguments], settings)
    out, err = capsys.readouterr()
    return int(str(ended.value.code)), out.splitlines(), err.splitlines()


def known(folder: Path) -> dict[str, Any]:
    """What the catalogue knows, but for when, and in which order, it learnt it."""
    with closing(SqliteCatalogue(folder / "images" / ".catalogue.sqlite3")) as catalogue:
        galleries = sorted(catalogue.galleries(None), key=attrgetter("key"))  # feeds may have another order
        keys = [key for gallery in galleries for key in gallery.keys]
        once = [key for key in keys if keys.count(key) == 1]  # of others the last gallery that was noted is known
        return {
            "records": [replace(record, checked_at=0) for record in catalogue.records()],
            "outcomes": [
                outcome and replace(outcome, first_seen=0, last_seen=0) for outcome in catalogue.outcomes(once)
            ],
            "galleries": [
                replace(
                    gallery, number=0, first_seen=0, last_seen=0, complete_at=gallery.complete_at == gallery.last_seen
                )
                for gallery in galleries
            ],
        }


def without_catalogue(folder: Path) -> None:
    for file in (folder / "images").glob(".catalogue*"):
        file.unlink()


def test_a_lost_catalogue_is_made_again_from_any_feed_and_nothing_is_fetched(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = b'<html><h2>=Again</h2><img src="/0/0.jpg"><img src="/4/1.jpg"></html>'
    site(server)
    server.add("/g4", page, headers={"Content-Type": "text/html"})
    server.add("/4/1.jpg", jpeg(80))
    server.add("/list", (b"<html>" + b"".join(b'<a class="g" href="/g%d">x</a>' % n for n in (0, 1, 2, 4))), times=1,
               headers={"Content-Type": "text/html"})  # fmt: skip
    feeds = [option for name in ("1.json", "1.jsonl", "1.csv") for option in ("-O", name)]
    night(server, tmp_path, options=feeds)
    for feed in ("rows.csv", "rows.jsonl", "rows.parquet"):
        assert told(tmp_path, capsys, "galleries", "-O", str(tmp_path / feed), "--rows", "images") == (0, [], [])
    assert told(tmp_path, capsys, "galleries", "-O", str(tmp_path / "1.parquet")) == (0, [], [])
    before = known(tmp_path)
    for feed in ("1.json", "1.jsonl", "1.csv", "1.parquet", "rows.jsonl", "rows.csv", "rows.parquet"):
        without_catalogue(tmp_path)
        code, lines, summary = told(tmp_path, capsys, "catalogue", "--rebuild", str(tmp_path / feed))
        assert (code, lines) == (0, []), (feed, lines, summary)
        again = known(tmp_path)
        assert again["records"] == before["records"], feed
        assert again["outcomes"] == before["outcomes"], feed
        # Rows of images say nothing of a gallery that has none.
        shown = [each for each in before["galleries"] if each.keys or not feed.startswith("rows")]
        assert again["galleries"] == shown, feed
    assert [each.name for each in (tmp_path / "images").glob(".*") if "rebuild" in each.name] == []
    code, lines, _ = told(tmp_path, capsys, "catalogue")
    assert (code, lines[1:]) == (
        0,
        [
            "stored: 6 addresses, in 6 files of "
            f"{sum(path.stat().st_size for path in (tmp_path / 'images').rglob('*.jpg')):,} bytes",
            "not stored: 3 failed, 0 refused, 0 deleted on purpose",
            "galleries: 3, of which 2 are complete",
        ],
    )

    site(server)
    server.forget()
    second = night(server, tmp_path, options=["-O", "2.json"])
    stored = {outcome.url for outcome in before["outcomes"] if outcome.status != "failed"}
    assert not {server.url(path) for path in server.paths()} & stored
    assert second.code == 0, second.log

    deleted, missing, changed = "gallery/Gallery 0/002.jpg", "gallery/Gallery 0/003.jpg", "gallery/Gallery 0/004.jpg"
    assert told(tmp_path, capsys, "forget", deleted)[0] == 0
    night(server, tmp_path, options=["-O", "3.json"])
    before = known(tmp_path)
    without_catalogue(tmp_path)
    (tmp_path / "images" / missing).unlink()
    (tmp_path / "images" / changed).write_bytes(b"other bytes")
    (tmp_path / "images" / "mine.txt").write_text("mine")
    (tmp_path / "bad.jsonl").write_text('{"url": "http://h/", "images": [{"path": 7}], "image_urls": ["x"]}\nno\n')
    feeds = [str(tmp_path / feed) for feed in ("1.json", "2.json", "3.json", "bad.jsonl")]
    code, lines, errors = told(tmp_path, capsys, "catalogue", "--rebuild", *feeds)
    assert [line.partition(": ")[2] for line in errors[:2]] == [
        'no item of a crawl: {"url": "http://h/", "images": [{"path": 7}], "image_urls": ',
        "line 2 is no item",
    ]
    assert (code, lines) == (
        1,
        [
            f"differs  {changed}  {server.url('/0/3.jpg')}",
            f"missing  {missing}  {server.url('/0/2.jpg')}",
            "unknown  mine.txt",
        ],
    )
    with closing(SqliteCatalogue(tmp_path / "images" / ".catalogue.sqlite3")) as catalogue:
        lost = {(outcome.url, outcome.reason, outcome.requested_path) for outcome in catalogue.not_had("gallery")}
        gone = [record for record in catalogue.records() if not record.path]
    assert lost == {
        (server.url("/0/2.jpg"), "lost", missing.removesuffix(".jpg")),
        (server.url("/0/3.jpg"), "lost", changed.removesuffix(".jpg")),
    }
    assert [record.final_url for record in gone] == [""]  # nothing is known of what was deleted but that it is unwanted
    again = known(tmp_path)
    kept = [record for record in before["records"] if record.path not in {"", missing, changed}]
    assert [record for record in again["records"] if record.path] == kept


def test_files_that_were_read_are_not_read_again_unless_they_have_changed(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"%d" % number)
    store = FileStore(tmp_path)
    reads = []
    checksum = store.checksum
    store.checksum = lambda name: reads.append(name) or checksum(name)  # type: ignore[method-assign, func-returns-value] # looked at
    for wanted in (["0.jpg", "1.jpg", "2.jpg"], ["1.jpg"], []):
        with closing(sqlite3.connect(tmp_path / ".notes", isolation_level=None)) as notes:
            files = StoredFiles(store, notes, 1)
            list(files.read())
            assert sorted(reads) == wanted
            found = files.find("1.jpg")
            assert found is not None
            assert found.checksum == hashlib.sha256((tmp_path / "1.jpg").read_bytes()).hexdigest()
            assert list(files.unnamed()) == ["0.jpg", "2.jpg"]
        if wanted and len(wanted) > 1:
            (tmp_path / "1.jpg").write_bytes(b"other")
        reads.clear()


# What gallery-dl 1.32.18 (`--write-metadata --download-archive`) and img2dataset 1.47.0 (`--output_format files`, which
# made the images anew, and with `--resize_mode no --skip_reencode True` `webdataset` and `parquet`) left of a site at
# 127.0.0.5; of what gallery-dl had fetched two files were then deleted. `tfrecord` is what TFRecordWriter (tfrecord
# 1.14.6) makes of the same fields: img2dataset writes that only beside TensorFlow.
LEFT = Path(__file__).parent / "left"


def taken_in(folder: Path) -> dict[str, str]:
    """The file of each address of the site, "" where none is wanted, whose bytes are what its record says."""
    settings = project_settings()
    with closing(SqliteCatalogue(folder / "images" / ".catalogue.sqlite3")) as catalogue:
        keys = AddressKeys(settings)
        urls = {keys.of(f"http://127.0.0.5/{name}.jpg"): name for name in ("0", "1", "2", "large", "none")}
        records = {urls[record.key]: record for record in catalogue.records() if record.key in urls}
    for record in records.values():
        file = folder / "images" / record.path
        assert not record.path or hashlib.sha256(file.read_bytes()).hexdigest() == record.checksum
    return {name: record.path for name, record in records.items()}


def test_what_the_tools_themselves_have_left_is_taken_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What gallery-dl's archive says was had, and is gone, does not come back, as gallery-dl itself has it."""
    theirs = [str(LEFT / "gallery-dl"), str(LEFT / "gallery-dl.sqlite3")]
    code, _, lines = told(tmp_path / "a", capsys, "catalogue", "--import", "gallery-dl", *theirs)
    # `directlink` notes no scheme: two addresses of one entry.
    assert (code, lines) == (0, ["2 files imported, 3 deleted on purpose; not imported: 0"])
    place = "imported/generic/127.0.0.5/page.html"
    assert taken_in(tmp_path / "a") == {"0": f"{place}/0.jpg", "1": f"{place}/1.jpg", "2": "", "large": ""}

    for kind in ("webdataset", "parquet", "tfrecord"):
        shards = str(LEFT / "img2dataset" / kind)
        code, _, lines = told(tmp_path / kind, capsys, "catalogue", "--import", "img2dataset", shards)
        assert (code, lines) == (0, ["2 files imported; not imported: 0"])
        assert taken_in(tmp_path / kind) == {"0": "imported/00000/000000000.jpg", "1": "imported/00000/000000001.jpg"}
        assert not [*(tmp_path / kind / "images" / ".incoming").glob("*/*")]
    cut = tmp_path / "cut" / "00001.tfrecord"
    cut.parent.mkdir()
    for damaged, sentence in ((slice(-200), "is cut"), (slice(7, None), "is no TFRecord file")):
        cut.write_bytes((LEFT / "img2dataset" / "tfrecord" / "00000.tfrecord").read_bytes()[damaged])
        code, _, lines = told(tmp_path / "cut", capsys, "catalogue", "--import", "img2dataset", str(cut.parent))
        assert (code, sentence in lines[0], len(lines)) == (1, True, 2)

    anew = str(LEFT / "img2dataset" / "files")
    code, _, lines = told(tmp_path / "c", capsys, "catalogue", "--import", "img2dataset", anew)
    assert (code, len(lines), lines[-1]) == (1, 3, "0 files imported; not imported: 2")
    assert "had (sha256): made anew?" in lines[0]


def sidecar(file: Path, body: bytes | None, known: dict[str, Any], name: str = "") -> None:
    """A file, if it has a *body*, with what is *known* of it beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if body is not None:
        file.write_bytes(body)
    (file.parent / (name or f"{file.name}.json")).write_text(json.dumps(known))


def test_what_others_have_fetched_is_taken_in_and_not_fetched_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = [jpeg(50 + number) for number in range(8)]
    links = "".join(f'<img src="/i/{number}.jpg">' for number in range(8))
    server.add("/list", b'<html><a class="g" href="/g">x</a></html>', headers={"Content-Type": "text/html"})
    server.add("/g", f"<html><h2>G</h2>{links}</html>".encode(), headers={"Content-Type": "text/html"})
    urls = [server.url(f"/i/{number}.jpg") for number in range(8)]

    theirs = tmp_path / "gallery-dl"
    sidecar(theirs / "site" / "a.jpg", bodies[0], {"category": "x", "url": urls[0]})
    sidecar(theirs / "b.jpg", bodies[1], {"file_url": urls[1]}, "b.json")
    sidecar(theirs / "same.jpg", bodies[0], {"url": urls[2]})
    sidecar(theirs / "c.jpg", bodies[3], {"id": 3})
    sidecar(theirs / "page.jpg", b"<!doctype html><html>", {"url": urls[7]})
    sidecar(theirs / "gone.jpg", None, {"url": urls[7]})
    code, lines, errors = told(tmp_path, capsys, "catalogue", "--import", "gallery-dl", str(theirs))
    assert (code, lines, errors[-1]) == (1, [], "3 files imported; not imported: 3")
    assert "names no address of its file" in errors[0]
    assert "there is no file beside it" in errors[1]
    assert "page.jpg is no image: html" in errors[2]
    with closing(sqlite3.connect(tmp_path / "archive.sqlite3")) as archive:
        archive.execute("CREATE TABLE archive (entry TEXT PRIMARY KEY) WITHOUT ROWID")
        archive.execute("INSERT INTO archive VALUES ('pixiv1')")
        archive.commit()
    code, _, (sentence, counts) = told(
        tmp_path, capsys, "catalogue", "--import", "gallery-dl", str(tmp_path / "archive.sqlite3")
    )
    assert (code, "1 of 1 entries name no address" in sentence) == (1, True)
    assert counts == "0 files imported; not imported: 1"

    shards = tmp_path / "img2dataset"
    known = {"status": "success", "url": urls[3], "sha256": hashlib.sha256(bodies[3]).hexdigest()}
    sidecar(shards / "00000" / "000000000.jpg", bodies[3], known, "000000000.json")
    known = {"status": "success", "url": urls[4], "sha256": "0" * 64}
    sidecar(shards / "00000" / "000000001.jpg", bodies[4], known, "000000001.json")
    (shards / "00000" / "000000002.jpg").write_bytes(bodies[5])
    (shards / "00000_stats.json").write_text("{}")
    rows = [("000000000", urls[3], "success"), ("000000002", urls[5], "success"), ("000000003", "http://x/", "failed")]
    names = ("key", "url", "status")
    table = pyarrow.table({name: [row[number] for row in rows] for number, name in enumerate(names)})
    pyarrow.parquet.write_table(table, shards / "00000.parquet")
    code, lines, errors = told(tmp_path, capsys, "catalogue", "--import", "img2dataset", str(shards))
    assert (code, lines, errors[-1]) == (1, [], "2 files imported; not imported: 1")
    assert f"has not the bytes that {urls[4]} had (sha256)" in errors[0]

    mine = tmp_path / "images" / "mine" / "x.jpg"
    mine.parent.mkdir()
    mine.write_bytes(bodies[6])
    listed = tmp_path / "list.csv"
    listed.write_text(f"path,url\nimages/mine/x.jpg,{urls[6]}\ngallery-dl/c.jpg,{urls[3]}\n")
    again = ["catalogue", "--import", "files", str(listed)]
    assert told(tmp_path, capsys, *again) == (0, [], ["1 files imported, 1 known; not imported: 0"])
    assert told(tmp_path, capsys, *again) == (0, [], ["0 files imported, 2 known; not imported: 0"])

    server.forget()
    for number in (4, 7):
        server.add(f"/i/{number}.jpg", bodies[number])
    (item,) = night(server, tmp_path).items
    assert {path for path in server.paths() if path.startswith("/i/")} == {"/i/4.jpg", "/i/7.jpg"}
    assert [image["path"] for image in item["images"]] == [
        *("imported/same.jpg", "imported/b.jpg", "imported/same.jpg", "imported/00000/000000000.jpg"),
        *("gallery/G/005.jpg", "imported/00000/000000002.jpg", "mine/x.jpg", "gallery/G/008.jpg"),
    ]
    assert [(image["width"], image["format"]) for image in item["images"][:2]] == [(50, "JPEG"), (51, "JPEG")]
    assert (theirs / "same.jpg").samefile(tmp_path / "images" / "imported" / "same.jpg")
    assert command(tmp_path, "rename", "gallery").returncode == 0
    assert sorted(path.name for path in (tmp_path / "images" / "gallery" / "G").iterdir()) == [
        *("001.jpg", "002.jpg", "004.jpg", "005.jpg", "006.jpg", "007.jpg", "008.jpg")
    ]
