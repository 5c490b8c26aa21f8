"""`imgcrawl health` knows a crawl that lives from one that hangs and one that never began."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from imgcrawl.exitcodes import ExitCode
from imgcrawl.extensions import heartbeat
from tests.support.crawling import crawl, environment, start, until
from tests.support.processes import run
from tests.support.server import Answer, Server


def health(folder: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "scrapy", "health", *options]
    done = run(command, cwd=folder, env=environment(), check=False, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


def test_a_crawl_that_waits_for_a_site_is_healthy_and_one_that_is_frozen_is_not(server: Server, tmp_path: Path) -> None:
    server.add("*", lambda _: Answer(b"", delay=60.0))
    file = tmp_path / "heartbeat"
    process = start(tmp_path, "polite", {"bases": server.url("")}, HEARTBEAT_FILE=file, WORKER="w")
    try:
        until(lambda: server.requests)
        begun = file.stat().st_mtime
        assert health(tmp_path, "-s", f"HEARTBEAT_FILE={file}") == (ExitCode.DONE, "")
        until(lambda: file.stat().st_mtime > begun + heartbeat.INTERVAL / 2)
        process.send_signal(signal.SIGSTOP)
        os.utime(file, times=(time.time() - 100, time.time() - 100))
        code, sentence = health(tmp_path, "-s", f"HEARTBEAT_FILE={file}", "--within", "90")
        assert (code, "seconds ago: the crawl hangs, or has ended" in sentence) == (ExitCode.FAILED, True), sentence
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("-s", "HEARTBEAT_FILE=absent"), ExitCode.FAILED, "absent: No such file or directory: no crawl has begun"),
        ((), ExitCode.REFUSED, "HEARTBEAT_FILE is not set: expected the file that the crawl touches while it lives"),
        (("--within", "soon"), ExitCode.REFUSED, "--within soon: expected a number from 0 to 1000000000"),
    ],
)
def test_what_cannot_be_told_is_a_sentence(tmp_path: Path, options: tuple[str, ...], code: int, sentence: str) -> None:
    assert health(tmp_path, *options) == (code, sentence)


def test_a_heartbeat_that_cannot_be_written_is_told_before_the_first_page(server: Server, tmp_path: Path) -> None:
    done = crawl(tmp_path, "polite", {"bases": server.url("")}, HEARTBEAT_FILE=tmp_path / "absent" / "file", WORKER="w")
    assert (done.code, server.requests) == (ExitCode.REFUSED, [])
    assert done.log.splitlines()[-1].endswith("absent/file: cannot be written: No such file or directory")
