"""Names of ours that others have taken: nothing that stands there is followed, waited for, changed or trusted."""

from __future__ import annotations

import http.server
import io
import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scrapy import Spider
from scrapy.crawler import Crawler

from imgcrawl import configuration
from imgcrawl.cookiesfile import read_cookies
from imgcrawl.exceptions import InputError
from imgcrawl.extensions.heartbeat import Heartbeat
from imgcrawl.frontier.server import EmbeddedServer
from imgcrawl.rows import LocalList, copies, open_rows, source
from imgcrawl.workers.plan import claimed
from tests.feeds.test_atomic import FOREIGN, link, pipe, seen, unix_socket


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
