"""What workers say in Redis is read as far as it can be theirs, and asked is who is there."""

from __future__ import annotations

from scrapy.settings import Settings

from imgcrawl.frontier.queue import queue_from_settings
from imgcrawl.live import border
from imgcrawl.live.board import Board, Control
from tests.support.redis_server import RedisServer


async def test_what_is_too_long_to_be_ours_stays_in_redis_and_what_was_asked_ends_with_the_workers(
    redis_server: RedisServer,
) -> None:
    board = Board(queue_from_settings(Settings({"REDIS_URL": redis_server.url}), "board"))
    client, key = board.queue.client, board.key
    at, _, _ = await board.publish("one", {"images": 3}, [{"url": "u"}], [{"url": "f"}])
    await client.zadd(f"{key}:at", {"long": at, "late": float("inf"), "gone": at})
    await client.hset(key, mapping={"long": b"x" * (border.LARGEST + 1), "late": "{}"})
    await client.lpush(f"{key}:newest", b"x" * (border.LARGEST + 1))
    await board.ask("run", {"paused": True, "delay_factor": 3.0})
    said = await board.read()
    assert {name: row["images"] for name, row in said.workers.items()} == {"one": 3, "late": 0}
    assert ([each["url"] for each in said.newest], [each["url"] for each in said.failures]) == (["u"], ["f"])
    assert said.control == await board.control() == Control("run", paused=True, delay_factor=3.0)
    await client.hset(f"{key}:control", "delay_factor", "9" * 5000)
    assert (await board.publish("one", {}))[2] == Control("run", paused=True)

    await client.zadd(f"{board.queue.prefix}workers", {"one": 2 * at, "two": 2 * at})
    assert not await board.forget_control(1)
    await client.zrem(f"{board.queue.prefix}workers", "two")
    assert not await board.forget_control(0)
    assert await board.forget_control(1)
    assert await board.control() == Control()
    await client.aclose()
