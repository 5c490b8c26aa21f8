"""The project's settings, with the tests' own spiders beside the project's."""

from imgcrawl.settings import *  # noqa: F403 -- a settings module is its names

SPIDER_MODULES = [
    "imgcrawl.spiders",
    *(f"tests.spiders.{name}" for name in ("birds", "breaking", "items", "polite", "priorities", "slow")),
]
