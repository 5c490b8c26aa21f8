from __future__ import annotations

import datetime
import fcntl
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.forkserver import close_fork_server
from tests.support.postgres import PostgresServer, binaries
from tests.support.redis_server import GivenServer, RedisServer
from tests.support.server import Server

# A REDIS_URL is for the tests that want a Redis; no crawl of another may see it. Their processes see the other name.
GIVEN_REDIS_URL = "IMGCRAWL_TESTS_REDIS_URL"
if "REDIS_URL" in os.environ:
    os.environ[GIVEN_REDIS_URL] = os.environ.pop("REDIS_URL")


# Whole crawls by several processes, benchmarks and browsers: what `-m "not slow"` leaves out.
SLOW = {
    "packaging/test_scrapyd.py", "packaging/test_wheel.py", "test_benchmarks.py", "test_chaos.py", "test_playwright.py",
    "test_promises.py",
    "test_replicas.py", "test_sharing.py", "test_stopping.py", "test_workers.py", "demo/test_command.py",
    "commands/test_merge.py", "commands/test_newsite.py", "test_large_bodies.py", "pipelines/test_large.py",
    "frontier/test_crawls.py", "frontier/test_run_arguments.py", "frontier/test_servers.py",
    "limits/test_crawls.py",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)
    # What wants the machine for itself comes first, when nothing long is under way that all would have to wait for;
    # then the long ones, so that no process has one left when the others have nothing to do.
    ranks: dict[Path, int] = {}
    for item in items:
        ranks[item.path] = min(_rank(item), ranks.get(item.path, 2))
    items.sort(key=lambda item: (ranks[item.path], str(item.path), _rank(item) != 0))


def _rank(item: pytest.Item) -> int:
    return 0 if item.get_closest_marker("alone") else 1 if item.get_closest_marker("slow") else 2


class Telling:
    """Shows a failure when it happens, with its reason; the whole of it comes at the end."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            where, what = (f"{crash.path}:{crash.lineno}", crash.message) if crash else ("", str(report.longrepr))
            self.terminal.ensure_newline()
            self.terminal.write_line(
                f"FAILED {report.nodeid} ({report.when}, {report.duration:.0f} s) {where}", red=True
            )
            self.terminal.write_line("\n".join(f"  {line[:300]}" for line in what.splitlines()[:10]))


def pytest_sessionstart(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal and not hasattr(session.config, "workerinput"):  # in the process that collects what the others report
        session.config.pluginmanager.register(Telling(terminal))


@pytest.fixture(autouse=True)
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Lets tests run side by side, but for those that are marked `alone`: they measure what others would disturb."""
    alone = request.node.get_closest_marker("alone")
    if alone:
        monkeypatch.setenv("IMGCRAWL_TESTS_FORK", "0")  # measured is the process as a user starts it
    folder = tmp_path_factory.getbasetemp().parent  # of all processes of this run
    with (folder / "machine.gate").open("wb") as gate, (folder / "machine.lock").open("wb") as lock:
        # Who waits to be alone stands in the gate, so that those behind cannot overtake for ever.
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.fixture(autouse=True, scope="session")
def _fork_server() -> Iterator[None]:
    yield
    close_fork_server()


@pytest.fixture
def server() -> Iterator[Server]:
    """A fresh misbehaving server on 127.0.0.1, gone after the test."""
    with Server() as running:
        yield running


@pytest.fixture
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody knows, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


@pytest.fixture
def self_signed(certificate: Path) -> ssl.SSLContext:
    """What a server needs to show this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer | GivenServer]:
    if given := os.environ.get(GIVEN_REDIS_URL):
        yield GivenServer(given, os.environ.get("PYTEST_XDIST_WORKER", ""))
        return
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis_server(shared_server: RedisServer | GivenServer) -> RedisServer | GivenServer:
    """A real, empty database, for whatever a client may do: at REDIS_URL, or of a server that all tests have."""
    with shared_server.client() as client:
        client.flushdb()
    return shared_server


@pytest.fixture
def own_redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server that a test may stop, kill, put behind a proxy or configure."""
    with RedisServer(tmp_path_factory.mktemp("own-redis")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server; the test is skipped where none can be started."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not here: install Debian's package postgresql, which .ci/run does")
    with PostgresServer() as running:
        yield running


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """The server, with an empty database."""
    postgres_server.empty()
    return postgres_server
