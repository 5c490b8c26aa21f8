"""What a command costs: seconds, CPU, memory, and what its main thread and its event loop did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.waits import Waits

PROBE = Path(__file__).parent / "probe"


@dataclass
class Run:
    """One run of a command. *cpu* is user and system time of all its threads and children, *main* the main
    thread's (the largest of its processes; None for what is no Python), *rss* the peak in bytes of its largest
    process, *late* when (Unix time) and how late the event loop's timers were, *steps* when, for how long and what its
    steps of more than 2 ms of CPU were, *parts* the CPU time of each part (`probe/parts.py`), *waits* the time that its
    threads waited (`waits.py`). Times in seconds, *began* and *ended* since the epoch."""

    code: int
    wall: float
    cpu: float
    rss: int
    began: float
    ended: float
    main: float | None = None
    late: list[tuple[float, float]] = field(default_factory=list)
    steps: list[tuple[float, float, str]] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    log: str = ""


def run(
    command: Sequence[str],
    folder: Path,
    *,
    cores: set[int] | None = None,
    environment: dict[str, str] | None = None,
    lag: bool = False,
    parts: bool = False,
    timeout: float = 600,
) -> Run:
    """Run *command* in *folder* to its end, or kill it and its children after *timeout* seconds."""
    return Started(command, folder, cores=cores, environment=environment, lag=lag, parts=parts).finished(timeout)


class Started:
    """A command that is running."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        cores: set[int] | None = None,
        environment: dict[str, str] | None = None,
        lag: bool = False,
        parts: bool = False,
        name: str = "run",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self.probe = folder / f"{name}.probe"
        set_here = environment or {}
        paths = [str(PROBE), *filter(None, [set_here.get("PYTHONPATH")])]
        clean = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "PYTHONPATH")}
        probing = {"PYTHONPATH": os.pathsep.join(paths), "BENCHMARK_PROBE": str(self.probe)}
        wanted = {name: "1" for name, is_so in (("BENCHMARK_LAG", lag), ("BENCHMARK_PARTS", parts)) if is_so}
        with self.log.open("wb") as log:
            self.began = time.time()
            self.start = time.perf_counter()
            self.process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=clean | set_here | probing | wanted,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,  # noqa: PLW1509 -- before exec
            )
        self.waits = Waits(self.process.pid) if parts else None

    def finished(self, timeout: float = 600) -> Run:
        """Wait for its end."""
        watchdog = threading.Timer(timeout, self.kill)
        watchdog.start()
        _, status, usage = os.wait4(self.process.pid, 0)
        wall = time.perf_counter() - self.start
        waits = self.waits.told() if self.waits else {}
        watchdog.cancel()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        reports = [json.loads(file.read_text()) for file in self.probe.parent.glob(f"{self.probe.name}.*")]
        main = max(reports, key=lambda report: len(report["late"]), default={"late": [], "steps": [], "parts": {}})
        return Run(
            code=self.process.returncode,
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            rss=usage.ru_maxrss * 1024,
            began=self.began,
            ended=self.began + wall,
            main=max((report["main"] for report in reports), default=None),
            late=main["late"],
            steps=main["steps"],
            parts=max((report["parts"] for report in reports), key=len, default={}),
            waits=waits,
            log=self.log.read_text("utf-8", "replace")[-4000:],
        )

    def kill(self) -> None:
        """Kill it and its children."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def rss(self) -> int:
        """Its resident memory now, in bytes; 0 once it is gone."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def percentile_of_delays(late: Sequence[float], share: float, tick: float = 0.005) -> float:
    """The delay that *share* of all moments stay below, in seconds.

    A loop that is blocked for a second has one late timer but would have made two hundred wait.
    """
    felt: list[float] = []
    for delay in late:
        felt.append(max(delay, 0.0))
        while (delay := delay - tick) > 0:
            felt.append(delay)
    felt.sort()
    return felt[min(int(len(felt) * share), len(felt) - 1)] if felt else 0.0
