"""How benchmarks print: ours, what it is held against, the ratio, the spread."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One figure. `rounds` are all measurements, for the spread."""

    what: str
    value: float
    unit: str
    against: float | None = None
    against_what: str = ""
    rounds: list[float] = field(default_factory=list)


def show(title: str, rows: list[Row]) -> None:
    """Print a table of figures."""
    print(f"\n{title}")
    for row in rows:
        line = f"  {row.what:<34}{row.value:>14,.0f} {row.unit}"
        if row.against:
            line += f"   {row.against_what} {row.against:,.0f}   ratio {row.value / row.against:.2f}"
        if len(row.rounds) > 1:
            line += f"   ({min(row.rounds):,.0f} to {max(row.rounds):,.0f})"
        print(line, flush=True)
