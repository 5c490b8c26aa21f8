"""Files of ours beside a feed: what else may stand under their names, and how a file is replaced."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from scrapy.utils.test import get_crawler

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.atomic import replacing
from imgcrawl.feeds.journal import JsonFile


def link(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def second_name(place: Path, victim: Path) -> None:
    place.hardlink_to(victim)


def dangling_link(place: Path, victim: Path) -> None:
    place.symlink_to(victim.with_name("made-by-us"))


def pipe(place: Path, victim: Path) -> None:
    os.mkfifo(place)


def unix_socket(place: Path, victim: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(place.parent)  # the path of a socket is short
        listener.bind(place.name)
        os.chdir(here)


def folder(place: Path, victim: Path) -> None:
    place.mkdir()
    (place / "precious").write_text("x")


def others_file(place: Path, victim: Path) -> None:
    place.write_text("theirs")
    try:
        os.chown(place, 12345, 12345)
    except PermissionError:
        pytest.skip("only root can give a file away")


def some_file(place: Path, victim: Path) -> None:
    place.write_text("something of somebody else's, and longer than a mark")


FOREIGN = [link, second_name, dangling_link, pipe, unix_socket, folder, others_file]


def seen(place: Path) -> tuple[object, ...]:
    status = place.lstat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("put", [*FOREIGN, some_file])
def test_what_stands_under_the_name_of_the_journal_is_refused_and_left(
    tmp_path: Path, put: Callable[[Path, Path], None], overwrite: bool
) -> None:
    feed, journal, victim = tmp_path / "a.json", tmp_path / ".a.json.journal", tmp_path / "victim"
    victim.write_text("precious")
    put(journal, victim)
    before, names = seen(journal), sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"\.a\.json\.journal is [^\n]*: remove it"):
        JsonFile(feed, get_crawler().stats, overwrite=overwrite, indent=0)
    assert seen(journal) == before
    assert victim.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == names


@pytest.mark.parametrize("put", FOREIGN)
def test_what_stands_under_the_name_of_the_temporary_file_is_stepped_around(
    tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    path, temporary, victim = tmp_path / "a.json", tmp_path / ".a.json.tmp", tmp_path / "victim"
    victim.write_text("precious")
    put(temporary, victim)
    before, names = seen(temporary), sorted(tmp_path.iterdir())
    with replacing(path) as file:
        file.write(b"[]")
    assert path.read_text() == "[]"
    assert seen(temporary) == before
    assert victim.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == sorted([*names, path])


def test_what_a_kill_left_of_a_temporary_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    (tmp_path / ".a.json.tmp").write_text("half a cop")
    with replacing(path) as file:
        # One that another process is just writing is not a left-over.
        with replacing(path) as other:
            other.write(b"[1]")
        assert path.read_text() == "[1]"
        file.write(b"[2]")
    assert path.read_text() == "[2]"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_cannot_be_finished_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[1]")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"[")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        fail()
    assert path.read_text() == "[1]"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
