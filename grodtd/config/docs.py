"""What the schema says about every key, for people: the comments in `configs/` and the table in the documentation.

`python -m grodtd.config.docs docs/CONFIGURATION.md` writes the table anew between its two marks.
"""

import sys
from collections.abc import Iterator
from pathlib import Path as File

from grodtd.config.registry import FILE_OF, Each, Key, every_key, find
from grodtd.config.text import Path

BEGIN = "<!-- keys: written by `python -m grodtd.config.docs docs/CONFIGURATION.md` -->"
END = "<!-- end of keys -->"


def range_comment(key: Key) -> str:
    """Write what a key takes, as it stands in brackets in the shipped files.

    >>> range_comment(find(("trade_exit", "atr", "period")))
    '[a whole number from 1 to 1000; unit: bars; default: 14]'
    """
    parts = [key.allowed]
    if key.unit:
        parts.append(f"unit: {key.unit}")
    parts.append(f"default: {key.default}" if key.default else "no default")
    return f"[{'; '.join(parts)}]"


def documented() -> Iterator[tuple[Path, Key]]:
    """Yield every key once: a strategy's, a symbol's and the trade exit's own risk_reward stand elsewhere already."""
    for path, node in every_key():
        repeated = path[:2] in {
            ("trade_exit", "strategies"),
            ("trade_exit", "symbols"),
            ("trade_exit", "risk_reward"),
            ("instruments", "defaults"),
        }
        if isinstance(node, Key) and not repeated:
            yield path, node


def table() -> str:
    """Return the keys as Markdown, one table a file."""
    lines: list[str] = []
    file = ""
    for path, key in documented():
        if FILE_OF[path[0]] != file:
            file = FILE_OF[path[0]]
            lines += [
                "",
                f"### `{file}`",
                "",
                "| key | allowed | unit | default | what it is for |",
                "|---|---|---|---|---|",
            ]
        cells = (f"`{'.'.join(path)}`", key.allowed, key.unit, f"`{key.default}`" if key.default else "", key.why)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        if path[-1] == "day_rolls_at":
            for name in ("strategies", "symbols"):
                each = find(("trade_exit", name))
                assert isinstance(each, Each)
                lines.append(
                    f"| `trade_exit.{name}.{each.placeholder}` | a block under {each.allowed} | | | {each.why} |"
                )
    return "\n".join([BEGIN, *lines, "", END])


def renewed(page: str) -> str:
    """Return a page with the table between its marks written anew. Raises ValueError when the marks are not there."""
    before, after = page[: page.index(BEGIN)], page[page.index(END) + len(END) :]
    return before + table() + after


def main(path: str) -> None:
    """Write the table of a page anew, in place."""
    page = File(path)
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
