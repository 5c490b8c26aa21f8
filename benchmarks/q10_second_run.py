"""The second run into the same folder: what is there is not asked for again."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Run
from benchmarks.peers import Job, Peer
from benchmarks.server import own_server
from benchmarks.site import Site

RATE, FETCHED = "images/s, second run", "images fetched again"
PEERS = (peers.IMGCRAWL, peers.IMAGES, peers.FILES, peers.GALLERY_DL)  # img2dataset's is its start, whatever there is


def measure(bench: Bench) -> Result:
    result = Result(
        "(10) The second run into the same folder",
        [RATE, FETCHED, "CPU ms/image"],
        RATE,
    )
    site = Site(200 if bench.short else 800)
    with own_server(site, CACHE, bench.server_core) as address:
        everything = addresses(bench, (address.base + path for path in site.paths()))
        one = addresses(bench, [address.base + site.path(0)], "one.txt")
        for peer in bench.rounds_of(bench.present(PEERS[:1] if bench.short else PEERS, result)):
            start = _second(bench, peer, Job(address.base, one, bench.memory / "store", "one"), 1)
            address.stats(reset=True)
            ran = _second(bench, peer, Job(address.base, everything, bench.memory / "store"), site.images)
            fetched = address.stats()["images"] - site.images
            images = site.images - 1
            cpu = (ran.cpu - start.cpu) / images * 1000
            result.add(peer.name, {RATE: images / (ran.wall - start.wall), FETCHED: fetched, "CPU ms/image": cpu})
    again = result.middle(peers.IMGCRAWL.name, FETCHED)
    result.target("nothing that is there and intact is fetched again: 0", again, 0, least=False)
    ratio = result.ratio(peers.IMGCRAWL.name, peers.GALLERY_DL.name, RATE)
    result.target("images/s of gallery-dl's second run: at least as many", ratio, 1, least=True)
    result.notes += [
        "imgcrawl compares size, time and inode of every file with those in its catalogue; ImagesPipeline and "
        "FilesPipeline look at its date, gallery-dl at its name.",
        "The files are in memory; what a second run for one image takes is taken off.",
    ]
    return result


def _second(bench: Bench, peer: Peer, job: Job, images: int) -> Run:
    bench.crawl(peer, job, expected=images, cores=bench.client_core)
    return bench.again(peer, job, expected=images, cores=bench.client_core)
