"""The parts of the report that need no script: its head, figures, warnings, tables and assumptions, as HTML.

All text from outside (symbol, paths, remarks, reasons) passes through `escaped`.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grodtd.replay.prices import DAY_NS, iso_ms
from grodtd.replay.report_figures import Distribution

MINUS = "\u2212"
NONE = "\u2013"

MODEL_WORDS = {
    "pessimistic": "where a bar touches both, the stop is taken first",
    "optimistic": "where a bar touches both, the target is taken first",
    "path": "a bar is walked from its open to the nearer extreme, the farther one, and its close",
}

SHOWN_WARNINGS = 6
"""Warnings listed at once; the rest unfold."""

SHOWN_IDS = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What the words are made from."""

    title: str
    first_ns: int
    last_ns: int
    interval_ns: int
    bar_count: int
    summary: Mapping[str, Any]
    """As `summary.summary_json` returns it."""
    remarks: tuple[str, ...]
    version: str


def escaped(text: object) -> str:
    """Return text that is safe as HTML content and as an attribute's value."""
    return html.escape(str(text), quote=True)


def masthead(facts: Facts) -> str:
    """Return the title and what was replayed on what."""
    run = facts.summary
    exits = f"{run['brackets']:,} bracket{_s(run['brackets'])}"
    lead = f"{span(facts)} UTC, {facts.bar_count:,} {interval(facts.interval_ns)} bars, {exits}"
    entries = run["entries"]
    items = [
        ("Entries", f"{_short_path(entries['source'])} ({entries['count']:,})"),
        ("Fill model", run["fill_model"]),
        ("Prices", _short_path(run["prices"]["path"])),
        ("Input SHA-256", _mono(_first(run["prices"]["sha256"]))),
        ("Configuration", _mono(_first(run["config_fingerprint"]))),
    ]
    return f"<h1>{escaped(facts.title)}</h1>\n<p class=\"lead\">{escaped(lead)}</p>\n{_facts_list('facts', items)}"


def figures(facts: Facts) -> str:
    """Return the row of key figures."""
    run = facts.summary
    open_ = run["open"]
    even = run["count"] - run["wins"] - run["losses"]
    ambiguous = f"fills the model decided, in {run['ambiguous_bars']:,} bar{_s(run['ambiguous_bars'])}"
    if run["ambiguous_exits"]:
        ambiguous = f'<a href="#brackets" data-remark="ambiguous">{escaped(ambiguous)}</a>'
    cards = [
        ("Closed brackets", f"{run['count']:,}", "", f"{open_['count']:,} open at the end"),
        (
            "Win rate",
            _percent(run["win_rate"]),
            "",
            f"{run['wins']:,} won, {run['losses']:,} lost" + (f", {even:,} even" if even else ""),
        ),
        ("Expectancy", _r(run["expectancy_r"]), _tone(run["expectancy_r"]), f"win {_r(run['avg_win_r'])}, loss {_r(run['avg_loss_r'])}"),
        ("Profit factor", _plain(run["profit_factor"]), "", f"gross {money(run['gross_profit'])} to {money(-run['gross_loss'])}"),
        ("Total", _r(run["total_r"]), _tone(run["total_r"]), f"best {_r(run['best_r'])}, worst {_r(run['worst_r'])}"),
        ("P&L after fees", money(run["pnl"]), _tone(run["pnl"]), f"open: {money(open_['pnl'])} marked" if open_["count"] else "nothing open"),
        ("Max drawdown", _r(-run["max_drawdown_r"]), _tone(-run["max_drawdown_r"]), "below the highest so far"),
        ("Ambiguous exits", f"{run['ambiguous_exits']:,}", "", ambiguous),
    ]
    made = "\n".join(_card(*card) for card in cards)
    return f'<dl class="figures" id="figures" aria-label="Key figures of the closed brackets">\n{made}\n</dl>'


