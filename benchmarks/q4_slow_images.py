"""38 images behind one second each: the classic comparison of threads, processes and coroutines."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import own_server
from benchmarks.site import Site

IMAGES = 38
ALL, CRAWL = "seconds, all", "seconds, first request to last byte"
PEERS = (
    peers.IMGCRAWL,
    peers.REQUESTS,
    peers.REQUESTS_PROCESSES,
    peers.GEVENT,
    peers.AIOHTTP,
    peers.IMAGES,
    peers.IMG2DATASET,
)


def measure(bench: Bench) -> Result:
    result = Result(
        "(4) 38 images behind one second each (published: threads 14.2 s, processes and threads 9.6 s, "
        "coroutines 6.2 s)",
        [ALL, CRAWL],
        ALL,
    )
    site = Site(IMAGES, per_gallery=IMAGES)
    with own_server(site, CACHE, bench.server_core, "--latency", "1", "--page-latency", "0") as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.rounds_of(bench.present(PEERS[:2] if bench.short else PEERS, result), 2):
            address.stats(reset=True)
            ran = bench.crawl(peer, Job(address.base, everything, bench.work / "store"), expected=IMAGES)
            counted = address.stats()
            result.add(peer.name, {ALL: ran.wall, CRAWL: counted["last"] - counted["first"]})
    result.add("one after the other (by arithmetic)", {ALL: IMAGES * 1.0, CRAWL: IMAGES * 1.0})
    crawl = result.middle(peers.IMGCRAWL.name, CRAWL)
    result.target("from the first request to the last byte: at most 1.6 s", crawl, 1.6, least=False, unit=" s")
    whole = result.middle(peers.IMGCRAWL.name, ALL)
    result.target("the whole process, Python's start included: at most 1.6 s", whole, 1.6, least=False, unit=" s")
    return result
