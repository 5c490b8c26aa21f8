"""Commands that read a catalogue, where something is not as it should be; `test_nights` has what they are for."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from argparse import Namespace
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from imgcrawl.catalogue import Record, SqliteCatalogue
from imgcrawl.commands.audit import NOTES, Audit, Command
from imgcrawl.pipelines.stores import FileStore
from tests.catalogue.test_contract import key, outcome, put, record, visit
from tests.commands.test_nights import command
from tests.support.crawling import environment


def catalogue_of(folder: Path) -> SqliteCatalogue:
    return SqliteCatalogue(folder / "images" / ".catalogue.sqlite3")


def test_a_catalogue_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    catalogue_of(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "images" / ".catalogue.sqlite3")) as db, db:
        db.execute("ALTER TABLE outcomes RENAME COLUMN page TO leaf")
    db.close()
    for arguments in (["failures"], ["retry", "gallery"]):
        told = command(tmp_path, *arguments)
        sentence = "the catalogue cannot be read or written: no such column: page\n"
        assert (told.returncode, told.stderr) == (1, sentence), told.stderr


def test_a_catalogue_that_is_damaged_where_a_crawl_begins_to_read_is_one_sentence(tmp_path: Path) -> None:
    catalogue_of(tmp_path).close()
    file = tmp_path / "images" / ".catalogue.sqlite3"
    with closing(sqlite3.connect(file)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'not_had'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * size)
    told = command(tmp_path, "crawl", "gallery", "-a", "gallery=http://127.0.0.1:1/g")
    assert (told.returncode, len(told.stderr.splitlines())) == (2, 1), told.stderr
    assert "malformed; expected a catalogue that is whole (move a damaged one away" in told.stderr


def test_whoever_reads_may_stop_and_gets_addresses_as_they_are(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    catalogue.note([visit(*(outcome(number, "failed", "http_404") for number in range(3000)), url="http://h/\u202eg")])
    catalogue.note([visit(url="http://h/\u202e", error="dns", complete=False)])
    catalogue.close()
    arguments = [sys.executable, "-m", "scrapy", "failures", "--json"]
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["reason"] == "http_404"
        process.stdout.close()
        assert process.stderr.read() == b""
    (page,) = command(tmp_path, "failures", "--json", "--reason", "dns").stdout.splitlines()
    assert json.loads(page)["url"] == "http://h/\u202e"


def test_a_spider_that_is_none_has_nothing_to_be_tried_again(tmp_path: Path) -> None:
    catalogue_of(tmp_path).close()
    told = command(tmp_path, "retry", "pxmg")
    assert (told.returncode, told.stderr) == (2, "no spider 'pxmg': did you mean pximg?\n")


def test_what_is_deleted_is_named_and_lies_below_the_store_and_comes_back_by_its_name(tmp_path: Path) -> None:
    store, outside = tmp_path / "images", tmp_path / "outside"
    outside.mkdir()
    catalogue = catalogue_of(tmp_path)
    put(catalogue, record(1), record(2, "../out.jpg"), record(3, "link/b.jpg"), record(4))
    (store / "link").symlink_to(outside)
    small = store / "thumbs" / "small" / "a"
    for path in (
        store / "a" / "1.jpg",
        small / "1.jpg",
        small / "1.png",
        small / "11.jpg",
        small / "4.jpg",
        outside / "b.jpg",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "out.jpg").write_bytes(b"x")

    for arguments in ([""], ["--undo", ""], ["a/1.jpg", "../out.jpg"], ["link/b.jpg"]):
        told = command(tmp_path, "forget", *arguments)
        assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1), told.stderr
    assert all(found and found.path for found in catalogue.find_all(map(key, range(1, 5))))  # nothing is noted
    assert (outside / "b.jpg").exists()
    assert (tmp_path / "out.jpg").exists()

    assert command(tmp_path, "forget", "a/1.jpg", "a/4.jpg").returncode == 0
    left = [path.relative_to(store).as_posix() for path in store.rglob("*.*") if not path.name.startswith(".cat")]
    assert left == ["thumbs/small/a/11.jpg"]
    told = command(tmp_path, "forget", "--undo", "a/1.jpg", "a/9.jpg")
    assert (told.returncode, told.stdout) == (1, "a/1.jpg: will be fetched again\n")
    assert told.stderr == "a/9.jpg: not in the catalogue\n"
    assert [record and record.key for record in catalogue.find_all([key(1), key(4)])] == [None, key(4)]
    catalogue.close()


def stored(catalogue: SqliteCatalogue, number: int) -> Record:
    """A record whose file is there."""
    body = str(number).encode()
    kept = replace(record(number), bytes=len(body), checksum=hashlib.sha256(body).hexdigest())
    path = catalogue.path.parent / kept.path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)
    put(catalogue, kept)
    return kept


def test_an_audit_that_goes_on_knows_what_was_stored_meanwhile(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    with closing(sqlite3.connect(tmp_path / "notes", isolation_level=None)) as notes:
        stored(catalogue, 5)
        audit = Audit(catalogue, FileStore(tmp_path / "images"), notes, 2)
        next(audit.read())
        stored(catalogue, 3)  # by another crawl, before the place where the audit is
        (tmp_path / "images" / "a" / "mine").write_bytes(b"3")
        again = Audit(catalogue, FileStore(tmp_path / "images"), notes, 2)
        assert len(list(again.read())) == 3
        assert list(again.results()) == [("a/3.jpg", "intact"), ("a/5.jpg", "intact"), ("a/mine", "unknown")]
    catalogue.close()


def test_an_audit_begins_anew_after_a_day_and_tells_what_cannot_be_tried_again(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path)
    lost, old = stored(catalogue, 1), stored(catalogue, 2)
    catalogue.note([visit(outcome(1))])
    notes = tmp_path / "images" / NOTES
    with closing(sqlite3.connect(notes, isolation_level=None)) as db:
        list(Audit(catalogue, FileStore(tmp_path / "images"), db, 2).read())
    for gone in (lost, old):
        (tmp_path / "images" / gone.path).unlink()
    day_before = notes.stat().st_mtime - 90_000
    os.utime(notes, (day_before, day_before))
    told = command(tmp_path, "audit", "--retry")
    assert (told.returncode, told.stdout) == (1, "missing  a/1.jpg\nmissing  a/2.jpg\n")
    assert told.stderr == (
        "1 addresses of these files are in no gallery that the catalogue knows: scrapy retry does not fetch them,"
        " a crawl of their pages does\n0 files are as they were; missing: 2\n"
    )
    assert [failure.key for failure in catalogue.not_had("s")] == [key(1)]
    catalogue.close()


def test_a_file_is_surely_gone_only_where_its_folder_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "store" / "a").mkdir(parents=True)
    (tmp_path / "store" / "a" / "here").touch()
    (tmp_path / "store" / "link").symlink_to("a")
    (tmp_path / "store" / "file").touch()
    store = FileStore(tmp_path / "store")
    names = ("a/gone", "b/gone", "a/here", "link/gone", "file/gone", "../gone")
    assert [store.is_gone(name) for name in names] == [True, True, False, False, False, False]
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    assert not store.is_gone("a/gone")


def test_ctrl_c_is_one_word_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Command, "execute", interrupted)
    command = Command()
    command.run([], Namespace())
    assert (command.exitcode, capsys.readouterr().err) == (3, "interrupted\n")
