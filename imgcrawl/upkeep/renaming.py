"""Moves the files of a store to other names, so that at any moment the same command again ends as if it had not been
interrupted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

from imgcrawl.catalogue import Catalogue
from imgcrawl.exceptions import InputError
from imgcrawl.ownfiles import check_database
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.upkeep.renameplan import Move, RenamePlan

NOTES = ".rename.sqlite3"  # what is being moved, beside the images
BATCH = 100  # files that are moved together
VERSION = 1  # of what is written there
_WITHOUT = "without it, files whose renaming was interrupted may stay under two names"


class Renaming:
    """Moves files in *store*, and says so in *catalogue*. The store is this process's alone meanwhile.

    Each batch is written down, gets its new names beside the old ones, is noted in the catalogue in one step, and loses
    its old names. Where that was interrupted, a file whose row has its old name loses the new one, and one whose row
    has the new name the old one; what a crawl has stored under one of them since stays. Thumbnails go with their files.
    Raises OSError, what a catalogue does, and `InputError` for notes that cannot be used.
    """

    def __init__(self, catalogue: Catalogue, store: FileStore) -> None:
        self.catalogue = catalogue
        self.store = store
        self.moved = 0
        self.failed: dict[Move, str] = {}  # what could not be moved, and why
        self._notes_file = store.root / NOTES
        check_database(self._notes_file, f"the notes of a renaming; remove it: {_WITHOUT}")
        with self._telling_of_notes():
            self._notes = sqlite3.connect(self._notes_file, isolation_level=None)
        try:
            for old, new, checksum, thumbnails in self._noted():
                self._recover(old, new, checksum, [(str(small), str(other)) for small, other in json.loads(thumbnails)])
            self._note([])
        except BaseException:
            self._notes.close()
            raise

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
            self._move([_Step(move.between, move.new, move) for move in batch if move not in self.failed], plan)
            yield
        others = plan.other_names()
        while names := list(islice(others, BATCH)):
            self.catalogue.rename([], names)
            yield

    def _is_blocked(self, move: Move) -> bool:
        """Whether what has its new name, or one of its thumbnails', has to move first."""
        if not self.store.is_gone(move.new) and self.store.checksum(move.new) != move.checksum:
            return True
        thumbnails = self._thumbnail_names(move.old, move.new)
        return any((there := self.store.stat(new)) and there != self.store.stat(small) for small, new in thumbnails)

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
        except (FileNotFoundError, FileExistsError) as error:
            # Another file with these bytes may have had the same name between, and gone on with it.
            if self.store.checksum(step.target) != step.move.checksum:
                is_gone = isinstance(error, FileNotFoundError)
                self.failed[step.move] = "it is gone" if is_gone else f"another file is called {step.target}"
                return False
        for small, new in self._thumbnails(step):
            self.store.remove(new)  # as a crawl does, which makes one anew
            self.store.link(small, new)
        return True

    def _thumbnails(self, step: _Step) -> list[tuple[str, str]]:
        """The thumbnails of a file, each with its new name."""
        return [(small, new) for small, new in self._thumbnail_names(*step[:2]) if self.store.stat(small)]

    def _thumbnail_names(self, *names: str) -> Iterator[tuple[str, str]]:
        """What the thumbnails of a file with two *names* may be called, as one and as the other."""
        for small, new in zip(*map(self.store.thumbnails_of, names), strict=True):
            if small != new:
                yield small, new

    def _remove(self, name: str, thumbnails: Iterable[tuple[str, str]]) -> None:
        for each in (name, *(small for small, _ in thumbnails)):
            self.store.remove(each)
            self.store.remove_empty_folders(each)

    # What is being moved, and what was when somebody interrupted it

    @contextmanager
    def _telling_of_notes(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"{self._notes_file} cannot be read or written ({error}); expected a file that can be, or none: "
                f"{_WITHOUT}"
            ) from error

    def _noted(self) -> list[tuple[str, str, str, str]]:
        with self._telling_of_notes():
            (version,) = self._notes.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise InputError(
                f"{self._notes_file} is of version {version}, from a later release of imgcrawl; expected {VERSION}: end"
                " the renaming with that release"
            )
        with self._telling_of_notes():
            self._notes.execute("CREATE TABLE IF NOT EXISTS moves (old TEXT, new TEXT, checksum TEXT, thumbnails TEXT)")
            self._notes.execute(f"PRAGMA user_version = {VERSION}")
            return self._notes.execute("SELECT old, new, checksum, thumbnails FROM moves").fetchall()

    def _note(self, steps: Iterable[tuple[str, str, str, str]]) -> None:
        with self._telling_of_notes():
            self._notes.execute("BEGIN")
            self._notes.execute("DELETE FROM moves")
            self._notes.executemany("INSERT INTO moves VALUES (?, ?, ?, ?)", steps)
            self._notes.execute("COMMIT")

    def _recover(self, old: str, new: str, checksum: str, thumbnails: list[tuple[str, str]]) -> None:
        """End a step that was interrupted, forwards or backwards."""
        is_noted = self.catalogue.has_file(new, checksum)
        if not self.catalogue.has_file(old, checksum):
            if is_noted:
                self._end(old, new, checksum, thumbnails)
        elif not is_noted and self.store.checksum(new) == checksum:
            for was, now in (*thumbnails, (old, new)):
                if self.store.is_gone(was):  # where there are no hard links
                    with suppress(FileNotFoundError):
                        self.store.link(now, was)
                elif self.store.stat(was) == self.store.stat(now):
                    self.store.remove(now)
                    self.store.remove_empty_folders(now)

    def _end(self, old: str, new: str, checksum: str, thumbnails: list[tuple[str, str]]) -> None:
        """Take *old* from a file that the catalogue knows as *new*."""
        if self.store.checksum(old) == checksum:
            for was, now in ((old, new), *thumbnails):
                if self.store.is_gone(now):  # a power cut has taken it
                    with suppress(FileNotFoundError):
                        self.store.link(was, now)
            if self.store.checksum(new) == checksum:
                self.store.remove(old)
        for small, other in thumbnails:
            if self.store.stat(small) == self.store.stat(other):
                self.store.remove(small)
        for name in (old, *(small for small, _ in thumbnails)):
            self.store.remove_empty_folders(name)


class _Step(NamedTuple):
    source: str
    target: str
    move: Move
