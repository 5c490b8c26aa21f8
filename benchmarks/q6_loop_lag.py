"""How long the event loop is blocked, and how much memory is taken, by what is large."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Run, Started, percentile_of_delays
from benchmarks.heavy import heavy_site
from benchmarks.peers import Job, remove
from benchmarks.server import own_server
from benchmarks.site import Site

PEERS = (peers.IMGCRAWL, peers.IMAGES)
COLUMNS = ["p99 ms", "p99 of timers ms", "longest ms", "CPU of the longest step ms", "peak MB"]
# What comes in: kind and number of galleries on the list (`benchmarks.heavy`), with --short (0: not at all) and else.
CASES = {
    "dense pages of 1 MB": ("dense1000", 2, 25),
    "dense pages of 3 MB": ("dense3000", 0, 10),
    "32 images of 100 MB, and pages of 1 MB": ("huge", 0, 1),
    "32 pages of 100 MB, and others of 1 MB": ("hugepage", 2, 32),
    "JPEG, PNG and WebP of 24 megapixels": ("photos", 1, 3),
    "a gallery of 20,000 addresses that are refused": ("refused", 0, 1),
    "a gallery of 100,000 images, stopped with Ctrl-C": ("many", 0, 1),
}
STOPPED_AFTER = 1_500  # images


def measure(bench: Bench) -> Result:
    result = Result("(6) Event loop lag and memory while what is large comes in", COLUMNS, "p99 ms")
    site = Site(12 if bench.short else 24, "large")
    with own_server(site, CACHE, None) as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.rounds_of(bench.present(PEERS[:1] if bench.short else PEERS, result), 2):
            job = Job(address.base, everything, bench.work / "store", concurrency=8)
            address.stats(reset=True)
            ran = bench.crawl(peer, job, expected=site.images, lag=True)
            result.add(peer.name, figures(ran, address.stats()["first_image"]))
    with heavy_site(CACHE) as base:
        for name, (kind, short, long) in CASES.items():
            if count := short if bench.short else long:
                ran = crawl(bench, f"{base}/list/{kind}/{count}", stop=kind == "many")
                result.add(f"imgcrawl: {name}", figures(ran))
    for row in result.rows:
        if row.startswith("imgcrawl"):
            result.target(f"{row}: p99 under 20 ms", result.middle(row, "p99 ms"), 20, least=False, unit=" ms")
            step = result.middle(row, "CPU of the longest step ms")
            result.target(f"{row}: no step of 20 ms of CPU", step, 20, least=False, unit=" ms")
            result.target(f"{row}: at most 400 MB", result.middle(row, "peak MB"), 400, least=False, unit=" MB")
    result.notes += [
        "The first two rows: 24-megapixel JPEGs. From the first image asked for to the end, the others from the first "
        "answer on. A delay of d counts d / 5 ms times: so many would have waited. The second column "
        "counts each timer once, as most tools do.",
        "A delay has the machine's other work in it, and the waiting for the interpreter; the CPU time of a step has "
        "neither.",
    ]
    return result


def crawl(bench: Bench, list_url: str, *, stop: bool) -> Run:
    """The galleries of a list, with no more limits than a careless user sets. With *stop* Ctrl-C ends it."""
    store = bench.work / "store"
    remove(store)
    settings = {
        "CONCURRENT_REQUESTS_PER_DOMAIN": "32",
        "AUTOTHROTTLE_ENABLED": "False",
        "IMAGES_STORE": str(store),
    }
    command = [sys.executable, "-m", "scrapy", "crawl", "gallery", "-a", f"list={list_url}", "-a", "galleries=a.g"]
    command += [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
    environment = {"SCRAPY_SETTINGS_MODULE": "imgcrawl.settings", "PYTHONPATH": str(Path(__file__).parents[1])}
    folder = bench.work / f"logs-{time.monotonic_ns()}"
    started = Started([*command, "-O", f"{store}.json"], folder, environment=environment, lag=True)
    while stop and len(list((store / "gallery").rglob("*.jpg"))) < STOPPED_AFTER and started.process.poll() is None:
        time.sleep(0.2)
    if stop:
        started.process.send_signal(signal.SIGINT)
    ran = started.finished()
    remove(store)
    if not ran.late:
        raise RuntimeError(f"the crawl of {list_url} ended with exit code {ran.code}:\n{ran.log}")
    return ran


def figures(ran: Run, first: float = 0.0) -> dict[str, float]:
    """What *ran* showed from the Unix time *first* on; else from when the spider is open: that is the first step."""
    first = first or min(ran.late)[0] + 0.3
    late = [delay for when, delay in ran.late if when - delay > first]
    return {
        "p99 ms": percentile_of_delays(late, 0.99) * 1000,
        "p99 of timers ms": sorted(late)[int(0.99 * len(late))] * 1000 if late else 0.0,
        "longest ms": max(late, default=0.0) * 1000,
        "CPU of the longest step ms": max((cpu for when, cpu, _ in ran.steps if when > first), default=0.0) * 1000,
        "peak MB": ran.rss / 1e6,
    }
