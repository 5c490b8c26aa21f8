from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.server import EmbeddedServer
from tests.support.crawling import ROOT, until


@pytest.mark.parametrize("name", ["redis", "x" * 120])
def test_it_keeps_its_data_and_is_for_this_user_only(tmp_path: Path, name: str) -> None:
    server = EmbeddedServer(tmp_path / name)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        assert client.config_get("port") == {"port": "0"}
    assert stat.S_IMODE(server.socket.stat().st_mode) & 0o077 == 0
    server.stop()
    assert not server.is_alive()
    assert not server.socket.exists()

    again = EmbeddedServer(tmp_path / name)
    again.start()
    with redis.Redis.from_url(again.url) as client:
        assert client.get("key") == b"value"
    again.forget()
    assert not (tmp_path / name).exists()
    assert not again.socket.parent.exists() or again.socket.parent == tmp_path / name


def test_one_that_died_is_started_again(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "redis")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        until(lambda: not server.is_alive())
        server.start()
        assert client.ping()
    server.stop()


def test_that_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from imgcrawl.frontier.server import EmbeddedServer;"
        "EmbeddedServer(pathlib.Path(sys.argv[1])).start(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "redis")], cwd=ROOT, check=False)
    server = EmbeddedServer(tmp_path / "redis")
    assert server.is_alive()
    with redis.Redis.from_url(server.url) as client:
        before = client.info("server")["process_id"]
        server.start()
        assert client.info("server")["process_id"] == before
    server.stop()
    assert not server.is_alive()


def test_one_that_cannot_start_is_told_in_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "redis" / "appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")
    (broken.parent / "appendonly.aof").write_text("nonsense\n")  # where Redis 6.2 has it
    with pytest.raises(InputError, match=r"does not start: .*; set REDIS_URL to use another server"):
        EmbeddedServer(tmp_path / "redis").start()
