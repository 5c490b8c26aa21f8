"""A real PostgreSQL server, which a test may stop and kill. Debian's `postgresql` brings it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psycopg

from tests.support.redis_server import free_port

PASSWORD = "s3cret-of-the-tests"  # noqa: S105 -- not a secret


def binaries() -> Path | None:
    """The folder with PostgreSQL's programs, or None where there are none, or none that root may start."""
    found = [Path(name).resolve().parent for name in [shutil.which("initdb")] if name]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    usable = [folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()]
    return usable[0] if usable and (os.getuid() or _user()) else None


def _user() -> str | None:
    """PostgreSQL refuses to run as root; Debian's package makes this user."""
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return None


class PostgresServer:
    """A server on a port of its own, with an empty database "test"."""

    def __init__(self) -> None:
        programs = binaries()
        assert programs
        self.programs = programs
        self.user = None if os.getuid() else _user()
        self.folder = Path(tempfile.mkdtemp(prefix="imgcrawl-postgres-"))
        self.port = free_port()
        self.url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.port}/test"
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            for path in (self.folder, secret):
                shutil.chown(path, self.user)
        data = str(self.folder / "data")
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret, "-N"],
            check=True, capture_output=True, user=self.user, cwd=self.folder,
        )  # fmt: skip
        self.start()
        with psycopg.connect(self.url.replace("/test", "/postgres"), autocommit=True) as db:
            db.execute("CREATE DATABASE test TEMPLATE template0 ENCODING 'UTF8'")

    def start(self) -> None:
        command = [self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-F"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=self.user, cwd=self.folder)
        deadline = time.monotonic() + 60
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url.replace("/test", "/postgres")).close()
                return
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            time.sleep(0.05)

    def empty(self) -> None:
        """Forget what catalogues were made; a server that was stopped runs again."""
        if self.process.poll() is not None:
            self.start()
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("DROP SCHEMA IF EXISTS imgcrawl CASCADE")

    def stop(self) -> None:
        """Stop at once, as an administrator does: clients are told that it goes."""
        if self.process.poll() is None:
            self.process.send_signal(2)  # SIGINT: the fast shutdown
            self.process.wait(60)

    def freeze(self, *, on: bool = True) -> None:
        """Have it, and all that it has started, do nothing any more, or go on: its connections stay open."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, signal.SIGSTOP if on else signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
