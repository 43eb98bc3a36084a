"""What every command shares: how it prints, how it fails, and the exit status that stands for each failure.

| status | means |
|---|---|
| 0 | done |
| 1 | the thing asked for failed |
| 2 | wrong usage, configuration or input |
| 3 | no daemon is there |
| 4 | the daemon refused: nothing happened |
| 5 | `status`: something is exposed or unknown |
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from grodtd.domain.errors import ConfigError, DataError, GrodtdError, Refused

console = Console()
errors = Console(stderr=True)

ConfigDir = Annotated[
    Path | None,
    typer.Option("--config", metavar="DIR", help="Configuration directory; default: the one that came with grodtd."),
]
Env = Annotated[str | None, typer.Option("--env", help="Lay DIR/<env>/ over DIR.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print data for programs.")]

EXTRA_OF = {
    "polars": "replay",
    "numba": "replay",
    "plotly": "replay",
    "bokeh_sampledata": "demo",
    "fastapi": "service",
    "starlette": "service",
    "uvicorn": "service",
    "httpx": "service",
}
"""Which extra brings a library that is not there."""


class Exit(IntEnum):
    """Exit statuses; they do not change."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NO_DAEMON = 3
    REFUSED = 4
    EXPOSED = 5


@contextmanager
def said_plainly() -> Iterator[None]:
    """Turn our errors into one message and an exit status; never a traceback at a user."""
    try:
        yield
    except (ConfigError, DataError, Refused) as error:
        lines = error.problems if isinstance(error, ConfigError) else [str(error)]
        fail(Exit.BAD_INPUT, *lines)
    except GrodtdError as error:
        fail(Exit.FAILED, str(error))
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRA_OF:
            raise
        fail(Exit.FAILED, f"{name} is not installed: pip install 'grodtd[{EXTRA_OF[name]}]'")
    except FileNotFoundError as error:
        fail(Exit.BAD_INPUT, f"{error.filename}: no such file or directory")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(Exit.FAILED, f"{where}{error.strerror or error}")


def fail(status: Exit, *lines: str) -> None:
    """Print what is wrong to stderr, a line each, and leave with a status. Raises: `typer.Exit`."""
    for line in lines:
        errors.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status) from None


def say(line: str) -> None:
    """Print a line of text as it is."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(data: Any) -> None:
    """Print data for programs."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n")


def screen_width() -> int:
    """Return how many characters a line may have: the terminal's, or plenty where a file or a pipe reads."""
    return console.width if console.is_terminal else 200
