"""Verbs that look: status, brackets, show, explain, reconcile, orphans. None changes a bracket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from grodtd.cli_ask import BracketId, Socket, asking, present
from grodtd.cli_say import AsJson, Exit, print_json, said_plainly, say, screen_width
from grodtd.cli_state import State
from grodtd.domain.errors import DataError


def status(state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Say what is protected, exposed or unknown. Exit status 5 when anything is exposed or unknown."""
    with asking(state, socket, as_json=json) as daemon:
        found = daemon.status()
        from grodtd.service.tables import status_lines  # noqa: PLC0415 - starts sooner without

        present(found, json, status_lines(found, screen_width()))
        if found["level"] == "alarm":
            raise typer.Exit(Exit.EXPOSED)


def brackets(
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over, too.")] = False,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """List the brackets."""
    with asking(state, socket, as_json=json) as daemon:
        found = daemon.brackets(ended=ended)["brackets"]
        from grodtd.service.tables import brackets_lines  # noqa: PLC0415 - starts sooner without

        present(found, json, brackets_lines(found, screen_width()))


def show(bracket_id: BracketId, state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Show one bracket, its plan and its orders."""
    with asking(state, socket, as_json=json) as daemon:
        found = daemon.bracket(bracket_id)
        from grodtd.service.tables import bracket_lines  # noqa: PLC0415 - starts sooner without

        present(found, json, bracket_lines(found))


def explain(
    bracket_id: BracketId,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Folder of a run, or a journal file; default: the daemon."),
    ] = None,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Tell one bracket's life in order: the fact, the rule that applied, the numbers, what followed."""
    if run is not None:
        with said_plainly():
            _print_story({"bracket_id": bracket_id, "lines": list(_story_of_run(run, bracket_id))}, json)
        return
    with asking(state, socket, as_json=json) as daemon:
        _print_story(daemon.story(bracket_id), json)


def _story_of_run(run: Path, bracket_id: str) -> Iterator[str]:
    from grodtd.bootstrap import journal_records  # noqa: PLC0415 - starts sooner without
    from grodtd.monitoring.explain import explain as tell_life  # noqa: PLC0415 - starts sooner without

    journal = run / "journal.db" if run.is_dir() else run
    if not journal.exists():
        raise DataError(
            f"{journal}: no journal there; --run takes the --out folder of a replay without --fast, which keeps none"
        )
    told = False
    for line in tell_life(journal_records(journal), bracket_id):
        told = True
        yield line
    if not told:
        raise DataError(f"{journal}: there is no bracket {bracket_id} in it")


def _print_story(story: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(story)
        return
    for line in story["lines"]:
        say(line)


def reconcile(state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Compare everything with the venue now."""
    with asking(state, socket, as_json=json) as daemon:
        found = daemon.reconcile()
        from grodtd.service.tables import compared_lines  # noqa: PLC0415 - starts sooner without

        present(found, json, compared_lines(found))
        if not found["complete"]:
            raise typer.Exit(Exit.FAILED)


def orphans(state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """List orders of ours without a bracket, and positions that nobody looks after."""
    with asking(state, socket, as_json=json) as daemon:
        found = daemon.reconcile()
        from grodtd.service.tables import compared_lines, orphan_lines  # noqa: PLC0415 - starts sooner without

        data = {name: found[name] for name in ("complete", "why", "orphans", "positions")}
        present(data, json, orphan_lines(found) if found["complete"] else compared_lines(found))
        if not found["complete"]:
            raise typer.Exit(Exit.FAILED)
