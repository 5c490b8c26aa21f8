"""The server at REDIS_URL: how it is reached, over TLS, Sentinel or a cluster, and what is expected of it."""

from __future__ import annotations

import logging
import re
import ssl
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    InvalidResponse,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.maint_notifications import MaintNotificationsConfig
from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError
from imgcrawl.lines import shown_address
from imgcrawl.shared.address import redis_params

logger = logging.getLogger(__name__)

# What may pass by itself. Of a cluster no node may be reachable, or none have taken over what another had.
OUTAGES = (RedisError, RedisClusterException, OSError, TimeoutError)


class Connected(Protocol):
    """What has a *client*, which `check_server` replaces where the server is a node of a cluster, and keys there."""

    client: Any
    key: str
    seen_key: str


_told_of_eviction: set[str] = set()  # once a process and server


async def check_server(server: Connected, url: str) -> None:
    """Reach the server. Raises `InputError` if it refuses us, is too old or no Redis, and `OUTAGES` if it cannot be
    reached."""
    try:
        info = await server.client.info("server")
    except (AuthenticationError, AuthorizationError, ResponseError) as error:
        if isinstance(error, ResponseError) and str(error).startswith(("LOADING", "MASTERDOWN", "CLUSTERDOWN")):
            raise
        raise InputError(
            f"REDIS_URL {shown_address(url)}: the server refuses us ({str(error)[:100]});"
            " expected a user and password that it knows, in it or in REDIS_PARAMS"
        ) from None
    except (InvalidResponse, RecursionError) as error:  # of an answer in the form of another protocol, or of none
        raise InputError(
            f"REDIS_URL {shown_address(url)}: what answers there is no Redis ({str(error)[:100]!r});"
            " expected the host and port of one"
        ) from None
    except OUTAGES as error:
        refusal = _refusal(error)
        if not refusal:
            raise
        raise InputError(
            f"REDIS_URL {shown_address(url)}: {refusal.verify_message};"
            " expected a certificate that we know, or the file of its authority as ssl_ca_certs in REDIS_PARAMS"
        ) from None
    if isinstance(server.client, RedisCluster):
        info = next(iter(info.values())) if "redis_version" not in info else info
    elif "cluster" in (info.get("redis_mode"), info.get("server_mode")):  # Redis, Valkey
        server.client = await _cluster(server.client)
    if isinstance(server.client, RedisCluster) and hash_tag(server.seen_key) != hash_tag(server.key):
        raise InputError(
            f"SCHEDULER_DUPEFILTER_KEY={server.seen_key!r}: a cluster wants the hash tag"
            f" {{{hash_tag(server.key)}}} in it"
        )
    version = str(info.get("redis_version", ""))
    if version and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < (6, 2):
        raise InputError(f"REDIS_URL {shown_address(url)}: a server of version {version}; expected 6.2 or later")
    if url not in _told_of_eviction:
        await _check_eviction(server, url)


def unreachable(url: str, why: str) -> InputError:
    return InputError(f"REDIS_URL {shown_address(url)}: cannot be reached ({why})")


async def _check_eviction(server: Connected, url: str) -> None:
    memory = await server.client.info("memory")  # who may not ask for CONFIG may ask for this
    for node in memory.values() if isinstance(server.client, RedisCluster) and "maxmemory" not in memory else [memory]:
        policy = node.get("maxmemory_policy", "noeviction")
        if node.get("maxmemory") and policy != "noeviction" and url not in _told_of_eviction:
            _told_of_eviction.add(url)
            logger.warning(
                "REDIS_URL %s: when its %s bytes are full the server drops what it was given to keep"
                " (maxmemory-policy %s); expected noeviction",
                shown_address(url),
                node["maxmemory"],
                policy,
            )


