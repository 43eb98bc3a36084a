"""Where a daemon keeps what it must not lose: the option `--state`, and what it means when nobody gives it."""

import os
from pathlib import Path
from typing import Annotated

import typer

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        envvar="GRODTD_STATE",
        help="Where the daemon keeps journal, paper account and socket. Default: ~/.local/state/grodtd",
    ),
]


def state_dir(given: Path | None) -> Path:
    """Return the state folder: the one given, else `grodtd` where this user's programs keep their state."""
    if given is not None:
        return given
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "grodtd"
