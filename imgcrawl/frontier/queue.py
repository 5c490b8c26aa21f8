"""The queue in Redis: one script (the files in lua/) whose operations are atomic.

Everything is asynchronous; nothing here knows of Scrapy's engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis.exceptions import ResponseError
from scrapy.settings import BaseSettings
from scrapy_redis import defaults

from imgcrawl.exceptions import ImgcrawlError, InputError
from imgcrawl.frontier import run_arguments as wire
from imgcrawl.frontier.leases import ENDS, LeaseSettings
from imgcrawl.frontier.packing import pack, unpack
from imgcrawl.lines import printable
from imgcrawl.shared.checked_settings import key_name, number
from imgcrawl.shared.connection import client_from_settings, hash_tag
from imgcrawl.shared.script import Script

PARTS = ("clock", "keys", "seen", "queue", "workers", "counts", "lists", "exchange", "admin")  # each uses those before
LUA = files("imgcrawl.frontier") / "lua"
SCRIPT = Script(*(LUA / f"{name}.lua" for name in PARTS))
GALLERY = "\ngallery"
FORMAT = 2  # of what the queue holds: lua/keys.lua says which
FINGERPRINT = 12  # bytes kept of a fingerprint: 1 in 10^13 that any two of 100 million pages collide


class OtherArgumentsError(ImgcrawlError):
    """The run that is not at its end has other arguments: *theirs*."""

    def __init__(self, theirs: Mapping[str, str]) -> None:
        super().__init__(f"the run has {wire.shown(theirs)}")
        self.theirs = theirs


# The keys of limits (limits/lua/keys.lua) that all of them need, and what they hold.
_LIMITS = {"limits": "zset", "limits:ranks": "zset", "limits:clock": "hash", "limits:hosts": "zset"}


class ForeignKeyError(InputError):
    """A key of ours holds what is not ours. What is queued is as it was."""


@dataclass(frozen=True)
class Reply:
    """What an exchange brought. *leases*: a token, which fences off all others, the priority, and the request."""

    # "ok", "rejoined" (our leases had expired: others have our pages), "gone" (the run is no more) or "older" (the
    # server lost what we had reported; our pages are in the queue again)
    status: str
    state: str = ""  # "running" or "done"
    error: str = ""  # what start() raised
    top: str = ""  # the highest priority that waits, "" for none
    signature: str = ""  # changes with whatever is queued or seeded
    seeded: bool = False
    seeder: bool = False
    feeder: bool = False
    quarantined: bool = False  # the one lease is of a page that several workers died with
    short: bool = False  # there was less than wanted
    has_room: bool = True  # for more start pages: a server that is nearly full keeps the rest for what pages lead to
    quiet: bool = False  # no page waits or is leased
    accepted: int = 0  # of the operations; what comes after them a full server has no room for
    fenced: int = 0
    added: int = 0
    dropped: int = 0
    workers: int = 0
    queued: int = 0
    done: int = 0
    dead: int = 0
    rejected: int = 0
    quarantined_waiting: int = 0  # pages that are given to a worker with no other
    leases: Sequence[tuple[bytes, bytes, bytes]] = ()


class Queue:
    """The queue of one spider.

    *key* is scrapy-redis' SCHEDULER_QUEUE_KEY; all other keys carry it as their hash tag, so that they live in one
    slot of a Redis Cluster. *start_key* is fed by outsiders and lives where it hashes to.
    """

    def __init__(self, client: Any, key: str, start_key: str, seen_key: str, settings: LeaseSettings) -> None:
        self.client = client
        self.key = key
        self.prefix = f"{{{hash_tag(key)}}}:"
        self.seen_key = seen_key or f"{self.prefix}seen"
        self.start_key = start_key
        self.moving_key = f"{{{hash_tag(start_key)}}}:moving"
        self.settings = settings
        self.forgiven, self.resumed = b"", ""  # by the server's clock, when the run went on: after a stop, any end
        self._exchanges = 0

    async def join(
        self,
        worker: str,
        run: str,
        *,
        persist: bool,
        flush: bool,
        arguments: Mapping[str, str] | None = None,
        shards: int = 1,
    ) -> tuple[str, str]:
        """Become a worker of the run that is going on, or the first of the next. Returns the run's id and state.

        Raises `OtherArgumentsError` where the run that is going on, or was stopped, was not started with *arguments*,
        and `InputError` where the last run had another number of *shards*.
        """
        await self._check_limits()
        mine = wire.dump(arguments or {})
        foreign = b""
        while True:
            answer = await self.call("join", worker, run, int(persist), int(flush), mine, foreign, shards)
            if answer[1] == b"shards":
                number = printable(answer[2].decode("utf-8", "replace"))
                raise InputError(
                    f"FRONTIER_SHARDS={shards}: the queue {self.key} has {number} of them;"
                    " expected the same, or another queue (SCHEDULER_QUEUE_KEY); scrapy queue with --clear lets it have"
                    " another number, and forgets what it holds"
                )
            if answer[1] != b"other":
                self.forgiven, self.resumed = answer[2], answer[3].decode()
                return answer[0].decode(), answer[1].decode()
            if (theirs := wire.load(answer[2])) is not None:
                raise OtherArgumentsError(theirs)
            foreign = answer[2]

    async def adopt(self, worker: str, run: str, *, persist: bool, forgiven: bytes = b"") -> bool:
        """Become a worker of *run*, of which this is no home. False while others run another. *forgiven*: home's."""
        await self._check_limits()
        return bool(await self.call("adopt", worker, run, int(persist), forgiven))

    async def _check_limits(self) -> None:
        """Without its limits, which have the same prefix, a worker would wait for ever."""
        async with self.client.pipeline(transaction=False) as pipe:
            for name in _LIMITS:
                pipe.type(f"{self.prefix}{name}")
            kinds = [printable(kind.decode()) for kind in await pipe.execute()]
        for (name, expected), found in zip(_LIMITS.items(), kinds, strict=True):
            if found not in (expected, "none"):
                raise _foreign(f"key {self.prefix}{name} holds a {found}, expected a {expected}")

    async def exchange(
        self,
        run: str,
        worker: str,
        *,
        wanted: int = 0,
        per_host: int = 0,
        flags: str = "",
        idle: float = 0,
        expected: str = "",
        sequence: int = 0,
        of_list: bytes = b"",
        hosts: Mapping[str, int] | None = None,
        held: Sequence[bytes] = (),
        ops: Sequence[tuple[bytes | str, ...]] = (),
    ) -> Reply:
        """Report *ops* in their order and lease up to *wanted* pages, not more than *per_host* of one host.

        *ops*: ("c", fingerprint, "<priority>:<host>", request) queues a page unless it was seen, "u" always, "s" a
        start page, with the fingerprint it has in this run before its own; a bucket that ends with GALLERY is that of
        a gallery, which is counted; ("done" | "failed" | "again" | "reject", token, argument, counts) ends a lease,
        with what its page has counted; ("seeded", error, counts) says that start() is done, and what that has counted;
        ("running", "", ""), ("foreign", reason, value). *flags*: "s" can seed, "e" nothing waits outside or here, "h"
        *held* is all that this worker has, "b" it needs not be told of new pages, "i" it seeds and gave new pages, "l"
        leave, "p" persist. Of several shards: "w" others may have pages, unless *expected* is the signature, "x" this
        is not home, "f" here is the feeder, "q" nothing is held in any, "d" the run is done. *sequence*: operations
        this worker has reported before. *of_list*: by what the list that start() reads is known in the run.
        Raises `ForeignKeyError`.
        """
        self._exchanges += 1
        hosts = hosts or {}
        reply = await self.call(
            "exchange",
            *(run, worker, wanted, per_host, flags, int(idle * 1000), expected, sequence, self._exchanges, of_list),
            *(len(hosts), *(part for pair in hosts.items() for part in pair), len(held), *held),
            *(len(ops), *(part for op in ops for part in _packed(op))),
        )
        if reply[0] == b"gone":
            return Reply("gone", reply[1].decode("utf-8", "replace"), accepted=len(ops))
        *texts, truths, numbers, leases = reply
        values = [
            *(text.decode("utf-8", "replace") for text in texts),
            *(bool(truth) for truth in truths),
            *numbers,
            [(token, priority, unpack(request, self.settings.max_request_size)) for token, priority, request in leases],
        ]
        return Reply(**dict(zip(Reply.__dataclass_fields__, values, strict=True)))

    async def sweep(self) -> None:
        """Free the memory of fingerprints that no run needs any more, a little at a time."""
        while await self.call("sweep", 1000):
            pass

    async def wait(self, worker: str, timeout: float) -> bool:
        """Wait until there is news for *worker*, *timeout* seconds at the most; with its next exchange it has heard all
        of it. Raises `ForeignKeyError`."""
        key = f"{self.prefix}wake:{worker}"
        try:
            woken = await self.client.blpop([key], timeout=timeout)
        except ResponseError as error:
            raise _translated(error, key) from None
        if woken and woken[1] != b"1":
            await self.call("foreign", "not a call", woken[1][:500])
        return woken is not None

    async def expire_worker(self, worker: str) -> None:
        """Have the others take the pages of *worker* at once: whoever says this knows that its process has ended."""
        await self.client.zadd(f"{self.prefix}workers", {worker: 1}, xx=True)

    async def requeue(self, elsewhere: int = 0) -> int:
        """Put all pages given up back into the queue, with a clean record; a finished run goes on with them.

        *elsewhere*: how many were put back in other shards of the run whose home this is.
        """
        back, left = 0, 1
        while left:
            some, left = await self.call("requeue", elsewhere)
            back, elsewhere = back + some, 0
        return back

    async def clear(self, *, force: bool = False) -> bool:
        """Forget everything of this spider, `start_urls` excepted. False, and nothing done, while workers live.

        With *force* the workers leave.
        """
        cleared = bool(await self.call("clear", int(force)))
        if cleared:
            await self.sweep()
        return cleared

    async def call(self, operation: str, *arguments: Any) -> Any:
        """What *operation* of the script returns."""
        settings = self.settings
        fixed = (
            settings.expiry,
            settings.longest_step,
            settings.max_deliveries,
            settings.max_request_size,
            self.seen_key,
        )
        try:
            return await SCRIPT.run(self.client, [self.key], (operation, self.prefix, *fixed, *arguments))
        except ResponseError as error:
            raise _translated(error, self.prefix) from None


