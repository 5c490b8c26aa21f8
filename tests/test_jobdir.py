"""A crawl with a JOBDIR that was stopped goes on; one that was killed, or whose files are damaged, begins anew."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcrawl.exitcodes import ExitCode
from tests.support.crawling import crawl, start, until
from tests.support.server import Answer, Request, Server, jpeg

HTML = {"Content-Type": "text/html"}
GALLERIES = 12
SLOW = range(4, 8)
OPTIONS = {"JOBDIR": "job", "options": ["-o", "items.jsonl"], "CONCURRENT_REQUESTS_PER_DOMAIN": "2"}


@pytest.fixture
def site(server: Server, tmp_path: Path) -> dict[str, str]:
    """A list of galleries with an image each; the `SLOW` ones wait for the file `quick`."""
    links = b"".join(b"<a class=g href=/g/%d>g</a>" % number for number in range(GALLERIES))
    server.add("/list", links, headers=HTML)

    def answer(request: Request) -> Answer:
        kind, number = request.path.split("/")[1], request.path.rpartition("/")[2].removesuffix(".jpg")
        if kind == "i":
            waits = int(number) in SLOW and not (tmp_path / "quick").exists()
            return Answer(jpeg(comment=number), delay=60.0 if waits else 0.0)
        return Answer(f"<title>{number}</title><img src=/i/{number}.jpg>".encode(), headers=HTML)

    server.add("*", answer)
    return {"list": server.url("/list"), "galleries": "a.g"}


def end(server: Server, site: dict[str, str], folder: Path, by: signal.Signals) -> str:
    """The log of a crawl that is ended *by* a signal when the first image that waits is asked for."""
    asked = len(server.paths())
    process = start(folder, "gallery", site, **OPTIONS, SHUTDOWN_TIMEOUT="0.5")
    slow = {f"/i/{number}.jpg" for number in SLOW}
    until(lambda: len(slow.intersection(server.paths()[asked:])) >= 2 or process.poll() is not None)
    process.send_signal(by)
    log, _ = process.communicate(timeout=60)
    return log


def had(folder: Path) -> set[str]:
    items = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    return {i["url"].rpartition("/")[2] for i in items if i["images"] and "path" in i["images"][0]}


def test_nothing_is_lost_where_a_crawl_that_went_on_is_killed(
    server: Server, site: dict[str, str], tmp_path: Path
) -> None:
    """Its JOBDIR knew the pages that it was at as seen, and had them no more: exit code 0 without them."""
    end(server, site, tmp_path, signal.SIGINT)
    end(server, site, tmp_path, signal.SIGKILL)
    (tmp_path / "quick").touch()
    done = crawl(tmp_path, "gallery", site, **OPTIONS)
    assert done.code == ExitCode.DONE, done.log
    assert "its crawl was killed, or files in it are damaged: it begins anew" in done.log
    assert had(tmp_path) == set(map(str, range(GALLERIES)))
    assert len(done.files) == GALLERIES


def queued(folder: Path) -> list[Path]:
    return [path for path in (folder / "job" / "requests.queue").rglob("*") if path.is_file()]


def cut(folder: Path) -> None:
    for path in queued(folder):
        path.write_bytes(path.read_bytes()[:-3])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "garbage": lambda folder: [path.write_bytes(b"\xff{" * 40) for path in queued(folder)],
    "missing": lambda folder: shutil.rmtree(folder / "job" / "requests.queue"),
    "what was seen": lambda folder: (folder / "job" / "requests.seen").unlink(),
    "the state": lambda folder: (folder / "job" / "spider.state").write_bytes(b"\x80\x04}"),
    "our note": lambda folder: (folder / "job" / "imgcrawl.json").write_bytes(b"[" * 9000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_jobdir_that_is_damaged_is_begun_anew(
    damage: str, server: Server, site: dict[str, str], tmp_path: Path
) -> None:
    end(server, site, tmp_path, signal.SIGINT)
    DAMAGES[damage](tmp_path)
    (tmp_path / "quick").touch()
    done = crawl(tmp_path, "gallery", site, **OPTIONS)
    assert done.code == ExitCode.DONE, done.log
    assert "Traceback" not in done.log
    assert done.log.count("it begins anew") == 1
    assert had(tmp_path) == set(map(str, range(GALLERIES)))


def test_a_crawl_that_is_done_is_begun_anew(server: Server, site: dict[str, str], tmp_path: Path) -> None:
    """Each further start did nothing, without a word and with exit code 0."""
    (tmp_path / "quick").touch()
    assert crawl(tmp_path, "gallery", site, **OPTIONS).code == ExitCode.DONE
    again = crawl(tmp_path, "gallery", site, **OPTIONS)
    assert again.code == ExitCode.DONE
    assert "its crawl is done: another one begins" in again.log
    assert f"uptodate       {GALLERIES}" in again.log


def test_the_jobdir_of_another_spider_or_crawl_is_refused(server: Server, site: dict[str, str], tmp_path: Path) -> None:
    process = start(tmp_path, "gallery", site, **OPTIONS)
    until(lambda: bool(server.paths()) or process.poll() is not None)
    beside = crawl(tmp_path, "gallery", site, **OPTIONS | {"options": ["-O", "other.jsonl"]})
    process.kill()
    process.communicate()
    assert (beside.code, "Traceback" in beside.log) == (ExitCode.REFUSED, False), beside.log
    assert "JOBDIR=job: another crawl is under way with it; expected one of its own" in beside.log
    (tmp_path / "list.csv").write_text(f"url\n{server.url('/i/1.jpg')}\n")
    other = crawl(tmp_path, "urls", {"file": "list.csv"}, **OPTIONS)
    assert (other.code, "Traceback" in other.log) == (ExitCode.REFUSED, False), other.log
    assert "JOBDIR=job: it has a crawl of the spider 'gallery'; expected one of 'urls', or an empty folder" in other.log
