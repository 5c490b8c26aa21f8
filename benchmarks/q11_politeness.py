"""What it costs that all workers are one guest: the same crawl with shared limits that are far away, and without."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Started
from benchmarks.peers import Job, remove, stored
from benchmarks.redis_server import NoServerError, asked, redis_server
from benchmarks.server import Address, own_server
from benchmarks.site import Site

LATENCY = 0.05
WORKERS = (1, 4)
AT_ONCE = {1: 16, 4: 5}  # of each worker: the latency limits the rate and not the processor, which others use, too
RATE, CPU, TRIPS = "images/s", "CPU ms/request", "round trips/1,000 requests"
SHARED, ALONE = MODES = ("limits of all workers together", "limits of each worker")
SETTINGS = {
    "ADDONS": "{}",  # no shared queue: nothing but the limits asks Redis
    "CONCURRENT_REQUESTS_PER_DOMAIN": "1024",
}


def measure(bench: Bench) -> Result:
    columns = [_column(what, workers) for what in (RATE, CPU, TRIPS) for workers in WORKERS]
    result = Result(
        "(11) What it costs to be one guest, limits far away: the same crawl with limits shared, and not shared",
        columns,
        columns[1],
        base=ALONE,
        lacks={SHARED: "", ALONE: "4 workers are 4 guests"},
    )
    sizes = {4: 50} if bench.short else {1: 800, 4: 280}
    try:
        with redis_server(bench.work / "redis") as port:
            job = Job("", addresses(bench, []), bench.work / "store", redis=f"redis://127.0.0.1:{port}/0")
            costs = _costs_of_one(bench, job)
            for workers, size in sizes.items():
                with own_server(Site(size, "tiny"), CACHE, None, "--latency", str(LATENCY)) as address:
                    job = replace(job, base=address.base, concurrency=AT_ONCE[workers])
                    for number in range(bench.rounds):
                        for name in MODES if number % 2 else MODES[::-1]:
                            before = asked(port)
                            seconds, used, counted = _together(bench, job, address, workers, name)
                            if counted["images"] != workers * size:
                                raise RuntimeError(f"{counted['images']} of {workers * size} images were asked for")
                            values = {
                                RATE: workers * size / (seconds - costs[name][0]),
                                CPU: (used - workers * costs[name][1]) / counted["requests"] * 1000,
                                TRIPS: (asked(port) - before) / counted["requests"] * 1000,
                            }
                            result.add(name, {_column(what, workers): value for what, value in values.items()})
    except NoServerError as error:
        result.absent["all of them"] = str(error)
        return result
    for workers in sizes:
        # Crawl by crawl: two that follow each other had the same machine.
        rates = (result.rows[name][_column(RATE, workers)] for name in MODES)
        lost = median(100 * (1 - shared / alone) for shared, alone in zip(*rates, strict=True))
        promise = f"{_column('throughput lost', workers)}: at most 5 %"
        result.target(promise, None if bench.short else lost, 5, least=False, unit=" %")
    result.notes.append(
        f"Images of 1 KB through {LATENCY * 1000:g} ms of latency, {AT_ONCE[1]} at once with 1 worker, {AT_ONCE[4]} "
        "with each of 4; each crawls the whole site for itself, so that there is no queue to share. AutoThrottle is "
        "off. Seconds and CPU are less what a crawl of one image costs; what is lost is the median of crawls that "
        "followed each other."
    )
    return result


def _column(what: str, workers: int) -> str:
    return f"{what}, {workers} worker{'s' if workers > 1 else ''}"


def _costs_of_one(bench: Bench, job: Job) -> dict[str, tuple[float, float]]:
    """What a crawl of one image costs: seconds from it to the end, and CPU."""
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in MODES}
    with own_server(Site(1, "tiny"), CACHE, None, "--latency", str(LATENCY)) as address:
        for _ in range(bench.rounds):
            for name in MODES:
                one = replace(job, base=address.base, topic="one")
                costs[name].append(_together(bench, one, address, 1, name)[:2])
    return {name: (median(s for s, _ in found), median(c for _, c in found)) for name, found in costs.items()}


def _together(bench: Bench, job: Job, address: Address, workers: int, mode: str) -> tuple[float, float, dict[str, Any]]:
    """Let *workers* do *job* at once, each all of it for itself.

    Returns the seconds from the first image to the end of the last worker, their CPU, and what *address* counted.
    """
    address.stats(reset=True)
    crawls = []
    for number in range(workers):
        each = replace(job, store=bench.work / f"store{number}")
        remove(each.store)
        command = peers.IMGCRAWL.command(each, bench.python_for(peers.IMGCRAWL))
        for name, value in (SETTINGS | {"LIMITS_SHARED": str(mode == SHARED)}).items():
            command += ["-s", f"{name}={value}"]
        folder = bench.work / f"worker{number}"
        crawls.append(Started(command, folder, environment=peers.IMGCRAWL.environment, name=str(time.time_ns())))
    runs = [crawl.finished(300) for crawl in crawls]
    counted = address.stats()
    came = sum(len(stored(bench.work / f"store{number}")) for number in range(workers))
    if came != counted["images"] or any(ran.code for ran in runs):
        raise RuntimeError(f"{came} of {counted['images']} images came home:\n{runs[0].log}")
    return max(ran.ended for ran in runs) - counted["first_image"], sum(ran.cpu for ran in runs), counted
