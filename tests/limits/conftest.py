from __future__ import annotations

from tests.frontier.conftest import own_redis_server, redis_server, shared_server

__all__ = ["own_redis_server", "redis_server", "shared_server"]
