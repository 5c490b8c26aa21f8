"""How long the event loop is blocked while 24-megapixel JPEGs come in."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import percentile_of_delays
from benchmarks.peers import Job
from benchmarks.server import own_server
from benchmarks.site import Site


def measure(bench: Bench) -> Result:
    result = Result(
        "(6) Event loop lag while 24-megapixel JPEGs come in", ["p99 ms", "longest ms", "peak MB"], "p99 ms"
    )
    site = Site(12 if bench.short else 40, "large")
    with own_server(site, CACHE, None) as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.rounds_of(bench.present((peers.IMGCRAWL, peers.IMAGES), result)):
            job = Job(address.base, everything, bench.work / "store", concurrency=8)
            address.stats(reset=True)
            ran = bench.crawl(peer, job, expected=site.images, lag=True)
            first = address.stats()["first_image"]
            late = [delay for when, delay in ran.late if when > first]
            p99 = percentile_of_delays(late, 0.99) * 1000
            longest = max(late, default=0.0) * 1000
            result.add(peer.name, {"p99 ms": p99, "longest ms": longest, "peak MB": ran.rss / 1e6})
    ours = result.middle(peers.IMGCRAWL.name, "p99 ms")
    result.target("p99 under 20 ms", ours, 20, least=False, unit=" ms")
    result.notes.append(
        "From the first image asked for to the end. A delay of d counts d / 5 ms times: so many would have waited."
    )
    return result
