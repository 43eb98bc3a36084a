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

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from grodtd.domain.errors import ConfigError, DataError, GrodtdError, Refused

console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)

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
    "dask": "cluster",
    "distributed": "cluster",
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


REMEDIES = {
    errno.ENOSPC: "free space there, then run it again",
    errno.EDQUOT: "free space there, then run it again",
    errno.EROFS: "name a place that can be written to",
    errno.EACCES: "name a place that you may use",
    errno.EEXIST: "a file is in the way: name a folder",
    errno.ENOTDIR: "a file is in the way: name a folder",
}
"""What to do about an error of the file system."""


STOPPED = 130
"""Exit status after Ctrl-C, as shells have it; `run` and `sweep` end in order instead."""


@contextmanager
def said_plainly(writing: Path | None = None) -> Iterator[None]:
    """Turn our errors into one message and an exit status; never a traceback at a user.

    `writing`: the folder the command writes to, for errors that name no file, as that of a full disk.
    """
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
    except KeyboardInterrupt:
        errors.print("stopped", style="red")
        raise typer.Exit(STOPPED) from None
    except FileNotFoundError as error:
        fail(Exit.BAD_INPUT, f"{error.filename}: no such file or directory")
    except OSError as error:
        where = error.filename or (writing if error.strerror else None)
        remedy = REMEDIES.get(error.errno or 0)
        words = f"{error.strerror or error}{f'; {remedy}' if remedy else ''}"
        fail(Exit.FAILED, f"{where}: {words}" if where else words)


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


class Bar:
    """A progress bar that shows itself only when the work is long and somebody is watching."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("reading", total=1.0)

    def __call__(self, stage: str, fraction: float) -> None:
        """Move it: `fraction` of `stage` is done."""
        self._progress.update(self._task, description=stage, completed=fraction)


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """Show a progress bar while the work lasts, if somebody is watching."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        yield Bar(progress)


def positive(text: str, name: str) -> Decimal:
    """Read a number above 0. Raises: DataError naming the option."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise DataError(f"{name} {text!r} is not a number") from None
    if not value.is_finite() or value <= 0:
        raise DataError(f"{name} {text} must be above 0")
    return value


def seconds(text: str, name: str) -> int:
    """Read a length of time with its unit, such as 5m. Raises: DataError naming the option."""
    from grodtd.config.fields import parse_duration  # noqa: PLC0415 - few commands need it

    try:
        return parse_duration(text)
    except ValueError:
        raise DataError(f"{name} {text!r} is not a length of time with its unit: 30s, 5m, 1h, 1d") from None
