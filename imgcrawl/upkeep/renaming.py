"""Moves the files of a store to other names, so that at any moment the same command again ends as if it had not been
interrupted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

from imgcrawl.catalogue import Catalogue
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.upkeep.renameplan import Move, RenamePlan

NOTES = ".rename.sqlite3"  # what is being moved, beside the images
BATCH = 100  # files that are moved together


class Renaming:
    """Moves files in *store*, and says so in *catalogue*. The store is this process's alone meanwhile.

    Each batch is written down, gets its new names beside the old ones, is noted in the catalogue in one step, and loses
    its old names. Where that was interrupted, a file whose row has its old name loses the new one, and one whose row
    has the new name the old one. Thumbnails go with their files. Raises OSError, `sqlite3.Error` and what a catalogue
    does.
    """

    def __init__(self, catalogue: Catalogue, store: FileStore) -> None:
        self.catalogue = catalogue
        self.store = store
        self.moved = 0
        self.failed: list[tuple[str, str]] = []  # files, and the names that they could not get
        self._notes_file = store.root / NOTES
        self._notes = sqlite3.connect(self._notes_file, isolation_level=None)
        self._notes.execute("CREATE TABLE IF NOT EXISTS moves (old TEXT, new TEXT, checksum TEXT, thumbnails TEXT)")
        self._recover()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._notes.close()
        if error is None:
            for suffix in ("", "-journal"):
                Path(f"{self._notes_file}{suffix}").unlink(missing_ok=True)

    def carry_out(self, plan: RenamePlan) -> Iterator[None]:
        """Do what *plan* says; gives a turn to whoever shows progress."""
        moves = plan.moves()
        while batch := list(islice(moves, BATCH)):
            blocked = [move for move in batch if self._is_blocked(move)]
            plan.note_waiting(blocked)
            self._move([_Step(move.old, move.between, move) for move in blocked if move.old != move.between])
            self._move([_Step(move.old, move.new, move) for move in batch if move not in blocked], plan)
            yield
        waiting = plan.moves(waiting=True)
        while batch := list(islice(waiting, BATCH)):
            self._move([_Step(move.between, move.new, move) for move in batch], plan)
            yield
        others = plan.other_names()
        while names := list(islice(others, BATCH)):
            self.catalogue.rename([], names)
            yield

    def _is_blocked(self, move: Move) -> bool:
        return not self.store.is_gone(move.new) and self.store.checksum(move.new) != move.checksum

    def _move(self, steps: Sequence[_Step], plan: RenamePlan | None = None) -> None:
        """Take *steps*; with a *plan* they are the last ones of their files."""
        written = [(*step[:2], step.move.checksum, json.dumps(self._thumbnails(step))) for step in steps]
        self._note(written)
        done = [step for step in steps if self._link(step)]
        self.store.sync(step.target for step in done)
        names = plan.names_of([step.move for step in done]) if plan else ()
        self.catalogue.rename([(step.move.checksum, *step[:2]) for step in done], names)
        for step in done:
            self._remove(step.source, self._thumbnails(step))
        self.moved += len(done) if plan else 0

    def _link(self, step: _Step) -> bool:
        try:
            self.store.link(step.source, step.target)
        except FileNotFoundError:
            self.failed.append((step.source, step.target))
            return False
        except FileExistsError:
            if self.store.checksum(step.target) != step.move.checksum:
                self.failed.append((step.source, step.target))
                return False
        for small, new in self._thumbnails(step):
            self.store.remove(new)  # as a crawl does, which makes one anew
            self.store.link(small, new)
        return True

    def _thumbnails(self, step: _Step) -> list[tuple[str, str]]:
        """The thumbnails of a file, each with its new name."""
        pairs = zip(*(self.store.thumbnails_of(name) for name in step[:2]), strict=True)
        return [(small, other) for small, other in pairs if small != other and self.store.stat(small)]

    def _remove(self, name: str, thumbnails: Iterable[tuple[str, str]]) -> None:
        for each in (name, *(small for small, _ in thumbnails)):
            self.store.remove(each)
            self.store.remove_empty_folders(each)

    def _note(self, steps: Iterable[tuple[str, str, str, str]]) -> None:
        self._notes.execute("BEGIN")
        self._notes.execute("DELETE FROM moves")
        self._notes.executemany("INSERT INTO moves VALUES (?, ?, ?, ?)", steps)
        self._notes.execute("COMMIT")

    def _recover(self) -> None:
        """End what was interrupted, forwards or backwards."""
        for old, new, checksum, thumbnails in self._notes.execute("SELECT * FROM moves").fetchall():
            pairs = [(str(small), str(other)) for small, other in json.loads(thumbnails)]
            is_noted = self.catalogue.has_file(new, checksum)
            if not self.catalogue.has_file(old, checksum):
                if is_noted and self.store.stat(new):
                    self._remove(old, pairs)
            elif not is_noted:
                for was, now in ((old, new), *pairs):
                    if self.store.is_gone(was):  # where there are no hard links
                        with suppress(FileNotFoundError):
                            self.store.link(now, was)
                    elif self.store.stat(was) == self.store.stat(now):
                        self.store.remove(now)
                        self.store.remove_empty_folders(now)
        self._note([])


class _Step(NamedTuple):
    source: str
    target: str
    move: Move
