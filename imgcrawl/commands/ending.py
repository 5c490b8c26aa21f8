"""What `scrapy crawl` tells at its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcrawl.commands.base import complain, say
from imgcrawl.extensions.runsummary import exit_code_of, run_summary
from imgcrawl.samples import Samples

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.exitcodes import ExitCode

logger = logging.getLogger(__name__)


def tell_end(
    spider: str,
    stats: Mapping[str, Any],
    findings: Sequence[str],
    settings: BaseSettings,
    samples: Samples,
    *,
    as_json: bool,
) -> ExitCode:
    """Tell the summary and the verdict; return the exit code."""
    told = run_summary(spider, stats, findings, samples)
    in_lines = settings.getbool("LOG_JSON", False)
    has_terminal = not in_lines or bool(settings["LOG_FILE"])  # else stderr has lines of JSON, and nothing else
    some = any(stats.get(name) for name in ("image/found", "gallery/count", "gallery/failed"))
    if some and settings.getbool("SUMMARY_ENABLED", True):
        from imgcrawl.extensions.summary import print_summary, summary_text  # noqa: PLC0415 -- not before the first request

        if has_terminal:
            print_summary(told)
        if settings["LOG_FILE"] and not in_lines:
            logger.info("%s\n%s", "What became of it:", summary_text(told))
    if in_lines:
        logger.info("%s", told["verdict"] or "all as it should be", extra={"summary": told})
    if as_json:
        say(json.dumps(told, ensure_ascii=False))
    for number, finding in enumerate(findings):
        sentence = f"also: {finding}" if number else finding
        if has_terminal:
            complain(sentence)
        if in_lines or settings["LOG_FILE"]:  # who reads it there may not see stderr
            logger.error("%s", sentence)
    return exit_code_of(findings)
