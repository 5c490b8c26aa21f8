"""The project's settings, with the spider of these tests."""

from imgcrawl.settings import *  # noqa: F403 -- a settings module is its names

SPIDER_MODULES = ["tests.limits.spiders"]
