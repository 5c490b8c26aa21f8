"""What is there now: each gallery once, with its images and what last became of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import Any

from imgcrawl.catalogue.contract import Catalogue, LastOutcome, Record, StoredGallery, failed_subpage


def items(catalogue: Catalogue, spider: str | None = None) -> Iterator[dict[str, Any]]:
    """The galleries of a *spider*, or of all, as items of a feed: the fields of their last visit, `image_urls` and
    `images` with the last outcome of each address, in the order in which galleries were first seen."""
    for gallery in catalogue.galleries(spider):
        yield item_of(catalogue, gallery)


def item_of(catalogue: Catalogue, gallery: StoredGallery) -> dict[str, Any]:
    """*gallery* as an item of a feed."""
    outcomes = catalogue.outcomes(gallery.keys)
    known = [outcome for outcome in outcomes if outcome]
    records = catalogue.find_all(outcome.key for outcome in known)
    urls_field, media = gallery.media.split()
    facts = gallery.fields.get("image_facts") or {}
    item = dict(gallery.fields)
    if gallery.error and gallery.error != failed_subpage(item):
        item["error"] = gallery.error
    else:
        item.pop("error", None)
    for column in ("names", "pages", "paths"):  # parallel to the addresses
        name = f"{media.removesuffix('s')}_{column}"
        if isinstance(values := item.get(name), list):
            item[name] = list(compress(values, outcomes))
    item[urls_field] = [outcome.url for outcome in known]
    item[media] = [image_of(outcome, record, facts) for outcome, record in zip(known, records, strict=True)]
    return item


def image_of(outcome: LastOutcome, record: Record | None, facts: dict[str, Any]) -> dict[str, Any]:
    """The outcome of an address as an item tells it; *facts* are what its page states about images, by address."""
    image: dict[str, Any] = {"url": outcome.url, "status": outcome.status}
    if record and record.path:
        image |= record.facts()
    if outcome.reason:
        image |= {"reason": outcome.reason, "requested_path": outcome.requested_path}
    if outcome.opt_outs:
        image["opt_outs"] = outcome.opt_outs.split()
    if about := facts.get(outcome.url):
        image["facts"] = about
    return image
