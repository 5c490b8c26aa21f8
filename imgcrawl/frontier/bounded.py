"""What is read of keys of ours that others may have written to besides: no more of it than may be ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

_MOST, _MOST_LOOKED_AT = 20_000, 1_000_000  # fields of a hash: reasons, placeholders, workers
_SUM = re.compile(rb"(?!placeholder/)[\w/.:-]{1,200}")  # what is added up, or a worker


async def hashes_beside(
    client: Any, sorted_set: str, keys: Sequence[str]
) -> tuple[list[bytes], list[dict[bytes, bytes]]]:
    """The members of a *sorted_set*, and the hashes under *keys*, read at one time. Of very many fields there are those
    that may be ours: the others are somebody else's, and millions would take a gigabyte. What is none is empty."""
    async with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hlen(key)
        sizes = await pipe.execute(raise_on_error=False)
    large = {key for key, size in zip(keys, sizes, strict=True) if isinstance(size, int) and size > _MOST}
    whole = [key for key in keys if key not in large]
    async with client.pipeline(transaction=False) as pipe:
        pipe.zrange(sorted_set, 0, -1)
        for key in whole:
            pipe.hgetall(key)
        members, *found = await pipe.execute(raise_on_error=False)
    known = dict(zip(whole, found, strict=True)) | {key: await _some_of(client, key) for key in large}
    hashes = [{} if isinstance(known[key], ResponseError) else known[key] for key in keys]
    return [] if isinstance(members, ResponseError) else members, hashes


async def _some_of(client: Any, key: str) -> dict[bytes, bytes]:
    some: dict[bytes, bytes] = {}
    looked_at = 0
    async for name, value in client.hscan_iter(key, count=1_000):
        looked_at += 1
        if _SUM.fullmatch(name):
            some[name] = value
        if len(some) >= _MOST or looked_at >= _MOST_LOOKED_AT:
            break
    return some
