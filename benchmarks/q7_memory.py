"""Memory over 10,000 and 20,000 small images; over 1,000,000 with --long."""

from __future__ import annotations

import time

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Started
from benchmarks.peers import Job, Peer, remove
from benchmarks.server import Address, own_server
from benchmarks.site import Site


def measure(bench: Bench) -> Result:
    marks = [1_000, 3_000] if bench.short else [10_000, 20_000, *([1_000_000] if bench.long else [])]
    names = [f"MB at {mark:,} images" for mark in marks]
    result = Result("(7) Resident memory of one crawl of small images, as it goes on", [*names, "seconds"], names[-1])
    site = Site(marks[-1], "tiny", per_gallery=50)
    with own_server(site, CACHE, bench.server_core) as address:
        everything = addresses(bench, [])
        for peer in bench.present((peers.IMGCRAWL,), result):
            start = time.perf_counter()
            found = _watched(bench, peer, Job(address.base, everything, bench.work / "store"), address, marks)
            memory = {name: found[mark] / 1e6 for name, mark in zip(names, marks, strict=True)}
            result.add(peer.name, memory | {"seconds": time.perf_counter() - start})
    ours = result.rows.get(peers.IMGCRAWL.name)
    if ours and not bench.short:
        grown = ours[names[-1]][0] - ours[names[0]][0]
        result.target(f"at {marks[-1]:,} images within 60 MB of {marks[0]:,}", grown, 60, least=False, unit=" MB more")
        if marks[-1] < 1_000_000:
            result.notes.append("A million images take half an hour: `python -m benchmarks --long memory`.")
    return result


def _watched(bench: Bench, peer: Peer, job: Job, address: Address, marks: list[int]) -> dict[int, int]:
    """The resident memory of the crawl when each of *marks* images had been asked for."""
    remove(job.store)
    address.stats(reset=True)
    crawl = Started(peer.command(job, bench.python_for(peer)), bench.work / "logs", environment=peer.environment)
    found = dict.fromkeys(marks, 0)
    while rss := crawl.rss():
        images = address.stats()["images"]
        for mark in marks:
            # The last value below a mark is the value at it.
            if images <= mark:
                found[mark] = rss
        time.sleep(0.2 if marks[-1] < 10_000 else 1.0)
        if crawl.process.poll() is not None:
            break
    ran_code = crawl.process.wait()
    counted = address.stats()["images"]
    if ran_code or counted < marks[-1]:
        raise RuntimeError(f"{peer.name} asked for {counted} of {marks[-1]} images (exit code {ran_code})")
    remove(job.store)
    return found
