"""How verbs speak to a running daemon: over its socket, with what goes wrong as words and an exit status."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from grodtd.cli_say import Exit, fail, print_json, said_plainly, screen_width
from grodtd.cli_state import state_dir

if TYPE_CHECKING:
    from grodtd.service.client import Client

Socket = Annotated[
    Path | None, typer.Option("--socket", metavar="PATH", help="The daemon's socket. Default: grodtd.sock in --state")
]
BracketId = Annotated[str, typer.Argument(metavar="ID", help="Name of the bracket, as `brackets` lists it.")]


@contextmanager
def asking(state: Path | None, socket: Path | None, *, as_json: bool) -> Iterator["Client"]:
    """Speak to the daemon; put what goes wrong into words and an exit status."""
    with said_plainly():
        from grodtd.service.client import Client, NoDaemon, Problem  # noqa: PLC0415 - an optional part

        path = socket or state_dir(state) / "grodtd.sock"
        try:
            with Client(path) as client:
                yield client
        except NoDaemon as error:
            _told(as_json, "no_daemon", str(error))
            fail(Exit.NO_DAEMON, str(error))
        except Problem as error:
            _told(as_json, error.code, str(error))
            fail(_exit_of(error), str(error))


def _told(as_json: bool, code: str, detail: str) -> None:
    if as_json:
        print_json({"error": {"code": code, "detail": detail}})


def _exit_of(problem: Any) -> Exit:
    if problem.status == 422:
        return Exit.BAD_INPUT
    if problem.status in (404, 409) or problem.code in ("stopping", "no_journal"):
        return Exit.REFUSED
    return Exit.FAILED


def present(data: Any, as_json: bool, lines: Iterable[RenderableType]) -> None:
    """Print an answer: as JSON, or its lines as a person reads them."""
    if as_json:
        print_json(data)
        return
    screen = Console(width=screen_width(), emoji=False)
    for line in lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
