"""A real Redis Cluster on this machine: three nodes, each with a replica if wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from tests.support.crawling import until
from tests.support.redis_server import RedisServer

NODES = 3
SLOTS = 16384


class Cluster:
    """Nodes, masters first, then their replicas in the same order. Any node's address is that of the cluster."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes
        self.masters = nodes[:NODES]
        self.url = nodes[0].url

    def replica_of(self, master: RedisServer) -> RedisServer:
        return self.nodes[self.nodes.index(master) + NODES]

    def keys(self) -> list[int]:
        """How many keys each node has."""
        return [_ask(node, "DBSIZE") for node in self.nodes]

    def is_whole(self) -> bool:
        """Whether all living nodes say that the cluster has all of its slots."""
        return all("cluster_state:ok" in _text(node, "INFO") for node in self.nodes if node.is_running)

    def takes_over(self, replica: RedisServer) -> bool:
        return _ask(replica, "ROLE")[0] == b"master"


@contextmanager
def redis_cluster(folder: Path, *, replicas: bool) -> Iterator[Cluster]:
    with ExitStack() as stack:
        nodes = []
        for number in range(NODES * (1 + replicas)):
            (place := folder / f"node-{number}").mkdir()
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
            nodes.append(stack.enter_context(RedisServer(place, *options)))
        for number, node in enumerate(nodes[:NODES]):
            first, last = number * SLOTS // NODES, (number + 1) * SLOTS // NODES - 1
            _ask(node, "CLUSTER", "ADDSLOTS", *range(first, last + 1))
        for node in nodes[1:]:
            _ask(node, "CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        until(lambda: all(f"cluster_known_nodes:{len(nodes)}\r" in _text(node, "INFO") for node in nodes), 20)
        for master, replica in zip(nodes, nodes[NODES:], strict=False):
            name = _ask(master, "CLUSTER", "MYID").decode()
            until(lambda replica=replica, name=name: name in _text(replica, "NODES"))
            _ask(replica, "CLUSTER", "REPLICATE", name)
        for replica in nodes[NODES:]:
            until(lambda replica=replica: _ask(replica, "ROLE")[3] == b"connected", 20)
        cluster = Cluster(nodes)
        until(cluster.is_whole, 20)
        yield cluster


def _ask(node: RedisServer, *command: object) -> object:
    with redis.Redis(port=node.port, socket_timeout=5) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def _text(node: RedisServer, what: str) -> str:
    answer = _ask(node, "CLUSTER", what)
    return answer.decode() if isinstance(answer, bytes) else str(answer)
