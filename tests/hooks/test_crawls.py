"""A crawl that tells of itself in all ways, and what others then know."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from imgcrawl.exitcodes import ExitCode
from tests.support.crawling import Crawl, crawl, environment, start, until
from tests.support.processes import Process
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Request, Server

HTML = {"Content-Type": "text/html"}
TITLE = "--rm {url} $(touch pwned) 'a' \"b\""
COMMAND = """
import json, sys
given = json.load(sys.stdin)
with open(sys.argv[1], "a") as file:
    file.write(json.dumps({"arguments": sys.argv[2:], "given": given}) + "\\n")
sys.exit(4 if given["event"] == "gallery" and "bad" in given["item"]["url"] else 0)
"""
SECRET = "s3cretword"  # noqa: S105 -- the test's own


def add_site(server: Server, wait: threading.Event | None = None, galleries: tuple[str, ...] = ("1", "bad")) -> None:
    links = "".join(f"<p><a href=/{name}.html>{name}</a></p>" for name in galleries)
    server.add("/topic/nvshen/page/1", f"<html><div class=camLiTitleC>{links}</div></html>".encode(), headers=HTML)
    for name in galleries:
        page = f"<html><h2>{TITLE}</h2><ul><li><a href=#><img src=/{name}.jpg></a></li></ul></html>"
        server.add(f"/{name}.html", page.encode(), headers=HTML)
        server.add(f"/{name}.jpg", JPEG + name.encode())
    server.add("/1.jpg", JPEG, delay=wait or 0.0)
    server.add("/notify", b"ok")
    server.add("/v1/traces", b"", headers={"Content-Type": "application/x-protobuf"})


def told_by(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def posted(server: Server, path: str) -> list[Request]:
    return [request for request in server.requests if request.path.partition("?")[0] == path]


def spans_of(server: Server) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for request in posted(server, "/v1/traces"):
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.setdefault(span.name, []).append(span)
    return found


def metrics_at(target: str, host: str = "") -> dict[str, float]:
    asked = urllib.request.Request(f"http://{target}/metrics", headers={"Host": host or target})
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 -- of our own server
        families = text_string_to_metric_families(answer.read().decode())
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        labels = " ".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
        found[f"{sample.name} {labels}".strip()] = sample.value
    return found


@pytest.mark.slow
def test_a_crawl_with_all_of_it_on_tells_everybody_and_no_secret(server: Server, tmp_path: Path) -> None:
    goes_on = threading.Event()
    add_site(server, goes_on)
    (tmp_path / "command.py").write_text(COMMAND)
    command = [sys.executable, "-IS", str(tmp_path / "command.py")]
    settings = {
        "RUN_SUMMARY": "%(name)s-summary.json",
        "COMMAND_FOR_GALLERY": json.dumps([*command, "galleries", "{title}", "--", "{title}", "{folder}", "{images}"]),
        "COMMAND_AT_END": json.dumps([*command, "end", "{spider}", "{exit_code}", "{summary}"]),
        "NOTIFY_URLS": f"json://user:{SECRET}@127.0.0.1:{server.port}/notify",
        "NOTIFY_ON": "trouble,end",
        "LOG_JSON": "True",
        "LOG_LEVEL": "DEBUG",
        "METRICS_PORT": "0",
        "METRICS_TARGETS": tmp_path,
        "TRACES_ENDPOINT": server.url("/v1/traces"),
        "TRACES_SAMPLED": "1.0",
    }
    process = start(tmp_path, "pximg", {"base": server.url("")}, **settings)
    until(lambda: server.count("/1.jpg"))
    (target,) = tmp_path.glob("imgcrawl-*.json")
    (found,) = json.loads(target.read_text())
    running = json.loads((tmp_path / "pximg-summary.json").read_text())
    until(lambda: metrics_at(*found["targets"])["imgcrawl_commands_failed_total spider=pximg"])
    metrics = metrics_at(*found["targets"])
    with pytest.raises(HTTPError, match="421"):
        metrics_at(*found["targets"], host="rebound.example.org")
    goes_on.set()
    out, _ = process.communicate(timeout=60)
    done = Crawl(tmp_path, process.returncode, out)
    assert done.code == ExitCode.FAILED, out

    # The file, the last record of the log and what the command at the end was given are one.
    summary = json.loads((tmp_path / "pximg-summary.json").read_text())
    assert (running["state"], running["ended"], running["exit_code"]) == ("running", None, None)
    assert (summary["format"], summary["state"], summary["how"], summary["exit_code"]) == (1, "ended", "finished", 1)
    assert summary["verdict"] == "1 of 2 commands failed (exit_4: 1)"
    assert summary["commands"] == {"run": 3, "failed": 1, "reasons": {"exit_4": 1}}
    assert (summary["images"]["downloaded"], summary["bytes"]) == (2, 2 * len(JPEG) + len("bad"))
    records = [json.loads(line) for line in out.splitlines()]
    assert all({"time", "level", "logger", "message", "pid"} <= record.keys() for record in records)
    (last,) = (record["summary"] for record in records if "summary" in record)
    assert last | {"seconds": 0} == summary | {"seconds": 0}
    assert records[-1] | {"message": "", "time": ""} == records[-1] | {"message": "", "time": "", "level": "ERROR"}
    assert (records[-1]["message"], records[-1]["logger"]) == (summary["verdict"], "imgcrawl.commands.ending")
    (end,) = told_by(tmp_path / "end")
    assert end["arguments"] == ["pximg", "1", str(tmp_path / "pximg-summary.json")]
    assert end["given"]["summary"] == summary | {"commands": end["given"]["summary"]["commands"]}

    # Each gallery: what its title says is an argument, and no option.
    galleries = {each["given"]["item"]["url"]: each for each in told_by(tmp_path / "galleries")}
    assert galleries.keys() == {server.url("/1.html"), server.url("/bad.html")}
    for item in done.items:
        folder = str((tmp_path / "images" / item["images"][0]["path"]).parent)
        assert galleries[item["url"]]["arguments"] == [TITLE.lstrip("-"), "--", TITLE, folder, "1"]
        assert galleries[item["url"]]["given"]["item"] == item
    assert not (tmp_path / "pwned").exists()

    # Prometheus' own parser has read these while the crawl ran.
    assert metrics["imgcrawl_images_total reason= spider=pximg status=downloaded"] == 1
    assert metrics["imgcrawl_galleries_total outcome=scraped reason= spider=pximg"] == 2
    assert metrics["imgcrawl_requests_now spider=pximg state=transferring"] == 1
    assert metrics["imgcrawl_pages spider=pximg state=queued"] == 0
    assert metrics["imgcrawl_host_requests_waiting host=127.0.0.1 spider=pximg"] == 0
    assert metrics["imgcrawl_event_loop_lag_seconds_count spider=pximg"] > 0
    assert metrics["process_resident_memory_bytes"] > 1e7
    assert not target.exists()

    # The notification; and the way of each page.
    (sent,) = posted(server, "/notify")
    assert sent.headers["authorization"].startswith("Basic ")
    message = json.loads(sent.body)
    assert (message["title"], message["type"]) == (f"pximg: {summary['verdict']}", "failure")
    assert "images found" in message["message"]
    spans = spans_of(server)
    assert {name: len(spans[name]) for name in ("page", "images", "image", "parse", "verify")} == {
        "page": 4, "images": 2, "image": 2, "parse": 4, "verify": 2
    }  # fmt: skip
    by_id = {span.span_id: span for each in spans.values() for span in each}
    parents = {span.name: by_id[span.parent_span_id].name for span in by_id.values() if span.parent_span_id}
    expected = {
        "queue": "page",
        "parse": "page",
        "images": "page",
        "feed": "page",
        "image": "images",
        "verify": "image",
    }
    assert parents | expected == parents
    assert {span.trace_id for span in by_id.values()} == {span.trace_id for span in spans["page"]}

    # Nobody but who is to be told knows the password of the address.
    assert SECRET not in out
    assert not [request for request in posted(server, "/v1/traces") if SECRET.encode() in request.body]
    assert not [name for name in metrics if SECRET in name or "html" in name]


def test_a_command_that_was_stopped_is_run_by_the_next_start_with_its_jobdir(server: Server, tmp_path: Path) -> None:
    add_site(server, galleries=("1",))
    begun, done = tmp_path / "begun", tmp_path / "done"
    command = f"""
