"""Items of every kind: where addresses come from, and where outcomes can go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import attrs
import pydantic
import pytest
import scrapy
from itemadapter import ItemAdapter
from scrapy.exceptions import DropItem

from imgcrawl.pipelines.itemfields import checked_urls, set_outcomes

OUTCOMES = [{"url": "https://example.org/a.png", "status": "downloaded"}]


class Plain(scrapy.Item):
    image_urls = scrapy.Field()
    images = scrapy.Field()


class Author(scrapy.Item):
    name = scrapy.Field()


@dataclass
class Page:
    image_urls: list[str] | None = None
    images: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Frozen:
    image_urls: list[str]
    images: list[Any] = field(default_factory=list)


@attrs.define
class Validated:
    image_urls: list[str]
    images: list[str] = attrs.field(
        factory=list, validator=attrs.validators.deep_iterable(attrs.validators.instance_of(str))
    )


class Typed(pydantic.BaseModel, validate_assignment=True):
    image_urls: list[str] = []
    images: list[str] = []


class FrozenModel(pydantic.BaseModel, frozen=True):
    image_urls: list[str] = []
    images: list[Any] = []


class Named(pydantic.BaseModel):
    name: str


@pytest.mark.parametrize("make", [dict, Plain, Page])
def test_no_address_is_no_outcome(make: Callable[..., Any]) -> None:
    for item in (make(), make(image_urls=None), make(image_urls=[])):
        assert checked_urls(ItemAdapter(item), "image_urls", "images") == []
        assert ItemAdapter(item)["images"] == []


@pytest.mark.parametrize("item", [Author(name="Ann"), Named(name="Ann")])
def test_an_item_that_is_not_about_images_is_left_as_it_is(item: Any) -> None:
    assert checked_urls(ItemAdapter(item), "image_urls", "images") is None
    assert checked_urls(ItemAdapter(Plain(image_urls=["a"])), "video_urls", "videos") is None
    assert ItemAdapter(item).asdict() == {"name": "Ann"}


@pytest.mark.parametrize("make", [Frozen, Validated, Typed, FrozenModel])
def test_a_field_that_takes_no_outcomes_is_named(make: Callable[..., Any]) -> None:
    adapter = ItemAdapter(make(image_urls=["https://example.org/a.png"]))
    with pytest.raises(DropItem, match=f"{make.__name__} has a field 'images' that does not take") as dropped:
        set_outcomes(adapter, "images", OUTCOMES)
    assert "\n" not in str(dropped.value)


@pytest.mark.parametrize("urls", ["https://example.org/a.png", 3, {"a": 1}])
def test_addresses_that_are_no_list_are_shown(urls: Any) -> None:
    with pytest.raises(DropItem, match=r"image_urls=.* of dict is not a list of addresses"):
        checked_urls(ItemAdapter({"image_urls": urls}), "image_urls", "images")
