"""`scrapy` and `imgcrawl` in a script of a shell, forked as the crawls of tests are (`forkserver.py`)."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.processes import Process

# What stands on PATH: it gives its arguments, environment, folder and files to the tests, and ends as their child does.
CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as tests:
    tests.connect({place!r})
    socket.send_fds(tests, [b"."], [0, 1, 2])
    order = json.dumps([{name!r}, sys.argv[1:], dict(os.environ), os.getcwd()])
    tests.sendall(order.encode() + b"\\n")
    code = int(tests.makefile().readline())
os._exit(code) if code >= 0 else os.kill(os.getpid(), -code)
"""


@contextmanager
def commands() -> Iterator[Path]:
    """A folder for PATH with both commands, as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="imgcrawl-") as name, socket.socket(socket.AF_UNIX) as server:
        folder = Path(name)
        server.bind(place := str(folder / "socket"))
        server.listen()
        for command in ("scrapy", "imgcrawl"):
            (folder / command).write_text(CLIENT.format(python=sys.executable, place=place, name=command))
            (folder / command).chmod(0o755)
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        try:
            yield folder
        finally:
            server.shutdown(socket.SHUT_RDWR)  # which ends the thread's waiting, as closing it does not


def _serve(server: socket.socket) -> None:
    with suppress(OSError):  # it is closed
        while True:
            threading.Thread(target=_run, args=(server.accept()[0],), daemon=True).start()


def _run(client: socket.socket) -> None:
    with client:
        _, files, _, _ = socket.recv_fds(client, 1, 3)
        name, arguments, environment, folder = json.loads(client.makefile().readline())
        command = [sys.executable, "-m", name, *arguments]
        stdin, stdout, stderr = files
        process = Process[bytes](command, cwd=folder, env=environment, stdin=stdin, stdout=stdout, stderr=stderr)
        for file in files:
            os.close(file)
        client.sendall(b"%d\n" % process.wait())
