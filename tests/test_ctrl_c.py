"""Ctrl-C is heard at any moment: also while what a site has sent is being worked on, which would take a minute."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from imgcrawl.exitcodes import ExitCode
from tests.images import hostile
from tests.support.crawling import start, until
from tests.support.processes import children_of, patience
from tests.support.server import Server

HTML = {"Content-Type": "text/html"}
MANY = 30
IN_TIME = 10  # seconds; the crawl waits for what is under way


def selectors(server: Server) -> dict[str, str]:
    """Each page takes a selector two seconds."""
    server.add("/g", b"<title>g</title>" + b"<a href=/></a>" * 9_000, headers=HTML)
    return {"images": "a ~ a"}


def dense_pages(server: Server) -> dict[str, str]:
    server.add("/g", b"<title>g</title>" + b"<p><i><b><img src=/i.jpg alt=a>" * 60_000, headers=HTML)
    return {}


def patterns(server: Server) -> dict[str, str]:
    """Each page takes a regular expression two seconds."""
    server.add("/g", b"<title>g</title>" + b"<p>" * 2_000 + b"<img src=%s!>" % (b"a" * 60), headers=HTML)
    return {"images": "//img[re:test(./@src, '(a+)+$')]/@src"}


def images(server: Server) -> dict[str, str]:
    """Each takes a decoder five seconds."""
    server.add("/g", b"<title>g</title>" + b"".join(b"<img src=/i/%d.jpg>" % n for n in range(MANY)), headers=HTML)
    body = hostile.jpeg_of_junk(17_000_000)
    for n in range(MANY):
        server.add(f"/i/{n}.jpg", body)
    return {}


def cpu_of(pid: int) -> float:
    """Seconds that this process and those that it has started have used."""
    used = 0.0
    for each in (pid, *children_of(pid)):
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            used += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return used


@pytest.mark.parametrize("hostile_site", [selectors, dense_pages, patterns, images])
def test_a_crawl_ends_in_time_whatever_it_is_at(
    hostile_site: Callable[[Server], dict[str, str]], server: Server, tmp_path: Path
) -> None:
    server.add("/list", b"".join(b"<a class=g href=/g?%d>g</a>" % n for n in range(MANY)), headers=HTML)
    arguments = hostile_site(server)
    process = start(tmp_path, "gallery", {"list": server.url("/list"), "galleries": "a.g", **arguments})
    try:
        until(lambda: any(path.startswith("/g") for path in server.paths()) or process.poll() is not None)
        busy = cpu_of(process.pid) + 0.3
        until(lambda: cpu_of(process.pid) > busy or process.poll() is not None)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - began < patience(IN_TIME), log[-2000:]
    assert process.returncode == ExitCode.STOPPED, log[-2000:]
    assert "Traceback" not in log
