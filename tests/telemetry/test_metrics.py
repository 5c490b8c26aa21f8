"""Metrics: labels are bounded, counters never fall, and processes of one machine do not collide."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from imgcrawl.exceptions import InputError
from imgcrawl.telemetry import Addon
from imgcrawl.telemetry import metrics as metrics_module
from imgcrawl.telemetry.jsonlines import JsonLinesFormatter
from imgcrawl.telemetry.metrics import CrawlMetrics
from imgcrawl.telemetry.server import MetricsServer, TargetFile


def read(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """The samples of that *name*, by the values of their labels, in the order of their names, but the spider's."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        tuple(value for label, value in sorted(sample.labels.items()) if label != "spider"): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def metrics_of(stats: Mapping[str, Any], hosts: int = 3) -> tuple[CollectorRegistry, Any]:
    crawler = get_crawler()
    crawler.stats.set_stats(dict(stats))
    registry = CollectorRegistry()
    registry.register(CrawlMetrics(crawler, hosts))
    return registry, crawler


def test_reasons_of_strangers_are_one_label_and_an_outcome_that_is_told_anew_lowers_no_counter() -> None:
    strange = {f"image/failed/http_{code}": 1 for code in (404, 999, "x", "https://a/b?c")}
    registry, crawler = metrics_of({"image/failed": 4, **strange, "image/downloaded": 7})
    found = read(registry, "imgcrawl_images_total")
    assert {key: value for key, value in found.items() if value} == {
        ("", "downloaded"): 7, ("http_404", "failed"): 1, ("other", "failed"): 3
    }  # fmt: skip
    crawler.stats.inc_value("image/downloaded", -1)
    assert read(registry, "imgcrawl_images_total")["", "downloaded"] == 7


def test_the_first_hosts_have_a_label_and_all_others_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def slots(*names: str) -> Any:
        return SimpleNamespace(
            slots={name: SimpleNamespace(transferring=(), queue=[1], delay=float(n)) for n, name in enumerate(names)}
        )

    registry, _ = metrics_of({}, hosts=2)
    for names, expected in (
        (("a", "b", "c", "d"), {("a",): 0.0, ("b",): 1.0, ("other",): 3.0}),
        (("x", "b"), {("other",): 0.0, ("b",): 1.0}),
    ):
        monkeypatch.setattr(metrics_module, "downloader_in", lambda crawler, names=names: slots(*names))
        assert read(registry, "imgcrawl_host_delay_seconds") == expected


async def test_who_comes_second_has_the_next_port(tmp_path: Path) -> None:
    servers = []
    port = 0
    for number in range(3):
        settings = {"METRICS_PORT": port, "METRICS_TARGETS": str(tmp_path)}
        servers.append(MetricsServer(get_crawler(settings_dict=settings)))
        await servers[-1].spider_opened()
        assert servers[-1]._runner
        taken = servers[-1]._runner.addresses[0][1]
        assert number == 0 or taken > port
        port = port or taken
    check_targets(tmp_path, 3)
    for server in servers:
        await server.engine_stopped()
    check_targets(tmp_path, 0)


def check_targets(folder: Path, others: int) -> None:
    (folder / "imgcrawl-1-dead.json").write_text("[]")  # nobody holds it
    dead = TargetFile(str(folder), "x")
    dead.write("127.0.0.1:1")
    assert dead._file
    dead._file.close()  # and nobody holds this one from now on
    last = TargetFile(str(folder), "y")
    last.write("127.0.0.1:2")
    listed = [json.loads(file.read_text())[0]["targets"] for file in folder.glob("imgcrawl-*.json")]
    assert len(listed) == len({*map(str, listed)}) == others + 1
    last.remove()
    assert len([*folder.iterdir()]) == others


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"METRICS_PORT": "many"}, "METRICS_PORT='many': expected a port, or 0 for any that is free"),
        ({"METRICS_PORT": 0, "METRICS_TARGETS": "/no/such"}, "METRICS_TARGETS=/no/such: there is no such folder"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        MetricsServer(get_crawler(settings_dict=given))
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"TRACES_ENDPOINT": "localhost:4318"}, "expected the address of a collector for OTLP over HTTP"),
        ({"TRACES_ENDPOINT": "http://x", "TRACES_SAMPLED": 2}, "TRACES_SAMPLED=2: expected a share from 0 to 1"),
    ],
)
def test_traces_that_make_no_sense_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        Addon().update_settings(Settings(given))
    assert sentence in str(error.value)


def test_a_record_is_one_line_of_json_whatever_is_in_it() -> None:
    try:
        int("first\nsecond\x1b[2J")
    except ValueError as error:
        information = (type(error), error, error.__traceback__)
    record = logging.getLogRecordFactory()(
        "a.b", logging.ERROR, "x.py", 1, "%s", ("a\nb\x1b[2J\x85\u2028\ud800",), information
    )
    record.spider = SimpleNamespace(name="pximg")
    line = JsonLinesFormatter().format(record)
    assert line.isascii() or not [char for char in line if not char.isprintable()]
    assert len(line.splitlines()) == 1
    told = json.loads(line)
    assert (told["level"], told["logger"], told["spider"]) == ("ERROR", "a.b", "pximg")
    assert "ValueError" in told["exc"]
