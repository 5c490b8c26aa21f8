"""Names of ours that others have taken: nothing that stands there is followed, waited for, changed or trusted."""

from __future__ import annotations

import http.server
import io
import os
import re
import sys
import threading
import time
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from imgcrawl import configuration
from imgcrawl.catalogue import SqliteCatalogue
from imgcrawl.commands import audit, catalogue
from imgcrawl.cookiesfile import read_cookies
from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.exports.pictures import ImageFolder, UnreadableImageError
from imgcrawl.exports.target import Part, Target, UnwritableTargetError
from imgcrawl.extensions.heartbeat import Heartbeat
from imgcrawl.feeds.atomic import replacing
from imgcrawl.feeds.journal import JsonFile
from imgcrawl.frontier.server import EmbeddedServer
from imgcrawl.images.headers import facts_of_header
from imgcrawl.live.folder import LiveFolder
from imgcrawl.ownfiles import read_file, touch_own
from imgcrawl.pipelines.staging import Staging
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.rows import LocalList, copies, open_rows, source
from imgcrawl.upkeep.renaming import Renaming
from imgcrawl.workers.plan import claimed
from tests.feeds.test_atomic import FOREIGN, dangling_link, folder, link, pipe, seen, unix_socket
from tests.support.crawling import project_settings


def a_catalogue(folder: Path) -> None:
    SqliteCatalogue(folder / "catalogue").close()


def an_export(folder: Path) -> None:
    with Target(folder, "folder") as target:
        target.add(Part("a", "1", lambda file: bool(file.write(b"x"))))


def an_audit(folder: Path) -> None:
    a_catalogue(folder)
    command = audit.Command()
    command.settings = project_settings()
    command.settings.setdict({"IMAGES_STORE": str(folder), "CATALOGUE_FILE": str(folder / "catalogue")})
    command.execute([], Namespace(json=False, retry=False, verify=None))


def a_rebuilt_catalogue(folder: Path) -> None:
    command = catalogue.Command()
    command.settings = project_settings()
    command.settings.setdict({"IMAGES_STORE": str(folder)})
    command.execute([], Namespace(rebuild=True, kind=None, json=False))


def a_renaming(folder: Path) -> None:
    with closing(SqliteCatalogue(folder / "catalogue")) as known, Renaming(known, FileStore(folder)):
        pass


def others_folder(place: Path, victim: Path) -> None:
    place.mkdir()
    try:
        os.chown(place, 12345, 12345)
    except PermissionError:
        pytest.skip("only root can give a folder away")


def anybodys_folder(place: Path, victim: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


def link_to_a_folder(place: Path, victim: Path) -> None:
    victim.unlink()
    victim.mkdir()
    place.symlink_to(victim)


def endless_file(place: Path, victim: Path) -> None:
    place.symlink_to("/dev/zero")


def binary_file(place: Path, victim: Path) -> None:
    place.write_bytes(b"pass\xff")


def some_file(place: Path, victim: Path) -> None:
    place.write_text("x")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "victim").write_text("precious")
    return tmp_path / "victim"


@pytest.mark.parametrize("put", FOREIGN)
def test_a_heartbeat_touches_nothing_of_others(tmp_path: Path, victim: Path, put: Callable[[Path, Path], None]) -> None:
    file = tmp_path / "alive"
    put(file, victim)
    before = seen(file), victim.stat().st_mtime_ns
    with pytest.raises(InputError, match="expected a file of ours"):
        Heartbeat(Crawler(Spider), file)
    assert (seen(file), victim.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("work", "names"),
    [
        (a_catalogue, ["catalogue", "catalogue-wal", "catalogue-shm", "catalogue-journal"]),
        (an_export, [".export.lock", ".export.sqlite3", ".export.sqlite3-wal", ".export.tmp"]),
        (an_audit, [".audit.sqlite3", ".audit.sqlite3-journal"]),
        (a_rebuilt_catalogue, [".rebuild.sqlite3"]),
        (a_renaming, [".rename.sqlite3"]),
    ],
)
@pytest.mark.parametrize("put", FOREIGN)
def test_databases_and_exports_touch_nothing_of_others(
    tmp_path: Path, victim: Path, put: Callable[[Path, Path], None], work: Callable[[Path], None], names: list[str]
) -> None:
    for name in names:
        folder = tmp_path / f"folder of {name}"
        folder.mkdir()
        put(folder / name, victim)
        before, was = seen(folder / name), victim.read_bytes()
        with pytest.raises(InputError, match=f"{re.escape(name)} is .*(expected|remove it)"):
            work(folder)
        assert seen(folder / name) == before, name
        assert victim.read_bytes() == was
    assert not (tmp_path / "made-by-us").exists()


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (a_catalogue, "catalogue"),
        (an_export, ".export.sqlite3"),
        (an_audit, ".audit.sqlite3"),
        (a_rebuilt_catalogue, ".rebuild.sqlite3"),
        (a_renaming, ".rename.sqlite3"),
    ],
)
def test_a_file_that_is_no_database_is_named(tmp_path: Path, work: Callable[[Path], None], name: str) -> None:
    (tmp_path / name).write_bytes(b"garbage" * 1000)
    with pytest.raises(InputError, match=f"{re.escape(name)} is no database; expected "):
        work(tmp_path)
    assert (tmp_path / name).stat().st_size == 7000


