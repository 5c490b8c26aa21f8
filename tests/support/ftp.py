"""A real FTP server on 127.0.0.1: `with ftp(folder) as server: ...`"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Ftp:
    """Serves a folder to the user `me` with the password `se@ret`. While it *is_silent*, it takes connections and says
    nothing."""

    def __init__(self, folder: Path) -> None:
        from pyftpdlib.authorizers import DummyAuthorizer  # noqa: PLC0415 -- few tests want it
        from pyftpdlib.handlers import FTPHandler  # noqa: PLC0415 -- the same
        from pyftpdlib.servers import FTPServer  # noqa: PLC0415 -- the same

        authorizer = DummyAuthorizer()
        authorizer.add_user("me", "se@ret", str(folder), perm="elradfmwMT")

        class Handler(FTPHandler):  # type: ignore[misc] # it has no types
            pass

        Handler.authorizer = authorizer
        self._server = FTPServer(("127.0.0.1", 0), Handler)
        self.url = f"ftp://me:se%40ret@127.0.0.1:{self._server.address[1]}/some/folder"
        self.is_silent = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            if self.is_silent:
                self._is_over.wait(0.02)
            else:
                self._server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._server.close_all()


@contextmanager
def ftp(folder: Path) -> Iterator[Ftp]:
    folder.mkdir()
    server = Ftp(folder)
    try:
        yield server
    finally:
        server.close()
