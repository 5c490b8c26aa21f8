"""The queue in Redis: one script (frontier.lua) whose operations are atomic, and a client that knows how to reach it.

Everything is asynchronous; nothing here knows of Scrapy's engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.maint_notifications import MaintNotificationsConfig
from scrapy.settings import BaseSettings

from imgcrawl.exceptions import ImgcrawlError, InputError
from imgcrawl.frontier import run_arguments as wire

logger = logging.getLogger(__name__)

SCRIPT = (Path(__file__).parent / "frontier.lua").read_bytes()
SHA = sha1(SCRIPT, usedforsecurity=False).hexdigest()
OUTAGES = (RedisError, OSError, TimeoutError)  # what may pass by itself
FINGERPRINT = 12  # bytes kept of a fingerprint: 1 in 10^13 that any two of 100 million pages collide

# Takes what outsiders fed: from a list, set or sorted set into a list beside it, in the same hash slot, where it
# stays until it is queued. A value of another type is set aside. -> [values not taken for their size or type, values]
TAKE = b"""
local from, to, most, max_size = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local strangers = {}
local kind = redis.call('TYPE', to).ok
if kind ~= 'none' and kind ~= 'list' then
    redis.call('RENAME', to, to .. ':aside')
    strangers[#strangers + 1] = 'a ' .. kind .. ' in the place of ' .. to
end
kind = redis.call('TYPE', from).ok
if kind == 'list' or kind == 'set' or kind == 'zset' then
    for _ = redis.call('LLEN', to) + 1, most do
        local value
        if kind == 'list' then value = redis.call('LPOP', from)
        elseif kind == 'set' then value = redis.call('SPOP', from)
        else value = redis.call('ZPOPMAX', from)[1] end
        if not value then break end
        redis.call('RPUSH', to, value)
    end
elseif kind ~= 'none' then
    redis.call('RENAME', from, to .. ':aside')
    strangers[#strangers + 1] = 'a ' .. kind .. ' in the place of ' .. from
end
local values = {}
for _, value in ipairs(redis.call('LRANGE', to, 0, most - 1)) do
    if #value > max_size then
        redis.call('LREM', to, 1, value)
        strangers[#strangers + 1] = #value .. ' bytes: ' .. string.sub(value, 1, 200)
    else
        values[#values + 1] = value
    end
end
return {strangers, values}
"""
TAKE_SHA = sha1(TAKE, usedforsecurity=False).hexdigest()


class OtherArgumentsError(ImgcrawlError):
    """The run that is not at its end has other arguments: *theirs*."""

    def __init__(self, theirs: Mapping[str, str]) -> None:
        super().__init__(f"the run has {wire.shown(theirs)}")
        self.theirs = theirs


@dataclass(frozen=True)
class Limits:
    """What the settings say about leases and pages."""

    lease_timeout: float  # seconds after which the pages of a worker that is not heard of go back
    max_deliveries: int  # times that a page may fail or kill its worker
    max_request_size: int  # bytes of a request as JSON

    @property
    def beat(self) -> float:
        """Seconds between two reports of a worker that has nothing to say."""
        return self.lease_timeout / 6

    @property
    def patience(self) -> int:
        """Milliseconds of silence after which others may take a worker's pages: they look once a beat."""
        return int((self.lease_timeout - self.beat) * 1000)


@dataclass(frozen=True)
class Reply:
    """What an exchange brought. *leases*: a token, which fences off all others, the priority, and the request."""

    status: str  # "ok", "rejoined" (others took us for dead and have our pages), "gone" (the run is no more) or
    # "older" (the server lost what we had reported; our pages are in the queue again)
    state: str = ""  # "running" or "done"
    error: str = ""  # what start() raised
    seeded: bool = False
    seeder: bool = False
    steward: bool = False
    suspect: bool = False  # the one lease is of a page that several workers died with
    short: bool = False  # there was less than wanted
    fenced: int = 0
    added: int = 0
    dropped: int = 0
    workers: int = 0
    queued: int = 0
    done: int = 0
    dead: int = 0
    rejected: int = 0
    leases: Sequence[tuple[bytes, bytes, bytes]] = ()


class Lease(NamedTuple):
    worker: str
    url: bytes  # the request as JSON, as it is
    since: float  # seconds


class Store:
    """The queue of one spider.

    *key* is scrapy-redis' SCHEDULER_QUEUE_KEY; all other keys carry it as their hash tag, so that they live in one
    slot of a Redis Cluster. *start_key* is fed by outsiders and lives where it hashes to.
    """

    def __init__(self, client: Any, key: str, start_key: str, seen_key: str, limits: Limits) -> None:
        self.client = client
        self.key = key
        self.prefix = f"{{{_tag(key)}}}:"
        self.seen_key = seen_key or f"{self.prefix}seen"
        self.start_key = start_key
        self.moving_key = f"{{{_tag(start_key)}}}:moving"
        self.limits = limits

    async def join(
        self, worker: str, run: str, *, persist: bool, flush: bool, arguments: Mapping[str, str] | None = None
    ) -> tuple[str, str]:
        """Become a worker of the run that is going on, or the first of the next. Returns the run's id and state.

        Raises `OtherArgumentsError` where the run that is going on, or was stopped, was not started with *arguments*.
        """
        mine = wire.dump(arguments or {})
        stranger = b""
        while True:
            answer = await self._call("join", worker, run, int(persist), int(flush), mine, stranger)
            if answer[1] != b"other":
                return answer[0].decode(), answer[1].decode()
            if (theirs := wire.load(answer[2])) is not None:
                raise OtherArgumentsError(theirs)
            stranger = answer[2]

    async def exchange(
        self,
        run: str,
        worker: str,
        *,
        wanted: int = 0,
        per_host: int = 0,
        flags: str = "",
        idle: float = 0,
        said: int = 0,
        hosts: Mapping[str, int] | None = None,
        held: Sequence[bytes] = (),
        ops: Sequence[tuple[bytes | str, ...]] = (),
    ) -> Reply:
        """Report *ops* in their order and lease up to *wanted* pages, not more than *per_host* of one host.

        *ops*: ("c", fingerprint, "<priority>:<host>", request) queues a page unless it was seen, "u" always, "s" a
        start page, with the fingerprint it has in this run before its own; ("done" | "failed" | "again" | "reject",
        token, argument) ends a lease; ("seeded", error, "") and ("stranger", reason, value). *flags*: "s" can seed,
        "e" nothing waits outside or here, "h" *held* is all that this worker has, "l" leave, "p" persist. *said*: how
        many operations this worker has reported before, by which it is known whether the server lost any.
        """
        hosts = hosts or {}
        reply = await self._call(
            "exchange",
            *(run, worker, wanted, per_host, flags, int(idle * 1000), said),
            *(len(hosts), *(part for pair in hosts.items() for part in pair)),
            *(len(held), *held),
            *(len(ops), *(part for op in ops for part in op)),
        )
        if reply[0] == b"gone":
            return Reply("gone", reply[1].decode("utf-8", "replace"))
        texts = (text.decode("utf-8", "replace") for text in reply[:3])
        flags_ = (bool(flag) for flag in reply[3:8])
        values = [*texts, *flags_, *reply[8:16], [tuple(lease) for lease in reply[16]]]
        return Reply(**dict(zip(Reply.__dataclass_fields__, values, strict=True)))

    async def sweep(self) -> None:
        """Free the memory of fingerprints that no run needs any more, a little at a time."""
        while await self._call("sweep", 1000):
            pass

    async def wait(self, worker: str, timeout: float) -> bool:
        """Wait until there is news for *worker*, *timeout* seconds at the most."""
        key = f"{self.prefix}wake:{worker}"
        try:
            woken = await self.client.blpop([key], timeout=timeout)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return True  # the exchange that follows sets it aside
        if woken:
            if woken[1] != b"1":
                await self._call("stranger", "not a call", woken[1][:500])
            await self.client.unlink(key)
        return woken is not None

    async def take(self, most: int = 100) -> tuple[list[bytes], list[bytes]]:
        """What outsiders fed, oldest first, to be queued and then to be given to `taken`; and what is none of it."""
        keys = (self.start_key, self.moving_key)
        arguments = (most, self.limits.max_request_size)
        try:
            strangers, values = await self.client.evalsha(TAKE_SHA, 2, *keys, *arguments)
        except NoScriptError:
            strangers, values = await self.client.eval(TAKE, 2, *keys, *arguments)
        return strangers, values

    async def taken(self, values: Sequence[bytes]) -> None:
        """Values of `take` that are in the queue now."""
        async with self.client.pipeline(transaction=False) as pipe:
            for value in values:
                pipe.lrem(self.moving_key, 1, value)
            await pipe.execute()

    async def wait_outside(self, timeout: float) -> None:
        """Wait until outsiders feed something, *timeout* seconds at the most."""
        try:
            await self.client.blmove(self.start_key, self.moving_key, timeout, "LEFT", "RIGHT")
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            await asyncio.sleep(0.05)  # nothing blocks on a set

    # For whoever looks at the queue

    async def counts(self) -> dict[str, Any]:
        """How the queue is: `state`, `queued`, `leased`, `seen`, `done`, `dead`, `rejected`, and what the run tells.

        `arguments` are what its workers were started with, None if that cannot be read.
        """
        fields, seen, queued, dead, _, workers = await self._call("counts")
        run = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in _pairs(fields)}
        counts: dict[str, Any] = {name: run.get(name, "") for name in ("id", "state", "error")}
        counts["arguments"] = wire.load(run.get("arguments", "").encode())
        for name in ("done", "failed", "rejected", "redelivered", "enqueued", "deaths", "started", "ended"):
            counts[name] = int(run[name]) if run.get(name, "").isdecimal() else 0
        counts.update(
            queued=queued,
            leased=sum(len(leases) // 2 for _, _, leases in workers),
            seen=seen,
            dead=dead,
            seeded=run.get("seeded") == "1",
            workers={worker.decode("utf-8", "replace"): len(leases) // 2 for worker, _, leases in workers},
        )
        return counts

    async def leases(self) -> list[Lease]:
        """What each worker holds, and since when (seconds since the epoch, by the server's clock)."""
        *_, workers = await self._call("counts")
        found = []
        for worker, _, leases in workers:
            for _, entry in _pairs(leases):
                head, _, request = entry.partition(b"\n")
                with contextlib.suppress(ValueError, IndexError):
                    found.append(Lease(worker.decode("utf-8", "replace"), request, int(head.split(b",")[2]) / 1000))
        return found

    async def dead(self, most: int = 100) -> list[dict[str, Any]]:
        """The pages given up, last first: `request` (JSON bytes), `reason`, `failures`, `deaths`, `at` (seconds)."""
        found = []
        for entry in reversed(await self._call("entries", "dead", most)):
            head, _, rest = entry.partition(b"\n")
            reason, _, request = rest.partition(b"\n")
            with contextlib.suppress(ValueError):
                at, failures, deaths = (int(number) for number in head.split(b",")[:3])
                found.append(
                    {
                        "request": request,
                        "reason": reason.decode("utf-8", "replace"),
                        "failures": failures,
                        "deaths": deaths,
                        "at": at / 1000,
                    }
                )
        return found

    async def rejected(self, most: int = 100) -> list[tuple[str, bytes]]:
        """Values that were none of ours, last first: why, and their first 500 bytes."""
        found = []
        for entry in reversed(await self._call("entries", "rejected", most)):
            _, reason, _, value = (entry.split(b"\n", 3) + [b""] * 3)[:4]
            found.append((reason.decode("utf-8", "replace"), value))
        return found

    async def bury(self, worker: str) -> None:
        """Have the others take the pages of *worker* at once: whoever says this knows that its process has ended."""
        await self.client.zadd(f"{self.prefix}workers", {worker: 1}, xx=True)

    async def is_gone(self, worker: bytes, witness: str) -> bool:
        """Whether *worker* is no worker of this queue any more, while *witness* is one."""
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.zscore(f"{self.prefix}workers", worker)
            pipe.zscore(f"{self.prefix}workers", witness)
            his, mine = await pipe.execute()
        return his is None and mine is not None

    async def requeue(self) -> int:
        """Put all pages given up back into the queue, with a clean record; a finished run goes on with them."""
        back: int = await self._call("requeue")
        return back

    async def clear(self, *, force: bool = False) -> bool:
        """Forget everything of this spider, `start_urls` excepted. False, and nothing done, while workers live.

        With *force* the workers leave.
        """
        cleared = bool(await self._call("clear", int(force)))
        if cleared:
            await self.sweep()
        return cleared

    async def _call(self, operation: str, *arguments: Any) -> Any:
        limits = self.limits
        fixed = (operation, self.prefix, limits.patience, limits.max_deliveries, limits.max_request_size, self.seen_key)
        try:
            return await self.client.evalsha(SHA, 1, self.key, *fixed, *arguments)
        except NoScriptError:  # the server was started again
            return await self.client.eval(SCRIPT, 1, self.key, *fixed, *arguments)


def store_from_settings(settings: BaseSettings, spider: str) -> Store:
    """The queue of the spider of that name. Raises `InputError` for settings that are not what they should be."""
    limits = Limits(
        lease_timeout=number(settings, "FRONTIER_LEASE_TIMEOUT", 30, 1),
        max_deliveries=int(number(settings, "FRONTIER_MAX_DELIVERIES", 5, 1)),
        max_request_size=int(number(settings, "FRONTIER_MAX_REQUEST_SIZE", 1024 * 1024, 1024)),
    )
    queue_key = _key(settings, "SCHEDULER_QUEUE_KEY", "%(spider)s:requests", spider)
    start_key = _key(settings, "REDIS_START_URLS_KEY", "%(name)s:start_urls", spider)
    seen_key = _key(settings, "SCHEDULER_DUPEFILTER_KEY", "", spider)
    return Store(_client(settings, limits), queue_key, start_key, seen_key, limits)


_told_of_eviction: set[str] = set()  # once a process and server


async def check_server(store: Store, url: str) -> None:
    """Reach the server. Raises `InputError` if it refuses us or is too old, and `OUTAGES` if it cannot be reached."""
    try:
        info = await store.client.info("server")
    except (AuthenticationError, AuthorizationError, ResponseError) as error:
        if isinstance(error, ResponseError) and str(error).startswith(("LOADING", "MASTERDOWN", "CLUSTERDOWN")):
            raise
        raise InputError(
            f"REDIS_URL {printable(url)}: the server refuses us ({str(error)[:100]});"
            " expected a user and password that it knows, in it or in REDIS_PARAMS"
        ) from None
    except OUTAGES as error:
        refusal = _refusal(error)
        if not refusal:
            raise
        raise InputError(
            f"REDIS_URL {printable(url)}: {refusal.verify_message};"
            " expected a certificate that we know, or the file of its authority as ssl_ca_certs in REDIS_PARAMS"
        ) from None
    if isinstance(store.client, RedisCluster):
        info = next(iter(info.values())) if "redis_version" not in info else info
    elif "cluster" in (info.get("redis_mode"), info.get("server_mode")):  # Redis, Valkey
        store.client = await _cluster(store.client)
    if isinstance(store.client, RedisCluster) and _tag(store.seen_key) != _tag(store.key):
        raise InputError(
            f"SCHEDULER_DUPEFILTER_KEY={store.seen_key!r}: a cluster wants the hash tag {{{_tag(store.key)}}} in it"
        )
    version = str(info.get("redis_version", ""))
    if version and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < (6, 2):
        raise InputError(f"REDIS_URL {printable(url)}: a server of version {version}; expected 6.2 or later")
    if url not in _told_of_eviction:
        await _check_eviction(store, url)


async def _check_eviction(store: Store, url: str) -> None:
    memory = await store.client.info("memory")  # who may not ask for CONFIG may ask for this
    for node in memory.values() if isinstance(store.client, RedisCluster) and "maxmemory" not in memory else [memory]:
        policy = node.get("maxmemory_policy", "noeviction")
        if node.get("maxmemory") and policy != "noeviction" and url not in _told_of_eviction:
            _told_of_eviction.add(url)
            logger.warning(
                "REDIS_URL %s: when its %s bytes are full the server drops what it was given to keep"
                " (maxmemory-policy %s); expected noeviction",
                printable(url),
                node["maxmemory"],
                policy,
            )


def printable(url: str) -> str:
    """*url* without its password."""
    parts = urlsplit(url)
    return url.replace(parts.netloc, parts.netloc.rpartition("@")[2]) if "@" in parts.netloc else url


def redis_params(settings: BaseSettings) -> dict[str, Any]:
    """REDIS_PARAMS. Raises `InputError` if that is no dict."""
    try:
        return settings.getdict("REDIS_PARAMS")
    except (ValueError, TypeError) as error:  # the value may have a password in it
        raise InputError(f"REDIS_PARAMS: {error}; expected a JSON object or a dict of redis-py's options") from None


def _client(settings: BaseSettings, limits: Limits) -> Any:
    url = (
        re.sub(r"^valkey", "redis", settings["REDIS_URL"]).replace("rediss+unix", "unix").replace("redis+unix", "unix")
    )
    parameters: dict[str, Any] = {
        # Longer than any wait for news; a server that is silent for longer is gone.
        "socket_timeout": limits.beat + 5,
        "socket_connect_timeout": 5,
        # What was asked twice may be done twice: the caller knows how to ask again, the connection does not.
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # Redis Enterprise only; a round trip
    }
    if not url.startswith("unix:"):
        parameters["socket_keepalive"] = True
    parameters |= redis_params(settings)
    parameters.pop("decode_responses", None)
    for name in ("retry_on_timeout", "encoding", "redis_cls"):  # scrapy-redis' own; they mean nothing here
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
            return sentinel.master_for(service)
        if parameters.pop("cluster", False):
            return RedisCluster.from_url(url, **_for_cluster(parameters))
        return Redis.from_url(url, **parameters)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"REDIS_URL {printable(url)} with REDIS_PARAMS: {error}; expected redis://[user:password@]host:port/0"
        ) from None


def _refusal(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What is behind *error*, if it is that the server's certificate is not one that we know."""
    while error and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error if isinstance(error, ssl.SSLCertVerificationError) else None


def _for_cluster(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in ("retry", "db")}


async def _cluster(client: Any) -> Any:
    """A client of the whole cluster, given that of one of its nodes."""
    known = ("host", "port", "username", "password", "socket_timeout", "socket_connect_timeout")
    pool = client.connection_pool
    parameters = {name: value for name, value in pool.connection_kwargs.items() if name in known}
    tls = {name: value for name, value in pool.connection_kwargs.items() if name.startswith("ssl_")}
    await client.aclose()
    return RedisCluster(**parameters, **tls, ssl=bool(tls) or "SSL" in pool.connection_class.__name__)


def _tag(key: str) -> str:
    """The part of *key* that Redis Cluster hashes."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


def _key(settings: BaseSettings, name: str, default: str, spider: str) -> str:
    key = settings.get(name) or default
    try:
        made: str = key % {"spider": spider, "name": spider}
    except (TypeError, ValueError, KeyError):
        raise InputError(f"{name}={key!r}: expected a key, in which %(spider)s is the spider's name") from None
    return made


def flag(settings: BaseSettings, name: str) -> bool:
    """The setting of that name. Raises `InputError` if it is neither true nor false."""
    try:
        return settings.getbool(name)
    except ValueError:
        raise InputError(f"{name}={settings[name]!r}: expected True or False") from None


def number(settings: BaseSettings, name: str, default: float, least: float) -> float:
    """The setting of that name. Raises `InputError` if it is no number, or less than *least*."""
    value = settings.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number < 1e9:
        raise InputError(f"{name}={value!r}: expected a number, {least} or more")
    return number


def _pairs(flat: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
