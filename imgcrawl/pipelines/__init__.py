"""DOWNLOAD → VERIFY → STORE, as Scrapy item pipelines."""

from imgcrawl.pipelines.images import ImagesPipeline
from imgcrawl.pipelines.videos import VideosPipeline

__all__ = ["ImagesPipeline", "VideosPipeline"]