def warnings(facts: Facts) -> str:
    """Return the panel of what may mislead; empty when there is nothing to say."""
    said = warning_texts(facts)
    if not said:
        return ""
    shown, rest = said[:SHOWN_WARNINGS], said[SHOWN_WARNINGS:]
    more = f"<details><summary>{len(rest):,} more</summary><ul>{_items(rest)}</ul></details>" if rest else ""
    return (
        '<section class="panel warnings" aria-labelledby="warnings-title">\n'
        f'<h2 id="warnings-title">Before you trust these figures</h2>\n<ul>{_items(shown)}</ul>{more}\n</section>'
    )


def warning_texts(facts: Facts) -> list[str]:
    """Return the warnings as plain sentences: what was said while reading, splits, and what the figures leave out."""
    run = facts.summary
    splits = {split["text"] for split in run["split_warnings"]}
    said = [remark for remark in dict.fromkeys([*facts.remarks, *run["remarks"]]) if remark not in splits]
    for split in run["split_warnings"]:
        touched = list(split["brackets"])
        ids = ", ".join(touched[:SHOWN_IDS]) + (f" and {len(touched) - SHOWN_IDS:,} more" if len(touched) > SHOWN_IDS else "")
        said.append(split["text"] + (f". Brackets it touches: {ids}." if touched else ". It touches no bracket."))
    entries = run["entries"]
    if entries["dropped"]:
        said.append(f"{entries['dropped']:,} bad row{_s(entries['dropped'])} of the entries left out.")
    if entries["refused"]:
        said.append(f"{entries['refused']:,} entr{'y' if entries['refused'] == 1 else 'ies'} refused by the limits; see refused.csv.")
    if run["fallback"]:
        share = _percent(run["fallback"] / run["count"])
        said.append(f"{run['fallback']:,} closed bracket{_s(run['fallback'])} ({share}) had no ATR: the stop is the fallback percentage.")
    if run["without_r"]:
        said.append(f"{run['without_r']:,} closed bracket{_s(run['without_r'])} planned no risk (stop on the wrong side, or at the entry): in no figure in R.")
    return said


def equity_note(facts: Facts) -> str:
    """Return the sentence above the equity curve."""
    open_ = facts.summary["open"]
    note = "Sum of R at each bracket's last exit; shaded: below the highest so far."
    if open_["count"]:
        note += f" {open_['count']:,} still open, marked at {_r(open_['r'])}: not in it."
    return escaped(note)


def equity_label(facts: Facts) -> str:
    """Return what a screen reader says of the equity curve."""
    run = facts.summary
    return escaped(f"Equity in R over {span(facts)}: ends at {_r(run['total_r'])}, deepest drawdown {_r(-run['max_drawdown_r'])}.")


def distribution_note(facts: Facts) -> str:
    """Return the sentence above the distribution of R."""
    return escaped(f"{facts.summary['count'] - facts.summary['without_r']:,} closed brackets, before fees.")


def distribution_label(spread: Distribution) -> str:
    """Return what a screen reader says of the distribution."""
    if not len(spread.count):
        return "Distribution of R: no closed brackets."
    most = int(spread.count.argmax())
    return escaped(
        f"Distribution of R over {int(spread.count.sum()):,} brackets: most, {int(spread.count[most]):,}, "
        f"about {_r(float(spread.centre[most]))}."
    )


def exits(facts: Facts) -> str:
    """Return the tables of exits by reason, of fill models and of time in a trade."""
    run = facts.summary
    total = sum(figures_["exits"] for figures_ in run["by_exit_reason"].values())
    by_count = sorted(run["by_exit_reason"].items(), key=lambda item: (-item[1]["exits"], item[0]))
    reasons = "\n".join(
        f'<tr><th scope="row"><a href="#brackets" data-reason="{escaped(reason)}">{escaped(reason)}</a></th>'
        + _num(f"{found['exits']:,}")
        + _num(_percent(found["exits"] / total))
        + _num(_r(found["r"], unit=False), _tone(found["r"]))
        + _num(_r(found["r"] / found["exits"], unit=False), _tone(found["r"]))
        + _num(money(found["pnl"]), _tone(found["pnl"]))
        + "</tr>"
        for reason, found in by_count
    )
    nothing = '<tr><td colspan="6" class="muted">No bracket was closed.</td></tr>'
    return f"""<h2 id="exits-title">Exits by reason</h2>
<p class="note">{escaped(_held(run["time_in_trade"]))}</p>
<div class="scroll"><table><thead><tr><th scope="col">Reason</th><th scope="col" class="num">Exits</th><th scope="col" class="num">Share</th><th scope="col" class="num">R</th><th scope="col" class="num">R an exit</th><th scope="col" class="num">P&amp;L</th></tr></thead>
<tbody>
{reasons or nothing}
</tbody></table></div>
{_models(run)}"""


