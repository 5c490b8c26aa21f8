"""The catalogue in a file, under several processes; `tests/pipelines` has what one process does with it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from imgcrawl.catalogue import CatalogueError, Record, SqliteCatalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.exceptions import InputError
from tests.support.crawling import ROOT

PROCESSES, IMAGES = 4, 150

# Stores images as the pipeline does. All processes want the same names; every third image has bytes of its own, so
# that three of four processes find the name taken by another image, and the rest has the same bytes everywhere.
STORES = """
import hashlib, json, sys, time
from pathlib import Path
from imgcrawl.catalogue import CatalogueError, Record, SqliteCatalogue
from imgcrawl.images.names import file_names
from imgcrawl.pipelines.stores import FileStore

root, me, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
while not (root.parent / "go").exists():
    time.sleep(0.001)
store, catalogue = FileStore(str(root)), SqliteCatalogue(root / ".catalogue.sqlite3")
store.staging.open()
told = []
for number in range(count):
    body = f"{number} {me if number % 3 == 0 else ''}".encode()
    checksum = hashlib.sha256(body).hexdigest()
    key = f"{number} by {me}".encode()
    with store.staged(body) as staged, catalogue.transaction():
        for path in catalogue.files_of(checksum):
            if store.checksum(path) == checksum:
                status = "duplicate"
                break
        else:
            ours = lambda name: catalogue.has_file(name, checksum)
            names = file_names(f"a/{number:03}", ".jpg", checksum)
            path, status = store.publish(staged, names, checksum, ours), "downloaded"
        facts = (len(body), "JPEG", 1, 1, 1, "", "", "", "", time.time())
        catalogue.put(Record(key, f"a/{number:03}", path, checksum, *facts))
    told.append([key.decode(), path, checksum, status])
catalogue.close()
store.staging.close()
print(json.dumps(told))
"""


def test_processes_share_it_without_a_lock_error_a_duplicate_or_an_overwrite(tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STORES, str(root), str(me), str(IMAGES)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in range(PROCESSES)
    ]
    (tmp_path / "go").touch()
    told = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        told += json.loads(out)

    files = {
        str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and "." not in p.parts[-2]
    }
    files = {name: body for name, body in files.items() if name.startswith("a/")}
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert {path: checksum for _, path, checksum, _ in told} == sums  # every name has the bytes that it was given for
    assert max(Counter(sums.values()).values()) == 1  # no bytes twice
    own = IMAGES // 3
    assert len(files) == own * PROCESSES + (IMAGES - own)
    assert Counter(status for *_, status in told)["downloaded"] == len(files)
    catalogue = SqliteCatalogue(root / ".catalogue.sqlite3")
    for key, path, checksum, _ in told:
        record = catalogue.find(key.encode())
        assert record and (record.path, record.checksum) == (path, checksum)
    catalogue.close()


def steps(catalogue: SqliteCatalogue, work: Callable[[], object]) -> int:
    """How many steps SQLite's machine takes for *work*."""
    taken = [0]

    def step() -> int:
        taken[0] += 1
        return 0

    catalogue._db.set_progress_handler(step, 1)
    try:
        work()
    finally:
        catalogue._db.set_progress_handler(None, 1)
    return taken[0]


def test_who_comes_while_another_makes_the_file_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite3"
    with ThreadPoolExecutor(1) as pool:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("CREATE TABLE theirs (it)")
            opened = pool.submit(SqliteCatalogue, path)
            with pytest.raises(TimeoutError):  # it was `database is locked` at once, and that worker's end
                opened.result(0.3)
            other.execute("COMMIT")
        with closing(opened.result(60)) as catalogue:
            assert catalogue.counts().addresses == 0


def test_the_same_bytes_under_very_many_addresses_take_no_longer(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path / "catalogue.sqlite3")
    checksum, path = "ab" * 32, "a/001.jpg"

    def add(numbers: range) -> None:
        with catalogue.transaction():
            for number in numbers:
                key = number.to_bytes(4, "big")
                catalogue.put(Record(key, f"a/{number}", path, checksum, 9, "JPEG", 1, 1, 1, "", "", "", "", 0.0))

    def publish() -> None:
        assert list(catalogue.files_of(checksum)) == [path]
        assert catalogue.has_file(path, checksum)
        assert not catalogue.has_file("a/002.jpg", checksum)
        add(range(5))

    add(range(100))
    few = steps(catalogue, publish)
    add(range(100, 30_000))
    assert steps(catalogue, publish) < 2 * few
    catalogue.close()


