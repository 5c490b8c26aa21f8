"""Question 1 with 10,000 images, start-up included: in memory and on the disk apart, one process and many."""

from __future__ import annotations

import os
from dataclasses import replace

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import static_server
from benchmarks.site import Site

CORES = len(os.sched_getaffinity(0))
IN_MEMORY, ON_DISK = "images/s, in memory", "images/s, on the disk"
CPU, CPU_ON_DISK, USED = "CPU ms/image, in memory", "CPU ms/image, on the disk", "cores used, in memory"
WORKERS = replace(
    peers.IMGCRAWL,
    name=f"imgcrawl, --workers {CORES}",
    command=lambda job, python: [*peers.IMGCRAWL.command(job, python), "--workers", str(CORES)],
)
PEERS = (peers.IMGCRAWL, WORKERS, peers.IMAGES, peers.FILES)


def measure(bench: Bench) -> Result:
    result = Result(
        "(15) 10,000 images of 53 KB over loopback, the whole machine, start-up included",
        [IN_MEMORY, ON_DISK, CPU, CPU_ON_DISK, USED],
        IN_MEMORY,
    )
    site = Site(400 if bench.short else 10_000)
    with static_server(site, CACHE, None) as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.present(PEERS[:2] if bench.short else PEERS, result):
            places = ((bench.memory, IN_MEMORY, CPU), (bench.work, ON_DISK, CPU_ON_DISK))
            for folder, rate, cpu in places[:1] if bench.short else places:
                ran = bench.crawl(peer, Job(address.base, everything, folder / "store"), expected=site.images)
                result.add(peer.name, {rate: site.images / ran.wall, cpu: ran.cpu / site.images * 1000})
                if rate == IN_MEMORY:
                    result.add(peer.name, {USED: ran.cpu / ran.wall})
    ratio = result.ratio(WORKERS.name, peers.IMAGES.name, IN_MEMORY)
    result.target(f"images/s of ImagesPipeline with {CORES} workers: 4 times", ratio, 4, least=True)
    ratio = result.ratio(WORKERS.name, peers.IMGCRAWL.name, IN_MEMORY)
    result.target(f"images/s of one process with {CORES} workers: 1.6 times", ratio, 1.6, least=True)
    result.notes.append(
        "One crawl each. The server has no core of its own. Nothing is fsynced, as is everybody's default."
    )
    return result
