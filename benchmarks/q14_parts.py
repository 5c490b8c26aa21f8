"""Where the time of an image goes: by part of the event loop's thread, and of the threads that verify and store."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import static_server
from benchmarks.site import Site

CPU, SHARE, CPU_OF_ALL = "CPU us/image, one core", "share, %", "CPU us/image, whole machine"
WAITING, WAITING_OF_ALL = "waiting us/image, one core", "waiting us/image, whole machine"
TOTALS = {"all", "of these in the kernel"}
SMALLEST = 0.005  # of all; what is less goes to others


def measure(bench: Bench) -> Result:
    columns = [CPU, SHARE, CPU_OF_ALL, WAITING, WAITING_OF_ALL]
    result = Result("(14) Where the time of an image goes", columns, CPU, base="all")
    site = Site(800 if bench.short else 1600)
    used = {}
    for cores, server, cpu, waiting in (
        (bench.client_core, bench.server_core, CPU, WAITING),
        (None, None, CPU_OF_ALL, WAITING_OF_ALL),
    ):
        with static_server(site, CACHE, server) as address:
            job = Job(address.base, addresses(bench, []), bench.memory / "store")
            for _ in range(bench.rounds):
                one = bench.crawl(peers.IMGCRAWL, replace(job, topic="one"), expected=1, cores=cores, parts=True)
                whole = bench.crawl(peers.IMGCRAWL, job, expected=site.images, cores=cores, parts=True)
                spent, waited = _beyond(whole.parts, one.parts), _beyond(whole.waits, one.waits)
                large = {part for part, seconds in spent.items() if seconds >= SMALLEST * spent["all"]}
                parts = _with_others(spent, large if cpu == CPU else set(result.rows))
                for column, found, unit in (
                    (cpu, parts, (site.images - 1) / 1e6),
                    (waiting, waited, (site.images - 1) / 1e6),
                    *([(SHARE, parts, spent["all"] / 100)] if cpu == CPU else []),
                ):
                    for part, seconds in found.items():
                        result.add(part, {column: seconds / unit})
                used[cpu] = spent["all"] / (whole.wall - one.wall)
    result.rows = dict(sorted(result.rows.items(), key=lambda row: -max(row[1][CPU], default=0)))
    result.notes += [
        "CPU: a look at all threads for each millisecond of CPU that they use (`probe/parts.py`): what a thread has"
        " used since the last one is of the part whose code it is in. Waiting: a look from outside each 2 ms"
        " (`waits.py`); several threads may wait at the same time. What a crawl of one image takes is taken off.",
        *(f"Cores used, {column.partition(', ')[2]}: {cores:.2f}." for column, cores in used.items()),
    ]
    return result


def _beyond(whole: dict[str, float], one: dict[str, float]) -> dict[str, float]:
    """What *whole* has beyond *one*."""
    return {name: seconds - one.get(name, 0.0) for name, seconds in whole.items()}


def _with_others(spent: dict[str, float], named: set[str]) -> dict[str, float]:
    """The parts that are *named*, and what the others take together."""
    kept = {part: seconds for part, seconds in spent.items() if part in {*named, *TOTALS}}
    return {**kept, "all others": sum(seconds for part, seconds in spent.items() if part not in kept)}
