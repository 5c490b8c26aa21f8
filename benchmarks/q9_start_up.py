"""From the command to the first request."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import own_server
from benchmarks.site import Site


def measure(bench: Bench) -> Result:
    result = Result(
        "(9) From the command to the first request", ["ms to the first request", "ms in all"], "ms to the first request"
    )
    site = Site(20)
    with own_server(site, CACHE, bench.server_core) as address:
        one = addresses(bench, [address.base + site.path(0)])
        everyone = (peers.IMGCRAWL, peers.IMAGES, peers.IMG2DATASET, peers.GALLERY_DL, peers.AIOHTTP)
        present = bench.present(everyone[:2] if bench.short else everyone, result)
        for peer in [*present, *(peer for _ in range(2 if bench.short else 5) for peer in present)]:
            address.stats(reset=True)
            job = Job(address.base, one, bench.work / "store", "one")
            ran = bench.crawl(peer, job, expected=1, cores=bench.client_core)
            first = address.stats()["first"] - ran.began
            result.add(peer.name, {"ms to the first request": first * 1000, "ms in all": ran.wall * 1000})
    ratio = result.ratio(peers.IMGCRAWL.name, peers.IMAGES.name, "ms to the first request")
    result.target("at most 1.1 times plain `scrapy crawl`", ratio, 1.1, least=False)
    return result
