"""Where the CPU time of an image goes: by part of the event loop's thread, and of the threads that verify and store."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.bench import CACHE, Bench, Result, addresses
from benchmarks.peers import Job
from benchmarks.server import static_server
from benchmarks.site import Site

CPU, SHARE = "CPU us/image", "share, %"
SMALLEST = 0.005  # of all; what is less goes to others


def measure(bench: Bench) -> Result:
    result = Result("(14) Where the CPU time of an image goes, one core", [CPU, SHARE], CPU, base="all")
    site = Site(800 if bench.short else 1600)
    with static_server(site, CACHE, bench.server_core) as address:
        everything, store = addresses(bench, []), bench.memory / "store"
        peer = peers.IMGCRAWL
        for _ in range(bench.rounds):
            one = bench.crawl(
                peer, Job(address.base, everything, store, "one"), expected=1, cores=bench.client_core, parts=True
            )
            whole = bench.crawl(
                peer, Job(address.base, everything, store), expected=site.images, cores=bench.client_core, parts=True
            )
            spent = {part: whole.parts[part] - one.parts.get(part, 0.0) for part in whole.parts}
            for part, seconds in _sorted(spent).items():
                result.add(part, {CPU: seconds / (site.images - 1) * 1e6, SHARE: 100 * seconds / spent["all"]})
    result.rows = dict(sorted(result.rows.items(), key=lambda row: -max(row[1][CPU])))
    result.notes.append(
        "A look at all threads for each millisecond of CPU that they use (`probe/parts.py`): what a thread has used"
        " since the last one is of the part whose code it is in. What a crawl of one image takes is taken off."
    )
    return result


def _sorted(spent: dict[str, float]) -> dict[str, float]:
    """The parts that take something, and what the others take together."""
    large = {part: seconds for part, seconds in spent.items() if seconds >= SMALLEST * spent["all"]}
    totals = {"all", "of these in the kernel"}
    rest = sum(seconds for part, seconds in spent.items() if part not in {*large, *totals})
    return {**large, "all others": rest}
