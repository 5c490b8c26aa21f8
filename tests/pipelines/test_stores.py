"""The directory that images go to: whose its folders are, what is followed, what is on disk when."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from imgcrawl.catalogue import SqliteCatalogue
from imgcrawl.exceptions import InputError
from imgcrawl.images.names import file_names
from imgcrawl.pipelines.staging import NAME, Staging
from imgcrawl.pipelines.stores import FileStore, is_plain
from tests.support.crawling import ROOT, Crawl, crawl
from tests.support.server import JPEG, Server, jpeg

BODY = b"an image"
CHECKSUM = hashlib.sha256(BODY).hexdigest()


def outcomes(done: Crawl) -> list[tuple[str, str]]:
    return [(image["status"], image.get("reason") or image.get("path")) for image in done.images]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(str(tmp_path / "images"))
    store.staging.open()
    yield store
    store.staging.close()


def publish(store: FileStore, name: str, body: bytes = BODY, *, ours: bool = False) -> str:
    checksum = hashlib.sha256(body).hexdigest()
    with store.staged(body) as staged:
        return store.publish(staged, file_names(name, ".jpg", checksum), checksum, lambda _: ours)


HOLDS = """
import sys, time
from pathlib import Path
from imgcrawl.pipelines.staging import Staging
staging = Staging(Path(sys.argv[1]))
staging.open()
(staging._folder / "half").write_bytes(b"half")
print(staging._folder, flush=True)
time.sleep(600)
"""


def holder(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a staging folder, and that folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_left_overs_of_the_dead_are_removed_and_nobodys_elses(tmp_path: Path) -> None:
    """Whatever their process ids and host names are: those of containers repeat."""
    living, theirs = holder(tmp_path)
    killed, left = holder(tmp_path)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "half").exists()
        foreign = tmp_path / NAME / "notes"
        foreign.mkdir()
        ours = Staging(tmp_path)
        ours.open()
        assert not left.exists()
        assert (theirs / "half").exists()
        assert foreign.exists()
        ours.close()
        assert {path.name for path in (tmp_path / NAME).iterdir()} == {theirs.name, f"{theirs.name}.lock", "notes"}
    finally:
        for process in (living, killed):
            process.kill()
            process.communicate()


def test_many_that_begin_at_once_have_a_folder_each(tmp_path: Path) -> None:
    stagings = [Staging(tmp_path) for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(Staging.open, stagings))
    with ThreadPoolExecutor(16) as threads:
        folders = {path.parent for path in threads.map(lambda s: s.unused().__enter__(), stagings)}
    assert len(folders) == 16
    assert all(folder.is_dir() for folder in folders)
    for staging in stagings:
        staging.close()
    assert list((tmp_path / NAME).iterdir()) == []


def test_a_staging_folder_that_is_a_link_is_refused_and_its_target_left_alone(server: Server, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "1@gone").mkdir(parents=True)
    (precious / "1@gone" / "letter").write_text("dear")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / NAME).symlink_to(precious)
    server.add("/page", b'[{"image_urls": []}]', headers={"Content-Type": "application/json"})
    done = crawl(tmp_path, "items", {"url": server.url("/page")})
    assert done.code == 2
    assert f"{NAME} is a symbolic link, expected a folder of this user" in done.log
    assert "Traceback" not in done.log
    assert (precious / "1@gone" / "letter").read_text() == "dear"


@pytest.mark.parametrize("make", [os.mkfifo, Path.touch])
def test_a_staging_folder_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / NAME)
    with pytest.raises((InputError, FileExistsError)):
        Staging(tmp_path).open()


def test_links_within_the_staging_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter").write_text("dear")
    incoming = tmp_path / NAME
    incoming.mkdir()
    token = "ab" * 16
    (incoming / f"{token}.lock").touch()
    (incoming / token).symlink_to(tmp_path / "precious")
    os.mkfifo(incoming / f"{'cd' * 16}.lock")
    (incoming / f"{'ef' * 16}.lock").symlink_to(tmp_path / "precious" / "letter")
    staging = Staging(tmp_path)
    staging.open()
    staging.close()
    assert (tmp_path / "precious" / "letter").read_text() == "dear"


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    "make", [os.mkfifo, make_socket, Path.mkdir, lambda path: path.symlink_to(path.parents[3] / "precious")]
)
def test_what_is_no_file_under_an_images_name_is_stepped_around(
    server: Server, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    folder = tmp_path / "images" / "items" / "t"
    folder.mkdir(parents=True)
    make(folder / "001.jpg")
    server.add("/a.jpg", JPEG)
    page = f'[{{"image_urls": ["{server.url("/a.jpg")}"]}}]'.encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    done = crawl(tmp_path, "items", {"url": server.url("/page")})
    name = f"items/t/001-{hashlib.sha256(JPEG).hexdigest()[:8]}.jpg"
    assert outcomes(done) == [("downloaded", name)]
    assert done.files[name] == JPEG
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_folder_that_is_a_link_is_not_followed(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (store.root / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="a"):
        publish(store, "a/001")
    (tmp_path / "elsewhere" / "001.jpg").write_bytes(BODY)
    assert store.checksum("a/001.jpg") is None
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["001.jpg"]


def test_a_damaged_file_is_replaced_and_a_strangers_is_not(store: FileStore) -> None:
    assert publish(store, "a/001") == "a/001.jpg"
    (store.root / "a/001.jpg").write_bytes(b"damaged")
    assert publish(store, "a/001", ours=True) == "a/001.jpg"
    assert store.checksum("a/001.jpg") == CHECKSUM
    assert publish(store, "a/001", b"another") == f"a/001-{hashlib.sha256(b'another').hexdigest()[:8]}.jpg"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "a/.", "a\0b"])
def test_no_path_leads_out_of_the_store(store: FileStore, name: str) -> None:
    assert not is_plain(name)
    assert store.checksum(name) is None
    with pytest.raises(OSError, match="not a path below the store"), store.staged(BODY) as staged:
        store.publish(staged, [name], CHECKSUM, lambda _: True)


def test_a_path_read_back_from_a_catalogue_is_checked(server: Server, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(JPEG)
    server.add("/a.jpg", JPEG)
    page = f'[{{"image_urls": ["{server.url("/a.jpg")}"]}}]'.encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    assert outcomes(crawl(tmp_path, "items", {"url": server.url("/page")})) == [("downloaded", "items/t/001.jpg")]
    for path in (str(outside), "../outside.jpg"):
        with closing(sqlite3.connect(tmp_path / "images" / ".catalogue.sqlite3")) as catalogue, catalogue:
            catalogue.execute("UPDATE images SET path = ?", (path,))
        done = crawl(tmp_path, "items", {"url": server.url("/page")})
        assert outcomes(done) == [("downloaded", "items/t/001.jpg")]
        assert "Traceback" not in done.log


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What os.fsync was called for, from now on."""
    paths: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at the files that are synced in /proc")
def test_a_durable_file_and_all_folders_that_lead_to_it_are_on_disk(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = synced(monkeypatch)
    name = publish(store, "a/b/001")
    store.sync([name])
    assert paths == []
    store.durable = True
    name = publish(store, "a/b/002", b"another")
    assert [Path(path).parent.parent.name for path in paths] == [NAME]
    del paths[:]
    store.sync([name])
    root = store.root.resolve()
    assert set(paths) == {str(root / "a/b"), str(root / "a"), str(root)}
    del paths[:]
    store.sync([name])
    assert paths == [str(root / "a/b")]


def test_a_durable_catalogue_waits_for_the_disk_at_each_transaction(tmp_path: Path) -> None:
    for durable, level in ((False, 1), (True, 2)):
        catalogue = SqliteCatalogue(tmp_path / "catalogue", durable=durable)
        assert catalogue._db.execute("PRAGMA synchronous").fetchone() == (level,)
        catalogue.close()


def test_a_durability_that_does_not_exist_is_one_sentence(server: Server, tmp_path: Path) -> None:
    done = crawl(tmp_path, "items", {"url": server.url("/page")}, DURABILITY="safe")
    assert done.code == 2
    assert "DURABILITY is 'safe'" in done.log.splitlines()[-1]


def test_two_crawls_on_one_machine_may_share_a_store_and_equal_titles(server: Server, tmp_path: Path) -> None:
    """Each image is stored under the path that the feed says, also durable ones."""
    go = threading.Event()
    for number in range(40):
        server.add(f"/{number}.jpg", jpeg(50 + number), delay=go)
    pages = []
    for me in range(2):
        urls = ", ".join(f'"{server.url(f"/{number}.jpg")}"' for number in range(me, 40, 2))
        page = f'[{{"title": "same", "image_urls": [{urls}]}}]'.encode()
        server.add(f"/page{me}", page, headers={"Content-Type": "application/json"})
        (tmp_path / str(me)).mkdir()
        pages.append({"url": server.url(f"/page{me}")})
    settings = {"IMAGES_STORE": str(tmp_path / "images"), "DURABILITY": "fsync"}
    with ThreadPoolExecutor(2) as threads:
        crawls = [threads.submit(crawl, tmp_path / str(me), "items", pages[me], **settings) for me in range(2)]
        go.set()
        done = [each.result() for each in crawls]
    images = [image for each in done for image in each.images]
    assert [image["status"] for image in images] == ["downloaded"] * 40
    for image in images:
        body = (tmp_path / "images" / image["path"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == image["checksum"]
