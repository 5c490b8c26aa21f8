"""What an image, a page and a gallery cost as they grow, and what a store that is far away lets through."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Run
from benchmarks.heavy import heavy_site
from benchmarks.objects import LATENCY, object_store
from benchmarks.peers import Job, Peer, with_setting
from benchmarks.server import own_server
from benchmarks.site import Site

CPU, RATE = "CPU ms each, one core", "each a second"
STRUCTURE, FILES = "CPU ms, IMAGES_VERIFY=structure", "CPU ms, FilesPipeline"
# Kilobytes of an image, and how many of them.
IMAGES = {5: 1000, 50: 800, 500: 200, 5000: 40}
PAGES = {10: 200, 100: 100, 1000: 20, 3000: 8}
GALLERIES = {1: 2000, 10: 2000, 100: 2000, 1000: 2000, 10_000: 10_000, 100_000: 100_000}
STORED = 400
SHORT = {5: 200, 100: 20}  # the points of --short: one of images, of pages and of galleries


def measure(bench: Bench) -> Result:
    result = Result(
        "(16) What grows: images, pages, galleries; and a store that is far away",
        [CPU, RATE, STRUCTURE, FILES],
        CPU,
        base="an image of 50 KB" if not bench.short else "an image of 5 KB",
    )
    _images(bench, result)
    _galleries(bench, result)
    _pages(bench, result)
    _stores(bench, result)
    result.notes += [
        "One crawl a point, less what a crawl of one image takes; a worker with a core of its own. Pages are crawled"
        " with --simulate: no image is asked for. Galleries are of images of 1 KB.",
        "Workers, hosts and pages that are queued: `costs_of_queue.md`. Addresses of a catalogue: above.",
    ]
    return result


def _points(bench: Bench, points: dict[int, int]) -> dict[int, int]:
    most = 100_000 if bench.long else 10_000
    chosen = {size: SHORT[size] for size in points if size in SHORT} if bench.short else points
    return {size: count for size, count in chosen.items() if count <= most}


def _images(bench: Bench, result: Result) -> None:
    columns = {peers.IMGCRAWL.name: CPU, peers.IMGCRAWL_STRUCTURE.name: STRUCTURE, peers.FILES.name: FILES}
    everyone = (peers.IMGCRAWL, peers.IMGCRAWL_STRUCTURE, peers.FILES)
    found = bench.present(everyone[:1] if bench.short else everyone, result)
    for size, count in _points(bench, IMAGES).items():
        site = Site(count, f"{size}kb")
        with own_server(site, CACHE, bench.server_core) as address:
            job = Job(address.base, addresses(bench, []), bench.memory / "store")
            for peer in found:
                one = _crawl(bench, peer, replace(job, topic="one"), 1)
                ran = _crawl(bench, peer, job, count)
                values = {columns[peer.name]: (ran.cpu - one.cpu) / (count - 1) * 1000}
                if peer is peers.IMGCRAWL:
                    values[RATE] = (count - 1) / (ran.wall - one.wall)
                result.add(f"an image of {_kilobytes(size)}", values)


def _galleries(bench: Bench, result: Result) -> None:
    for size, count in _points(bench, GALLERIES).items():
        with own_server(Site(count, "tiny", per_gallery=size), CACHE, bench.server_core) as address:
            job = Job(address.base, addresses(bench, []), bench.memory / "store")
            one = _crawl(bench, peers.IMGCRAWL, replace(job, topic="one"), 1)
            ran = _crawl(bench, peers.IMGCRAWL, job, count)
            values = {CPU: (ran.cpu - one.cpu) / (count - 1) * 1000, RATE: (count - 1) / (ran.wall - one.wall)}
            result.add(f"an image of a gallery of {size:,}", values)


def _pages(bench: Bench, result: Result) -> None:
    simulated = replace(peers.IMGCRAWL, command=_simulated)
    with heavy_site(CACHE) as base:
        for size, count in _points(bench, PAGES).items():
            one, ran = (
                bench.crawl(
                    simulated,
                    Job(f"{base}/list/dense{size}/{pages}", addresses(bench, []), bench.memory / "store"),
                    cores=bench.client_core,
                )
                for pages in (1, count + 1)
            )
            values = {CPU: (ran.cpu - one.cpu) / count * 1000, RATE: count / (ran.wall - one.wall)}
            result.add(f"a page of {_kilobytes(size)}", values)


def _stores(bench: Bench, result: Result) -> None:
    row = f"an image of 53 KB to a store, {LATENCY * 1000:g} ms a PUT"
    if find_spec("botocore") is None:
        result.absent[row] = "botocore is not installed (imgcrawl[s3])"
        return
    site = Site(100 if bench.short else STORED)
    with own_server(site, CACHE, None) as address, object_store() as endpoint:
        # All of it is another machine's in real life: neither is held to a core.
        peer = replace(peers.IMGCRAWL, command=with_setting(_to_objects, f"AWS_ENDPOINT_URL={endpoint}"))
        job = Job(address.base, addresses(bench, []), bench.memory / "store")
        one = bench.crawl(peer, replace(job, topic="one"))
        ran = bench.crawl(peer, job)
        if one.code or ran.code:
            raise RuntimeError(f"the crawl into an object store failed:\n{one.log}{ran.log}")
        values = {CPU: (ran.cpu - one.cpu) / (site.images - 1) * 1000, RATE: (site.images - 1) / (ran.wall - one.wall)}
        result.add(row, values)


def _crawl(bench: Bench, peer: Peer, job: Job, images: int) -> Run:
    return bench.crawl(peer, job, expected=images, cores=bench.client_core)


def _simulated(job: Job, _: object) -> list[str]:
    spider = ["gallery", "-a", f"list={job.base}", "-a", "galleries=a.g", "--simulate", "-O", job.feed]
    return [*peers.IMGCRAWL.command(job, peers.ROOT)[:4], *spider]


def _to_objects(job: Job, python: object) -> list[str]:
    command = peers.IMGCRAWL.command(job, peers.ROOT)
    keys = ("IMAGES_STORE=s3://images/", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret")
    beside = f"CATALOGUE_FILE={job.store}.sqlite3"
    return [*command, *(part for each in (*keys, "AWS_REGION_NAME=us-east-1", beside) for part in ("-s", each))]


def _kilobytes(size: int) -> str:
    return f"{size // 1000} MB" if size >= 1000 else f"{size} KB"
