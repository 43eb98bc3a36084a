"""The parts of the comparison's page that need no script: verdicts, tables, warnings, assumptions, as HTML.

Every figure is one of `compare.json`, so that the page and the file never disagree.
"""

from collections.abc import Callable, Iterator
from typing import Any

from grodtd import __version__
from grodtd.replay import report_words
from grodtd.replay.compare import Comparison, PolicyRun
from grodtd.replay.compare_figures import Figures, Measure
from grodtd.replay.compare_stats import FEWEST_BLOCKS, RESAMPLES, Interval
from grodtd.replay.compare_words import Verdict, both_told, interval_text, verdict
from grodtd.replay.report_format import (
    NONE,
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
    tone,
)
from grodtd.replay.report_page import filled

SHOWN = 8
"""Warnings listed at once; the rest unfold."""

MOST_WARNINGS = 100
Line = Callable[[PolicyRun, Figures], str]
"""One policy's cell of a row of figures, as HTML."""


def masthead(found: Comparison, title: str) -> str:
    """Return the title, and what was compared on what."""
    run = found.runs[0].summary
    bars = found.inputs.bars
    lead = f"{report_words.span(_facts(found))} UTC, {counted(len(bars), f'{interval(bars.interval_ns)} bar')}"
    entries = run["entries"]
    about = [
        ("Entries", escaped(f"{_file_name(entries['source'])} ({entries['count']:,})")),
        ("Compared with", f"{swatch(0)}{escaped(found.runs[0].name)}"),
        ("Fill model", escaped(run["fill_model"])),
        ("Prices", escaped(_file_name(run["prices"]["path"]))),
        ("Input SHA-256", mono(run["prices"]["sha256"][:12])),
    ]
    return f'<h1>{escaped(title)}</h1>\n<p class="lead">{escaped(lead)}</p>\n{pairs("facts", about)}'


def swatch(at: int) -> str:
    """Return the sign of a policy, in its colour."""
    return f'<i class="swatch p{at}" aria-hidden="true"></i>'


def verdicts(found: Comparison) -> str:
    """Return what the comparison shows, policy by policy."""
    reference = found.runs[0].name
    made = []
    for at, (run, figures) in enumerate(zip(found.runs, found.figures, strict=True)):
        if not at:
            continue
        judged = verdict(figures.versus[Measure.REFERENCE_R])
        style = {Verdict.BETTER: "gain", Verdict.WORSE: "loss"}.get(judged, "")
        words = "".join(f"<p>{escaped(sentence)}</p>" for sentence in both_told(figures.versus, reference))
        changes = ", ".join(f"{key} {value}" for key, value in run.changes.items()) or "nothing changed"
        made.append(
            f'<li><h3>{swatch(at)}{escaped(run.name)} <span class="badge {style}">{judged.value}</span></h3>'
            f'<p class="note mono">{escaped(changes)}</p>{words}</li>'
        )
    return f'<ul class="verdicts">{"".join(made)}</ul>'


def warnings(found: Comparison) -> str:
    """Return the panel of what may mislead; empty when there is nothing to say."""
    said = list(dict.fromkeys([*found.remarks, *(one["text"] for one in found.runs[0].summary["split_warnings"])]))
    for run, figures in zip(found.runs, found.figures, strict=True):
        if run.summary["open"]["count"]:
            count = counted(run.summary["open"]["count"], "trade")
            marked = r_text(run.summary["open"]["r"])
            said.append(f"{run.name}: {count} still open at the end, marked at {marked} together, in no figure here.")
        if run.summary["fallback"]:
            said.append(f"{run.name}: {counted(run.summary['fallback'], 'trade')} had no ATR: a fallback stop.")
        if figures.trades and figures.blocks < FEWEST_BLOCKS:
            stretches = counted(figures.blocks, "independent stretch", "independent stretches")
            said.append(f"{run.name}: {stretches} only: too few for intervals.")
    if not said:
        return ""
    rest = said[SHOWN:MOST_WARNINGS]
    more = f"<details><summary>{len(rest):,} more</summary><ul>{items(rest)}</ul></details>" if rest else ""
    return (
        '<section class="panel warnings" aria-labelledby="warnings-title">\n'
        f'<h2 id="warnings-title">Before you trust these figures</h2>\n<ul>{items(said[:SHOWN])}</ul>{more}\n</section>'
    )