def test_a_catalogue_of_an_older_release_gets_the_index_that_this_one_asks(tmp_path: Path) -> None:
    SqliteCatalogue(tmp_path / "c").close()
    with closing(sqlite3.connect(tmp_path / "c")) as db, db:
        db.execute("DROP INDEX by_file")
        db.execute("CREATE INDEX by_checksum ON images (checksum)")
    catalogue = SqliteCatalogue(tmp_path / "c")
    indexes = {name for (name,) in catalogue._db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert "by_file" in indexes
    assert "by_checksum" not in indexes
    catalogue.close()


def test_a_catalogue_of_the_first_version_is_upgraded_in_place(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.sqlite3"
    with closing(sqlite3.connect(file)) as old, old:
        old.execute(
            "CREATE TABLE images (key BLOB PRIMARY KEY, wanted TEXT, path TEXT, checksum TEXT,"
            " bytes INTEGER, format TEXT, width INTEGER, height INTEGER, frames INTEGER, final_url TEXT,"
            " etag TEXT, last_modified TEXT, fetched_at TEXT, checked_at REAL) WITHOUT ROWID"
        )
        old.execute("CREATE INDEX by_checksum ON images (checksum)")
        row = (b"key", "a", "a.jpg", "0" * 64, 5, "JPEG", 1, 2, 1, "http://h/a", "", "", "2026-01-01", 1.5)
        old.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        old.execute("PRAGMA user_version = 1")
    for _ in range(2):
        catalogue = SqliteCatalogue(file)
        assert catalogue.find(b"key") == Record(*row)
        catalogue.close()
    with closing(sqlite3.connect(file)) as new, new:
        new.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="catalogue of version 99"):
        SqliteCatalogue(file)


# What the release with version 2 wrote, as SQLite dumps it.
VERSION_2 = """
CREATE TABLE images (key BLOB PRIMARY KEY, wanted TEXT, path TEXT, checksum TEXT, bytes INTEGER, format TEXT, width INTEGER, height INTEGER, frames INTEGER, final_url TEXT, etag TEXT, last_modified TEXT, fetched_at TEXT, checked_at REAL, warnings TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
INSERT INTO "images" VALUES(X'6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B','a/001','a/001.jpg','ab',5,'JPEG',1,2,1,'http://h/a','"e"','Mon','2026-01-01T00:00:00+00:00',1.5,'truncated');
CREATE INDEX by_file ON images (checksum, path);
PRAGMA user_version = 2;
"""  # noqa: E501 -- as it is


def test_a_catalogue_of_the_second_version_is_upgraded_in_place(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.sqlite3"
    with closing(sqlite3.connect(file)) as old, old:
        old.executescript(VERSION_2)
    facts = ("a/001", "a/001.jpg", "ab", 5, "JPEG", 1, 2, 1, "http://h/a", '"e"', "Mon", "2026-01-01T00:00:00+00:00")
    for _ in range(2):
        catalogue = SqliteCatalogue(file)
        assert catalogue.find(b"k" * 20) == Record(b"k" * 20, *facts, 1.5, "truncated", 0, 0)
        assert list(items(catalogue)) == []
        catalogue.close()


OTHER = """
import sys
from pathlib import Path
from imgcrawl.catalogue import SqliteCatalogue
catalogue = SqliteCatalogue(Path(sys.argv[1]))
print(catalogue.note_walk(b"read", whole=False), catalogue.note_walk(b"walk", whole=False))
catalogue.close()
"""


def test_what_is_written_behind_a_second_look_at_the_file_is_not_lost(tmp_path: Path) -> None:
    """A crawl opens it twice, and workers come and go. To close a file takes the process its locks, by which others see
    that they are not the last: then they remove what is written ahead."""
    path = tmp_path / "c.sqlite3"

    def other() -> str:
        command = [sys.executable, "-c", OTHER, str(path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    with closing(SqliteCatalogue(path)) as first:
        SqliteCatalogue(path).close()
        assert other() == "False False\n"
        first.note_walk(b"walk", whole=True)
        assert other() == "False True\n"


def test_what_is_damaged_in_its_middle_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite3"
    keys = [hashlib.sha256(b"%d" % number).digest() for number in range(2000)]
    with closing(SqliteCatalogue(file)) as catalogue, catalogue.transaction():
        for key in keys:
            catalogue.put(Record(key, "a", "a.jpg", "0" * 64, 1, "JPEG", 1, 1, 1, "", "", "", "", 1.0))
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(size // 4)
        opened.write(bytes(size // 2))
    with closing(SqliteCatalogue(file)) as catalogue:
        with pytest.raises(CatalogueError, match="move a damaged one away"):
            catalogue.find_all(keys)
        with pytest.raises(CatalogueError, match="move a damaged one away"), catalogue.transaction():
            for key in keys:
                catalogue.put(Record(key, "b", "b.jpg", "1" * 64, 1, "JPEG", 1, 1, 1, "", "", "", "", 1.0))
