"""Lists as streams of rows; see `open_rows`."""

from imgcrawl.rows.reader import GoodRow, RowReader, RowsPage, open_rows
from imgcrawl.rows.records import BROKEN, BadRow

__all__ = ["BROKEN", "BadRow", "GoodRow", "RowReader", "RowsPage", "open_rows"]
