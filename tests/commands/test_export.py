"""Each way out, opened by the library that its users use."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
import webdataset
from PIL import Image
from scrapy.cmdline import execute

from imgcrawl.exceptions import InputError
from imgcrawl.exports.conditions import condition
from imgcrawl.exports.names import Names
from imgcrawl.exports.target import Target
from imgcrawl.ownfiles import EXPORT_NOTES
from imgcrawl.pipelines.stores import FileStore
from tests.support.crawling import ROOT, crawl, environment, project_settings
from tests.support.server import Server, jpeg

ROWS = [
    {"title": "Birds", "caption": "Two birds", "tags": ["sea", "sky"], "label": 3, "author": "Ann \x01& Bob"},
    {"title": "Birds", "caption": "", "label": 5},
    {"title": "日本/..", "label": None},
]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A folder with a feed of three galleries and their images, and the images by their addresses."""
    folder = tmp_path_factory.mktemp("crawled")
    bodies = {}
    with Server() as server:
        for number in range(6):
            path = f"/{number}.{'png' if number == 5 else 'jpg'}"
            body = jpeg(64 + 10 * number, colour=(40 * number, 90, 200 - 30 * number))
            if number == 5:
                Image.open(io.BytesIO(body)).save(png := io.BytesIO(), "PNG")
                body = png.getvalue()
            server.add(path, bodies.setdefault(server.url(path), body))
        urls = [*bodies, server.url("/gone.jpg")]
        for number, row in enumerate(ROWS):
            row["image_urls"] = urls[2 * number : 2 * number + (3 if number == 2 else 2)]
        (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        settings = {"IMAGES_NAME": "{title}/{index:03}", "RETRY_TIMES": "0", "PRIVATE_HOSTS_ALLOWED": "127.0.0.1"}
        done = crawl(folder, "urls", {"file": "list.jsonl"}, **settings, VERDICT_MAX_FAILED="1")
    assert sorted(image["status"] for image in done.images) == ["downloaded"] * 6 + ["failed"], done.log
    items = sorted(done.items, key=lambda item: str(item["url"]))  # whichever was the first
    (folder / "items.json").write_text("[" + ",\n".join(map(json.dumps, items)) + "]\n")
    return folder, bodies


def first_two(folder: Path) -> list[Path]:
    """The images of the first gallery, whose title another has, too."""
    images = json.loads((folder / "items.json").read_text())[0]["images"]
    return [folder / "images" / image["path"] for image in images]


def export(folder: Path, *arguments: str) -> int:
    """The exit code of `scrapy export` for the feed in *folder*, whose images are there."""
    words = ["scrapy", "export", *arguments, "--images", str(folder / "images"), str(folder / "items.json")]
    with pytest.raises(SystemExit) as ended:
        execute(words, settings=project_settings())
    return int(ended.value.code or 0)


def samples(target: Path) -> list[dict[str, Any]]:
    """What webdataset, which leaves its files open, reads from the shards of *target*."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        shards = [str(path) for path in sorted(target.glob("*.tar"))]
        found = [sample for shard in shards for sample in webdataset.WebDataset(shard, shardshuffle=False)]
        gc.collect()
    return found


def made(target: Path) -> dict[str, tuple[int, int]]:
    """The files that a person sees in *target*, and which ones they are."""
    found = [path for path in target.rglob("*") if path.is_file() and not path.name.startswith(".export")]
    return {path.relative_to(target).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_webdataset_reads_the_shards_and_only_what_is_new_is_written_again(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, bodies = crawled
    target = tmp_path / "shards"
    arguments = ("--to", "webdataset", "-o", str(target), "--per-file", "4")
    assert export(folder, *arguments) == 0
    assert f"{target}: 2 files written with 6 images, 0 were there already" in capsys.readouterr().out
    first = made(target)
    assert sorted(first) == ["00000.tar", "00001.tar"]
    found = samples(target)
    assert [sample["__key__"] for sample in found] == [f"00000000{n}" for n in range(4)] + ["000010000", "000010001"]
    for sample, (url, body) in zip(found, bodies.items(), strict=True):
        facts = json.loads(sample["json"])
        assert sample["png" if url.endswith("png") else "jpg"] == body
        assert (facts["url"], facts["status"], facts["sha256"]) == (url, "success", hashlib.sha256(body).hexdigest())
        assert facts["width"] == facts["original_width"] == Image.open(io.BytesIO(body)).width
    assert [sample["txt"].decode() for sample in found] == ["Two birds"] * 2 + ["Birds"] * 2 + ["日本/.."] * 2

    assert export(folder, *arguments) == 0
    assert made(target) == first
    (target / "00001.tar").write_bytes(b"cut")
    assert export(folder, *arguments) == 0
    assert made(target)["00000.tar"] == first["00000.tar"]
    assert len(samples(target)) == 6
    assert export(folder, *arguments, "--where", "width < 100 and format == 'JPEG'") == 0
    assert sorted(made(target)) == ["00000.tar"]
    assert "1 removed" in capsys.readouterr().out


@pytest.mark.parametrize("more", [(), ("--paths",)])
def test_parquet_has_a_row_for_each_image(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path, more: tuple[str, ...]
) -> None:
    folder, bodies = crawled
    assert export(folder, "--to", "parquet", "-o", str(tmp_path / "table"), "--per-file", "4", *more) == 0
    rows = pyarrow.dataset.dataset(sorted((tmp_path / "table").glob("*.parquet"))).to_table().to_pylist()
    assert [row["url"] for row in rows] == list(bodies)
    assert [row["image"]["bytes"] for row in rows] == ([None] * 6 if more else list(bodies.values()))
    assert [(folder / "images" / row["image"]["path"]).read_bytes() for row in rows] == list(bodies.values())
    assert [row["label"] for row in rows] == [3, 3, 5, 5, None, None]
    assert rows[0]["gallery_url"] == "list.jsonl:1"
    assert rows[0]["tags"] == ["sea", "sky"]
    assert rows[0]["bytes"] == len(next(iter(bodies.values())))


def test_a_folder_has_other_names_and_what_is_known_of_each_image_beside_it(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, bodies = crawled
    target = tmp_path / "tree"
    name = ("--name", "{label}/x", "--sidecars", "json,txt,xmp")
    assert export(folder, "--to", "folder", "-o", str(target), *name) == 0
    found = made(target)
    images = {name for name in found if name.endswith((".jpg", ".png"))}
    assert images == {"3/x.jpg", "3/x-2.jpg", "5/x.jpg", "5/x-2.jpg", "untitled/x.jpg", "untitled/x.png"}
    assert sorted((target / name).read_bytes() for name in images) == sorted(bodies.values())
    assert (target / "3/x.txt").read_text() == "Two birds"
    assert json.loads((target / "3/x-2.json").read_text())["url"] == list(bodies)[1]
    assert {"untitled/x.txt", "untitled/x-2.txt"} < found.keys()  # two images whose names differ in their ending only
    # Pillow reads the packet from an image that carries it, as viewers read it from the file beside the image.
    packet = (target / "3/x.xmp").read_bytes()
    Image.new("RGB", (4, 4)).save(tmp_path / "with.jpg", xmp=packet)
    with Image.open(tmp_path / "with.jpg") as image:
        said: Any = image.getxmp()
    said = said["xmpmeta"]["RDF"]["Description"]
    assert said["description"]["Alt"]["li"]["text"] == "Two birds"
    assert said["creator"]["Seq"]["li"] == "Ann \ufffd& Bob"
    assert said["subject"]["Bag"]["li"] == ["sea", "sky"]
    assert said["source"] == next(iter(bodies))


def test_names_have_the_fields_that_those_of_a_crawl_have(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, bodies = crawled
    target = tmp_path / "tree"
    assert export(folder, "--to", "folder", "-o", str(target), "--name", "{host}/{slug}/{name}-{basename}") == 0
    names = [f"{number}-{number}{'.png' if number == 5 else '.jpg'}" for number in range(6)]  # of the addresses
    assert len(bodies) == len(names)
    assert sorted(made(target)) == [f"127.0.0.1/list.jsonl_{n // 2 + 1}/{name}" for n, name in enumerate(names)]


def test_an_archive_for_each_gallery(crawled: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    folder, bodies = crawled
    assert export(folder, "--to", "cbz", "-o", str(tmp_path / "cbz")) == 0
    assert export(folder, "--to", "zip", "-o", str(tmp_path / "zip"), "--name", "{title}") == 0
    assert sorted(made(tmp_path / "cbz")) == ["urls/Birds-2.cbz", "urls/Birds.cbz", "urls/日本_.cbz"]
    with zipfile.ZipFile(tmp_path / "cbz" / "urls" / "Birds.cbz") as comic:
        assert comic.testzip() is None
        assert comic.namelist() == ["001.jpg", "002.jpg", "ComicInfo.xml"]
        assert [comic.read(name) for name in comic.namelist()[:2]] == list(bodies.values())[:2]
        about = ET.fromstring(comic.read("ComicInfo.xml"))  # noqa: S314 -- our own
        assert {child.tag: child.text for child in about} == {
            "Title": "Birds", "Summary": "Two birds", "Writer": "Ann \ufffd& Bob", "Tags": "sea, sky",
            "Web": "list.jsonl:1", "PageCount": "2",
        }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "zip" / "Birds.zip") as archive:
        assert [image["url"] for image in json.loads(archive.read("gallery.json"))["images"]] == list(bodies)[:2]


def test_sidecars_stand_beside_the_images_of_the_store_and_replace_nothing(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(crawled[0], folder)
    store = folder / "images"
    arguments = ("--to", "sidecars", "-o", str(store), "--sidecars", "txt")
    assert export(folder, *arguments) == 0
    note = first_two(folder)[0].with_suffix(".txt")
    assert note.read_text() == "Two birds"
    assert export(folder, *arguments, "--caption", "label") == 0
    assert note.read_text() == "3"
    # An audit, and a rebuilding, take them for ours; and are not ended by a name that is no text.
    before = {*FileStore(store).files()}
    assert note.relative_to(store).as_posix() not in before
    Path(os.fsdecode(bytes(store) + b"/\xff.txt")).touch()
    assert {*FileStore(store).files()} - before == {"\\udcff.txt"}
    own = tmp_path / "own" / note.relative_to(store)
    own.parent.mkdir(parents=True)
    own.write_text("my own note")
    assert export(folder, "--to", "sidecars", "-o", str(tmp_path / "own"), "--sidecars", "txt") == 2
    assert f"{own} is there already and was not made by this export" in capsys.readouterr().err
    assert own.read_text() == "my own note"


def test_what_is_missing_or_changed_is_told_and_is_written_once_it_is_there(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(crawled[0], folder)
    target = tmp_path / "shards"
    first, second = first_two(folder)
    body = first.read_bytes()
    first.unlink()
    second.write_bytes(b"x" + second.read_bytes()[1:])
    arguments = ("--to", "webdataset", "-o", str(target))
    assert export(folder, *arguments) == 1
    told = capsys.readouterr().err
    assert f"{first}: No such file or directory\n" in told
    assert f"{second} is not the image that was stored: its checksum is another\n" in told
    assert "2 images are not in the store any more and were left out\n" in told
    first.write_bytes(body)
    assert export(folder, *arguments) == 1
    assert len(samples(target)) == 5


@pytest.mark.parametrize("kind", ["webdataset", "parquet", "zip", "cbz", "folder"])
def test_what_was_whole_is_not_replaced_by_less(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(crawled[0], folder)
    arguments = ("--to", kind, "-o", str(tmp_path / "out"))
    assert export(folder, *arguments) == 0
    before = made(tmp_path / "out")
    feed = folder / "items.json"
    items = json.loads(feed.read_text())
    feed.write_text(json.dumps([{**item, "author": "new"} for item in items]))
    (folder / "images").rename(folder / "away")  # it is not mounted
    (folder / "images").mkdir()
    assert export(folder, *arguments) == (0 if kind == "folder" else 1)  # names and bytes of a folder are the same
    assert made(tmp_path / "out") == before
    assert export(folder, "--to", kind, "-o", str(tmp_path / "new")) == 1
    assert not made(tmp_path / "new")
    (folder / "images").rmdir()
    (folder / "away").rename(folder / "images")
    first_two(folder)[0].unlink()
    assert export(folder, *arguments, "--where", "label == 3") == (0 if kind == "folder" else 1)
    assert before.items() >= made(tmp_path / "out").items() > {}.items()


def test_a_feed_that_is_cut_removes_nothing(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(crawled[0], folder)
    arguments = ("--to", "folder", "-o", str(tmp_path / "out"))
    assert export(folder, *arguments) == 0
    before = made(tmp_path / "out")
    feed = folder / "items.json"
    lines = [json.dumps(item) for item in json.loads(feed.read_text())]
    for damaged, code in (([*lines[:2], lines[2][:-9]], 0), ([lines[0], "no item", lines[2]], 1)):
        feed.write_text("\n".join(damaged))
        assert export(folder, *arguments) == code
        assert made(tmp_path / "out") == before
        assert f"nothing was removed from {tmp_path / 'out'}: the feeds are not whole" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["../../x/evil.jpg", "/tmp/a.jpg", "a\0b.jpg", "a\ud83d.jpg", "a/./b.jpg"])  # noqa: S108 -- never written
def test_no_path_of_a_feed_leads_out_of_the_target(tmp_path: Path, path: str) -> None:
    (tmp_path / "images").mkdir()
    image = {"url": "http://x/a.jpg", "status": "downloaded", "path": path}
    (tmp_path / "items.json").write_text(json.dumps([{"spider": "s", "title": "t", "images": [image]}]))
    before = {*tmp_path.parent.rglob("*")}
    assert export(tmp_path, "--to", "sidecars", "-o", str(tmp_path / "one" / "out")) == 2
    assert export(tmp_path, "--to", "folder", "-o", str(tmp_path / "two")) == 1
    assert [new for new in {*tmp_path.parent.rglob("*")} - before if new.is_file() and ".export" not in new.name] == []


def test_without_a_feed_all_that_the_catalogue_knows_is_written(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, bodies = crawled
    words = ["scrapy", "export", "--to", "folder", "-o", str(tmp_path), "--images", str(folder / "images")]
    with pytest.raises(SystemExit) as ended:
        execute([*words, "--where", "label != 3"], settings=project_settings())
    assert not ended.value.code
    written = [(tmp_path / name).read_bytes() for name in made(tmp_path)]
    assert sorted(written) == sorted([*bodies.values()][2:])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "tar"], "--to tar: expected one of webdataset, parquet, folder, zip, cbz, sidecars"),
        (["--to", "zip", "--where", "widht > 3"], "no image has a field 'widht'; expected some of"),
        (["--to", "webdataset", "--caption", "captoin"], "--caption captoin: expected one field of author, bytes, "),
        (["--to", "zip", "--where", "width >"], "--where 'width >' cannot be read"),
        (["--to", "zip", "--where", "__import__('os').system('x')"], "no image has a field '__import__'"),
        (["--to", "zip", "--where", "title.__class__"], "is refused"),
        (["--to", "folder", "--name", "../{title}"], '--name is \'../{title}\': a part of it is empty, "." or ".."'),
        (["--to", "folder", "--sidecars", "iptc"], "--sidecars 'iptc': expected some of json,txt,xmp"),
        (["--to", "parquet", "--per-file", "0"], "--per-file 0: expected a number from 1 to 10000"),
        (["--to", "folder", "--images", "/nowhere"], "/nowhere is no folder"),
        (["--to", "zip", "-o", "s3://bucket/x"], "-o s3://bucket/x: expected a folder of this machine"),
    ],
)
def test_bad_input_is_one_sentence(
    crawled: tuple[Path, dict[str, bytes]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    words = ["scrapy", "export", str(crawled[0] / "items.json"), "-o", str(tmp_path / "out")]
    given = [] if "--images" in arguments else ["--images", str(crawled[0] / "images")]
    with pytest.raises(SystemExit) as ended:
        execute([*words, *given, *arguments], settings=project_settings())
    told = capsys.readouterr().err
    assert ended.value.code == 2, told
    assert sentence in told
    assert told.count("\n") == 1


def test_an_export_of_a_newer_release_is_left_alone_and_one_of_the_first_goes_on(tmp_path: Path) -> None:
    with Target(tmp_path, "zip"):
        pass
    with closing(sqlite3.connect(tmp_path / EXPORT_NOTES, isolation_level=None)) as notes:
        assert notes.execute("PRAGMA user_version").fetchone() == (1,)
        notes.execute("PRAGMA user_version = 0")
        with Target(tmp_path, "zip"):
            pass
        notes.execute("PRAGMA user_version = 2")
    with pytest.raises(InputError, match="is of format 2, expected 1: it was written by a newer release"):
        Target(tmp_path, "zip")


def test_an_export_that_is_killed_goes_on_and_a_full_disk_is_one_sentence(
    crawled: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    folder, bodies = crawled
    command = [sys.executable, "-m", "scrapy", "export", "--to", "folder", "-o", "tree", str(folder / "items.json")]
    command += ["--images", str(folder / "images")]
    env = environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    # The process ends, or the disk is full, as the third part is to appear.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib\n"
        "replace, left = os.replace, [2]\n"
        "def failing(source, target, **folders):\n"
        "    if pathlib.Path(source).name == '.export.tmp':\n"
        "        left[0] -= 1\n"
        "        if left[0] < 0 and os.environ.get('HOW') == 'kill': os.kill(os.getpid(), 9)\n"
        "        if left[0] < 0 and os.environ.get('HOW') == 'full': raise OSError(28, 'No space left on device')\n"
        "    return replace(source, target, **folders)\n"
        "os.replace = failing\n"
    )

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=env | {"HOW": how}, capture_output=True, text=True, check=False, timeout=120
        )

    assert run("kill").returncode == -9
    assert len(made(tmp_path / "tree")) == 2
    full = run("full")
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert full.stderr.endswith(
        "cannot be written: No space left on device; what is finished stays, and the same command goes on\n"
    )
    assert run("no").stdout == "tree: 2 files written with 2 images, 4 were there already\n"
    assert sorted(path.read_bytes() for path in (tmp_path / "tree").rglob("*.[jp][pn]g")) == sorted(bodies.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": ["x"]}, {"image_names": 5}, {"images": None, "index": 1, "status": "downloaded"},
        *({"images": [{"url": "http://x/", "status": "downloaded", "path": "a.jpg", **fields}]}
          for fields in ({"bytes": "abc"}, {"width": 1.5}, {"facts": "x"}, {"path": 5})),
    ],
)  # fmt: skip
def test_a_feed_of_somebody_else_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "items.json").write_text(json.dumps([{"spider": "s", "title": "t", **wrong}]))
    for kind in ("webdataset", "parquet", "sidecars"):
        assert export(tmp_path, "--to", kind, "-o", str(tmp_path / kind), "--sidecars", "json,xmp") == 2
        told = capsys.readouterr().err
        assert told.startswith('an item of the feeds is none that a crawl writes: {"spider": "s", ')
        assert told.count("\n") == 1


def test_parquet_takes_every_value_that_json_has(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"a")
    image = {"url": "http://x/\ud83d", "status": "downloaded", "path": "a.jpg", "facts": {"caption": "\ud83d"}}
    values: list[dict[str, Any]] = [
        {"number": 1.5, "tags": ["\ud83d"], "mixed": [1]},
        {"number": (1 << 53) + 1, "tags": [], "mixed": "x"},
    ]
    items = [{"title": "\ud83d", "spider": str(n), "images": [image], **value} for n, value in enumerate(values)]
    (tmp_path / "items.json").write_text(json.dumps(items))
    assert export(tmp_path, "--to", "parquet", "-o", str(tmp_path / "table")) == 0
    rows = pyarrow.dataset.dataset(tmp_path / "table" / "00000.parquet").to_table().to_pylist()
    assert [row["number"] for row in rows] == [1.5, float(1 << 53)]
    assert [(row["caption"], row["tags"], row["mixed"]) for row in rows] == [("?", ["?"], "1"), ("?", [], "x")]


def test_an_image_without_a_field_is_none_of_those_wanted() -> None:
    holds = condition("title.lower() == 'x'", {"title"})
    assert [holds({"title": title}) for title in (None, "X", 5)] == [False, True, False]
    assert not condition("title + title == 'x'", {"title"})({"title": "x" * 100_000})
    with pytest.raises(InputError, match="is refused"):
        condition("title.__class__", {"title"})({"title": "x"})
    with pytest.raises(InputError, match=r"--where .* (is refused|cannot be read)"):
        condition("-" * 900 + "width", {"width"})({"width": 1})


def test_many_equal_names_are_numbered_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr("imgcrawl.exports.names._key", lambda name: looks.append(name) or name.casefold())
    names = Names("{title}", {"title"})
    found = [names.unused(stem, ".jpg") for stem in ("a", "a", "a-2", "A", "a", "b")]
    assert found == ["a.jpg", "a-2.jpg", "a-2-2.jpg", "A-3.jpg", "a-4.jpg", "b.jpg"]
    looks.clear()
    assert {names.unused("a", ".jpg") for _ in range(1000)} == {f"a-{number}.jpg" for number in range(5, 1005)}
    assert len(looks) == 2000


def test_a_file_of_several_images_has_one_sidecar(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    image = {"url": "http://x/", "status": "duplicate", "path": "a.jpg"}
    (tmp_path / "items.json").write_text(json.dumps([{"title": "t", "images": [image, image]}]))
    assert export(tmp_path, "--to", "sidecars", "-o", str(tmp_path / "out")) == 0
    assert [*made(tmp_path / "out")] == ["a.json"]
