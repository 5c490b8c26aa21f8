"""Where connections are made to: names are looked up beside the crawl's other threads, private addresses refused."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from imgcrawl.urls import is_public

AddrInfo = tuple[int, int, int, str, tuple[str, int]]


class PrivateAddressError(OSError):
    """Raised where a connection would be made. As for any OSError, the host's next address is tried then."""


def public_socket(addr_info: AddrInfo) -> socket.socket:
    """A socket for the connection that is about to be made to *addr_info*, if that address is public.

    Judged here and not when the name is looked up, so that no second look-up can come between.
    """
    family, kind, proto, _, address = addr_info
    if not is_public(address[0]):
        raise PrivateAddressError("not a public address")
    return socket.socket(family, kind, proto)


class Resolver(AbstractResolver):
    """getaddrinfo() in threads of its own. asyncio's are six on two cores: as many hosts with dead name servers
    would make every other host time out, and whatever else uses those threads wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(32, "dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=family_, proto=proto, flags=numeric)
            for family_, _, proto, _, address in await asyncio.get_running_loop().run_in_executor(
                self._threads, look_up
            )
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@lru_cache(64)
def client_timeout(total: float, connect: float, idle: float) -> aiohttp.ClientTimeout:
    """Seconds for an answer, for the connection to be there, and between two pieces of it, as aiohttp has them."""
    return aiohttp.ClientTimeout(total=total, connect=connect, sock_read=idle)
