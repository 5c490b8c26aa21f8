"""What every question has: the machine, the peers' environment, rounds, and a result to fill."""

from __future__ import annotations

import compileall
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import Distribution, distributions, version
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

from benchmarks.gauge import Run, run
from benchmarks.peers import ROOT, Job, Peer, remove, stored

CACHE = Path(os.environ.get("IMGCRAWL_BENCHMARKS", Path.home() / ".cache" / "imgcrawl-benchmarks"))
# Whose versions are told.
PACKAGES = (
    "scrapy",
    "scrapy-redis",
    "img2dataset",
    "gallery-dl",
    "gevent",
    "requests",
    "aiohttp",
    "matplotlib",
)

PIP = ["-m", "pip", "install", "--disable-pip-version-check"]


@dataclass
class Result:
    """The answer to a question: for each peer and column the value of each round.

    *plotted* is the column of the plot; *base* the peer that ratios refer to; *targets* is what was promised,
    what came out, and whether that is enough (None where it was not measured).
    """

    question: str
    columns: list[str]
    plotted: str
    base: str = "imgcrawl"
    rows: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)
    verifies: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    targets: list[tuple[str, str, bool | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    short: bool = False
    when: str = ""

    def add(self, peer: str, values: dict[str, float]) -> None:
        """Add what a round of *peer* gave: column → value."""
        row = self.rows.setdefault(peer, {column: [] for column in self.columns})
        for column, value in values.items():
            row[column].append(value)

    def middle(self, peer: str, column: str) -> float | None:
        values = self.rows.get(peer, {}).get(column)
        return median(values) if values else None

    def ratio(self, peer: str, other: str, column: str) -> float | None:
        """None also where less than nothing came out of one of them, whose start took longer than all of its work."""
        ours, theirs = self.middle(peer, column), self.middle(other, column)
        return ours / theirs if ours is not None and theirs and min(ours, theirs) >= 0 else None

    def target(self, promise: str, value: float | None, limit: float, *, least: bool, unit: str = "") -> None:
        """Note whether *value* is at *least* (or else at most) *limit*."""
        met = None if value is None else (value >= limit if least else value <= limit)
        self.targets.append((promise, "not measured" if value is None else f"{value:.3g}{unit}", met))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Bench:
    """The bench that questions are measured on."""

    short: bool
    long: bool = False
    _runs: Iterator[int] = field(default_factory=count)
    _looked_for: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # As pip does with the peers. Where PYTHONDONTWRITEBYTECODE is set (containers), each crawl compiled all of it
        # anew: 200 ms of its start.
        compileall.compile_dir(ROOT / "imgcrawl", quiet=2)

    @property
    def rounds(self) -> int:
        return 1 if self.short else 3

    @cached_property
    def client_core(self) -> set[int] | None:
        """The core of the client where it is held to one; the server has the other. None where there is one only."""
        cores = sorted(os.sched_getaffinity(0))
        return {cores[0]} if len(cores) > 1 else None

    @cached_property
    def server_core(self) -> set[int] | None:
        cores = sorted(os.sched_getaffinity(0))
        return {cores[-1]} if len(cores) > 1 else None

    @cached_property
    def work(self) -> Path:
        """An empty folder on the file system of the cache."""
        folder = CACHE / "work" / str(os.getpid())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @cached_property
    def memory(self) -> Path:
        """An empty folder in memory; where a system has none, on the file system of the cache."""
        shared = Path("/dev/shm")  # noqa: S108 -- the folder is new, and ours
        return Path(mkdtemp(dir=shared)) if os.access(shared, os.W_OK) else self.work

    def clean(self) -> None:
        for folder in (self.work, self.memory):
            shutil.rmtree(folder, ignore_errors=True)

    @cached_property
    def peers_python(self) -> Path:
        """The Python of the peers' environment, which is made at its first use, with nothing in it but uv."""
        python = CACHE / "venv" / "bin" / "python"
        if not python.with_name("uv").exists():
            print("making the peers' environment …", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", str(CACHE / "venv")], check=True)
            _logged([str(python), *PIP, "uv"])
        return python

    def lacking(self, *packages: str) -> str:
        """Install *packages* among the peers, each at its first use: why one is not there, or nothing."""
        python = self.peers_python
        # pip takes four times as long, but knows the package indexes of its user's configuration.
        ways = (["-m", "uv", "pip", "install", "--python", str(python), "--compile-bytecode"], PIP)
        for package in packages:
            if package not in self._looked_for:
                for way in ways:
                    if not _found(python, package):
                        print(f"installing {package} …", file=sys.stderr)
                        _logged([str(python), *way, package])
                why = f"{package} could not be installed in {CACHE / 'venv'}: {CACHE / 'venv.log'} says why"
                self._looked_for[package] = "" if _found(python, package) else why
            if why := self._looked_for[package]:
                return why
        return ""

    def present(self, peers: Iterable[Peer], result: Result) -> list[Peer]:
        """Those of *peers* that can be measured; the others are noted in *result* with the reason."""
        found = []
        for peer in peers:
            if peer.packages and (reason := self.lacking(*peer.packages)):
                result.absent[peer.name] = reason
            else:
                result.lacks[peer.name] = peer.lacks
                result.verifies[peer.name] = peer.verifies
                found.append(peer)
        return found

    def rounds_of(self, peers: Sequence[Peer], rounds: int = 3) -> Iterator[Peer]:
        """Each peer in turn, *rounds* times, or once with ``--short``; each round begins with another."""
        for number in range(min(rounds, self.rounds)):
            shift = number % max(len(peers), 1)
            yield from [*peers[shift:], *peers[:shift]]

    def crawl(self, peer: Peer, job: Job, *, expected: int | None = None, **options: Any) -> Run:
        """Let *peer* do *job* in an empty folder. Raises RuntimeError if fewer than *expected* images came home."""
        remove(job.store)
        return self.again(peer, job, expected=expected, **options)

    def python_for(self, peer: Peer) -> Path:
        """The Python that runs *peer*."""
        return self.peers_python if peer.packages else Path(sys.executable)

    def again(self, peer: Peer, job: Job, *, expected: int | None = None, **options: Any) -> Run:
        """The same into the folder as it is."""
        # A folder each: a child that a peer leaves behind must not write into the next run.
        logs = self.work / f"logs-{next(self._runs)}"
        python = self.python_for(peer)
        ran = run(peer.command(job, python), logs, environment=peer.environment, **options)
        came = len(stored(job.store))
        if expected is not None and came != expected:
            raise RuntimeError(f"{peer.name} brought {came} of {expected} images (exit code {ran.code}):\n{ran.log}")
        return ran


def addresses(bench: Bench, urls: Iterable[str], name: str = "addresses.txt") -> Path:
    """A file with *urls*, one a line."""
    file = bench.work / name
    file.write_text("\n".join(urls) + "\n")
    return file


def machine() -> str:
    """What this runs on, in one line."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown processor",
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}"
    load = os.getloadavg()[0]
    return f"{cores} cores of {cpu}, {memory / 1024**2:.0f} GB, {system}, load {load:.1f} at the start"


def versions(python: Path) -> str:
    """The versions of what is compared, in one line."""
    ours = [f"{name} {version(name)}" for name in ("scrapy", "aiohttp", "pillow", "twisted")]
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx:
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr
        ours.append(f"nginx {said.strip().rpartition('/')[2]}")
    theirs = {found.name: found.version for package in PACKAGES for found in _found(python, package)}
    peers = ", ".join(f"{name} {theirs[name]}" for name in sorted(theirs))
    return f"Python {platform.python_version()}, {', '.join(ours)}; peers: {peers}"


def _found(python: Path, package: str) -> list[Distribution]:
    """*package* in the environment of *python*, if it is there."""
    folders = [str(folder) for folder in python.parents[1].glob("lib/python*/site-packages")]
    return list(distributions(name=package, path=folders))


def _logged(command: list[str]) -> None:
    with (CACHE / "venv.log").open("ab") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
