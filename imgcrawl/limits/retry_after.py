"""What an answer says about how a host wants to be asked."""

from __future__ import annotations

import calendar
import re
import time
from email.utils import parsedate_to_datetime
from math import inf

from scrapy.http import Response

SLOWER = (429, 503)  # Too Many Requests, Service Unavailable


def retry_after(response: Response) -> float:
    """The seconds that Retry-After asks to wait (RFC 9110, 10.2.3); 0.0 if it is missing, past or no such value.

    A date is compared with the server's own Date where there is one, because clocks differ.
    """
    value = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return float(value) if len(value) < 20 else inf
    until = _timestamp(value)
    if until is None:
        return 0.0
    now = _timestamp((response.headers.get("Date") or b"").decode("latin-1"))
    return max(0.0, until - (time.time() if now is None else now))


def _timestamp(http_date: str) -> float | None:
    try:
        date = parsedate_to_datetime(http_date)
        # One of the three forms of an HTTP-date (RFC 9110, 5.6.7) names no zone; all are in GMT.
        return calendar.timegm(date.timetuple()) if date.tzinfo is None else date.timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
