"""Images of the store that were never decoded, decoded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcrawl.catalogue import Record
from imgcrawl.exceptions import ImageError
from imgcrawl.images.costs import LARGEST_IN_THREADS
from imgcrawl.images.process import DecoderProcess, NotStartedError
from imgcrawl.images.room import IN_THREADS, CostlyError, set_pixel_limit
from imgcrawl.images.verify import Facts, examine
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.pipelines.stores import FileStore

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

# What says nothing about the bytes, but what can be done with them here.
_NOT_HERE = {"unsupported_format", "too_many_pixels", "error"}


class StoredImages:
    """Decodes files of *store*: in the thread that asks, or, what may take long, in a process that can be ended."""

    def __init__(self, store: FileStore, settings: BaseSettings) -> None:
        config = PipelineSettings.from_settings(settings, name_setting="IMAGES_NAME")
        self._store = store
        self._strict = config.strict
        set_pixel_limit(config.max_pixels, IN_THREADS)
        self._process = DecoderProcess(config.max_pixels, config.memory)

    def decoded(self, record: Record) -> Record:
        """*record* with what decoding its file tells; as it is where that cannot be done here. Raises `ImageError` for
        what is damaged, `NotStartedError` where nothing can be decoded, and OSError."""
        try:
            facts = self._facts(record)
        except NotStartedError:  # of no file anything would be known
            raise
        except ImageError as error:
            if error.reason in _NOT_HERE:
                return record
            raise
        kept = [word for word in record.warnings.split() if word in ("cut_off", "thumbnail")]  # not of the bytes
        told = " ".join((*facts.warnings, *kept))
        return replace(record, width=facts.width, height=facts.height, frames=facts.frames, warnings=told, verified="")

    def _facts(self, record: Record) -> Facts:
        if record.bytes <= max(LARGEST_IN_THREADS.values()):
            with suppress(CostlyError):
                return examine(self._store.body(record.path, record.bytes), strict=self._strict)
        return self._process.examine(self._store.root / record.path, strict=self._strict)

    def close(self) -> None:
        """End the process."""
        self._process.close()
