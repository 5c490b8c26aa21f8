"""Through 50 ms of latency, per concurrency: how much of what is possible is reached."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import own_server
from benchmarks.site import Site

LATENCY = 0.05
MOST = "most in flight where 8 were allowed"
PEERS = (peers.IMGCRAWL, peers.IMAGES, peers.AIOHTTP)


def measure(bench: Bench) -> Result:
    concurrencies = (8,) if bench.short else (8, 16, 32)
    names = [f"share of the possible, {concurrency} at once" for concurrency in concurrencies]
    result = Result(
        "(3) Through 50 ms of latency: images a second, as a share of concurrency / latency",
        [*names, MOST],
        names[0],
    )
    present = bench.present(PEERS, result)
    for concurrency in concurrencies:
        site = Site(concurrency * 30)
        with own_server(site, CACHE, bench.server_core, "--latency", str(LATENCY)) as address:
            everything = addresses(bench, (address.base + path for path in site.paths()))
            for peer in bench.rounds_of(present, 2):
                address.stats(reset=True)
                job = Job(address.base, everything, bench.work / "store", concurrency=concurrency)
                bench.crawl(peer, job, expected=site.images, cores=bench.client_core)
                counted = address.stats()
                # From the first image asked for to the last answer: neither the start nor the pages before it.
                reached = counted["images"] / (counted["last"] - counted["first_image"])
                column = f"share of the possible, {concurrency} at once"
                if concurrency == 8:
                    result.add(peer.name, {MOST: counted["most"]})
                result.add(peer.name, {column: reached / (concurrency / LATENCY)})
    for name in names:
        ratio = result.ratio(peers.IMGCRAWL.name, peers.AIOHTTP.name, name)
        result.target(f"{name}: within 10 % of aiohttp alone", ratio, 0.9, least=True)
    result.notes.append(
        "Possible is concurrency / 50 ms; how much of it latency and concurrency allow on this machine, aiohttp alone "
        "shows. imgcrawl takes pages and images from the same limit. Where as many are asked for as it can do at all "
        "(question 1, one core), the processor is the limit."
    )
    return result
