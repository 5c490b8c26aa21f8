"""How fast the parts that imgcrawl is made of can be: the same work by the least code on the same libraries.

What a target is missed by is the parts' where they alone miss it, and ours where they reach it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from scrapy.settings import default_settings

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Run, Started
from benchmarks.peers import SCRIPTS, Job, Peer, remove, stored
from benchmarks.q15_ten_thousand import WORKERS
from benchmarks.server import own_server, static_server
from benchmarks.site import Site

CPU, LOOP, TWO, SHARE, SLOW = (
    "CPU ms/image, one core",
    "main thread ms/image, one core",
    "images/s of two processes to those of one, whole machine",
    "share of the possible, 32 at once, 50 ms",
    "seconds, 38 images behind one second each",
)
STEPS = ("thrown away", "file", "sha256", "decoded", "outcome")
DONE = {
    "thrown away": "nothing",
    "file": "file: written, then renamed",
    "sha256": "file, sha256",
    "decoded": "file, sha256, decoded",
    "outcome": "file, sha256, decoded, a row in SQLite",
    "structure": "file, sha256, container walked, a row in SQLite",
}
STOCK = [
    part
    for name in ("DOWNLOADER_MIDDLEWARES_BASE", "SPIDER_MIDDLEWARES_BASE", "EXTENSIONS_BASE")
    for part in ("-s", f"{name}={json.dumps(getattr(default_settings, name))}")
]


def floor(name: str, way: str, last: str, *more: str) -> Peer:
    """The crawl of `scripts/floor.py`, with the libraries that imgcrawl has."""

    def command(job: Job, _: object) -> list[str]:
        arguments = {"base": job.base, "topic": job.topic, "store": str(job.store), "way": way, "last": last}
        given = [part for key, value in arguments.items() for part in ("-a", f"{key}={value}")]
        limits = [part for key, value in job.limits().items() for part in ("-s", f"{key}={value}")]
        return [sys.executable, "-m", "scrapy", "crawl", "floor", *given, *limits, *more, "-O", job.feed]

    environment = {"PYTHONPATH": str(SCRIPTS), "SCRAPY_SETTINGS_MODULE": "floor"}
    return Peer(f"floor: {name}, {last}", "", command, environment=environment, verifies=DONE[last])


def alone(last: str) -> Peer:
    """aiohttp without Scrapy and without pages."""

    def command(job: Job, _: object) -> list[str]:
        script = [sys.executable, str(SCRIPTS / "aiohttp_plain.py"), str(job.addresses), str(job.store)]
        return [*script, str(job.concurrency), f"{job.timeout:g}", last]

    return Peer(f"floor: aiohttp alone, {last}", "no pages", command, verifies=DONE[last])


LADDER = [floor("Scrapy's downloader", "downloader", step) for step in STEPS]
DECODE, STRUCTURE = LADDER[-1], LADDER[2]
THREADS = floor("Scrapy's downloader, 2 threads", "downloader", "outcome", "-a", "threads=2")
USUAL = "Scrapy with its usual middlewares and extensions, 2 threads"
KEPT = (*STOCK, "-a", "threads=2", "-a", "promises=1", "-s", "ROBOTSTXT_OBEY=True")
# The last steps of each: with decoding, and without.
LEAN = {
    "with some of what is promised": tuple(
        floor(f"{USUAL}, names, robots.txt, feed, catalogue asked before", "downloader", step, *KEPT)
        for step in ("outcome", "structure")
    ),
    "Scrapy as it is usual, 2 threads": tuple(
        floor(USUAL, "downloader", step, *STOCK, "-a", "threads=2") for step in ("outcome", "sha256")
    ),
    "Scrapy's downloader": (DECODE, STRUCTURE),
    "its aiohttp handler": tuple(floor("Scrapy's aiohttp handler", "handler", step) for step in ("outcome", "sha256")),
    "aiohttp alone": (alone("outcome"), alone("sha256")),
}
PEERS = (
    peers.IMGCRAWL,
    peers.IMGCRAWL_STRUCTURE,
    peers.IMGCRAWL_BYTES,
    peers.IMAGES,
    peers.FILES,
    peers.IMG2DATASET,
    peers.GALLERY_DL,
    floor("Scrapy's scheduler", "scheduler", "outcome"),
    THREADS,
    *LADDER,
    *(peer for name, both in LEAN.items() if both[0] is not DECODE for peer in both),
)
SHORT = (peers.IMGCRAWL, peers.IMGCRAWL_STRUCTURE, peers.FILES, DECODE, STRUCTURE)


def measure(bench: Bench) -> Result:
    result = Result(
        "(17) The floor: the same work by the least code on the same libraries", [CPU, LOOP, TWO, SHARE, SLOW], CPU
    )
    present = bench.present(SHORT if bench.short else PEERS, result)
    _one_core(bench, result, present)
    _through_latency(bench, result)
    _slow(bench, result)
    _two(bench, result)
    _judge(result)
    result.notes += [
        "What a crawl of one image takes is taken off, but where two processes are compared. The floor keeps no"
        " promise: no limits a host, robots.txt, retries, redirects, names of one's own, feed, catalogue that is asked"
        " before. It is no target, but what would be left if all that imgcrawl does beside were free. One has names of"
        " its galleries, robots.txt, a feed and a catalogue that is asked, by the least code that does so.",
        "Ratios are of CPU on one core; question 1 has those of images a second.",
    ]
    return result


def _one_core(bench: Bench, result: Result, present: Sequence[Peer]) -> None:
    site = Site(600 if bench.short else 1200)
    runs: dict[str, list[tuple[Run, Run]]] = {}
    with static_server(site, CACHE, bench.server_core) as address:
        every = [address.base + path for path in site.paths()]
        one = addresses(bench, [address.base + site.path(0)], "one.txt")
        store = bench.memory / "store"
        for peer in bench.rounds_of(present):
            everything = addresses(bench, every * peer.times)
            first, all_of_them = Job(address.base, one, store, "one"), Job(address.base, everything, store)
            start = bench.crawl(peer, first, expected=1, cores=bench.client_core)
            whole = bench.crawl(peer, all_of_them, expected=site.images * peer.times, cores=bench.client_core)
            runs.setdefault(peer.name, []).append((start, whole))
    times = {peer.name: peer.times for peer in present}
    for name, pairs in runs.items():
        images = site.images * times[name] - 1
        cpu, main = median(start.cpu for start, _ in pairs), median(start.main or 0.0 for start, _ in pairs)
        for _, whole in pairs:
            result.add(name, {CPU: (whole.cpu - cpu) / images * 1000})
            if whole.main is not None and name not in (peers.IMG2DATASET.name, peers.GALLERY_DL.name):
                result.add(name, {LOOP: (whole.main - main) / images * 1000})


def _through_latency(bench: Bench, result: Result) -> None:
    """As question 3 has it."""
    site = Site(320 if bench.short else 960)
    with own_server(site, CACHE, bench.server_core, "--latency", "0.05") as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.rounds_of((peers.IMGCRAWL, DECODE, THREADS, alone("outcome"), peers.AIOHTTP)):
            address.stats(reset=True)
            job = Job(address.base, everything, bench.memory / "store", concurrency=32)
            bench.crawl(peer, job, expected=site.images, cores=bench.client_core)
            told = address.stats()
            result.add(peer.name, {SHARE: told["images"] / (told["last"] - told["first_image"]) / (32 / 0.05)})


def _slow(bench: Bench, result: Result) -> None:
    """As question 4 has it."""
    site = Site(38, per_gallery=38)
    with own_server(site, CACHE, bench.server_core, "--latency", "1", "--page-latency", "0") as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.rounds_of((peers.IMGCRAWL, DECODE, alone("outcome"))):
            ran = bench.crawl(peer, Job(address.base, everything, bench.memory / "store"), expected=38)
            result.add(peer.name, {SLOW: ran.wall})


def _two(bench: Bench, result: Result) -> None:
    """As question 15 has it; of the floor two processes that know nothing of each other, each with half of all."""
    site = Site(400 if bench.short else 10_000)
    with static_server(site, CACHE, None) as address:
        job = Job(address.base, addresses(bench, []), bench.memory / "store")
        for _ in range(1 if bench.short else 2):
            one = bench.crawl(peers.IMGCRAWL, job, expected=site.images).wall
            both = bench.crawl(WORKERS, job, expected=site.images).wall
            result.add(peers.IMGCRAWL.name, {TWO: one / both})
            for peer in (DECODE, THREADS):
                seconds = [side_by_side(bench, peer, job, count, site.images) for count in (1, 2)]
                result.add(peer.name, {TWO: seconds[0] / seconds[1]})


def side_by_side(bench: Bench, peer: Peer, job: Job, count: int, images: int) -> float:
    """Seconds that so many processes of *peer* take, each with its part of the site."""
    remove(job.store)
    began = time.perf_counter()
    started = []
    for number in range(count):
        mine = replace(job, store=job.store / str(number))
        command = [*peer.command(mine, bench.python_for(peer)), "-a", f"part={number}/{count}"]
        started.append(Started(command, bench.work / "floor", environment=peer.environment, name=str(time.time_ns())))
    logs = [each.finished().log for each in started]
    took = time.perf_counter() - began
    if (came := len(stored(job.store))) != images:
        raise RuntimeError(f"{peer.name} brought {came} of {images} images:\n{''.join(logs)}")
    return took


def _judge(result: Result) -> None:
    for promise, ours, other, limit, depth in (
        ("images/s of ImagesPipeline, decode: 3 times", peers.IMGCRAWL, peers.IMAGES, 3, 0),
        ("images/s of FilesPipeline, decode: 1.3 times", peers.IMGCRAWL, peers.FILES, 1.3, 0),
        ("images/s of FilesPipeline, structure: 2 times", peers.IMGCRAWL_STRUCTURE, peers.FILES, 2, 1),
        ("images/s of gallery-dl, decode: 1.2 times", peers.IMGCRAWL, peers.GALLERY_DL, 1.2, 0),
        ("images/s of img2dataset, bytes: as many", peers.IMGCRAWL_BYTES, peers.IMG2DATASET, 1, 1),
    ):
        reached = result.ratio(other.name, ours.name, CPU)
        least = {name: result.ratio(other.name, both[depth].name, CPU) for name, both in LEAN.items()}
        _told(result, promise, reached, least, limit)
    least = {"Scrapy's downloader": DECODE, "with 2 threads each": THREADS}
    reached = {name: result.middle(peer.name, TWO) for name, peer in least.items()}
    _told(result, "two processes 1.6 times one", result.middle(peers.IMGCRAWL.name, TWO), reached, 1.6)
    least = {"Scrapy's downloader": DECODE, "with 2 threads": THREADS, "aiohttp alone": alone("outcome")}
    reached = {name: result.ratio(peer.name, peers.AIOHTTP.name, SHARE) for name, peer in least.items()}
    ours = result.ratio(peers.IMGCRAWL.name, peers.AIOHTTP.name, SHARE)
    _told(result, "32 at once through 50 ms, of aiohttp alone with files only: 0.9", ours, reached, 0.9)
    whole = {name: result.middle(peer.name, SLOW) for name, peer in (("imgcrawl", peers.IMGCRAWL), ("floor", DECODE))}
    result.target(
        f"38 images behind one second each: at most 1.6 s (floor: {whole['floor'] or 0:.3g} s)",
        whole["imgcrawl"],
        1.6,
        least=False,
        unit=" s",
    )


def _told(result: Result, promise: str, reached: float | None, least: Mapping[str, float | None], limit: float) -> None:
    """A target with what the floors reach."""
    floors = ", ".join(f"{name} {value:.3g}" for name, value in least.items() if value)
    result.target(f"{promise} (floor: {floors})", reached, limit, least=True)