def figures_table(found: Comparison) -> str:
    """Return the policies side by side."""
    lines: list[tuple[str, str, Line]] = [
        ("Closed trades", "open at the end", _closed),
        ("Win rate", "95 % interval", lambda run, each: _with(percent(run.summary["win_rate"]), _shares(each))),
        (
            "Expectancy, first policy's R",
            "same quantity, after fees",
            lambda _, each: _r_with(each.reference_r, each.intervals["reference_r"]),
        ),
        (
            "Expectancy, own R",
            "same risk, before fees",
            lambda run, each: _r_with(run.summary["expectancy_r"], each.intervals["own_r"]),
        ),
        ("Return", "of the entry's value, after fees", lambda _, each: _bps(each.return_bps)),
        (
            "Profit factor",
            "95 % interval",
            lambda run, each: _with(figure(run.summary["profit_factor"]), _factors(each.intervals["profit_factor"])),
        ),
        ("Total", "own R", lambda run, _: _r(run.summary["total_r"])),
        ("Average win, loss", "own R", _wins),
        (
            "Best, worst",
            "own R",
            lambda run, _: f"{_r(run.summary['best_r'])}<small>{_r(run.summary['worst_r'])}</small>",
        ),
        ("Max drawdown", "own R", lambda run, _: _r(-run.summary["max_drawdown_r"])),
        (
            "P&L after fees",
            "",
            _pnl,
        ),
        ("Time in trade", "mean, median", _held),
        ("Ambiguous bars", "the model decided", lambda run, _: f"{run.summary['ambiguous_bars']:,}"),
        ("Entries skipped", "", lambda run, _: f"{len(run.skipped):,}"),
    ]
    rows = []
    for words, below, line in lines:
        small = f"<small>{escaped(below)}</small>" if below else ""
        cells = "".join(f'<td class="num">{line(run, each)}</td>' for run, each in _each(found))
        rows.append(f'<tr><th scope="row">{escaped(words)}{small}</th>{cells}</tr>')
    return _side_by_side(found, "Figure", rows)


