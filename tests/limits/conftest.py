from __future__ import annotations

from tests.frontier.conftest import redis_server, shared_server

__all__ = ["redis_server", "shared_server"]
