"""What the tests' crawls are started by is no other world than `python -m scrapy`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crawling import environment
from tests.support.forkserver import may_fork
from tests.support.processes import Process, run

LOOKS = """
import io, json, logging, os, random, signal, sys, tempfile, threading, warnings
import scrapy
if "loads" in os.environ:
    import imgcrawl.pipelines, imgcrawl.spiders.pximg

def stream(name):
    s = getattr(sys, name)
    raw = getattr(s.buffer, "raw", s.buffer)
    return [s is getattr(sys, f"__{name}__"), s.mode, s.name, s.encoding, s.errors, s.newlines, s.line_buffering,
            s.write_through, s.isatty(), s.fileno(), s.seekable(), raw.closefd, type(s.buffer).__name__]

seen = {
    "argv": sys.argv, "path": sys.path, "environment": dict(os.environ), "folder": os.getcwd(),
    "flags": list(sys.flags),
    "warnings": sys.warnoptions, "filters": [str(f) for f in warnings.filters], "parent": os.getppid(),
    "umask": os.umask(0o22),
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(), "hidden": sys.dont_write_bytecode,
    "signals": {int(n): str(signal.getsignal(n)) for n in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "threads": len(threading.enumerate()),
    "streams":
    [stream(name) for name in ("stdin", "stdout", "stderr")], "main": sys.modules["__main__"].__name__,
    "spec": sys.modules["__main__"].__spec__.name, "files": sorted(os.listdir("/proc/self/fd")),
    "reactor": "twisted.internet.reactor" in sys.modules, "handlers": str(logging.root.handlers),
    "ours":
    sorted(n for n in sys.modules if n.split(".")[0] in ("imgcrawl", "tests")), "given": sys.stdin.read(),
}
seen["environment"].pop("PYTEST_CURRENT_TEST")
print(json.dumps(seen))
print("and this", file=sys.stderr)
if "random" in os.environ:
    print(random.random())

class Spider(scrapy.Spider):
    name = "looks"
    async def start(self):
        for nothing in ():
            yield nothing
        os._exit(7) if "exits" in os.environ else None
        if "dies" in os.environ:
            os.kill(os.getpid(), 9)
"""


def both(folder: Path, **variables: str) -> list[subprocess.CompletedProcess[str]]:
    (folder / "looks.py").write_text(LOOKS)
    command = [sys.executable, "-m", "scrapy", "runspider", "looks.py", "-s", "LOG_LEVEL=ERROR"]
    known = environment(settings=None) | variables
    assert may_fork(command, known)
    starts = {"cwd": folder, "env": known, "input": "given", "capture_output": True, "text": True, "timeout": 60}
    return [subprocess.run(command, check=False, **starts), run(command, **starts)]  # type: ignore[call-overload] -- of both


def test_a_forked_start_is_the_same_as_a_real_one(tmp_path: Path) -> None:
    real, forked = both(tmp_path, random="1", loads="1")
    assert real.stdout, real.stderr
    assert forked.stdout, forked.stderr
    seen, too = (json.loads(done.stdout.splitlines()[0]) for done in (real, forked))
    real_filters, filters = (set(each.pop("filters")) for each in (seen, too))
    assert filters >= real_filters  # and those of libraries that the real one has not met yet
    assert too == seen
    assert seen["parent"] == os.getpid()
    assert (forked.returncode, forked.stderr) == (real.returncode, real.stderr)
    assert "and this" in real.stderr
    assert [done.returncode for done in both(tmp_path, exits="1")] == [7, 7]
    assert [done.returncode for done in both(tmp_path, dies="1")] == [-9, -9]
    random = {done.stdout.splitlines()[1] for done in [real, forked, *both(tmp_path, random="1")]}
    assert len(random) == 4


def test_a_forked_process_gets_signals_and_sessions_as_any(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(
        "import os, scrapy, sys, time\nprint(os.getsid(0) == os.getpid(), flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-m", "scrapy", "runspider", "waits.py"]
    for session, number in ((True, signal.SIGTERM), (False, signal.SIGINT), (False, signal.SIGKILL)):
        pipe = subprocess.PIPE
        with Process[str](
            command, cwd=tmp_path, env=environment(), stdout=pipe, stderr=pipe, text=True, start_new_session=session
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == f"{session}\n"
            process.send_signal(number)
            _, told = process.communicate(timeout=30)
        assert process.returncode == -number, told
        assert ("KeyboardInterrupt" in told) == (number == signal.SIGINT)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONWARNINGS", "PYTHONHASHSEED", "TZ"])
def test_what_only_a_new_interpreter_can_have_is_started_for_real(name: str) -> None:
    command = [sys.executable, "-m", "scrapy", "list"]
    assert not may_fork(command, {**os.environ, name: "x"})
    assert not may_fork([sys.executable, "-c", "pass"], os.environ)
