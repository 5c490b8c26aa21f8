"""What it costs that images, catalogue and feed outlive a power cut."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job, Peer
from benchmarks.server import own_server
from benchmarks.site import Site

RATE, CPU = "images/s", "CPU ms/image"
WRITE, FSYNC = "DURABILITY=write", "DURABILITY=fsync"


def measure(bench: Bench) -> Result:
    result = Result("(13) What DURABILITY costs: images, catalogue and feed", [RATE, CPU], RATE, base=WRITE)
    site = Site(400 if bench.short else 2000, per_gallery=10)
    with own_server(site, CACHE, bench.server_core) as address:
        everything = addresses(bench, [])
        for peer in bench.rounds_of(bench.present([_with(value) for value in (WRITE, FSYNC)], result), 2):
            job = Job(address.base, everything, bench.work / "store")
            ran = bench.crawl(peer, job, expected=site.images)
            result.add(peer.name, {RATE: site.images / ran.wall, CPU: ran.cpu / site.images * 1000})
    result.notes.append(
        "Galleries of ten photographs of 53 KB, start-up included. How long a disk takes to say that it has something"
        " is the disk's: this one is the machine's own."
    )
    return result


def _with(setting: str) -> Peer:
    return replace(peers.IMGCRAWL, name=setting, command=peers.with_setting(peers.IMGCRAWL.command, setting))
