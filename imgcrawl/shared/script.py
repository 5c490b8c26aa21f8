"""Lua scripts that run in Redis, each atomic."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources.abc import Traversable
from typing import Any

from redis.exceptions import NoScriptError


class Script:
    """The *sources*, joined in their order, as one script: files of the package, also where that is a zip file."""

    def __init__(self, *sources: bytes | Traversable) -> None:
        self.code = b"".join(source if isinstance(source, bytes) else source.read_bytes() for source in sources)
        self.sha = sha1(self.code, usedforsecurity=False).hexdigest()

    async def run(self, client: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """What the script returns, run by *client*."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # the server was started again
            return await client.eval(self.code, len(keys), *keys, *arguments)
