"""Prints the state machines' tables, and draws their diagrams into docs/design/state-machines.md.

    make tables

The page is made from the tables the code runs on, so it cannot say anything else; a test keeps the committed copy
current.
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from grodtd.execution import bracket_order_manager, oco_emulator, order_lifecycle

PAGE = Path(__file__).resolve().parent.parent / "docs" / "design" / "state-machines.md"
MACHINES: tuple[tuple[str, str, dict[Any, Any]], ...] = (
    ("One order", "grodtd/execution/order_lifecycle.py", order_lifecycle.TABLE),
    ("The exits of an open position", "grodtd/execution/oco_emulator.py", oco_emulator.TABLE),
    ("A bracket's life", "grodtd/execution/bracket_order_manager.py", bracket_order_manager.TABLE),
)
"""Title, file, table of each machine."""


def rows(table: dict[Any, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (state, meaning, next state, rule) of a table in its own order; the rule is empty where there is none."""
    for (state, meaning), result in table.items():
        if isinstance(result, tuple):
            yield _word(state), _word(meaning), _word(result[0]), result[1].__name__
        else:
            yield _word(state), _word(meaning), _word(result), ""


def _word(value: Enum) -> str:
    return value.name.lower()


def page() -> str:
    """Return the page: each machine as a diagram and as a table."""
    lines = [
        "# State machines",
        "",
        "Drawn from the code by `make tables`; do not edit. A report that has no row changes nothing: its bracket is",
        "frozen with the stop in place and compared with the venue.",
    ]
    for title, path, table in MACHINES:
        lines += ["", f"## {title}", "", f"`{path}`, {len(table)} rows.", "", "```mermaid", "stateDiagram-v2"]
        moves: dict[tuple[str, str], list[str]] = {}
        for state, meaning, after, _ in rows(table):
            if state != after:
                moves.setdefault((state, after), []).append(meaning)
        lines += [f"    {state} --> {after}: {', '.join(words)}" for (state, after), words in moves.items()]
        lines += ["```", "", "| state | what the facts mean | next | rule |", "|---|---|---|---|"]
        lines += [f"| {state} | {meaning} | {after} | {rule} |" for state, meaning, after, rule in rows(table)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the tables and write the page."""
    for title, path, table in MACHINES:
        print(f"\n{title} ({path})")
        for state, meaning, after, rule in rows(table):
            print(f"  {state:<12}{meaning:<18}-> {after:<12}{rule}")
    PAGE.write_text(page(), encoding="utf-8")
    print(f"\n{PAGE}")


if __name__ == "__main__":
    main()
