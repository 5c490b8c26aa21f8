"""The first pages of 500 sites, 5 % of them hanging: the classic comparison of serial, processes and threads."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import SCRIPTS, Job, Peer
from benchmarks.server import Served, own_server
from benchmarks.site import Pictures, Site

HANGING = 0.05
SECONDS, FASTER = "seconds", "times faster than serial"


def measure(bench: Bench) -> Result:
    sites, timeout = (20, 5.0) if bench.short else (500, 10.0)
    result = Result(
        f"(5) The first pages of {sites} sites, 5 % hanging (published: serial 2,356 s, 8 processes x 5 threads 107 s: "
        "22 times)",
        [SECONDS, FASTER, "sites had"],
        SECONDS,
    )
    hosts = [f"127.{1 + number // 200}.{number % 200}.1" for number in range(sites)]
    site = Site(20)
    options = ("--hosts", "--hanging", str(HANGING))
    served = Served(site, Pictures(CACHE, "photos"), 0, 0, HANGING)
    latencies = [served.host_latency(host) for host in hosts]
    serial = sum(timeout if latency is None else latency for latency in latencies)
    good = sum(latency is not None for latency in latencies)
    everyone = (_imgcrawl(), *(() if bench.short else (_threads(8, 5), peers.GEVENT, peers.AIOHTTP)))
    with own_server(site, CACHE, bench.server_core, *options) as address:
        everything = addresses(bench, (f"http://{host}:{address.port}/" for host in hosts))
        rows = "".join(f"{number},{host}:{address.port}\n" for number, host in enumerate(hosts, 1))
        everything.with_suffix(".csv").write_text(rows)
        present = bench.present(everyone, result)
        for peer in present:  # one round: 500 sites are a sample already
            job = Job(address.base, everything, bench.work / "store", timeout=timeout, concurrency=600)
            ran = bench.crawl(peer, job)
            had = _had(peer, job)
            result.add(peer.name, {SECONDS: ran.wall, FASTER: serial / ran.wall, "sites had": had})
    result.add("one after the other (by arithmetic)", {SECONDS: serial, FASTER: 1.0, "sites had": good})
    ours = result.middle(_imgcrawl().name, FASTER)
    result.target("at least 60 times faster than serial", None if bench.short else ours, 60, least=True)
    result.notes.append(
        "Each site has a loopback address and a latency of its own: log-normal, 1.5 s in the middle, 8 s at most, half "
        f"of it for a new connection. All give up after {timeout:g} s. imgcrawl asks each site for "
        "its robots.txt first, and waits for the answer."
    )
    return result


def _imgcrawl() -> Peer:
    def command(job: Job, _: Path) -> list[str]:
        options = {"DOWNLOAD_TIMEOUT": f"{job.timeout:g}", "AUTOTHROTTLE_ENABLED": "False", "IMAGES_STORE": job.store}
        settings = [part for name, value in options.items() for part in ("-s", f"{name}={value}")]
        spider = ["crawl", "firstpages", "-a", f"file={job.addresses.with_suffix('.csv')}"]
        return [sys.executable, "-m", "scrapy", *spider, *settings, "-O", job.feed]

    paths = f"{peers.ROOT}:{SCRIPTS}"
    environment = {"PYTHONPATH": paths, "SCRAPY_SETTINGS_MODULE": "firstpages"}
    return replace(peers.IMGCRAWL, command=command, environment=environment)


def _threads(processes: int, threads: int) -> Peer:
    def command(job: Job, python: Path) -> list[str]:
        numbers = [str(processes), str(threads), f"{job.timeout:g}"]
        return [str(python), str(SCRIPTS / "requests_threads.py"), str(job.addresses), str(job.store), *numbers]

    return replace(peers.REQUESTS, name=f"requests, {processes} processes x {threads} threads", command=command)


def _had(peer: Peer, job: Job) -> int:
    feed = Path(job.feed)
    if feed.exists():
        return feed.read_text().count('"status": 200')
    return len(peers.stored(job.store))
