"""How a benchmark says what it found: `Row`s, printed by `show`, and kept for RESULTS.md when `run_all` asks for it."""

import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

KEEP_IN = "BENCH_ROWS"
"""Environment variable: the file `show` adds its rows to, a JSON object a line."""


@dataclass(frozen=True)
class Row:
    """One figure, what it is held against, and all its rounds for the spread."""

    what: str
    value: float
    unit: str
    against: float | None = None
    against_what: str = ""
    rounds: list[float] = field(default_factory=list)
    goal: str = ""
    """Key of the goal (`benchmarks.goals`) this figure answers."""
    series: str = ""
    """Growth: "figure/line" of the curve this is a point of, e.g. "quotes/plain"."""
    x: float | None = None
    """Growth: how many (brackets, bars held, settings)."""
    memory_mb: float | None = None
    """Most memory the process had held by then, MB."""

    @property
    def ratio(self) -> float | None:
        """Ours over what it is held against."""
        return self.value / self.against if self.against else None


def show(title: str, rows: list[Row]) -> None:
    """Print a table of figures, and keep it where `KEEP_IN` says."""
    print(f"\n{title}")
    for row in rows:
        line = f"  {row.what:<38}{number(row.value):>14} {row.unit}"
        if row.against:
            line += f"   {row.against_what} {number(row.against)}   ratio {row.ratio:.2f}"
        if len(row.rounds) > 1:
            line += f"   ({number(min(row.rounds))} to {number(max(row.rounds))})"
        print(line, flush=True)
    path = os.environ.get(KEEP_IN)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"title": title, **asdict(row)}) + "\n" for row in rows)


def kept(path: Path) -> list[tuple[str, list[Row]]]:
    """Return what `show` kept in a file: titles and their rows, in order."""
    tables: dict[str, list[Row]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        fields = json.loads(line)
        tables.setdefault(fields.pop("title"), []).append(Row(**fields))
    return list(tables.items())


def number(value: float) -> str:
    """Write a figure with as many digits as it deserves.

    >>> [number(each) for each in (0.1234, 12.345, 123.4, 1234567.8)]
    ['0.123', '12.3', '123', '1,234,568']
    """
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rates(
    work: Callable[[], object], units: float, rounds: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Units a second in each of several rounds; one before them is thrown away. CPU seconds, unless `clock` is another.

    CPU seconds of this process do not count whatever else the machine does; two threads need `time.perf_counter`.
    """
    work()
    found = []
    for _ in range(rounds):
        began = clock()
        work()
        found.append(units / (clock() - began))
    return found


def median_row(what: str, rounds: list[float], unit: str, **about: object) -> Row:
    """Return the row of the median of `rounds`."""
    return Row(what, statistics.median(rounds), unit, rounds=rounds, **about)  # type: ignore[arg-type]


def peak_mb() -> float:
    """Most memory this process has held so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
