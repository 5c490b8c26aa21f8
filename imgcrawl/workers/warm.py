"""Workers that begin at once: forked from a process that has loaded what a crawl loads."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

assert sys.platform == "linux"  # noqa: S101 -- so that mypy, too, leaves it out elsewhere; nobody loads it there

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_REACTOR = "twisted.internet.reactor"  # each process installs its own
_PID = 8  # bytes
_PATIENCE = 60  # seconds for a process to begin; what is loaded before may be slow, or hang


class WarmProcess:
    """A child of this process that has this *pid*, with what it writes to *stderr*; as asyncio's own, but its stdin is
    empty and its stdout is this process'."""

    def __init__(self, pid: int, stderr: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stderr = stderr
        try:
            self._handle = os.pidfd_open(pid)
        except OSError:  # nobody would hear of its end, and another is started in its place
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self._handle, self._collect)

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError if it has ended."""
        if self._ended.done():
            raise ProcessLookupError
        signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit code; of a signal that has ended it, less than 0."""
        return await asyncio.shield(self._ended)

    def _collect(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._handle)
        self._ended.set_result(os.waitstatus_to_exitcode(status))


class WarmStart:
    """The process at the other end of *connection*, whose pid is *pid*. It ends with this one."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._one_by_one = asyncio.Lock()

    @classmethod
    def fork(cls, load: Callable[[], object]) -> WarmStart | None:
        """Fork one, which calls *load*. None where this process has what a fork has not: threads, a reactor."""
        if _cannot_be_forked():
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        if pid := os.fork():
            theirs.close()
            ours.setblocking(False)
            return cls(ours, pid)
        ours.close()
        try:
            _serve(theirs, load)
        except SystemExit:  # of a worker
            raise
        except BaseException:  # whatever it is, this is not the process that was started by somebody
            os._exit(1)
        return None  # never

    async def start(self, command: Sequence[str], environment: Mapping[str, str], limit: int) -> WarmProcess:
        """A new process that is as `python -m` makes it of *command*, with that *environment*, in a session of its own;
        *limit*: bytes of a line of its stderr. Raises OSError where there is none."""
        reading, writing = os.pipe()
        order = json.dumps([list(command), dict(environment)]).encode()
        loop = asyncio.get_running_loop()
        stderr = asyncio.StreamReader(limit=limit)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stderr), os.fdopen(reading, "rb", 0))
        try:
            async with self._one_by_one:
                # An orphan becomes the child of its next ancestor that asks for it: the fork's fork becomes ours.
                _adopt(yes=True)
                socket.send_fds(self._connection, [len(order).to_bytes(_PID, "little")], [writing])
                async with asyncio.timeout(_PATIENCE):
                    await loop.sock_sendall(self._connection, order)
                    told = await loop.sock_recv(self._connection, _PID)
        except TimeoutError:
            self.close()
            raise
        finally:
            _adopt(yes=False)
            os.close(writing)
        if not told:
            raise ConnectionResetError("the process that workers are forked from has ended")
        return WarmProcess(int.from_bytes(told, "little"), stderr)

    def close(self) -> None:
        """Let it end."""
        self._connection.close()
        pid, self._pid = self._pid, 0
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # it may still be loading
            os.waitpid(pid, 0)


def _cannot_be_forked() -> bool:
    return threading.active_count() > 1 or _REACTOR in sys.modules or not _has_handles()


def _has_handles() -> bool:
    """Whether processes have handles here: old kernels know none, and some sandboxes refuse them."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _adopt(*, yes: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, int(yes), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _serve(connection: socket.socket, load: Callable[[], object]) -> None:
    """Fork as often as it is asked. Leaves the process only by its end, and so do the forks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a person at the terminal: for whoever has started this
    _silently(load)
    if _cannot_be_forked():
        os._exit(1)
    gc.collect()
    gc.freeze()
    while True:
        size, files, _, _ = socket.recv_fds(connection, _PID, 1)
        if not size:
            os._exit(0)
        length, order = int.from_bytes(size, "little"), b""
        while len(order) < length:
            order += connection.recv(length - len(order))
        if pid := _forked(connection):
            os.close(files[0])
            connection.sendall(pid.to_bytes(_PID, "little"))
        else:
            os.dup2(files[0], 2)
            os.close(files[0])
            _become(*json.loads(order))


def _silently(load: Callable[[], object]) -> None:
    """What *load* has to say, a worker says, too."""
    kept, nothing = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nothing, number)
    with suppress(Exception):
        load()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for number, file in zip((1, 2), kept, strict=True):
        os.dup2(file, number)
    for file in (*kept, nothing):
        os.close(file)


def _forked(connection: socket.socket) -> int:
    """The pid of an orphan; 0 in that itself, when it is one."""
    told, tell = os.pipe()
    waits, wakes = os.pipe()
    if between := os.fork():
        os.close(tell)
        os.close(waits)
        pid = os.read(told, _PID)
        os.waitpid(between, 0)
        os.close(told)
        os.close(wakes)
        if not pid:  # there was no room for a process: whoever asked sees that this has ended, and starts one
            os._exit(1)
        return int.from_bytes(pid, "little")
    try:
        orphan = os.fork()
    except OSError:
        os._exit(1)
    if orphan:
        os.write(tell, orphan.to_bytes(_PID, "little"))
        os._exit(0)
    for each in (told, tell, wakes):
        os.close(each)
    os.read(waits, 1)
    os.close(waits)
    connection.close()
    return 0


def _become(command: Sequence[str], environment: Mapping[str, str]) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    _, _, module, *arguments = command  # python -m MODULE
    sys.argv[:] = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    except KeyboardInterrupt:  # as Python ends
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit()
