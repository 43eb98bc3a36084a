"""`grodtd journal`: what an operator does with a journal when no daemon helps. Nothing here changes a record."""

from pathlib import Path
from typing import Annotated

import typer

from grodtd.cli_say import AsJson, print_json, said_plainly, say
from grodtd.cli_state import State, state_dir

Place = Annotated[
    str | None,
    typer.Argument(metavar="[PATH|URL]", help="A SQLite file or a PostgreSQL URL. Default: journal.db in --state"),
]
JournalFile = Annotated[Path, typer.Argument(metavar="PATH", help="A SQLite file: journal.db of a state folder.")]

journal_app = typer.Typer(help="Check a journal, copy it, or put a damaged one aside.", no_args_is_help=True)


@journal_app.command()
def verify(place: Place = None, state: State = None, json: AsJson = False) -> None:
    """Check every record from the first to the last; also while a daemon writes. Exit status 1: it is damaged."""
    with said_plainly():
        from grodtd.bootstrap import verify_journal  # noqa: PLC0415 - starts sooner without

        journal = place or str(state_dir(state) / "journal.db")
        records, checksum, remarks = verify_journal(journal if "://" in journal else Path(journal))
        if json:
            print_json({"records": records, "checksum": checksum, "remarks": remarks})
            return
        for remark in remarks:
            say(f"- {remark}")
        where = "" if place else f"{journal}: "
        say(f"{where}{records} records, all intact; checksum of the last {checksum}")


@journal_app.command()
def backup(
    path: JournalFile, to: Annotated[Path, typer.Argument(metavar="COPY", help="Where to; nothing may be there yet.")]
) -> None:
    """Copy a SQLite journal whole, as of one moment, also while a daemon writes, and check the copy."""
    with said_plainly():
        from grodtd.bootstrap import backup_journal  # noqa: PLC0415 - starts sooner without

        backup_journal(path, to)
        say(f"{to}: a checked copy of {path}")


@journal_app.command("set-aside")
def set_aside(path: JournalFile) -> None:
    """Rename a journal that cannot be used; the next `grodtd run` begins a new one. Nothing is deleted."""
    with said_plainly():
        from grodtd.bootstrap import set_journal_aside  # noqa: PLC0415 - starts sooner without

        name = set_journal_aside(path)
        say(f"{path} is now {name}")
        say("A new journal knows no brackets: compare with the venue (grodtd orphans), and adopt what is held.")
