"""The tests' own tools for processes."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.crawling import until
from tests.support.processes import is_alive


def test_a_process_that_has_ended_is_not_alive_though_nobody_has_waited_for_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_alive(process.pid)
    process.kill()
    until(lambda: not is_alive(process.pid))
    os.kill(process.pid, 0)  # it is still there, as a zombie
    process.communicate()
    assert not is_alive(process.pid)
