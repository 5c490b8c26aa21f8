"""Commands that read a catalogue, where something is not as it should be; `test_nights` has what they are for."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from imgcrawl.catalogue import SqliteCatalogue
from tests.catalogue.test_contract import outcome, visit
from tests.commands.test_nights import command
from tests.support.crawling import environment


def catalogue_of(folder: Path) -> SqliteCatalogue:
    return SqliteCatalogue(folder / "images" / ".catalogue.sqlite3")


def test_a_catalogue_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    catalogue_of(tmp_path).close()
    with sqlite3.connect(tmp_path / "images" / ".catalogue.sqlite3") as db:
        db.execute("ALTER TABLE outcomes RENAME COLUMN page TO leaf")
    db.close()
    for arguments in (["failures"], ["retry", "gallery"]):
        told = command(tmp_path, *arguments)
        sentence = "the catalogue cannot be read or written: no such column: page\n"
        assert (told.returncode, told.stderr) == (1, sentence), told.stderr


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