def exits_table(found: Comparison) -> str:
    """Return the exits of each policy by reason."""
    reasons: dict[str, int] = {}
    for run in found.runs:
        for reason, exits in run.summary["by_exit_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + exits["exits"]
    rows = []
    for reason in sorted(reasons, key=lambda name: (-reasons[name], name)):
        cells = ""
        for run in found.runs:
            one: dict[str, Any] | None = run.summary["by_exit_reason"].get(reason)
            total = sum(each["exits"] for each in run.summary["by_exit_reason"].values())
            if one is None:
                cells += f'<td class="num muted">{NONE}</td>'
            else:
                share = percent(one["exits"] / total)
                count = f'{one["exits"]:,} <span class="muted">{share}</span>'
                cells += f'<td class="num">{count}<small>{_r(one["r"])}</small></td>'
        rows.append(f'<tr><th scope="row">{escaped(reason)}</th>{cells}</tr>')
    if not rows:
        return '<p class="muted">No trade was closed.</p>'
    return _side_by_side(found, "Reason", rows)


def models_table(found: Comparison) -> str:
    """Return the expectancy of each policy under each fill model: how much hangs on what bars do not tell."""
    chosen = found.runs[0].summary["fill_model"]
    rows = []
    for model in found.runs[0].summary["pnl_by_fill_model"]:
        cells = ""
        for at, (_, each) in enumerate(_each(found)):
            gap = ""
            if at:
                mean = each.versus[Measure.REFERENCE_R].by_model[model]
                gap = f"<small>{r_text(mean, '')} a trade</small>" if mean is not None else ""
            cells += f'<td class="num">{_r(each.by_model[model].reference_r)}{gap}</td>'
        style = styled("chosen-model" if model == chosen else "")
        name = escaped(model) + ("<small>this page</small>" if model == chosen else "")
        rows.append(f'<tr{style}><th scope="row">{name}</th>{cells}</tr>')
    return _side_by_side(found, "Model", rows)


def _side_by_side(found: Comparison, corner: str, rows: list[str]) -> str:
    heads = "".join(
        f'<th scope="col" class="num">{swatch(at)}{escaped(run.name)}</th>' for at, run in enumerate(found.runs)
    )
    head = f'<thead><tr><th scope="col">{escaped(corner)}</th>{heads}</tr></thead>'
    # A table wider than the screen scrolls by itself; who has no mouse scrolls it with the arrow keys.
    label = escaped(f"{corner} by policy")
    body = "\n".join(rows)
    return (
        f'<div class="scroll side" tabindex="0" role="group" aria-label="{label}">'
        f"<table>{head}\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _each(found: Comparison) -> Iterator[tuple[PolicyRun, Figures]]:
    return zip(found.runs, found.figures, strict=True)


def _closed(run: PolicyRun, _: Figures) -> str:
    return f"{run.summary['count']:,}<small>{run.summary['open']['count']:,} open</small>"


def _wins(run: PolicyRun, _: Figures) -> str:
    return f"{_r(run.summary['avg_win_r'])}<small>{_r(run.summary['avg_loss_r'])}</small>"


def _extremes(run: PolicyRun, _: Figures) -> str:
    return f"{_r(run.summary['best_r'])}<small>{_r(run.summary['worst_r'])}</small>"


def _pnl(run: PolicyRun, _: Figures) -> str:
    return f"<span{styled(tone(run.summary['pnl']))}>{money(run.summary['pnl'])}</span>"


def _held(run: PolicyRun, _: Figures) -> str:
    times = run.summary["time_in_trade"]
    return f"{duration(times['average_s'])}<small>{duration(times['median_s'])}</small>"


def _shares(each: Figures) -> str:
    found = each.intervals["win_rate"]
    if found is None:
        return ""
    return NONE if found.low is None else f"{100 * found.low:.1f} to {percent(found.high)}"


def _factors(found: Interval | None) -> str:
    if found is None:
        return ""
    return f"{figure(found.low)} to {figure(found.high)}" if found.high is not None else f"{figure(found.low)} up"


def _with(value: str, below: str) -> str:
    return f"{value}<small>{below}</small>" if below else value


def _r_with(value: float | None, found: Interval | None) -> str:
    return _with(_r(value), "" if found is None else interval_text(found))


def _r(value: float | None) -> str:
    return f"<span{styled(tone(value))}>{r_text(value)}</span>"


def _bps(value: float | None) -> str:
    return NONE if value is None else f"<span{styled(tone(value))}>{r_text(value, '')} bp</span>"


def measures(found: Comparison) -> str:
    """Return the choice of what R is measured in."""
    words = {
        Measure.REFERENCE_R: f"R of \u201c{found.runs[0].name}\u201d",
        Measure.OWN_R: "R of its own stop",
    }
    return "".join(
        f'<button type="button" data-measure="{measure.value}" aria-pressed="{str(not at).lower()}">'
        f"{escaped(words[measure])}</button>"
        for at, measure in enumerate(Measure)
    )


def assumptions(found: Comparison) -> str:
    """Return how the comparison was made."""
    return filled(
        "compare-assumptions.html",
        first=escaped(found.runs[0].name),
        fill_model=escaped(found.runs[0].summary["fill_model"]),
        model=report_words.model_words(_facts(found)),
        resamples=f"{RESAMPLES:,}",
    )


def origin(found: Comparison) -> str:
    """Return where everything came from, and each policy's configuration."""
    policies = [
        (run.name, mono(run.summary["config_fingerprint"][:12]) + (f" {escaped(_changes(run))}" if run.changes else ""))
        for run in found.runs
    ]
    return report_words.origin(_facts(found)) + '<h2 class="second">Policies</h2>' + pairs("origin", policies)


def _changes(run: PolicyRun) -> str:
    return ", ".join(f"{key}: {value}" for key, value in run.changes.items())


def footer() -> str:
    """Return the last line."""
    return escaped(
        f"Made by grodtd {__version__} from recorded prices. All times are UTC. This file is complete in itself and "
        "loads nothing. Past results promise nothing."
    )


def _facts(found: Comparison) -> report_words.Facts:
    bars = found.inputs.bars
    return report_words.Facts(
        title="",
        first_ns=int(bars.time_ns[0]),
        last_ns=int(bars.time_ns[-1]),
        intervals_ns=(bars.interval_ns,),
        bar_count=len(bars),
        summary=found.runs[0].summary,
        remarks=tuple(found.remarks),
        version=__version__,
    )


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]