def _models(run: Mapping[str, Any]) -> str:
    found: Mapping[str, float | None] = run["pnl_by_fill_model"]
    if not found:
        return ""
    chosen = found.get(run["fill_model"])
    lines = []
    for model, pnl in found.items():
        gap = None if pnl is None or chosen is None else pnl - chosen
        mark = ' class="chosen-model"' if model == run["fill_model"] else ""
        note = ", this report" if mark else ""
        told = "not worked out" if pnl is None else money(pnl)
        lines.append(
            f'<tr{mark}><th scope="row">{escaped(model)}<span class="muted">{note}</span></th>'
            + _num(told, _tone(pnl))
            + _num(NONE if gap is None or mark else money(gap))
            + "</tr>"
        )
    rows = "\n".join(lines)
    return f"""<h2 class="second">P&amp;L under each fill model</h2>
<p class="note">How much rests on what a bar does not tell: the order of its high and low.</p>
<div class="scroll"><table><thead><tr><th scope="col">Model</th><th scope="col" class="num">P&amp;L</th><th scope="col" class="num">Difference</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>"""


def assumptions(facts: Facts) -> str:
    """Return how fills were worked out, in words, and where everything came from."""
    run = facts.summary
    model = run["fill_model"]
    rules = [
        "Within a bar, in this order: an open at or through the stop fills at the open; an open at or through the "
        f"target fills at the open; then the {model} model: {MODEL_WORDS.get(model, 'see the manual')}. "
        "Fills inside a bar are at the level.",
        "An exit is ambiguous when its bar opened between stop and target and touched both: prices alone cannot say "
        "which came first.",
        "Touching a level is enough to fill, and fills are whole: no queue, no latency, no slippage but gaps. Longs "
        "leave at the bid, shorts at the ask, where both are known.",
        "Exits are looked for from the bar after the entry. Trailing, break-even and locks are worked out at a bar's "
        "close and hold from the next bar on.",
        "Brackets are independent: they may overlap, and no limit applies unless one was asked for.",
        "R is the distance from entry to exit in units of the initial risk, before fees; P&L is after fees. MAE and "
        "MFE run from the bar after the entry to the bar before the exit, and include the exit price.",
        "What is open at the end is marked at the last close and left out of every figure but its own.",
        "Candles show the mid price. The time axis counts bars: nights, weekends and holidays take no room.",
    ]
    prices, entries = run["prices"], run["entries"]
    count = f"{prices['count']:,} used, {prices['dropped']:,} dropped"
    if prices["crossed_quotes"]:
        count += f", {prices['crossed_quotes']:,} crossed quotes passed over"
    origin = [
        ("Prices", escaped(prices["path"])),
        ("SHA-256", _mono(prices["sha256"])),
        ("Rows", count),
        ("First and last", f"{prices['first']} to {prices['last']}"),
        ("Entries", escaped(entries["source"])),
        *([("SHA-256 of entries", _mono(entries["sha256"]))] if entries["sha256"] else []),
        ("Entries used", f"{entries['count']:,}, {entries['dropped']:,} dropped, {entries['refused']:,} refused"),
        ("Configuration", _mono(run["config_fingerprint"])),
        *((f"Option {name}", escaped(_option(value))) for name, value in run["options"].items()),
    ]
    return f"""<section class="panel" id="assumptions" aria-labelledby="assumptions-title">
<h2 id="assumptions-title">Assumptions</h2>
<ul class="prose">{_items(rules)}</ul>
<h2 class="second">Where this comes from</h2>
{_facts_list("origin", origin)}
</section>"""


