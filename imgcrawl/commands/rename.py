"""`scrapy rename`: stored files get the names that today's IMAGES_NAME gives."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from scrapy.commands import ScrapyCommand
from scrapy.spiderloader import get_spider_loader

from imgcrawl.catalogue import open_catalogue
from imgcrawl.catalogue.opening import local_store
from imgcrawl.commands.base import BaseCommand, complain, say
from imgcrawl.commands.progress import CommandProgress
from imgcrawl.exceptions import InputError, describe
from imgcrawl.exitcodes import ExitCode
from imgcrawl.pipelines.stores import FileStore

if TYPE_CHECKING:
    from imgcrawl.catalogue import Catalogue
    from imgcrawl.upkeep.naming import Naming
    from imgcrawl.upkeep.renameplan import RenamePlan


class Command(BaseCommand, ScrapyCommand):
    """Exit code 0: all files are called as they should be, or, with --simulate, could be; 1: some are not there, or
    could not be moved, each told; 2: bad input."""

    def syntax(self) -> str:
        return "[--simulate] <spider>"

    def short_desc(self) -> str:
        return "Move stored files to the names that IMAGES_NAME gives now"

    def long_desc(self) -> str:
        return (
            "Moves the files of a spider's galleries, and their thumbnails, to where a crawl with today's IMAGES_NAME "
            "(VIDEOS_NAME) would put them, and notes it in the catalogue: the next crawl asks for none of them. No "
            "other file is replaced; what another spider's galleries had shown first stays; a name that is taken gets "
            "a part of the checksum, as in a crawl. One that was "
            "interrupted is begun again. {filename} is the last part of the address: what the server called a file is "
            "not known. IMAGES_STORE has to be a folder that no crawl uses meanwhile. "
            "Example: scrapy rename pximg --simulate -s 'IMAGES_NAME={spider}/{index:04}-{name}'"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--simulate", action="store_true", help="tell what would be moved, and move nothing")

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        from imgcrawl.upkeep.naming import Naming, fields_of, settings_of  # noqa: PLC0415 -- no crawl needs it

        name = self.spider_name("rename", args)
        spider = get_spider_loader(self.project_settings).load(name)
        settings = settings_of(spider, self.project_settings)
        root = local_store(settings)
        if root is None:
            raise InputError(
                f"IMAGES_STORE={settings['IMAGES_STORE']}: files of a store that is no folder are not renamed; "
                "expected a folder"
            )
        if not root.is_dir():
            raise InputError(
                f"IMAGES_STORE={settings['IMAGES_STORE']}: there is no such folder; expected that of a crawl"
            )
        store = FileStore(root)
        with closing(open_catalogue(settings, must_exist=True)) as catalogue:
            # A list's columns are fields, too, which only what was made of it tells.
            with CommandProgress(lambda: f"reading the galleries of {name}"):
                naming = Naming(settings, name, fields_of(catalogue.galleries(name)))
            store.durable = naming.durable
            try:
                return self._rename(catalogue, store, naming, simulate=opts.simulate)
            except OSError as error:
                if isinstance(error, BrokenPipeError):  # of stdout
                    raise
                complain(f"{root} cannot be written to: {describe(error)}; the same command again goes on")
                return ExitCode.FAILED

    def _rename(self, catalogue: Catalogue, store: FileStore, naming: Naming, *, simulate: bool) -> int:
        from imgcrawl.upkeep.renameplan import RenamePlan  # noqa: PLC0415 -- the same

        with RenamePlan(catalogue, store, naming) as plan:
            if simulate:
                moved, failed = _simulate(plan), 0
            else:
                store.staging.open(alone=True)
                try:
                    moved, failed = _carry_out(catalogue, store, plan)
                finally:
                    store.staging.close()
            gone = 0
            for gone, old in enumerate(plan.gone(), 1):  # noqa: B007 -- counted
                complain(f"{old} is not there: scrapy audit --retry has it fetched again")
            for old, new in plan.stuck():
                failed += 1
                complain(
                    f"{old} cannot be called {new}: a folder of that is a link or no folder, or all names are taken"
                )
            for media, count in plan.unknown.items():
                failed += count
                complain(
                    f"{count:,} galleries whose images are in the fields {media} are left as they are: no pipeline of"
                    " ITEM_PIPELINES works on these (IMAGES_URLS_FIELD, IMAGES_RESULT_FIELD)"
                )
            for other, count in (+plan.others).items():
                complain(
                    f"{count:,} images are left where {other} has them, whose galleries showed them first:"
                    f" scrapy rename {other} moves these"
                )
            right = plan.count()
        verb = "would be renamed" if simulate else "renamed"
        told = f"{moved:,} files {verb}, {right:,} have their names already"
        complain(f"{told}, {gone:,} are not there" if gone else told)
        return ExitCode.FAILED if gone or failed else ExitCode.DONE


def _simulate(plan: RenamePlan) -> int:
    _read(plan)
    moved = 0
    for move in plan.moves():
        say(f"{move.old} -> {move.new}")
        moved += 1
    return moved


def _carry_out(catalogue: Catalogue, store: FileStore, plan: RenamePlan) -> tuple[int, int]:
    """How many files have been moved, and how many could not be."""
    from imgcrawl.upkeep.renaming import Renaming  # noqa: PLC0415 -- the same

    with Renaming(catalogue, store) as renaming:  # which first ends what was interrupted
        _read(plan)
        with CommandProgress(lambda: f"{renaming.moved:,} files renamed"):
            for _ in renaming.carry_out(plan):
                pass
    for move, reason in renaming.failed.items():
        complain(f"{move.old} could not be called {move.new}: {reason}")
    return renaming.moved, len(renaming.failed)


def _read(plan: RenamePlan) -> None:
    read = 0
    with CommandProgress(lambda: f"{read:,} images looked up"):
        for read in plan.read():  # noqa: B007 -- told by progress
            pass
