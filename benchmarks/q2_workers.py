"""The same crawl with 1, 2 and 4 workers that share a queue in Redis."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Started
from benchmarks.peers import Job, Peer, remove, stored
from benchmarks.redis_server import NoServerError, asked, redis_server
from benchmarks.server import Address, own_server
from benchmarks.site import Site

LATENCY = 0.05
WORKERS = (1, 2, 4)
LONG = "round trips to Redis for 1,000 requests, 4 workers, a longer crawl"
LONGER = 5400  # images: what workers ask for when they begin is not what they ask for a page
PEERS = (
    peers.IMGCRAWL,
    replace(peers.IMAGES, name="Scrapy ImagesPipeline + scrapy-redis", packages=("scrapy-redis", "pillow")),
    replace(peers.FILES, name="Scrapy FilesPipeline + scrapy-redis", packages=("scrapy-redis",)),
)


def measure(bench: Bench) -> Result:
    result = Result(
        "(2) Workers that share a queue, 50 ms of latency, 64 at once each: images a second",
        [*(name(workers) for name in (_column, _share, _trips) for workers in WORKERS[name is _share :]), LONG],
        _column(2),
    )
    site = Site(200 if bench.short else 1200, per_gallery=8)
    try:
        with (
            redis_server(bench.work / "redis") as port,
            own_server(site, CACHE, None, "--latency", str(LATENCY)) as address,
        ):
            for peer in bench.rounds_of(bench.present(PEERS[:2] if bench.short else PEERS, result), 2):
                for workers in WORKERS if peer is peers.IMGCRAWL and not bench.short else WORKERS[:2]:
                    rate, trips, share, came, badly = _crawl(bench, peer, address, port, workers)
                    result.add(peer.name, {_column(workers): rate, _trips(workers): trips})
                    if workers > 1:
                        result.add(peer.name, {_share(workers): share})
                    if badly:
                        result.notes.append(f"{peer.name}, {workers} workers: one ended with {badly}")
                    if came != site.images:
                        result.notes.append(
                            f"{peer.name}, {workers} workers: {came} of {site.images} images came home."
                        )
            if not bench.short:
                longer = Site(LONGER, per_gallery=8)
                with own_server(longer, CACHE, None, "--latency", str(LATENCY)) as large:
                    _, trips, *_ = _crawl(bench, peers.IMGCRAWL, large, port, WORKERS[-1])
                result.add(peers.IMGCRAWL.name, {LONG: trips})
    except NoServerError as error:
        result.absent["all of them"] = str(error)
        return result
    ours = peers.IMGCRAWL.name
    one, two = result.middle(ours, _column(1)), result.middle(ours, _column(2))
    enough = len(os.sched_getaffinity(0)) > 2
    ratio = two / one if one and two else None
    result.target("2 workers 1.7 times one, where cores allow", ratio if enough else None, 1.7, least=True)
    if not enough and ratio:
        result.notes.append(f"2 workers were {ratio:.2f} times one; they and the server had {os.cpu_count()} cores.")
    for workers in WORKERS[1:]:
        shares = result.rows.get(ours, {}).get(_share(workers))
        promise = f"smallest share of {workers} workers in any round: half a fair one"
        result.target(promise, min(shares) if shares else None, 0.5, least=True)
    result.target(f"{LONG}: at most 100", result.middle(ours, LONG), 100, least=False)
    return result


def _crawl(bench: Bench, peer: Peer, address: Address, port: int, workers: int) -> tuple[float, float, float, int, str]:
    """Images a second, round trips to Redis for 1,000 requests, the smallest share (1: a fair one), images, and how a
    worker ended that did not end well."""
    job = Job(address.base, addresses(bench, []), bench.work / "store", redis=f"redis://127.0.0.1:{port}/0")
    _flush(port)
    address.stats(reset=True)
    before = asked(port)
    shares, ended, badly = _together(bench, peer, job, workers)
    counted = address.stats()
    came = len(stored(job.store))
    trips = (asked(port) - before) / counted["requests"] * 1000
    share = min(shares) * workers / max(sum(shares), 1)
    return came / (ended - counted["first_image"]), trips, share, came, badly


def _trips(workers: int) -> str:
    return f"round trips to Redis for 1,000 requests, {workers} worker{'s' if workers > 1 else ''}"


def _share(workers: int) -> str:
    return f"smallest share, {workers} workers (fair: 1)"


def _column(workers: int) -> str:
    return f"images/s, {workers} worker{'s' if workers > 1 else ''}"


def _together(bench: Bench, peer: Peer, job: Job, workers: int) -> tuple[list[int], float, str]:
    """Run *workers* processes to their end: how many galleries each had, when the last one ended, and how one ended
    that did not end well, or ""."""
    remove(job.store)
    python = bench.python_for(peer)
    crawls = []
    for number in range(workers):
        command = peer.command(replace(job, worker=str(number)), python)
        folder = bench.work / f"worker{number}"
        crawls.append(Started(command, folder, environment=peer.environment, name=str(time.time_ns())))
    runs = [crawl.finished(300) for crawl in crawls]
    ended = max(ran.ended for ran in runs)
    badly = next((f"exit code {ran.code}: {ran.log.strip()[-300:]}" for ran in runs if ran.code), "")
    feeds = [Path(replace(job, worker=str(number)).feed) for number in range(workers)]
    return [feed.read_text().count('"title"') if feed.exists() else 0 for feed in feeds], ended, badly


def _flush(port: int) -> None:
    from redis import Redis  # noqa: PLC0415 -- only with a server

    with Redis(port=port) as client:
        client.flushall()
