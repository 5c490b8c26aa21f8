"""Processes of tests, and patience with them: how long a thing takes depends on what else the machine does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, AnyStr

from tests.support.forkserver import fork_server, may_fork


def patience(seconds: float) -> float:
    """*seconds* of a machine with nothing else to do, as the machine is now."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        load = 0.0
    return seconds * max(2.0, load / (os.cpu_count() or 1))


class Process(subprocess.Popen[AnyStr]):
    """A process whose timeouts are in seconds of a machine with nothing else to do.

    `python -m scrapy` (or imgcrawl) is forked from one that has imported Scrapy, where nobody sees the difference:
    `forkserver.py`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
        **kwargs: Any,
    ) -> None:
        self._order: dict[str, Any] | None = None
        environment = dict(os.environ if env is None else env)
        if may_fork(command, environment) and not kwargs.keys() & UNFORKED:
            folder = str(cwd or Path.cwd())
            self._order = {"argv": list(command[2:]), "environment": environment, "folder": folder}
            self._order["session"] = start_new_session
        super().__init__(command, cwd=cwd, env=env, start_new_session=start_new_session, **kwargs)

    def _execute_child(self, *given: Any) -> None:
        """Fork in place of Popen's fork and execution, with the pipes that it has made."""
        if not self._order:
            super()._execute_child(*given)  # type: ignore[misc] -- Popen's own; the stubs leave it out
            return
        reading, told, telling, shown, failing, complained = given[10:16]
        files = [number if mine == -1 else mine for number, mine in enumerate((reading, shown, complained))]
        self.pid = fork_server().start(files, **self._order)
        self._child_created = True
        self._close_pipe_fds(reading, told, telling, shown, failing, complained)  # type: ignore[attr-defined] -- as above

    def wait(self, timeout: float | None = None) -> int:
        return super().wait(None if timeout is None else patience(timeout))

    def communicate(self, input: AnyStr | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        return super().communicate(input, None if timeout is None else patience(timeout))


# What Popen would do for a child that a fork cannot.
UNFORKED = {"executable", "preexec_fn", "pass_fds", "shell", "user", "group", "extra_groups", "umask", "process_group"}


def run(
    command: Sequence[str], *, input: str | bytes | None = None, timeout: float | None = None, check: bool = False,
    capture_output: bool = False, **kwargs: Any,
) -> subprocess.CompletedProcess[Any]:  # fmt: skip
    """`subprocess.run` with a `Process`."""
    if input is not None:
        kwargs["stdin"] = subprocess.PIPE
    if capture_output:
        kwargs |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Process[Any](command, **kwargs) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is not only waiting for its parent to notice that it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def children_of(pid: int) -> list[int]:
    """The processes that *pid* has started and that live."""
    with suppress(OSError):  # it ends
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text("ascii").split()]
    return []
