from __future__ import annotations

import atexit
import datetime
import gc
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from xdist.remote import Producer

from tests.support.forkserver import close_fork_server
from tests.support.postgres import PostgresServer, binaries
from tests.support.processes import Process
from tests.support.redis_server import GivenServer, RedisServer
from tests.support.scheduling import Machine, Scheduling
from tests.support.server import Server

# A container may set it. Then each process of pytest would compile all tests anew, more than half of the time in which
# it finds them, and each of hundreds of processes the package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A REDIS_URL is for the tests that want a Redis; no crawl of another may see it. Their processes see the other name.
GIVEN_REDIS_URL = "IMGCRAWL_TESTS_REDIS_URL"
if "REDIS_URL" in os.environ:
    os.environ[GIVEN_REDIS_URL] = os.environ.pop("REDIS_URL")
# In the background of a script, and with nohup, these are ignored, and so they would be by each process of a test.
for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
# Crawls of tests say how they are where no other crawl of this user does, nor one of another process of pytest.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="imgcrawl-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)


# What `-m "not slow"` leaves out: what took more than about 1.5 s, all its cases together, when it was measured on two
# cores, which is whole crawls of many pages or by several processes, benchmarks, browsers, large images, attacks and
# waiting. A file, or one test of it.
SLOW = {
    "basespiders/test_domains.py",
    "basespiders/test_enlarged.py::test_elements_whose_names_no_selector_may_have_lose_no_gallery",
    "basespiders/test_every_gallery.py",
    "basespiders/test_gallery_pages.py",
    "basespiders/test_named.py",
    "basespiders/test_own_site.py",
    "basespiders/test_proposed.py",
    "basespiders/test_rows.py::test_a_list_is_read_as_the_crawl_gets_there",
    "basespiders/test_rows.py::test_a_list_may_be_at_an_address_or_on_standard_input",
    "basespiders/test_rows.py::test_a_list_that_breaks_off_is_the_verdict",
    "basespiders/test_rows.py::test_rows_keep_their_facts_through_a_crawl_and_a_retry",
    "basespiders/test_subpages.py::test_a_number_that_is_too_large",
    "catalogue/test_kills.py",
    "catalogue/test_machines.py",
    "catalogue/test_sqlite.py::test_processes_share_it_without_a_lock_error_a_duplicate_or_an_overwrite",
    "commands/test_duplicates.py::test_what_costs_much_is_looked_at_within_the_bounds_of_a_crawl",
    "commands/test_duplicates.py::test_what_looks_like_a_stored_image_and_is_not_larger_is_refused",
    "commands/test_endings.py::test_a_simulation_asks_for_no_image_and_says_where_each_would_go",
    "commands/test_endings.py::test_a_simulation_takes_nothing_from_a_queue_that_others_share",
    "commands/test_endings.py::test_an_address_from_which_nothing_comes_is_one_sentence_and_exit_code_1",
    "commands/test_endings.py::test_scrapys_own_commands_tell_bad_input_in_one_sentence",
    "commands/test_export.py::test_an_export_that_is_killed_goes_on_and_a_full_disk_is_one_sentence",
    "commands/test_failed.py",
    "commands/test_five_nights.py",
    "commands/test_hosts.py",
    "commands/test_merge.py",
    "commands/test_newsite.py",
    "commands/test_nights.py",
    "commands/test_progress.py",
    "commands/test_queue.py",
    "demo/test_command.py",
    "demo/test_server.py::test_a_slow_image_takes_its_time",
    "demo/test_server.py::test_every_image_answers_as_the_truth_says",
    "demo/test_server.py::test_the_full_replica_is_as_large_and_as_nasty_as_promised",
    "demo/test_sites.py",
    "downloadermiddlewares/test_budgets.py::test_workers_have_one_budget",
    "downloadermiddlewares/test_credentials.py",
    "downloadermiddlewares/test_pages.py",
    "downloadermiddlewares/test_private_hosts.py",
    "downloadermiddlewares/test_retry.py::test_delays_grow_up_to_their_limit",
    "downloadermiddlewares/test_retry.py::test_retry_after_is_obeyed",
    "extensions/test_heartbeat.py::test_a_crawl_that_waits_for_a_site_is_healthy_and_one_that_is_frozen_is_not",
    "extensions/test_progress.py::test_a_feed_at_stdout_is_left_alone",
    "feeds/test_exporters.py::test_an_array_that_cannot_be_replaced_waits_in_the_journal",
    "feeds/test_exporters.py::test_bytes_are_those_of_scrapy",
    "feeds/test_exporters.py::test_killed_again_and_again",
    "feeds/test_exporters.py::test_thousands_of_items_and_large_ones",
    "feeds/test_merge.py::test_memory_is_bounded",
    "feeds/test_object_store.py",
    "feeds/test_rows_by_image.py::test_every_format_of_a_crawl_and_of_a_merge",
    "feeds/test_segments.py",
    "frontier/test_compatibility.py",
    "frontier/test_counted.py",
    "frontier/test_crawls.py",
    "frontier/test_ends.py::test_galleries_that_lead_to_one_page_are_told_whichever_worker_has_them",
    "frontier/test_every_key.py",
    "frontier/test_queue.py::test_a_clock_that_jumps_expires_nobody_and_keeps_nobody_alive",
    "frontier/test_queue.py::test_a_cluster_takes_all_keys_in_one_slot",
    "frontier/test_queue.py::test_a_foreign_value_in_any_key_is_counted_and_the_crawl_goes_on",
    "frontier/test_queue.py::test_bytes_of_a_seen_and_queued_page",
    "frontier/test_run_arguments.py",
    "frontier/test_servers.py",
    "frontier/test_sharded_runs.py",
    "frontier/test_shards.py",
    "frontier/test_start_urls.py",
    "images/test_damage.py::test_a_jpeg_that_is_cut_anywhere_passes_only_with_every_pixel",
    "images/test_process.py",
    "images/test_verify.py::test_hostile_bytes_pass_exactly_where_pillow_decodes_them",
    "limits/test_backends.py::test_an_exchange_costs_the_same_for_a_thousand_workers_at_one_host",
    "limits/test_backends.py::test_whoever_has_more_than_its_share_is_told_and_nobody_starves",
    "limits/test_clock.py::test_a_crawl_on_a_server_whose_clock_jumps",
    "limits/test_clock.py::test_a_server_that_lost_everything_is_told_of_retry_after_again",
    "limits/test_crawls.py",
    "limits/test_limiter.py::test_a_worker_that_stood_still_takes_nothing_until_the_backend_has_heard_of_it",
    "limits/test_limiter.py::test_four_workers_at_one_host_are_as_fast_as_one",
    "live/test_status.py",
    "packaging/test_addon.py",
    "packaging/test_scrapyd.py",
    "packaging/test_wheel.py",
    "pages/test_bounds.py",
    "pages/test_facts.py::test_malice_in_facts_costs_time_linear_in_its_length",
    "pages/test_images.py::test_ten_megabytes_of_malice",
    "pages/test_long_attributes.py",
    "pages/test_proposals.py::test_a_page_of_many_links_is_read_in_time",
    "pages/test_shown.py::test_the_time_is_linear",
    "pages/test_stated.py::test_a_value_of_malice_is_read_in_linear_time",
    "pages/test_stated.py::test_lists_in_scripts_are_looked_through_in_bounded_time",
    "pipelines/test_decoder.py",
    "pipelines/test_images.py::test_a_body_that_breaks_off_behind_its_image_is_kept_and_told",
    "pipelines/test_fresh_addresses.py",
    "pipelines/test_large.py",
    "pipelines/test_remote.py",
    "pipelines/test_shared_placeholders.py",
    "pipelines/test_store_settings.py",
    "report/test_page.py",
    "upkeep/test_rebuilding.py::test_a_lost_catalogue_is_made_again_from_any_feed_and_nothing_is_fetched",
    "watch/test_page.py",
    "watch/test_watching.py",
    "test_attacks.py",
    "test_benchmarks.py",
    "test_bodies.py::test_a_large_body_goes_on_where_it_broke",
    "test_chaos.py",
    "test_ctrl_c.py",
    "test_docs.py::test_every_command_does_what_the_page_says",
    "test_docs.py::test_the_pages_build_and_their_links_lead_somewhere",
    "test_downloader.py::test_a_burst_keeps_the_limit_of_its_host_and_reuses_connections",
    "test_downloader.py::test_a_host_that_answers_503_twice_for_each_address_is_not_asked_once_a_minute",
    "test_downloader.py::test_beside_scrapys_downloader_middlewares_wait_and_keep_a_delay",
    "test_downloader.py::test_one_answer_that_asks_for_a_day_of_patience_fails_its_address_only",
    "test_downloader.py::test_scrapys_own_media_pipeline_keeps_the_limit",
    "test_event_loop.py",
    "test_forkserver.py::test_a_forked_start_is_the_same_as_a_real_one",
    "test_framing.py::test_what_is_not_dangerous_is_accepted_and_is_no_others_answer",
    "test_framing.py::test_a_page_that_ends_is_whole_though_a_longer_one_was_said",
    "test_fuzz.py",
    "test_fuzz_readers.py",
    "test_hanging_hosts.py",
    "test_large_bodies.py",
    "test_linear.py",
    "test_long_lists.py",
    "test_ownfiles.py::test_a_folder_that_becomes_a_link_between_look_and_use_is_not_written_behind",
    "test_ownfiles.py::test_what_becomes_a_link_or_a_pipe_between_look_and_use_is_neither_followed_nor_waited_for",
    "test_parquet.py::test_what_a_small_file_unpacks_to_is_refused_before_it_is_in_memory",
    "test_playwright.py",
    "test_promises.py",
    "test_proxies.py::test_a_proxy_that_stalls_is_given_up_and_keeps_nobody_waiting",
    "test_replicas.py",
    "test_rows.py::test_hostile_lists_take_linear_time",
    "test_rows.py::test_memory_does_not_grow_with_the_list",
    "test_rules.py::test_importing_has_no_side_effects",
    "test_shared_lists.py::test_a_run_that_was_killed_goes_on_with_a_list_to_which_a_row_was_added",
    "test_shared_lists.py::test_each_row_is_done_once_where_machines_have_other_lists_of_that_name",
    "test_sharing.py",
    "test_soak.py",
    "test_stopping.py",
    "test_table_of_attacks.py",
    "test_workers.py",
}  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is found stays: to look for garbage in it costs each process half a second, a dozen times as pytest ends."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        file = item.path.relative_to(here).as_posix()
        if {file, f"{file}::{item.name.partition('[')[0]}"} & SLOW:
            item.add_marker(pytest.mark.slow)
    # What wants the machine for itself comes first, when nothing long is under way that all would have to wait for;
    # then the long ones, so that no process has one left when the others have nothing to do.
    items.sort(key=lambda item: (_rank(item), str(item.path)))


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True, scope="session")
def _machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with closing(Machine(tmp_path_factory.getbasetemp().parent)) as machine:
        yield machine


FOLLOWING = pytest.StashKey[pytest.Item | None]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    item.stash[FOLLOWING] = nextitem


@pytest.fixture(autouse=True)
def machine(request: pytest.FixtureRequest, _machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets tests run side by side, but for those that are marked `alone`: they measure what others would disturb."""
    alone = request.node.get_closest_marker("alone")
    if alone and not alone.kwargs.get("forks"):
        monkeypatch.setenv("IMGCRAWL_TESTS_FORK", "0")  # measured is the process as a user starts it
    _machine.take(alone=bool(alone))
    yield
    _machine.give(request.node.stash[FOLLOWING])


@pytest.fixture(autouse=True, scope="session")
def _fork_server() -> Iterator[None]:
    """Replicas are forked as crawls are; what is forked ends with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgcrawl.demo.server.subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": Process}))
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
