"""Which galleries are wanted, by what their pages say: no image of another is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from imgcrawl.exceptions import InputError
from imgcrawl.patterns import UserPattern
from imgcrawl.possessive import compile_late
from imgcrawl.ranges import Ranges

if TYPE_CHECKING:
    from typing import Self

    from itemadapter import ItemAdapter
    from scrapy.settings import BaseSettings
    from scrapy.statscollectors import StatsCollector

# As ISO 8601 has it, and as pages in China and Japan do; without anything between, only where nothing else stands.
_DATE = compile_late(r"(?<!\d)(\d{4})(?:-|/|\.|\s?年\s?)(\d{1,2})(?:-|/|\.|\s?月\s?)(\d{1,2})(?!\d)")
_SHORT = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(?:T\d.*)?\s*")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ENDINGS = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")
_NAMES = "|".join(f"{month}(?:{ending})?" for month, ending in zip(_MONTHS, _ENDINGS, strict=True))
_MONTH = rf"\b({_NAMES}|sept)\b\.?"
_DAY = r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?"
# In English: 26 November 2026, 26-Nov-2026, Nov. 26th, 2026.
_DAY_FIRST = compile_late(rf"{_DAY}\.?[\s-]+(?:of\s+)?{_MONTH}[\s,-]+(\d{{4}})(?!\d)", re.IGNORECASE)
_MONTH_FIRST = compile_late(rf"{_MONTH}\s+{_DAY},?\s+(\d{{4}})(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GalleryFilters:
    """Settings: GALLERIES_TITLE, a regular expression that the title must contain; GALLERIES_SINCE and GALLERIES_UNTIL,
    days like 2026-11-26, both included; IMAGES_RANGE, the numbers of the images in each gallery, as in 1-3,10. A
    gallery whose date is not known, or cannot be read, is wanted.

    Raises `InputError` for values that are none of these.
    """

    title: UserPattern | None = None
    since: date | None = None
    until: date | None = None
    images: Ranges = field(default_factory=Ranges)

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> Self:
        pattern = settings.get("GALLERIES_TITLE", "")
        try:
            title = UserPattern(pattern, "GALLERIES_TITLE=", late=True) if pattern else None
        except re.error as error:
            raise InputError(f"GALLERIES_TITLE={pattern!r}: {error}; expected a regular expression") from error
        since = _day(settings.get("GALLERIES_SINCE", ""), "GALLERIES_SINCE")
        until = _day(settings.get("GALLERIES_UNTIL", ""), "GALLERIES_UNTIL")
        return cls(title, since, until, Ranges.from_setting(settings.get("IMAGES_RANGE", ""), "IMAGES_RANGE"))

    @property
    def by_date(self) -> bool:
        return bool(self.since or self.until)

    def count_undated(self, adapter: ItemAdapter, images: int, stats: StatsCollector) -> None:
        """Count an item in *stats*, some of whose *images* are wanted for want of a date that can be read."""
        if images and self.by_date and not day_of(adapter.get("date")) and not self.reason(adapter):
            stats.inc_value("gallery/undated")

    def reason(self, adapter: ItemAdapter) -> str:
        """Why the images of an item are not wanted (`title`, `date`); empty if they are."""
        if self.title and not self.title.is_in(str(adapter.get("title") or "")):
            return "title"
        if self.by_date and (day := day_of(adapter.get("date"))):
            too_old = self.since and day < self.since
            return "date" if too_old or (self.until and day > self.until) else ""
        return ""


def day_of(value: Any) -> date | None:
    """The day that a page states as its date, or None. What it says of the time and of the zone does not count."""
    if isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    return _day_of(value) if isinstance(value, str) else None


@lru_cache(64)  # the images of a gallery have one
def _day_of(text: str) -> date | None:
    try:
        if match := _DATE.search(text) or _SHORT.fullmatch(text):
            return date(*map(int, match.groups()))
        if match := _DAY_FIRST.search(text):
            return date(int(match[3]), _MONTHS.index(match[2].lower()[:3]) + 1, int(match[1]))
        if match := _MONTH_FIRST.search(text):
            return date(int(match[3]), _MONTHS.index(match[1].lower()[:3]) + 1, int(match[2]))
        return parsedate_to_datetime(text).date()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _day(value: Any, name: str) -> date | None:
    if not value or isinstance(value, date):
        return value or None
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise InputError(f"{name}={value!r}: expected a day like 2026-11-26") from error
