"""What long work in threads must never do: keep the interpreter, or whoever stops it, waiting."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import patience

# Garbage whose end needs the lock of the interpreter that looking at threads holds, found at the next object made.
GARBAGE = """
import gc, sys, threading
from imgcrawl import longwork
class Late:
    def __init__(self): self.circle = self
    def __del__(self): sys._current_frames()
end = threading.Event()
def deep(more):
    return deep(more - 1) if more else end.wait()
thread = threading.Thread(target=deep, args=(20,), daemon=True)
thread.start()
for _ in range(100):
    gc.disable()
    Late()
    gc.set_threshold(1)
    gc.enable()
    assert longwork._keeps_others(thread.ident)  # in `threading`
    assert gc.isenabled()
    gc.set_threshold(700)
end.set()
"""


def test_looking_at_what_a_thread_is_in_never_waits_for_itself() -> None:
    """It hung for ever, and with it a crawl that was to stop while a large page was read."""
    subprocess.run([sys.executable, "-c", GARBAGE], check=True, timeout=patience(20))
