"""The parts of the report that need no script: its head, figures, warnings, tables and assumptions, as HTML.

Every figure is one of `summary.json`, so that the page and the file never disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grodtd.replay.prices import DAY_NS, iso_ms
from grodtd.replay.report_figures import Distribution
from grodtd.replay.report_format import (
    NONE,
    cell,
    counted,
    duration,
    escaped,
    figure,
    interval,
    items,
    money,
    mono,
    pairs,
    percent,
    r_text,
    styled,
    table,
    tone,
)

MODEL_WORDS = {
    "pessimistic": "where a bar touches both, the stop comes first",
    "optimistic": "where a bar touches both, the target comes first",
    "path": "a bar goes from its open to the nearer extreme, to the farther one, to its close",
}

SHOWN_WARNINGS = 6
"""Warnings listed at once; the rest unfold."""

MOST_WARNINGS = 100
"""Warnings in the page at all: wild prices look like a split on every other bar."""

SHOWN_IDS = 8
"""Brackets a split warning names; the rest are counted."""

DIGEST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """What the words are made from."""

    title: str
    first_ns: int
    """Time of the first bar, and of the last."""
    last_ns: int
    intervals_ns: tuple[int, ...]
    """Lengths of the symbols' bars, shortest first."""
    bar_count: int
    summary: Mapping[str, Any]
    """As `summary_json` returns it."""
    remarks: tuple[str, ...]
    version: str


def masthead(facts: Facts) -> str:
    """Return the title, and what was replayed on what."""
    run = facts.summary
    entries = run["entries"]
    bars = counted(facts.bar_count, f"{'/'.join(map(interval, facts.intervals_ns))} bar")
    lead = f"{span(facts)} UTC, {bars}, {counted(run['brackets'], 'bracket')}"
    found = [
        ("Entries", escaped(f"{_file_name(entries['source'])} ({entries['count']:,})")),
        ("Fill model", escaped(run["fill_model"])),
        ("Prices", escaped(_file_name(run["prices"]["path"]))),
        ("Input SHA-256", mono(run["prices"]["sha256"][:DIGEST_SHOWN])),
        ("Configuration", mono(run["config_fingerprint"][:DIGEST_SHOWN])),
    ]
    return f'<h1>{escaped(facts.title)}</h1>\n<p class="lead">{escaped(lead)}</p>\n{pairs("facts", found)}'


def figures(facts: Facts) -> str:
    """Return the row of key figures of the closed brackets."""
    run = facts.summary
    still_open = run["open"]
    even = run["count"] - run["wins"] - run["losses"]
    outcome = f"{run['wins']:,} won, {run['losses']:,} lost" + (f", {even:,} even" if even else "")
    marked = f"open: {money(still_open['pnl'])} marked" if still_open["count"] else "nothing open"
    gross = f"gross {money(run['gross_profit'])} to {money(-run['gross_loss'])}"
    drawdown = -run["max_drawdown_r"]
    ambiguous = "no fill hung on the model"
    if run["ambiguous_exits"]:
        told = f"fills the model decided, in {counted(run['ambiguous_bars'], 'bar')}"
        ambiguous = f'<a href="#brackets" data-remark="ambiguous">{told}</a>'
    cards = [
        _card("Closed brackets", f"{run['count']:,}", f"{still_open['count']:,} open at the end"),
        _card("Win rate", percent(run["win_rate"]), outcome),
        _card_r("Expectancy", run["expectancy_r"], f"win {r_text(run['avg_win_r'])}, loss {r_text(run['avg_loss_r'])}"),
        _card("Profit factor", figure(run["profit_factor"]), gross),
        _card_r("Total", run["total_r"], f"best {r_text(run['best_r'])}, worst {r_text(run['worst_r'])}"),
        _card("P&L after fees", money(run["pnl"]), marked, tone(run["pnl"])),
        _card_r("Max drawdown", drawdown, "below the highest so far"),
        _card("Ambiguous exits", f"{run['ambiguous_exits']:,}", ambiguous),
    ]
    return f'<dl class="figures" id="figures" aria-label="Key figures of the closed brackets">{"".join(cards)}</dl>'


def warnings(facts: Facts) -> str:
    """Return the panel of what may mislead; empty when there is nothing to say."""
    said = warning_texts(facts)
    if not said:
        return ""
    shown, rest = said[:SHOWN_WARNINGS], said[SHOWN_WARNINGS:MOST_WARNINGS]
    if len(said) > MOST_WARNINGS:
        rest.append(f"{len(said) - MOST_WARNINGS:,} more are in summary.json.")
    more = f"<details><summary>{len(rest):,} more</summary><ul>{items(rest)}</ul></details>" if rest else ""
    return (
        '<section class="panel warnings" aria-labelledby="warnings-title">\n'
        f'<h2 id="warnings-title">Before you trust these figures</h2>\n<ul>{items(shown)}</ul>{more}\n</section>'
    )