def test_a_catalogue_may_have_a_second_name_as_backups_give_it(tmp_path: Path) -> None:
    a_catalogue(tmp_path)
    (tmp_path / "backup").hardlink_to(tmp_path / "catalogue")
    a_catalogue(tmp_path)


def test_an_export_follows_no_link_in_its_folder_and_waits_for_no_pipe(tmp_path: Path, victim: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()

    def export(*names: str) -> int:
        with Target(out, "folder") as target:
            for name in names:
                target.add(Part(name, "1", lambda file: bool(file.write(b"x"))))
            return target.finish()

    assert export("a/b", "c") == 0
    # What was written is a link now: that is replaced, or left if it is not wanted any more.
    (out / "c").unlink()
    (out / "c").symlink_to(victim)
    assert export("a/b", "c") == 0
    assert not (out / "c").is_symlink()
    (elsewhere / "b").hardlink_to(out / "a" / "b")
    (out / "a" / "b").unlink()
    (out / "a").rmdir()
    (out / "a").symlink_to(elsewhere)
    with pytest.raises(InputError, match="out/a is a symbolic link, behind which nothing is written"):
        export("a/b", "c")
    assert export("c") == 1
    assert [file.name for file in elsewhere.iterdir()] == ["b"]
    os.mkfifo(out / "pipe")
    with pytest.raises(InputError, match="out/pipe is there already and was not made by this export"):
        export("pipe")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("put", [link, pipe, unix_socket, folder])
def test_of_a_store_only_files_are_read(tmp_path: Path, victim: Path, put: Callable[[Path, Path], None]) -> None:
    put(tmp_path / "a.jpg", victim)
    with pytest.raises(UnreadableImageError, match=r"a\.jpg: "):
        ImageFolder(tmp_path).read("a.jpg", "")


@pytest.mark.parametrize("name", [".imgcrawl", ".imgcrawl/gallery-0"])
@pytest.mark.parametrize("put", [others_folder, anybodys_folder, link_to_a_folder, some_file, link, pipe, unix_socket])
def test_the_folder_of_a_crawl_with_its_lock_notes_segments_and_socket_is_ours_or_refused(
    tmp_path: Path, victim: Path, put: Callable[[Path, Path], None], name: str
) -> None:
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    put(place, victim)
    before = seen(place)
    with pytest.raises(InputError, match="a folder of ours is to be there"), claimed(tmp_path / ".imgcrawl/gallery-0"):
        raise AssertionError
    assert seen(place) == before
    assert not victim.is_dir() or not any(victim.iterdir())


def test_the_folder_of_a_crawl_that_a_newer_release_has_begun_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / ".imgcrawl" / "gallery-0"
    with claimed(folder):
        pass
    note = folder / "format"
    assert note.read_text() == "1\n"
    note.unlink()  # as releases before this one left it
    with claimed(folder):
        pass
    note.write_text("2\n")
    with pytest.raises(InputError, match="is of format '2', expected 1: a newer release"), claimed(folder):
        raise AssertionError
    assert note.read_text() == "2\n"


def test_a_crawl_goes_on_in_its_folder_though_whoever_made_it_had_no_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for _ in range(2):
            with claimed(tmp_path / ".imgcrawl" / "gallery-0"):
                pass
    finally:
        os.umask(before)


@pytest.mark.parametrize("put", [others_folder, anybodys_folder, link_to_a_folder])
def test_a_socket_in_the_folder_of_another_is_not_trusted(
    tmp_path: Path, victim: Path, put: Callable[[Path, Path], None]
) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    put(tmp_path / "theirs", victim)
    (folder / "socket").write_text(str(tmp_path / "theirs" / "redis.sock"))
    server = EmbeddedServer(folder)
    assert server.socket.parent != tmp_path / "theirs"
    server.socket.parent.rmdir()


@pytest.mark.parametrize("put", [others_folder, link_to_a_folder, some_file, pipe])
def test_the_folder_for_unfinished_files_is_of_this_user_or_refused(
    tmp_path: Path, victim: Path, put: Callable[[Path, Path], None]
) -> None:
    put(tmp_path / ".incoming", victim)
    before = seen(tmp_path / ".incoming")
    with pytest.raises(InputError, match=r"\.incoming is [^\n]*, expected a folder of this user"):
        Staging(tmp_path).open()
    assert seen(tmp_path / ".incoming") == before
    assert not victim.is_dir() or not any(victim.iterdir())


@contextmanager
def endless(file: Path) -> Iterator[None]:
    """A pipe that somebody writes to without an end."""
    os.mkfifo(file)

    def write() -> None:
        try:
            with file.open("wb", buffering=0) as end:
                while True:
                    end.write(bytes(1 << 16))
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    yield
    writer.join(30)
    assert not writer.is_alive()


def test_a_configuration_that_a_stranger_has_left_is_not_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / configuration.NAME
    file.write_text("")
    assert configuration.find() == file
    try:
        os.chown(file, 12345, 12345)
    except PermissionError:
        pytest.skip("only root can give a file away")
    with pytest.raises(InputError, match=r"imgcrawl\.toml is of another user, .* --config .*imgcrawl\.toml says you"):
        configuration.find()
    assert configuration.find(str(file)) == file
    os.chown(tmp_path, 12345, 12345)  # a clone that was made by another, as in a container
    assert configuration.find() == file


@pytest.mark.parametrize("put", [pipe, unix_socket, folder, dangling_link])
@pytest.mark.parametrize("named", [False, True])
def test_a_configuration_that_is_no_file_is_one_sentence_and_not_waited_for(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path, Path], None], named: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / configuration.NAME, victim)
    with pytest.raises(
        InputError, match=r"imgcrawl\.toml.*(cannot be read: |there is no such file).*; expected"
    ) as refusal:
        configuration.apply(Settings(), configuration.find(configuration.NAME if named else None))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("put", [pipe, unix_socket, folder, endless_file, binary_file])
