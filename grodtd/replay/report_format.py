"""Numbers and small pieces of HTML as the report writes them. Text from outside passes through `escaped`."""

import html
from collections.abc import Iterable

from grodtd.replay.prices import DAY_NS

MINUS = "\u2212"
"""As wide as a plus sign, unlike a hyphen."""

NONE = "\u2013"
"""Stands where there is no figure."""

SPACE = "\u00a0"
"""Keeps a number and its unit on one line."""

INTERVALS = (
    ("day", DAY_NS),
    ("hour", 3_600_000_000_000),
    ("minute", 60_000_000_000),
    ("second", 1_000_000_000),
    ("millisecond", 1_000_000),
    ("nanosecond", 1),
)
DURATIONS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))
"""(unit, its seconds, unit of the rest, its seconds)."""


def escaped(text: object) -> str:
    """Return text that is safe as HTML content and as an attribute's value.

    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(str(text), quote=True)


def money(value: float | None) -> str:
    """Return an amount in quote currency with thousands, and as many decimals as its size deserves.

    >>> money(1234567.8), money(12.5), money(0.00012)
    ('1,234,568', '12.50', '0.00012')
    """
    if value is None:
        return NONE
    size = abs(value)
    if size >= 100_000:
        text = f"{size:,.0f}"
    elif size >= 1 or not size:
        text = f"{size:,.2f}"
    else:
        text = f"{size:.6f}".rstrip("0").removesuffix(".")
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def r_text(value: float | None, unit: str = f"{SPACE}R") -> str:
    """Return an R with its sign and two decimals; zero has no sign."""
    if value is None:
        return NONE
    text = f"{abs(value):,.2f}"
    sign = "" if not text.strip("0.,") else MINUS if value < 0 else "+"
    return f"{sign}{text}{unit}"


def figure(value: float | None) -> str:
    """Return a plain figure with two decimals."""
    return NONE if value is None else f"{value:,.2f}"


def percent(value: float | None) -> str:
    """Return a share of one as a percentage with one decimal."""
    return NONE if value is None else f"{100 * value:.1f}{SPACE}%"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    >>> counted(1, "bracket"), counted(2000, "entry", "entries")
    ('1 bracket', '2,000 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def interval(interval_ns: int) -> str:
    """Return a bar's length in a trader's words.

    >>> interval(86_400_000_000_000), interval(300_000_000_000), interval(250_000_000)
    ('daily', '5-minute', '250-millisecond')
    """
    if interval_ns == DAY_NS:
        return "daily"
    word, unit = next((word, unit) for word, unit in INTERVALS if interval_ns % unit == 0)
    return f"{interval_ns // unit:,}-{word}"


def duration(seconds: float | None) -> str:
    """Return a time span in its two largest units.

    >>> duration(93_600), duration(5_400), duration(12.5)
    ('1 d 2 h', '1 h 30 min', '12.5 s')
    """
    if seconds is None:
        return NONE
    for unit, size, small, part in DURATIONS:
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size):,} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.3g} s"


def tone(value: float | None) -> str:
    """Return the style of a gain or a loss; nothing for zero and for no figure."""
    return "" if not value else "gain" if value > 0 else "loss"


def mono(text: str) -> str:
    """Return a digest in a typewriter's letters."""
    return f'<span class="mono">{escaped(text or NONE)}</span>'


def items(texts: Iterable[str]) -> str:
    """Return plain texts as list items."""
    return "".join(f"<li>{escaped(text)}</li>" for text in texts)


def pairs(name: str, found: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and values of style `name`; values are HTML, escaped where they were made."""
    made = "".join(f"<div><dt>{escaped(words)}</dt><dd>{value}</dd></div>" for words, value in found)
    return f'<dl class="{name}">{made}</dl>'


def table(columns: Iterable[tuple[str, str]], rows: Iterable[str]) -> str:
    """Return a table from (heading, style) of each column and rows as HTML."""
    head = "".join(f'<th scope="col"{styled(style)}>{escaped(words)}</th>' for words, style in columns)
    body = "\n".join(rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def cell(content: str, style: str = "num") -> str:
    """Return a table cell; `content` is HTML, escaped where it was made."""
    return f"<td{styled(style)}>{content}</td>"


def styled(style: str) -> str:
    """Return a class attribute; nothing for no style."""
    return f' class="{style.strip()}"' if style.strip() else ""