def warning_texts(facts: Facts) -> list[str]:
    """Return the warnings as plain text: what reading the files said, splits, what the figures leave out."""
    run = facts.summary
    splits = {split["text"]: split["brackets"] for split in run["split_warnings"]}
    said = [remark for remark in dict.fromkeys([*facts.remarks, *run["remarks"]]) if remark not in splits]
    said += [f"{text}. {_touched(ids)}" for text, ids in splits.items()]
    if run["fallback"]:
        brackets = counted(run["fallback"], "closed bracket")
        share = percent(run["fallback"] / run["count"])
        said.append(f"{brackets} ({share}) had no ATR: the stop is the fallback percentage.")
    if run["without_r"]:
        brackets = counted(run["without_r"], "closed bracket")
        said.append(f"{brackets} planned no risk (stop on the wrong side, or at the entry): in no figure in R.")
    return said


def _touched(ids: list[str]) -> str:
    if not ids:
        return "It touches no bracket."
    more = f" and {len(ids) - SHOWN_IDS:,} more" if len(ids) > SHOWN_IDS else ""
    return f"Brackets it touches: {', '.join(ids[:SHOWN_IDS])}{more}."


def equity_note(facts: Facts) -> str:
    """Return the sentence above the equity curve."""
    still_open = facts.summary["open"]
    note = "Sum of R at each bracket's last exit; shaded: below the highest so far."
    if still_open["count"]:
        note += f" {still_open['count']:,} still open, marked at {r_text(still_open['r'])}: not in it."
    return escaped(note)


def equity_label(facts: Facts) -> str:
    """Return what a screen reader says of the equity curve."""
    run = facts.summary
    ends, deepest = r_text(run["total_r"]), r_text(-run["max_drawdown_r"])
    return escaped(f"Equity in R, {span(facts)}: ends at {ends}, deepest drawdown {deepest}.")


def distribution_note(facts: Facts) -> str:
    """Return the sentence above the distribution of R."""
    run = facts.summary
    return escaped(f"{counted(run['count'] - run['without_r'], 'closed bracket')}, before fees.")


def distribution_label(spread: Distribution) -> str:
    """Return what a screen reader says of the distribution."""
    if not len(spread.count):
        return "Distribution of R: no closed brackets."
    most = int(spread.count.argmax())
    brackets, centre = counted(int(spread.count.sum()), "bracket"), r_text(float(spread.centre[most]))
    return escaped(f"Distribution of R over {brackets}: most, {int(spread.count[most]):,}, about {centre}.")


def exits(facts: Facts) -> str:
    """Return the tables of exits by reason and of fill models."""
    run = facts.summary
    reasons: Mapping[str, Mapping[str, Any]] = run["by_exit_reason"]
    total = sum(found["exits"] for found in reasons.values())
    by_count = sorted(reasons.items(), key=lambda item: (-item[1]["exits"], item[0]))
    columns = [("Reason", ""), ("Exits", "num"), ("Share", "num wide-cell"), ("R", "num"), ("R per exit", "num")]
    rows = [_reason(reason, found, total) for reason, found in by_count]
    nothing = ['<tr><td colspan="6" class="muted">No bracket was closed.</td></tr>']
    return (
        f'<h2 id="exits-title">Exits by reason</h2>\n<p class="note">{escaped(_held(run["time_in_trade"]))}</p>\n'
        + table([*columns, ("P&L", "num")], rows or nothing)
        + _models(run)
    )


def _reason(reason: str, found: Mapping[str, Any], total: int) -> str:
    name = f'<a href="#brackets" data-reason="{escaped(reason)}">{escaped(reason)}</a>'
    r, pnl = f"num {tone(found['r'])}", f"num {tone(found['pnl'])}"
    return (
        f'<tr><th scope="row">{name}</th>'
        + cell(f"{found['exits']:,}")
        + cell(percent(found["exits"] / total), "num wide-cell")
        + cell(r_text(found["r"], unit=""), r)
        + cell(r_text(found["r"] / found["exits"], unit=""), r)
        + cell(money(found["pnl"]), pnl)
        + "</tr>"
    )


def _held(times: Mapping[str, float | None]) -> str:
    if times["average_s"] is None:
        return "No bracket was closed."
    middle, mean, longest = (duration(times[name]) for name in ("median_s", "average_s", "longest_s"))
    return f"Time in a trade: median {middle}, mean {mean}, longest {longest}."