def client_from_settings(settings: BaseSettings, longest_wait: float) -> Any:
    """A client of the server at REDIS_URL, of which nothing is asked that takes longer than *longest_wait* seconds.

    Raises `InputError`, which quotes nothing that may be a password.
    """
    url = (
        re.sub(r"^valkey", "redis", settings["REDIS_URL"]).replace("rediss+unix", "unix").replace("redis+unix", "unix")
    )
    if not _is_readable(url):  # what is wrong with it could be told only with the password
        raise InputError(
            f"REDIS_URL {shown_address(url)} cannot be read; expected redis://host:port/0, before the host"
            " user:password@ where they are needed, in which other characters than letters, digits, - . _ ~ are"
            " percent-encoded"
        )
    parameters: dict[str, Any] = {
        # Longer than any wait for news; a server that is silent for longer is gone.
        "socket_timeout": longest_wait + 5,
        "socket_connect_timeout": 5,
        # What was asked twice may be done twice: the caller knows how to ask again, the connection does not.
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # Redis Enterprise only; a round trip
    }
    if not url.startswith("unix:"):
        parameters["socket_keepalive"] = True
    parameters |= redis_params(settings)
    # Of scrapy-redis, and without a meaning here; where the server is is in the address.
    for name in ("decode_responses", "retry_on_timeout", "encoding", "redis_cls", "url", "host", "port"):
        parameters.pop(name, None)
    sentinels = parameters.pop("sentinels", None)
    try:
        if sentinels:
            service = parameters.pop("service_name", "mymaster")
            sentinel_parameters = parameters.pop("sentinel_kwargs", {"socket_connect_timeout": 5})
            addresses = [tuple(address) for address in sentinels]
            # The address is the sentinels' to say; how to speak, who we are, and where we are there, stays.
            not_said = ("host", "port", "path", "connection_class")
            said = {name: value for name, value in parse_url(url).items() if name not in not_said}
            parameters = {**said, "ssl": url.startswith("rediss:"), **parameters}
            sentinel = Sentinel(addresses, sentinel_kwargs=sentinel_parameters, **parameters)  # type: ignore[no-untyped-call] # redis-py has no types here
            client = sentinel.master_for(service)
        elif parameters.pop("cluster", False):
            return RedisCluster.from_url(url, **_for_cluster(parameters))
        else:
            client = Redis.from_url(url, **parameters)
        # It connects to nothing, and tells what of the parameters is not known.
        client.connection_pool.make_connection()
        return client
    except (ValueError, TypeError) as error:
        raise InputError(
            f"REDIS_URL {shown_address(url)} with REDIS_PARAMS: {error}; expected redis://host:port/0"
        ) from None


def _is_readable(url: str) -> bool:
    try:
        parse_url(url)
        parts = urlsplit(url)
    except ValueError:
        return False
    # Where the password has a slash, what is before that would be taken for the host, and the rest for a path.
    return "@" not in parts.path or (parts.scheme == "unix" and (not parts.netloc or "@" in parts.netloc))


def _refusal(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What is behind *error*, if it is that the server's certificate is not one that we know."""
    while error and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error if isinstance(error, ssl.SSLCertVerificationError) else None


def _for_cluster(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name != "db"}


async def _cluster(client: Any) -> Any:
    """A client of the whole cluster, given that of one of its nodes."""
    known = ("host", "port", "username", "password", "socket_timeout", "socket_connect_timeout")
    pool = client.connection_pool
    parameters = {name: value for name, value in pool.connection_kwargs.items() if name in known}
    tls = {name: value for name, value in pool.connection_kwargs.items() if name.startswith("ssl_")}
    await client.aclose()
    # What was asked twice may be done twice, here too. The next call finds out which node has the keys now.
    retry = Retry(NoBackoff(), 0)
    return RedisCluster(**parameters, **tls, retry=retry, ssl=bool(tls) or "SSL" in pool.connection_class.__name__)


def hash_tag(key: str) -> str:
    """The part of *key* that Redis Cluster hashes."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key