def test_a_secret_that_a_configuration_keeps_elsewhere_is_in_a_file(
    tmp_path: Path, victim: Path, put: Callable[[Path, Path], None]
) -> None:
    put(tmp_path / "secret", victim)
    (tmp_path / "c.toml").write_text('[settings]\nREDIS_URL = {file = "secret"}')
    with pytest.raises(InputError, match="REDIS_URL is in secret, which cannot be read: ") as refusal:
        configuration.apply(Settings(), tmp_path / "c.toml")
    assert "pass" not in str(refusal.value)
    (tmp_path / "c.toml").unlink()
    (tmp_path / "c.toml").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="it is a device; expected TOML"):
        configuration.apply(Settings(), tmp_path / "c.toml")


def test_what_is_endless_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="more than 8 MiB"):
        read_cookies("/dev/zero")
    with endless(tmp_path / "pipe"), pytest.raises(InputError, match="more than 8 MiB"):
        read_cookies(str(tmp_path / "pipe"))
    with pytest.raises(InputError, match="is no regular file"):
        open_rows(tmp_path / "pipe")
    monkeypatch.setattr(copies, "MAX_LIST", 1 << 20)
    with Path("/dev/zero").open("rb") as zeros:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": zeros}))
        with pytest.raises(InputError, match="'-' has more than 1048576 bytes"):
            LocalList("-")


def test_a_zip_of_very_many_files_is_refused_by_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        archive.writestr("list.csv", "url\nhttp://a/\n")
        for number in range(99):
            archive.writestr(f"{number}.bin", "")
        archive.comment = b"words"
    assert len(list(open_rows(many, header=True))) == 1
    monkeypatch.setattr(source, "MAX_DIRECTORY", 4_000)
    with pytest.raises(InputError, match="a zip of very many files"):
        open_rows(many)
    few = io.BytesIO()
    with zipfile.ZipFile(few, "w") as archive:
        archive.writestr("list.csv", "url\nhttp://a/\n")
    large = b"PK\6\6" + bytes(36) + (1 << 40).to_bytes(8, "little") + bytes(8) + b"PK\6\7" + bytes(16)
    end = few.getvalue().rindex(b"PK\5\6")
    many.write_bytes(few.getvalue()[:end] + large + few.getvalue()[end:])
    with pytest.raises(InputError, match="a zip of very many files"):
        open_rows(many)


