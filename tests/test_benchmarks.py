"""The harness measures what it says. How fast anything is, is not a test's business."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import bench as bench_module
from benchmarks import peers, q8_queue, q17_floor, report
from benchmarks.__main__ import QUESTIONS
from benchmarks.bench import Bench, Result, addresses
from benchmarks.gauge import percentile_of_delays, run
from benchmarks.peers import Job, Peer
from benchmarks.redis_server import NoServerError, far_away, redis_server
from benchmarks.server import own_server, static_server
from benchmarks.site import Pictures, Site

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(bench_module, "CACHE", tmp_path)
    return Bench(short=True)


def test_the_package_is_compiled_before_as_what_pip_installs(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    bench = "from benchmarks.bench import Bench; Bench(short=True)"
    subprocess.run([sys.executable, "-c", bench], env=environment, cwd=ROOT, check=True, timeout=60)
    compiled = {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert {path.stem for path in (ROOT / "imgcrawl").rglob("*.py")} <= compiled


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- our own server
        body: bytes = answer.read()
    return body


def test_photos_are_as_large_as_the_readme_says_and_no_two_have_the_same_bytes(cache: Path) -> None:
    pictures = Pictures(cache, "photos")
    bodies = [pictures.body(index) for index in range(200)]
    assert len({hashlib.sha256(body).hexdigest() for body in bodies}) == 200
    sizes = [len(body) / 1024 for body in bodies]
    assert 48 <= statistics.mean(sizes) <= 60
    assert min(sizes) >= 15
    assert 200 <= max(sizes) <= 350
    with Image.open(BytesIO(bodies[150])) as image:
        image.load()


@pytest.mark.parametrize("serve", [static_server, own_server])
def test_a_crawl_brings_home_what_each_server_has(serve: object, bench: Bench, cache: Path) -> None:
    site = Site(30)
    with (static_server if serve is static_server else own_server)(site, cache, None) as address:
        job = Job(address.base, addresses(bench, []), bench.work / "store")
        ran = bench.crawl(peers.IMGCRAWL, job, expected=30)
    assert ran.code == 0, ran.log
    pictures = Pictures(cache, "photos")
    wanted = {hashlib.sha256(pictures.body(index)).hexdigest() for index in range(30)}
    assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in peers.stored(job.store)} == wanted
    assert ran.main is not None
    assert 0 < ran.main <= ran.cpu


def test_a_peer_that_brings_too_little_is_an_error_and_not_a_record(bench: Bench, cache: Path) -> None:
    nothing = Peer("nothing", "", lambda job, python: [sys.executable, "-c", ""])
    with own_server(Site(1), cache, None) as address:
        job = Job(address.base, addresses(bench, []), bench.work / "store")
        with pytest.raises(RuntimeError, match="nothing brought 0 of 1 images"):
            bench.crawl(nothing, job, expected=1)


def test_our_own_server_is_as_late_as_it_is_told_and_counts(cache: Path) -> None:
    with own_server(Site(5), cache, None, "--latency", "0.3", "--page-latency", "0") as address:
        took = []
        for _ in range(5):  # the quickest: the machine may be late, too
            start = time.perf_counter()
            get(f"{address.base}/topic/nvshen/page/1")
            took.append(time.perf_counter() - start)
        assert min(took) < 0.3
        address.stats(reset=True)
        start = time.perf_counter()
        get(address.base + Site(5).path(3))
        assert time.perf_counter() - start >= 0.3
        counted = address.stats()
    assert (counted["requests"], counted["images"], counted["most"]) == (1, 1, 1)


def test_hosts_of_127_8_have_their_own_latency_and_some_hang(cache: Path) -> None:
    with own_server(Site(5), cache, None, "--hosts", "--hanging", "1") as address, pytest.raises(TimeoutError):
        urllib.request.urlopen(f"http://127.1.2.3:{address.port}/", timeout=0.5)


def test_the_gauge_counts_the_cpu_of_threads_and_children(tmp_path: Path) -> None:
    burn = "import time\nend = time.thread_time() + 0.3\nwhile time.thread_time() < end: pass\n"
    code = (
        "import subprocess, sys, threading\n"
        f"burn = {burn!r}\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "thread = threading.Thread(target=exec, args=(burn, {})); thread.start(); thread.join()\n"
    )
    ran = run([sys.executable, "-c", code], tmp_path)
    assert ran.code == 0, ran.log
    assert ran.cpu >= 0.6
    assert ran.main is not None
    assert 0.3 <= ran.main < ran.cpu


def test_the_gauge_notices_a_blocked_event_loop(tmp_path: Path) -> None:
    code = (
        "import asyncio, time\n"
        "async def main():\n await asyncio.sleep(0.1)\n time.sleep(0.4)\n await asyncio.sleep(0.1)\n"
        "asyncio.run(main())\n"
    )
    ran = run([sys.executable, "-c", code], tmp_path, lag=True)
    assert max(delay for _, delay in ran.late) >= 0.35


def test_the_gauge_sees_who_waits_for_the_interpreter(tmp_path: Path) -> None:
    """Two threads that want it all the time: one of them waits. One that waits for a lock does not."""
    code = (
        "import threading, time\n"
        "def work():\n end = time.thread_time() + 0.4\n while time.thread_time() < end: pass\n"
        "lock = threading.Lock(); lock.acquire()\n"
        "threading.Thread(target=lock.acquire, daemon=True).start()\n"
        "threading.Thread(target=work).start(); work()\n"
    )
    waits = run([sys.executable, "-c", code], tmp_path, parts=True).waits
    assert waits["event loop: waiting for the interpreter"] + waits["threads: waiting for the interpreter"] > 0.2
    alone = run([sys.executable, "-c", code.replace("start(); work()", "start()")], tmp_path, parts=True).waits
    assert sum(seconds for part, seconds in alone.items() if "interpreter" in part) < 0.2


def test_the_gauge_kills_what_does_not_end(tmp_path: Path) -> None:
    ran = run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, timeout=0.5)
    assert ran.code < 0
    assert ran.wall < 30


def test_a_long_delay_counts_for_all_who_would_have_waited() -> None:
    assert percentile_of_delays([0.0] * 99 + [1.0], 0.99) > 0.9
    assert percentile_of_delays([0.001] * 100, 0.99) == pytest.approx(0.001)
    assert percentile_of_delays([], 0.99) == 0.0


def test_a_redis_that_is_far_away_takes_its_time(tmp_path: Path) -> None:
    from redis import Redis  # noqa: PLC0415 -- only the queue's benchmark needs it

    try:
        with redis_server(tmp_path) as port, far_away(port, 0.1) as far, Redis(port=far) as client:
            start = time.perf_counter()
            client.set("key", "value")
            assert client.get("key") == b"value"
            assert time.perf_counter() - start >= 0.2
    except NoServerError as error:
        pytest.skip(str(error))


def test_the_question_about_the_queue_speaks_with_the_queue_as_it_is(tmp_path: Path) -> None:
    try:
        with redis_server(tmp_path) as port:
            rate, size = q8_queue._run(Path(sys.executable), "queue_imgcrawl.py", port, 50)
    except NoServerError as error:
        pytest.skip(str(error))
    assert min(rate, size) > 0


def test_a_peer_that_is_not_installed_is_shown_with_the_reason(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    folder.joinpath("uv").touch()
    folder.joinpath("python").write_text('#!/bin/sh\necho "no such package: $*"\n')
    folder.joinpath("python").chmod(0o755)
    result = Result("question", ["seconds"], "seconds")
    assert bench.present([peers.IMGCRAWL, peers.GALLERY_DL], result) == [peers.IMGCRAWL]
    assert "gallery-dl could not be installed in" in result.absent["gallery-dl"]
    assert "absent: gallery-dl: gallery-dl could not be installed" in report.plain(result)
    tried = (tmp_path / "venv.log").read_text()
    assert re.fullmatch(r"no such package: -m uv .* gallery-dl\nno such package: -m pip .* gallery-dl\n", tried)


@pytest.mark.parametrize(
    ("ours", "theirs", "told"), [(1, -0.02, None), (-1, 2, None), (1, 0, None), (0, 2, 0), (1, 2, 0.5)]
)
def test_what_is_less_than_nothing_meets_no_target(ours: float, theirs: float, told: float | None) -> None:
    """It was met by -40 where the start of a peer had drowned what its images cost."""
    result = Result("question", ["CPU"], "CPU", rows={"ours": {"CPU": [ours]}, "theirs": {"CPU": [theirs]}})
    result.target("at most 1", result.ratio("ours", "theirs", "CPU"), 1, least=False)
    assert result.ratio("ours", "theirs", "CPU") == told
    assert result.targets[0][2] is (None if told is None else True)


def test_the_readme_keeps_what_people_wrote_and_gets_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "README", readme)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    front = tmp_path / "FRONT.md"
    front.write_text(f"before: {report.FIGURES_BEGIN}\n  old.\n  {report.FIGURES_END}\nafter\n")
    monkeypatch.setattr(report, "FRONT_PAGE", front)
    monkeypatch.setattr(report, "FIGURES", (("one", 0, "{} times the other"), ("two", 0, "unknown"), ("one", 1, "{}")))
    result = Result("How fast?", ["images/s"], "images/s", lacks={"other": "pages"})
    for rate in (10.0, 30.0, 20.0):
        result.add("imgcrawl", {"images/s": rate})
        result.add("other", {"images/s": rate / 2})
    result.target("twice the other", result.ratio("imgcrawl", "other", "images/s"), 2, least=True)
    result.target("never measured", None, 2, least=True)
    report.keep({"one": result})
    for _ in range(2):  # the second writes the same
        report.write_readme(report.keep({}), "a machine", "versions")
    said = "  2 times the other, not measured."
    assert front.read_text() == f"before: {report.FIGURES_BEGIN}\n{said}\n  {report.FIGURES_END}\nafter\n"
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| imgcrawl | 20.0 (10.0–30.0) | 1.00 |  |" in text
    assert "| other | 10.0 (5.00–15.0) | 0.50 | pages |" in text
    assert "twice the other: 2: met" in text
    assert "never measured: not measured: not judged" in text


@pytest.mark.parametrize("way", ["scheduler", "downloader", "handler", "alone"])
@pytest.mark.parametrize("last", ["thrown away", "outcome"])
def test_the_floor_does_what_it_says(way: str, last: str, bench: Bench, cache: Path) -> None:
    site = Site(30)
    peer = q17_floor.alone(last) if way == "alone" else q17_floor.floor(way, way, last)
    with own_server(site, cache, None) as address:
        listed = addresses(bench, (address.base + path for path in site.paths()))
        job = Job(address.base, listed, bench.work / "store")
        ran = bench.crawl(peer, job, expected=30)
    assert ran.code == 0, ran.log
    bodies = {Pictures(cache, "photos").body(index) for index in range(30)}
    if last == "thrown away":
        assert {file.read_bytes() for file in peers.stored(job.store)} == {b""}
        return
    assert {file.read_bytes() for file in peers.stored(job.store)} == bodies
    catalogue = sqlite3.connect(job.store / "catalogue.sqlite3")
    found = dict(catalogue.execute("SELECT path, sha256 FROM images"))
    assert {Path(path).read_bytes() for path in found} == bodies
    assert all(hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256 for path, sha256 in found.items())


def test_two_floors_side_by_side_share_the_site(bench: Bench, cache: Path) -> None:
    site = Site(100)
    with own_server(site, cache, None) as address:
        job = Job(address.base, addresses(bench, []), bench.work / "store")
        q17_floor.side_by_side(bench, q17_floor.THREADS, job, 2, site.images)
    assert [len(peers.stored(job.store / each)) for each in "01"] == [60, 40]


def test_every_question_has_its_script_and_no_other_is_asked() -> None:
    scripts = {file.stem for file in (ROOT / "benchmarks").glob("q*_*.py")}
    assert scripts == set(QUESTIONS.values())
    command = [sys.executable, "-m", "benchmarks", "colour"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "no question 'colour'; the questions are one-process" in ran.stderr
