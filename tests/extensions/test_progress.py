from __future__ import annotations

import json
import logging
import re
import subprocess
import threading
from pathlib import Path

import pytest
from scrapy.settings import Settings
from scrapy.utils.log import _uninstall_scrapy_root_handler, install_scrapy_root_handler

from imgcrawl.livedisplay import LiveDisplay
from tests.support.server import Server
from tests.support.tiny import Project, telling

STATS = {"image/found": 1240, "image/downloaded": 1230, "image/uptodate": 4, "image/failed": 4}
STATS |= {"image/refused": 2, "image/bytes": 65_700_000, "gallery/count": 62}
TOLD = "62 galleries, 1,234 of 1,240 images, 65.7 MB"
LOG = re.compile(r"^\d{4}-\d\d-\d\d [\d:]{8} \[\w+\] WARNING: ")


def test_lines_without_a_terminal(tmp_path: Path) -> None:
    arguments = telling(STATS, lines=["x"] * 20)
    code, out, err = Project(tmp_path).crawl("told", *arguments, "-s", "PROGRESS_INTERVAL=0.1")
    assert (code, out) == (0, "")
    lines = [line for line in err.splitlines() if "[imgcrawl.extensions.progress] INFO: " in line]
    assert len(lines) >= 3
    for line in lines:
        assert TOLD in line
        assert line.endswith(" images/s, 4 failed, 2 refused")
    assert "\x1b" not in err


def test_no_lines_with_interval_0(tmp_path: Path) -> None:
    arguments = telling(STATS, lines=["x"] * 20)
    code, _, err = Project(tmp_path).crawl("told", *arguments, "-s", "PROGRESS_INTERVAL=0")
    assert code == 0
    assert "extensions.progress" not in err


def test_a_host_that_waits_for_its_hours_is_named(tmp_path: Path) -> None:
    arguments = telling(STATS | {"budget/waiting": "example.org until 22:00"}, lines=["x"] * 20)
    _, _, err = Project(tmp_path).crawl("told", *arguments, "-s", "PROGRESS_INTERVAL=0.05")
    assert ", waiting for example.org until 22:00\n" in err


@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_a_bad_interval_is_bad_input(tmp_path: Path, value: str) -> None:
    code, _, err = Project(tmp_path).told("-s", f"PROGRESS_INTERVAL={value}")
    assert (code, err) == (2, f"PROGRESS_INTERVAL is '{value}': expected seconds, 0 or more\n")


