"""Lists as streams of rows; see `open_rows`."""

from imgcrawl.rows.reader import GoodRow, Page, RowReader, open_rows
from imgcrawl.rows.records import BROKEN, BadRow

__all__ = ["BROKEN", "BadRow", "GoodRow", "Page", "RowReader", "open_rows"]