@contextmanager
def web(address: str, location: str = "") -> Iterator[tuple[str, list[str]]]:
    """A server at *address* that redirects to *location*, or has a list; and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302 if location else 200)
            self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(b"url\nhttp://a/\n")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://{address}:{server.server_port}/list.csv", asked
        server.shutdown()
        thread.join()


def test_a_list_of_a_public_host_is_not_had_from_a_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "is_public", lambda ip: ip != "127.0.0.1")
    with web("127.0.0.1") as (private, asked), web("127.0.0.2") as (other, _):
        for location in (private, private.replace("127.0.0.1", "localhost"), private.replace("127.0.0.1", "0x7f.1")):
            with web("127.0.0.2", location) as (public, _), pytest.raises(InputError, match="which is private"):
                LocalList(public)
        assert asked == []
        with web("127.0.0.1", other) as (own, _):
            LocalList(own).close()
        with web("127.0.0.2", other) as (public, _):
            LocalList(public).close()
        LocalList(private).close()
        assert asked == ["/list.csv"]


@contextmanager
def taking_turns(place: Path, ours: bytes, victim: Path) -> Iterator[None]:
    """Somebody else who has *place* be a link to *victim*, a pipe, and a file with *ours*, in turns."""
    is_over = threading.Event()
    aside = place.with_name("aside")

    def swap() -> None:
        while not is_over.is_set():
            aside.symlink_to(victim)
            aside.rename(place)
            os.mkfifo(aside)
            aside.rename(place)
            aside.write_bytes(ours)
            aside.rename(place)

    other = threading.Thread(target=swap)
    other.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        is_over.set()
        other.join()


def touched(place: Path) -> None:
    touch_own(place)


def journal(place: Path) -> None:
    with closing(JsonFile(place.parent / "feed.json", get_crawler().stats, overwrite=True, indent=None)):
        pass


def decoded(place: Path) -> None:
    with pytest.raises(ImageError):
        facts_of_header(place)


def read(place: Path) -> None:
    assert read_file(place, follow=False) == b""


def read_from_a_store(place: Path) -> None:
    assert FileStore(place.parent).body(place.name, 100) == b""


def replaced(place: Path) -> None:
    with replacing(place.parent / "feed.json") as file:
        file.write(b"[]")


@pytest.mark.parametrize(
    ("work", "name"),
    [
        (touched, "alive"),
        (journal, ".feed.json.journal"),
        (decoded, "a.jpg"),
        (read, "notes"),
        (read_from_a_store, "a.jpg"),
        (replaced, ".feed.json.tmp"),
    ],
)
def test_what_becomes_a_link_or_a_pipe_between_look_and_use_is_neither_followed_nor_waited_for(
    tmp_path: Path, work: Callable[[Path], None], name: str
) -> None:
    victim = tmp_path / "victim" if work is not decoded else tmp_path / "elsewhere"
    victim.write_bytes(b"precious" if work is not decoded else b"")
    victim.chmod(0o600)
    os.utime(victim, (1, 1))
    (tmp_path / "feed.json").write_bytes(b"[]")
    end = time.monotonic() + 1.0
    with taking_turns(tmp_path / name, b"", victim):
        while time.monotonic() < end:
            with suppress(OSError, InputError):
                work(tmp_path / name)
    found = victim.stat()
    assert (found.st_mtime, found.st_mode & 0o777, victim.read_bytes() in (b"precious", b"")) == (1, 0o600, True)


def test_a_folder_that_becomes_a_link_between_look_and_use_is_not_written_behind(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.jpg").write_bytes(b"precious")
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                (out / "a").rename(out / "b")
                (out / "a").symlink_to(elsewhere)
                (out / "a").unlink()
                (out / "b").rename(out / "a")

    with Target(out, "folder") as target, FileStore(out).folders.kept_open():
        (out / "a").mkdir()
        other = threading.Thread(target=swap)
        other.start()
        end, number = time.monotonic() + 1.5, 0
        while time.monotonic() < end:
            number += 1
            with suppress(UnwritableTargetError, InputError):
                target.add(Part("a/1.jpg", str(number), lambda file: bool(file.write(b"x"))))
                target.add(Part(f"a/{number}.png", "1", lambda file: bool(file.write(b"x"))))
        is_over.set()
        other.join()
    assert [(file.name, file.read_bytes()) for file in elsewhere.iterdir()] == [("1.jpg", b"precious")]


def test_a_folder_of_a_crawl_that_another_makes_first_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".imgcrawl" / "gallery-0"
    real = Path.mkdir

    def slower(place: Path, *args: object, **kwargs: object) -> None:
        if not place.exists():
            real(place, parents=True)
            place.chmod(0o777)
        real(place, exist_ok=True)

    monkeypatch.setattr(Path, "mkdir", slower)
    with pytest.raises(InputError, match="a folder of ours is to be there"), claimed(folder):
        raise AssertionError


def test_a_live_folder_with_a_pipe_for_a_lock_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "gallery,1.json").write_text("{}")
    os.mkfifo(tmp_path / "gallery,1.lock")
    (entry,) = LiveFolder(tmp_path).entries()
    entry.is_alive()
