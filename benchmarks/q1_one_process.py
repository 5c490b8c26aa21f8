"""Images a second and CPU an image, one client process, from list pages to files on disk."""

from __future__ import annotations

import shutil
import subprocess
from statistics import median

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.gauge import Run
from benchmarks.peers import Job
from benchmarks.server import Address, static_server
from benchmarks.site import Site

PEERS = (
    peers.IMGCRAWL,
    peers.IMGCRAWL_STRUCTURE,
    peers.IMGCRAWL_BYTES,
    peers.IMAGES,
    peers.FILES,
    peers.IMG2DATASET,
    peers.GALLERY_DL,
    peers.REQUESTS,
    peers.GEVENT,
    peers.AIOHTTP,
)
# Whose main thread does the work.
MEASURED_LOOP = {peer.name for peer in (*PEERS[:5], peers.GEVENT, peers.AIOHTTP)}
# Without those whose start-up would drown what a few images cost.
SHORT = (peers.IMGCRAWL, peers.IMGCRAWL_STRUCTURE, peers.IMAGES, peers.FILES, peers.AIOHTTP)
RATE, PINNED, CPU, LOOP, RSS, START = (
    "images/s, whole machine",
    "images/s, one core",
    "CPU ms/image, one core",
    "main thread ms/image, one core",
    "peak MB",
    "start s",
)


def measure(bench: Bench) -> Result:
    result = Result(
        "(1) One process, 53 KB JPEGs over loopback, concurrency 64: from list pages to verified files",
        [RATE, PINNED, CPU, LOOP, RSS, START],
        PINNED,
    )
    site = Site(400 if bench.short else 1200)
    present = bench.present(SHORT if bench.short else (*PEERS, peers.REQUESTS_PROCESSES), result)
    held = [(bench.client_core, bench.server_core)]
    for cores, server in held if bench.short else [(None, None), *held]:
        with static_server(site, CACHE, server) as address:
            if cores:
                result.notes.append(_capacity(address, site))
            every = [address.base + path for path in site.paths()]
            one = addresses(bench, [address.base + site.path(0)], "one.txt")
            runs: dict[str, list[tuple[Run, Run]]] = {}
            for peer in bench.rounds_of(present, 3 if cores else 2):
                if peer is peers.REQUESTS_PROCESSES and cores:
                    continue
                everything = addresses(bench, every * peer.times)
                store = bench.memory / "store"  # a disk takes as long for each of them
                start = bench.crawl(peer, Job(address.base, one, store, "one"), expected=1, cores=cores)
                whole = bench.crawl(
                    peer, Job(address.base, everything, store), expected=site.images * peer.times, cores=cores
                )
                runs.setdefault(peer.name, []).append((start, whole))
            times = {peer.name: peer.times for peer in present}
            for name, pairs in runs.items():
                _add(result, name, pairs, site.images * times[name] - 1, pinned=bool(cores))
    _judge(result)
    return result


def _add(result: Result, name: str, pairs: list[tuple[Run, Run]], images: int, *, pinned: bool) -> None:
    """What the rounds gave. What a tool costs before its first image is in no column but its own."""
    wall = median(start.wall for start, _ in pairs)
    cpu = median(start.cpu for start, _ in pairs)
    main = median(start.main or 0.0 for start, _ in pairs)
    for start, whole in pairs:
        rate = images / max(whole.wall - wall, 0.001)
        if not pinned:
            result.add(name, {RATE: rate})
            continue
        values = {PINNED: rate, CPU: (whole.cpu - cpu) / images * 1000, RSS: whole.rss / 1e6, START: start.wall}
        if whole.main is not None and name in MEASURED_LOOP:
            values[LOOP] = (whole.main - main) / images * 1000
        result.add(name, values)


def _judge(result: Result) -> None:
    ours = peers.IMGCRAWL.name
    judge = result.target
    judge("images/s of ImagesPipeline, one core: 3 times", result.ratio(ours, peers.IMAGES.name, PINNED), 3, least=True)
    for peer, name, limit in ((peers.IMGCRAWL, "decode", 1.3), (peers.IMGCRAWL_STRUCTURE, "structure", 2)):
        found = result.ratio(peer.name, peers.FILES.name, PINNED)
        judge(f"images/s of FilesPipeline, one core, IMAGES_VERIFY={name}: {limit} times", found, limit, least=True)
    judge(
        "images/s of gallery-dl, one core: 1.2 times",
        result.ratio(ours, peers.GALLERY_DL.name, PINNED),
        1.2,
        least=True,
    )
    found = result.ratio(peers.IMGCRAWL_BYTES.name, peers.IMG2DATASET.name, CPU)
    judge("CPU an image of img2dataset, IMAGES_VERIFY=bytes: at most 1", found, 1, least=False)
    loop, alone = result.middle(ours, LOOP), result.middle(peers.AIOHTTP.name, CPU)
    judge(
        "event loop an image against the CPU of aiohttp alone: at most 2 times",
        loop / alone if loop and alone else None,
        2,
        least=False,
    )
    result.notes.append("The files are in memory (/dev/shm), where the system has that.")
    result.notes += [
        f"{peer.name} gets each address {peer.times} times."
        for peer in PEERS
        if peer.times > 1 and peer.name in result.rows
    ]
    result.notes.append("imgcrawl obeys robots.txt here and writes its catalogue and its feed; AutoThrottle is off.")


def _capacity(address: Address, site: Site) -> str:
    """What the server can do: shown, so that nobody has to believe that it is not the bottleneck."""
    wrk = shutil.which("wrk")
    if not wrk:
        return f"Server: {address.kind} (wrk is not installed, so its capacity was not measured)."
    url = address.base + site.path(site.images // 2)
    said = subprocess.run([wrk, "-t1", "-c64", "-d2", url], capture_output=True, text=True, check=False).stdout
    rate = next((line.split()[1] for line in said.splitlines() if line.startswith("Requests/sec")), "?")
    return f"Server: {address.kind}, {rate} images a second to wrk (64 connections)."
