"""What every command does with what its terminal, or its disk, does not take."""

from __future__ import annotations

import argparse
import errno
import io
import json
import sys
from collections.abc import Callable

import pytest
from rich.console import Console
from scrapy.commands import ScrapyCommand

from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.exitcodes import ExitCode

SITES = "käse ▁█ 中 \U0001f600"


class Doing(BaseCommand, ScrapyCommand):
    """Does *work*."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def short_desc(self) -> str:
        return ""

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        self._work()
        return ExitCode.DONE


def done(work: Callable[[], object]) -> int:
    command = Doing(work)
    command.run([], argparse.Namespace())
    return command.exitcode


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_of_few_characters_is_shown_escapes_that_json_has_too(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding, write_through=True))
    assert done(lambda: say(json.dumps({"title": SITES}, ensure_ascii=False))) == ExitCode.DONE
    assert json.loads(shown.getvalue()) == {"title": SITES}
    assert done(lambda: Console(width=80).print(SITES)) == ExitCode.DONE
    assert b"\\u2581\\u2588" in shown.getvalue()


@pytest.mark.parametrize("file", ["/data/notes", None])
def test_a_full_disk_is_one_sentence(file: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", file)

    assert done(write) == ExitCode.FAILED
    assert capfd.readouterr() == ("", f"{file}: No space left on device\n" if file else "No space left on device\n")
