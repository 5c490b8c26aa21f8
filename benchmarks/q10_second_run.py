"""The second run into the same folder: what is there is not asked for again."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import own_server
from benchmarks.site import Site

RATE, FETCHED = "images/s, second run", "images fetched again"
PEERS = (peers.IMGCRAWL, peers.IMAGES, peers.FILES, peers.GALLERY_DL, peers.IMG2DATASET)


def measure(bench: Bench) -> Result:
    result = Result(
        "(10) The second run into the same folder",
        [RATE, FETCHED, "CPU ms/image"],
        RATE,
    )
    site = Site(400 if bench.short else 1000)
    with own_server(site, CACHE, bench.server_core) as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        for peer in bench.rounds_of(bench.present(PEERS[:2] if bench.short else PEERS, result)):
            job = Job(address.base, everything, bench.work / "store")
            bench.crawl(peer, job, expected=site.images)
            address.stats(reset=True)
            ran = bench.again(peer, job, expected=site.images)
            fetched = address.stats()["images"]
            cpu = ran.cpu / site.images * 1000
            result.add(peer.name, {RATE: site.images / ran.wall, FETCHED: fetched, "CPU ms/image": cpu})
    again = result.middle(peers.IMGCRAWL.name, FETCHED)
    result.target("nothing that is there and intact is fetched again: 0", again, 0, least=False)
    result.notes.append(
        "imgcrawl reads every file and compares its sha256; ImagesPipeline and FilesPipeline look at its date, "
        "gallery-dl at its name."
    )
    return result