def _packed(op: tuple[bytes | str, ...]) -> tuple[bytes | str, ...]:
    if op[0] not in ENDS:
        return op if len(op) < 4 else (*op[:3], pack(_as_bytes(op[3])))
    kind, token, argument, counts = (*op, "")[:4]
    if kind == "again":
        bucket, _, request = _as_bytes(argument).partition(b"\n")
        argument = bucket + b"\n" + pack(request)
    return kind, token, argument, counts


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _translated(error: ResponseError, key: str) -> Exception:
    """*error*, or what it means if a key of ours holds a value of another type."""
    if of := re.search(r"FORMAT (\d+)", str(error)):
        return ForeignKeyError(
            f"Redis: {key} is a queue of another release of imgcrawl (format {of[1]}, expected {FORMAT}): let its"
            " workers end, or stop them, and then start this; a queue of a newer release wants that release"
        )
    found = re.search(r"FOREIGN (key .*?, expected .*?)(?: script: |\.?$)", str(error))
    what = found[1] if found else f"key {key} holds another type of value, expected ours"
    if not found and "WRONGTYPE" not in str(error):
        return error
    return _foreign(what)


def _foreign(what: str) -> ForeignKeyError:
    return ForeignKeyError(
        f"Redis: {what}: somebody else has written there; rename or delete it, or have another queue"
        " (SCHEDULER_QUEUE_KEY); a user whose key pattern keeps others away prevents it"
    )


def queue_from_settings(settings: BaseSettings, spider: str) -> Queue:
    """The queue of the spider of that name. Raises `InputError` for settings that are not what they should be."""
    leases = LeaseSettings(
        lease_timeout=number(settings, "FRONTIER_LEASE_TIMEOUT", 30, 1),
        max_deliveries=int(number(settings, "FRONTIER_MAX_DELIVERIES", 5, 1)),
        max_request_size=int(number(settings, "FRONTIER_MAX_REQUEST_SIZE", 1024 * 1024, 1024)),
    )
    queue_key = key_name(settings, "SCHEDULER_QUEUE_KEY", defaults.SCHEDULER_QUEUE_KEY, spider)
    start_key = key_name(settings, "REDIS_START_URLS_KEY", defaults.START_URLS_KEY, spider)
    seen_key = key_name(settings, "SCHEDULER_DUPEFILTER_KEY", "", spider)
    return Queue(client_from_settings(settings, leases.heartbeat_interval), queue_key, start_key, seen_key, leases)
