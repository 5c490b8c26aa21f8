"""SIGKILL while images are stored and a catalogue is written: it opens again, has all that was acknowledged, whole, and
an audit finds no file that is not what the catalogue says."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from imgcrawl.catalogue import Catalogue
from imgcrawl.catalogue.galleries import items
from imgcrawl.commands.audit import Audit
from imgcrawl.pipelines.stores import FileStore
from tests.catalogue.test_contract import opened
from tests.support.crawling import ROOT
from tests.support.postgres import PostgresServer

KILLS, IMAGES = 10, 8

# For each number that it is given, a process that stores the images of galleries from there on, notes them as a crawl
# does, and says so when it is done; and when that process has ended.
WRITES = r"""
import asyncio, os, sys
from concurrent.futures import ThreadPoolExecutor
from scrapy.http import Response
from imgcrawl.pipelines.examiners import ImageExaminer
from imgcrawl.pipelines.local import LocalKeeper
from imgcrawl.pipelines.placeholders import Placeholders
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.pipelines.stores import FileStore
from tests.catalogue.test_contract import key, opened, outcome, visit
from tests.support.crawling import project_settings
from tests.support.server import JPEG
IMAGES = int(sys.argv[3])
async def write(first):
    catalogue, store = opened(sys.argv[1]), FileStore(sys.argv[2])
    store.staging.open()
    config, threads = PipelineSettings.from_settings(project_settings(), "IMAGES_NAME"), ThreadPoolExecutor(4)
    keeper, placeholders = LocalKeeper(store, catalogue, threads, config), Placeholders([], 0)
    examiner = ImageExaminer(config)
    async def keep(number):
        body = JPEG[:2] + b"\xff\xfe\0\x0a%08d" % number + JPEG[2:]  # a comment makes its bytes its own
        arrival = Arrival(Response(f"http://h/{number}.jpg", body=body), key(number), f"a/{number}", f"a/{number}")
        await keeper.keep(arrival, placeholders, threads, examiner)
    for number in range(first, first + 1_000_000):
        numbers = range(number * IMAGES, (number + 1) * IMAGES)
        await asyncio.gather(*map(keep, numbers))
        catalogue.note([visit(*map(outcome, numbers), url=f"http://h/{number}")])
        print(number, flush=True)
for line in sys.stdin:
    if child := os.fork():
        os.waitpid(child, 0)
        print("killed", flush=True)
        continue
    print(os.getpid(), flush=True)
    asyncio.run(write(int(line)))
"""


def audited(catalogue: Catalogue, store: Path) -> Counter[str]:
    """What `scrapy audit` finds the files to be."""
    with closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as notes:
        audit = Audit(catalogue, FileStore(store), notes, 2)
        for _ in audit.read():
            pass
        return Counter(found for _, found in audit.results())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ten_kills_lose_nothing_that_was_acknowledged(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place, store = str(tmp_path / "catalogue"), tmp_path / "images"
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        place = server.url
    done = -1
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, place, str(store), str(IMAGES)], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdin and process.stdout
        for kill in range(KILLS):
            process.stdin.write(f"{done + 1}\n")
            process.stdin.flush()
            writer = int(process.stdout.readline())
            is_killed = False
            while (line := process.stdout.readline()) != "killed\n":  # what it told before it died counts, too
                done = int(line)
                if done % 13 == kill and not is_killed:
                    os.kill(writer, signal.SIGKILL)
                    is_killed = True
            assert is_killed
            catalogue = opened(place)
            known = {item["url"]: item for item in items(catalogue, "s")}
            assert set(known) >= {f"http://h/{number}" for number in range(done + 1)}
            assert all(len(item["images"]) == IMAGES for item in known.values())  # whole, or not at all
            assert all("path" in image for item in known.values() for image in item["images"])
            if kill in {0, KILLS - 1}:
                found = audited(catalogue, store)
                # Files that nobody knows yet are taken over by the next crawl.
                assert found.keys() <= {"intact", "unknown"}, found
                assert found["intact"] >= (done + 1) * IMAGES
                assert found["unknown"] <= (kill + 1) * IMAGES
            catalogue.close()
        process.stdin.close()
