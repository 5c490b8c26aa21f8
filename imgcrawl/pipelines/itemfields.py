"""The fields of an item, of whatever kind, in which addresses come and outcomes go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem

from imgcrawl.exceptions import describe


def checked_urls(
    adapter: ItemAdapter, urls_field: str, result_field: str, own: Collection[str] = ()
) -> Sequence[Any] | None:
    """The addresses of an item, whose outcomes so far are none; None of an item that is not about images: it has no
    addresses, and no field for outcomes. *own*: what a pipeline overrides, `get_media_requests`, which may find
    addresses anywhere, or `item_completed`, which may put outcomes anywhere. Raises `DropItem` where outcomes would be
    lost."""
    if (urls := adapter.get(urls_field)) is None:
        urls = []
    if not isinstance(urls, list | tuple):
        if "get_media_requests" in own:
            return []
        raise DropItem(
            f"{urls_field}={urls!r:.100} of {type(adapter.item).__name__} is not a list of addresses", log_level="ERROR"
        )
    has_place = isinstance(adapter.item, dict) or result_field in adapter.field_names()
    if not urls and not has_place:
        return [] if "get_media_requests" in own else None
    if has_place or "item_completed" not in own:
        set_outcomes(adapter, result_field, [])
    return urls


def set_outcomes(adapter: ItemAdapter, field: str, outcomes: list[Any]) -> None:
    """Have *outcomes* in the *field* of an item. Raises `DropItem` if it cannot hold them."""
    try:
        adapter[field] = outcomes
    except Exception as error:  # frozen, validated: each kind of item has errors of its own
        name, there = type(adapter.item).__name__, field in adapter.field_names()
        why = " ".join(describe(error).split())[:200]
        raise DropItem(
            f"{name} has a field {field!r} that does not take what became of its images ({why}); it is"
            " a list of dicts, set when they are stored"
            if there
            else f"{name} declares no field {field!r}, so what became of its images would be lost; declare it",
            log_level="ERROR",
        ) from error