import pathlib, time
if not pathlib.Path({str(begun)!r}).exists():
    pathlib.Path({str(begun)!r}).touch()
    time.sleep(100)
pathlib.Path({str(done)!r}).touch()
"""
    settings = {
        "JOBDIR": "job",
        "SHUTDOWN_TIMEOUT": "0.5",
        "COMMAND_FOR_GALLERY": json.dumps([sys.executable, "-ISc", command]),
    }
    process = start(tmp_path, "pximg", {"base": server.url("")}, **settings)
    until(begun.exists)
    process.send_signal(signal.SIGINT)
    log, _ = process.communicate(timeout=60)
    assert not done.exists(), log
    last = crawl(tmp_path, "pximg", {"base": server.url("")}, **settings)
    assert done.exists(), (log, last.log)


@pytest.mark.slow
def test_the_summary_says_how_a_crawl_was_stopped_once_and_twice(server: Server, tmp_path: Path) -> None:
    never = threading.Event()
    add_site(server, never, galleries=("1", "2"))
    for signals, how, code in ((1, "shutdown", ExitCode.STOPPED), (2, "killed", ExitCode.FAILED)):
        server.forget()
        settings = {"RUN_SUMMARY": "summary.json", "SHUTDOWN_TIMEOUT": "0.5" if signals == 1 else "60"}
        process = start(tmp_path, "pximg", {"base": server.url("")}, **settings)
        until(lambda: server.count("/1.jpg"))
        process.send_signal(signal.SIGINT)
        if signals == 2:
            assert process.stdout
            while (line := process.stdout.readline()) and "Received" not in line:
                pass
            process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=60)
        assert process.returncode == code, log
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert (summary["state"], summary["how"], summary["exit_code"]) == ("ended", how, code), log
        assert summary["seconds"] > 0
        images = summary["images"]
        outcomes = sum(images[status] for status in ("downloaded", "uptodate", "duplicate", "refused", "failed"))
        assert outcomes == (images["found"] if signals == 1 else images["found"] - 1)


@pytest.mark.slow
def test_the_workers_of_one_command_tell_once_together_and_have_a_port_each(server: Server, tmp_path: Path) -> None:
    together = threading.Event()
    add_site(server, together, galleries=("1", "2", "3", "4"))
    (tmp_path / "command.py").write_text(COMMAND)
    command = [sys.executable, "-IS", str(tmp_path / "command.py")]
    settings = {
        "RUN_SUMMARY": "summary.json",
        "COMMAND_FOR_GALLERY": json.dumps([*command, "galleries", "{url}"]),
        "COMMAND_AT_END": json.dumps([*command, "end", "{exit_code}"]),
        # The second is one that takes nothing.
        "NOTIFY_URLS": f"json://127.0.0.1:{server.port}/notify json://127.0.0.1:{server.port}/no?+X-Token={SECRET}",
        "NOTIFY_ON": "end",
        "LOG_JSON": "True",
        "METRICS_PORT": "0",
        "METRICS_TARGETS": tmp_path,
    }
    options = ["-O", "items.json", "--workers", "2", "--json"]
    process = start(tmp_path, "pximg", {"base": server.url("")}, options=options, **settings)
    until(lambda: len([*tmp_path.glob("imgcrawl-*.json")]) == 2)
    targets = [json.loads(file.read_text())[0]["targets"][0] for file in tmp_path.glob("imgcrawl-*.json")]
    until(lambda: server.count("/1.jpg"))
    told = [metrics_at(target) for target in targets]
    assert sum(metrics["imgcrawl_requests_now spider=pximg state=transferring"] for metrics in told) >= 1
    assert all("imgcrawl_pages spider=pximg state=leased_here" in metrics for metrics in told)
    together.set()
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0, out
    *records, last = (json.loads(line) for line in out.splitlines())
    assert len({record["pid"] for record in records}) == 3
    summary = json.loads((tmp_path / "summary.json").read_text())
    (told_last,) = (record["summary"] for record in [*records, last] if "summary" in record)
    assert told_last == summary
    assert (summary["how"], summary["galleries"]["scraped"], summary["images"]["found"]) == ("finished", 4, 4)
    assert summary["commands"] == {"run": 5, "failed": 0, "reasons": {}}
    assert len(told_by(tmp_path / "galleries")) == 4
    assert [each["arguments"] for each in told_by(tmp_path / "end")] == [["0"]]
    (sent,) = posted(server, "/notify")
    assert json.loads(sent.body)["title"] == "pximg: all as it should be"
    assert len(posted(server, "/no")) == 1
    refused = "A notification could not be sent by NOTIFY_URLS, number 2 (json://…)"
    assert [record["level"] for record in records if record["message"] == refused] == ["WARNING"]
    assert SECRET not in out
    assert not [*tmp_path.glob("imgcrawl-*.json")]


@pytest.mark.slow
def test_of_workers_that_were_started_by_themselves_one_speaks(
    server: Server, redis_server: RedisServer, tmp_path: Path
) -> None:
    add_site(server, galleries=("1", "2"))
    settings = {"NOTIFY_URLS": f"json://127.0.0.1:{server.port}/notify", "NOTIFY_ON": "end", "RUN_SUMMARY": "s.json"}
    workers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        more = [part for pair in settings.items() for part in ("-s", "=".join(pair))]
        command = [sys.executable, "-m", "scrapy", "crawl", "pximg", "-a", f"base={server.url('')}", "-o", "part.jsonl"]
        options = ["-s", "AUTOTHROTTLE_ENABLED=False", *more]
        env = environment(redis_server.url)
        workers.append(
            Process(
                [*command, *options], cwd=tmp_path / name, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    logs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], logs
    assert len(posted(server, "/notify")) == 1
    for name in ("a", "b"):
        assert json.loads((tmp_path / name / "s.json").read_text())["galleries_of_all_workers"]["scraped"] == 2
