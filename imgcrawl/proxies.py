"""Connections through SOCKS proxies (RFC 1928), by python-socks, which is not loaded otherwise."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from imgcrawl.checks import SOCKS
from imgcrawl.framing import Connector


class SocksConnector(Connector):
    """Makes connections through *proxy*: `socks5://user:password@host:port`, also `socks4`.

    Names are looked up by the proxy, as with curl's `socks5h`, which means the same here. Raises ValueError for an
    address that is none.
    """

    def __init__(self, proxy: str, **options: Any) -> None:
        from python_socks.async_.asyncio import Proxy  # noqa: PLC0415 -- only who has such a proxy has the library

        super().__init__(resolver=_Unresolved(), use_dns_cache=False, **options)
        match = SOCKS.match(proxy)
        self._proxy = Proxy.from_url(f"{match[1].lower()}://{match[2]}" if match else proxy, rdns=True)

    async def _wrap_create_connection(self, *args: Any, addr_infos: Any, timeout: Any, **options: Any) -> Any:
        from python_socks import ProxyError, ProxyTimeoutError  # noqa: PLC0415 -- as above

        host, port = addr_infos[0][4][:2]
        try:
            connected = await self._proxy.connect(host, port, timeout=timeout.sock_connect)
        except ProxyTimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"the proxy does not answer: {error}") from error
        except (ProxyError, OSError) as error:
            raise aiohttp.ClientConnectionError(f"the proxy makes no connection: {error}") from error
        tls = {name: options[name] for name in ("ssl", "server_hostname") if options.get(name)}
        return await self._loop.create_connection(self._factory, sock=connected, **tls)


class _Unresolved(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass
