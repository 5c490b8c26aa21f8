"""A log of which each record is one line of JSON."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

from scrapy.settings import BaseSettings
from scrapy.utils import log

from imgcrawl.extensions.loglines import install_line_records
from imgcrawl.lines import escaped_json


class JsonLinesFormatter(logging.Formatter):
    """Makes an object of each record: `time` (ISO 8601, UTC), `level`, `logger`, `message`, `pid`; `spider` and `exc`
    (a traceback) where there are some; `summary` in the last one of a crawl."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "pid": os.getpid(),
        }
        if spider := getattr(record, "spider", None):
            told["spider"] = str(getattr(spider, "name", spider))
        if record.exc_info and record.exc_info[0]:
            told["exc"] = record.exc_text or self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = record.stack_info
        if summary := getattr(record, "summary", None):
            told["summary"] = summary
        text = escaped_json(json.dumps(told, ensure_ascii=False, default=str))
        return text.encode("utf-8", "replace").decode("utf-8")  # half a character is none


def install_json_lines() -> None:
    """Have Scrapy's log be of such lines, in this process, from now on.

    Scrapy makes a new handler for each crawler, and again when its settings are known: what makes their formatters
    makes ours. Tested with Scrapy 2.19.
    """
    install_line_records()  # which leave out passwords
    log.__dict__["_get_formatter"] = _make_formatter
    if handler := log.get_scrapy_root_handler():
        handler.setFormatter(JsonLinesFormatter())


def _make_formatter(handler: logging.Handler, settings: BaseSettings) -> logging.Formatter:
    return JsonLinesFormatter()