def footer(facts: Facts) -> str:
    """Return the last line: what made the page, and that it is past, not promise."""
    return escaped(
        f"Made by grodtd {facts.version} from recorded prices. All times are UTC. This file is complete in itself and "
        "loads nothing. Past results promise nothing."
    )


# ---------------------------------------------------------------- numbers and small parts


def money(value: float | None) -> str:
    """Return an amount with thousands and as many decimals as its size deserves; a minus that is as wide as a plus.

    >>> money(-1234.5), money(0.00012), money(None)
    ('−1,234.50', '0.00012', '–')
    """
    if value is None:
        return NONE
    size = abs(value)
    text = f"{size:,.2f}" if size >= 1 or not size else f"{size:.6f}".rstrip("0")
    text = text if not text.endswith(".") else f"{size:.2f}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def span(facts: Facts) -> str:
    """Return the period in words: dates for daily bars, minutes otherwise."""
    cut = 10 if facts.interval_ns >= DAY_NS else 16
    first, last = (iso_ms(moment)[:cut].replace("T", " ") for moment in (facts.first_ns, facts.last_ns))
    return f"{first} to {last}"


def interval(interval_ns: int) -> str:
    """Return a bar's length in a trader's words.

    >>> interval(86_400_000_000_000), interval(300_000_000_000), interval(250_000_000)
    ('daily', '5-minute', '250-millisecond')
    """
    if interval_ns == DAY_NS:
        return "daily"
    units = (("day", DAY_NS), ("hour", DAY_NS // 24), ("minute", 60 * 10**9), ("second", 10**9), ("millisecond", 10**6))
    for word, unit in units:
        if interval_ns and interval_ns % unit == 0:
            return f"{interval_ns // unit:,}-{word}"
    return f"{interval_ns:,}-nanosecond"


def _held(times: Mapping[str, float | None]) -> str:
    if times["average_s"] is None:
        return "No bracket was closed."
    median_, mean, longest = (_duration(times[name]) for name in ("median_s", "average_s", "longest_s"))
    return f"Time in a trade: median {median_}, mean {mean}, longest {longest}."


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    for unit, size, small, parts in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = int(seconds % size // parts)
            return f"{int(seconds // size):,} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.3g} s"


def _r(value: float | None, *, unit: bool = True) -> str:
    if value is None:
        return NONE
    text = f"{abs(value):,.2f}"
    sign = "" if not text.strip("0.,") else MINUS if value < 0 else "+"
    return f"{sign}{text}" + ("\u00a0R" if unit else "")


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:,.2f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}\u00a0%"


def _tone(value: float | None) -> str:
    return "" if not value else "gain" if value > 0 else "loss"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _first(digest: str) -> str:
    return digest[:12]


def _mono(text: str) -> str:
    return f'<span class="mono">{escaped(text or NONE)}</span>'


def _short_path(path: str) -> str:
    return escaped(path.replace("\\", "/").rsplit("/", 1)[-1])


def _option(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_option(item) for item in value)
    return NONE if value is None else str(value)


def _num(text: str, tone: str = "") -> str:
    return f'<td class="num {tone}">{text}</td>' if tone else f'<td class="num">{text}</td>'


def _items(texts: list[str]) -> str:
    return "".join(f"<li>{escaped(text)}</li>" for text in texts)


def _card(words: str, value: str, tone: str, below: str) -> str:
    """One figure; `below` is HTML of ours."""
    long = " long" if len(value) > 9 else ""
    return f'<div><dt>{escaped(words)}</dt><dd class="{tone}{long}">{value}<small>{below}</small></dd></div>'


def _facts_list(name: str, items: list[tuple[str, str]]) -> str:
    """Names and values; values are HTML of ours, escaped where they were made."""
    made = "".join(f"<div><dt>{escaped(words)}</dt><dd>{value}</dd></div>" for words, value in items)
    return f'<dl class="{name}">{made}</dl>'
