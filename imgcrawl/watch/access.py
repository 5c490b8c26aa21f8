"""Who may see and steer: whoever has the token, from the page itself, by a name that no stranger's site can have.

There are no cookies: they are sent to every port of a machine. The page and its scripts hold no secret and are for
anybody; the token stands behind the # of the page's address, which browsers send nowhere, and comes back in a header
that no other site can set.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from imgcrawl.exceptions import InputError

SHORTEST_TOKEN: Final = 16
_TOKEN: Final = re.compile(r"[\w.~+/=-]+", re.ASCII)

# Nothing but what comes from here, no frame around it, and no text that becomes markup or a script.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "imgcrawl",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_token() -> str:
    """One that nobody guesses."""
    return secrets.token_urlsafe(24)


def check_token(token: str) -> str:
    """*token*, if it is one that a person may choose. Raises `InputError`."""
    if len(token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(token):
        raise InputError(
            f"--token: expected at least {SHORTEST_TOKEN} characters of A-Z, a-z, 0-9 and ._~+/=- "
            "(without --token there is a new one at every start)"
        )
    return token


class Access:
    """Lets requests through, as a middleware of aiohttp. *host* is the name or address that is listened at."""

    def __init__(self, token: str, host: str) -> None:
        self._token = token.encode()
        self._host = host

    @web.middleware
    async def check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not is_own_name(request.headers.get("Host", ""), self._host):
            # A site whose name was made to lead here (DNS rebinding).
            raise web.HTTPMisdirectedRequest(text="this page is not to be had by that name")
        if request.path != "/" and request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise web.HTTPForbidden(text="only the page itself may ask for this")
        if request.method == "POST" and not _is_from_itself(request):
            raise web.HTTPForbidden(text="only the page itself may ask for this")
        return await handler(request)

    def require(self, request: web.Request) -> None:
        """Raise HTTPUnauthorized for a *request* without the token."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not secrets.compare_digest(given.encode("utf-8", "replace"), self._token):
            raise web.HTTPUnauthorized(
                text="the token is not that of this start", headers={"WWW-Authenticate": "Bearer"}
            )


def is_own_name(host: str, listening_at: str) -> bool:
    """Whether *host*, of a header, is an address, or a name of this machine: any port, as of a tunnel."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        own = {"localhost", listening_at.lower(), socket.gethostname().lower()}
        return name in own or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether what listens at *host* can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_from_itself(request: web.Request) -> bool:
    origin = request.headers.get("Origin", "")
    is_json = request.headers.get("Content-Type", "").lower() in {"application/json", "application/json; charset=utf-8"}
    return is_json and origin in {f"http://{request.headers['Host']}", f"https://{request.headers['Host']}"}


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For every answer, errors too (a signal of aiohttp)."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
