"""The certificates of this machine, read when they are needed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def read_late() -> Iterator[None]:
    """What is loaded within, and makes contexts of TLS for later, as aiohttp makes two for whoever brings none (no
    crawl does), has them read the certificates of this machine when they are first used: each takes 20 ms to do so."""
    read = ssl.SSLContext.set_default_verify_paths

    def postpone(context: ssl.SSLContext) -> None:
        if type(context) is ssl.SSLContext:
            context.__class__ = LateContext
        else:
            read(context)

    ssl.SSLContext.set_default_verify_paths = postpone  # type: ignore[method-assign, assignment] # no hook
    try:
        yield
    finally:
        ssl.SSLContext.set_default_verify_paths = read  # type: ignore[method-assign] # as it was


class LateContext(ssl.SSLContext):
    """One that has not read them yet."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        self._read()
        return self.wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        self._read()
        return self.wrap_socket(*args, **kwargs)

    def _read(self) -> None:
        self.set_default_verify_paths()
        self.__class__ = ssl.SSLContext  # type: ignore[assignment] # what it is from now on
