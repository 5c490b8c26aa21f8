"""Lists as streams of rows; see `open_rows` and `open_address_list`."""

from imgcrawl.rows.addresslist import open_address_list, open_item_list
from imgcrawl.rows.copies import LocalList
from imgcrawl.rows.reader import GoodRow, RowReader, RowsPage, open_rows
from imgcrawl.rows.records import BROKEN, BadRow

__all__ = [
    "BROKEN",
    "BadRow",
    "GoodRow",
    "LocalList",
    "RowReader",
    "RowsPage",
    "open_address_list",
    "open_item_list",
    "open_rows",
]