def _models(run: Mapping[str, Any]) -> str:
    found: Mapping[str, float | None] = run["pnl_by_fill_model"]
    if not found:
        return ""
    base = found.get(run["fill_model"])
    rows = []
    for model, pnl in found.items():
        mine = model == run["fill_model"]
        gap = NONE if mine or pnl is None or base is None else money(pnl - base)
        name = escaped(model) + ("<small>this report</small>" if mine else "")
        told = "not worked out" if pnl is None else money(pnl)
        style = styled("chosen-model" if mine else "")
        rows.append(f'<tr{style}><th scope="row">{name}</th>{cell(told, f"num {tone(pnl)}")}{cell(gap)}</tr>')
    return (
        '\n<h2 class="second">P&amp;L under each fill model</h2>\n'
        '<p class="note">How much rests on what a bar does not tell: which of its extremes came first.</p>\n'
        + table([("Model", ""), ("P&L", "num"), ("Difference", "num")], rows)
    )


def symbols(facts: Facts) -> str:
    """Return the table of a run's symbols; empty where there is one."""
    found = facts.summary.get("by_symbol", [])
    if not found:
        return ""
    columns = [
        ("Symbol", ""),
        ("Closed", "num"),
        ("Win rate", "num wide-cell"),
        ("R per bracket", "num"),
        ("R", "num"),
        ("P&L", "num"),
    ]
    rows = [
        f'<tr><th scope="row">{escaped(each["symbol"])}</th>'
        + cell(f"{each['count']:,}")
        + cell(percent(each["wins"] / each["count"]) if each["count"] else NONE, "num wide-cell")
        + cell(r_text(each["expectancy_r"], unit=""), f"num {tone(each['expectancy_r'])}")
        + cell(r_text(each["total_r"], unit=""), f"num {tone(each['total_r'])}")
        + cell(money(each["pnl"]), f"num {tone(each['pnl'])}")
        + "</tr>"
        for each in found
    ]
    return (
        '<section class="panel" id="symbols" aria-labelledby="symbols-title">\n<h2 id="symbols-title">By symbol</h2>\n'
        '<p class="note">Closed brackets.</p>\n' + table(columns, rows) + "\n</section>"
    )


def model_words(facts: Facts) -> str:
    """Return what the fill model does where a bar leaves it open."""
    return escaped(MODEL_WORDS.get(facts.summary["fill_model"], "as its name says"))


def origin(facts: Facts) -> str:
    """Return where everything came from: files, digests, counts, options."""
    run = facts.summary
    prices, entries = run["prices"], run["entries"]
    crossed = f", {prices['crossed_quotes']:,} crossed quotes passed over" if prices["crossed_quotes"] else ""
    found = [
        ("Prices", escaped(prices["path"])),
        ("SHA-256", mono(prices["sha256"])),
        ("Rows", f"{prices['count']:,} used, {prices['dropped']:,} dropped{crossed}"),
        ("First and last", escaped(f"{prices['first']} to {prices['last']}")),
        ("Entries", escaped(entries["source"])),
        *([("SHA-256 of entries", mono(entries["sha256"]))] if entries["sha256"] else []),
        ("Entries used", f"{entries['count']:,}, {entries['dropped']:,} dropped, {entries['refused']:,} refused"),
        ("Configuration", mono(run["config_fingerprint"])),
    ]
    options = [(name, _option(value)) for name, value in run["options"].items()]
    return pairs("origin", [*found, *((f"Option {name}", escaped(value)) for name, value in options if value)])


def footer(facts: Facts) -> str:
    """Return the last line: what made the page, and that past is no promise."""
    return escaped(
        f"Made by grodtd {facts.version} from recorded prices. All times are UTC. This file is complete in itself and "
        "loads nothing. Past results promise nothing."
    )


def span(facts: Facts) -> str:
    """Return the period in words: dates for daily bars, minutes otherwise."""
    cut = 10 if facts.intervals_ns[0] >= DAY_NS else 16
    first, last = (iso_ms(moment)[:cut].replace("T", " ") for moment in (facts.first_ns, facts.last_ns))
    return f"{first} to {last}"


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _option(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_option, value)) if isinstance(value, list | tuple) else str(value)


def _card(words: str, value: str, below: str, style: str = "") -> str:
    """One figure; `below` is HTML of ours."""
    wide = " long" if len(value) > 9 else ""
    return f"<div><dt>{escaped(words)}</dt><dd{styled(style + wide)}>{value}<small>{below}</small></dd></div>\n"


def _card_r(words: str, value: float | None, below: str) -> str:
    return _card(words, r_text(value), below, tone(value))
