"""Workers that are forked are as those that are started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.crawling import ROOT

# What a worker tells of itself; then it ends as it is told.
WORKER = """
import json, os, signal, sys
told = {
    "argv": sys.argv[1:], "name": __name__, "parent": os.getppid(), "leads": os.getsid(0) == os.getpid(),
    "set": os.environ["SET"], "left": "HOME" in os.environ, "stdin": sys.stdin.read(),
    "warm": "colorsys" in sys.modules,
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
}
print(json.dumps(told), file=sys.stderr, flush=True)
if sys.argv[1] == "raises":
    raise ValueError("of the worker")
if sys.argv[1] == "waits":
    signal.pause()
sys.exit(7)
"""
STARTS = """
import asyncio, json, os, signal, sys
from imgcrawl.workers.warm import WarmStart

def load():
    import colorsys
    print("what is loaded says this, and it is of no interest")
    raise ValueError("nor is this")

async def main(warm):
    async def start(how):
        return await warm.start([sys.executable, "-m", "worker", how], {"SET": "1"}, 1000)

    told, processes = [], [await start(how) for how in ("ends", "raises", "waits", "waits")]
    for process in processes:
        told.append(json.loads(await process.stderr.readline()) | {"ours": process.pid != os.getpid()})
    processes[2].send_signal(signal.SIGINT)
    processes[3].kill()
    codes = [await process.wait() for process in processes]
    said = (await processes[1].stderr.read()).decode()
    try:
        processes[0].kill()
    except ProcessLookupError:
        told.append("gone")
    os.kill(warm._pid, signal.SIGKILL)
    try:
        await start("ends")
    except OSError:
        told.append("an error")
    warm.close()
    print(json.dumps([os.getpid(), told, codes, said]))

asyncio.run(main(WarmStart.fork(load)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are started")
def test_a_forked_worker_is_a_child_with_its_own_session_environment_and_end(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "starts.py").write_text(STARTS)
    command = [sys.executable, "-m", "starts"]
    environment = {"PYTHONPATH": str(ROOT), "HOME": "/"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    parent, told, codes, said = json.loads(ran.stdout)
    as_started = {"name": "__main__", "parent": parent, "leads": True, "set": "1", "left": False, "stdin": ""}
    for how, one in zip(("ends", "raises", "waits", "waits"), told[:4], strict=True):
        assert one == as_started | {"argv": [how], "warm": True, "interrupt": True, "ours": True}
    assert codes == [7, 1, -2, -9]
    assert said.rstrip().endswith("ValueError: of the worker")
    assert told[4:] == ["gone", "an error"]


BAD_DAY = """
import asyncio, json, os, sys, time
from imgcrawl.workers import warm

fork, handle = os.fork, os.pidfd_open

def refuse(*_):
    raise OSError(11, "no room")

def no_grandchildren():
    serving = os.getpid()
    os.fork = lambda: fork() if os.getpid() == serving else refuse()

async def refused(start):
    try:
        await start.start([sys.executable, "-m", "time"], {}, 1000)
    except OSError as error:
        return type(error).__name__
    finally:
        start.close()

def children():
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0
    return 1

told = [asyncio.run(refused(warm.WarmStart.fork(no_grandchildren))), children()]
started = warm.WarmStart.fork(lambda: None)
os.pidfd_open = refuse
told += [asyncio.run(refused(started)), children(), warm.WarmStart.fork(lambda: None)]
os.pidfd_open = handle
warm._PATIENCE = 1
told += [asyncio.run(refused(warm.WarmStart.fork(lambda: time.sleep(600)))), children()]
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are started")
def test_where_none_can_be_forked_one_can_be_started_and_nothing_is_left() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BAD_DAY], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == ["ConnectionResetError", 0, "BlockingIOError", 0, None, "TimeoutError", 0]