def test_log_lines_stand_whole_above_the_display(tmp_path: Path) -> None:
    lines = [f"line {number:02}" for number in range(40)]
    lines[5] += " of [bold]no[/bold] markup [/] "
    lines[10] += " https://img.example.org/" + "0123456789" * 30 + ".jpg"
    lines[15] += " from a \x1b[2J\x1b[Hstranger\x07 and \x9b2J\x1bc another"
    lines[20] += "\nof two lines"
    with Project(tmp_path).in_terminal("told", *telling(STATS, lines=lines)) as terminal:
        assert terminal.end() == 0
    screen = terminal.screen()

    assert terminal.raw.count(TOLD) >= 2, "the display was painted and repainted while lines came"
    assert not any(TOLD in line for line in screen), "it is gone in the end"
    starts = [index for index, line in enumerate(screen) if LOG.match(line)]
    assert starts[0] == 0
    logged = ["".join(screen[a:b]) for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert [LOG.sub("", line)[:7] for line in logged] == [f"line {number:02}" for number in range(40)]
    assert logged[5].endswith("line 05 of [bold]no[/bold] markup [/]")
    assert logged[10].endswith(lines[10])
    # What is no colour to the decoder is dropped, or shown as a replacement character.
    assert re.search(r"line 15 from a .*stranger\S? and .*another$", logged[15])
    assert logged[20].endswith("line 20\N{REPLACEMENT CHARACTER}of two lines")
    assert any(line.startswith("images found") for line in screen), "the summary takes its place"


def test_the_display_tells_stats_limits_and_time(tmp_path: Path, server: Server) -> None:
    answer = threading.Event()
    server.add("/slow", b"x", delay=answer)
    urls = [server.url(f"/slow?{number}") for number in range(3)]
    arguments = telling(STATS | {"gallery/found": 65}, urls=urls)
    with Project(tmp_path).in_terminal("told", *arguments, "-s", "DOWNLOAD_DELAY=0.01") as terminal:
        terminal.read_until(r" to go\s+127\.0\.0\.1: 3/8, delay 0\.01 s")
        text = " ".join(line.strip() for line in terminal.screen())
        answer.set()
        assert terminal.end() == 0
    assert re.search(
        r"told 0:00:\d\d +" + TOLD + r" [\d,.]+ images/s, 4 failed, 2 refused, about 0:00:\d\d to go 127", text
    )


def test_the_display_is_cut_to_the_terminal(tmp_path: Path, server: Server) -> None:
    answer = threading.Event()
    server.add("/slow", b"x", delay=answer)
    arguments = telling(STATS, urls=[server.url("/slow")], lines=["x"] * 40)
    arguments += ["-a", "slot=h\x1b[2J" + "o" * 100]
    with Project(tmp_path).in_terminal("told", *arguments) as terminal:
        terminal.read_until("ooo…")
        answer.set()
        assert terminal.end() == 0
    screen = terminal.screen()
    assert not any("ooo" in line or TOLD in line for line in screen)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_nothing_of_the_crawl_is_cut_in_a_narrow_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    told = "0:12:31  1,204 galleries, 23,870 of 24,001 images, 1,422.3 MB"
    display = LiveDisplay(redirect_stdout=False)
    display.start()
    slowed = "127.0.0.2: 1/8, delay 0.20 s, its own pace (AUTOTHROTTLE), for 1,000 s"
    pace = "32.1 images/s, 12 failed, 3 refused, about 0:42:10 to go"
    display.show("pximg", [told, pace, slowed, "h" * 100], stopping=True)
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    display.stop()
    lines = [line.strip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= columns
    assert told in " ".join(lines) and "about 0:42:10 to go" in shown
    assert slowed in " ".join(lines)
    assert "stopping when what is under way is done; Ctrl-C again stops at once" in " ".join(lines)
    assert shown.count("…") == 1, "a host's name"


def test_what_the_process_logs_stands_above_the_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    install_scrapy_root_handler(Settings({"LOG_FORMAT": "%(message)s"}))
    try:
        display = LiveDisplay(redirect_stdout=False)
        display.start()
        display.show("pximg", ["below"], stopping=False)
        logging.getLogger("imgcrawl").warning("logged")
        shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
        display.stop()
        assert [line.rpartition("\r")[2] for line in shown.split("\n")][-2:] == ["logged", "pximg below"]
        logging.getLogger("imgcrawl").warning("later")
        assert capsys.readouterr().err.endswith("later\n")
    finally:
        _uninstall_scrapy_root_handler()


def test_the_terminal_shows_warnings_only_unless_asked(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with project.in_terminal("told", *telling(STATS, lines=["a warning"])) as terminal:
        assert terminal.end() == 0
    assert "WARNING: a warning" in terminal.raw
    assert "INFO" not in terminal.raw

    with project.in_terminal("told", *telling(STATS), "-L", "INFO") as terminal:
        assert terminal.end() == 0
    assert "INFO: Spider opened" in terminal.raw

    arguments = telling(STATS, lines=["a warning"] * 40)
    with project.in_terminal("told", *arguments, "-s", "PROGRESS_ENABLED=False") as terminal:
        assert terminal.end() == 0
    assert "INFO: Spider opened" in terminal.raw
    assert TOLD not in terminal.raw


def test_a_log_file_keeps_its_level(tmp_path: Path) -> None:
    arguments = telling(STATS, lines=["a warning"] * 40)
    with Project(tmp_path).in_terminal("told", *arguments, "--logfile", "log") as terminal:
        assert terminal.end() == 0
    assert TOLD in terminal.raw
    assert "a warning" not in terminal.raw
    log = (tmp_path / "log").read_text()
    assert "INFO: Spider opened" in log
    assert "a warning" in log
    assert "\x1b" not in log


def test_a_feed_at_stdout_is_left_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    items = [{"number": number} for number in range(3)]
    arguments = [*telling(STATS, items, lines=["x"] * 40), "-o", "-:jsonlines"]
    with project.in_terminal("told", *arguments, stdout=subprocess.PIPE) as terminal:
        assert terminal.end() == 0
        assert terminal.process.stdout
        with terminal.process.stdout as stdout:
            out = stdout.read()
    assert [json.loads(line) for line in out.splitlines()] == items
    assert TOLD in terminal.raw

    with project.in_terminal("told", *arguments) as terminal:
        assert terminal.end() == 0
    assert TOLD not in terminal.raw, "no display where the feed itself is shown"


def test_no_display_in_a_dumb_terminal(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.env["TERM"] = "dumb"
    with project.in_terminal("told", *telling(STATS, lines=["x"] * 40)) as terminal:
        assert terminal.end() == 0
    assert TOLD not in terminal.raw
    assert "\x1b" not in terminal.raw


def test_no_display_outside_of_crawl(tmp_path: Path, server: Server) -> None:
    arguments = ["--spider", "told", server.url("/html")]
    with Project(tmp_path).in_terminal(*arguments, command="parse") as terminal:
        assert terminal.end() == 0
    assert "INFO: Spider opened" in terminal.raw
    assert "images/s" not in terminal.raw


def test_forced_colours_make_no_terminal_of_a_pipe(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.env["FORCE_COLOR"] = "1"
    code, _, err = project.crawl("told", *telling(STATS, lines=["x"] * 40))
    assert code == 0
    assert TOLD not in err
    assert "INFO: Spider opened" in err
