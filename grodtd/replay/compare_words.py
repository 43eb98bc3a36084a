"""A comparison's verdicts in words, so that noise is called noise wherever they are read: terminal, page, JSON."""

from collections.abc import Mapping
from enum import StrEnum

from grodtd.replay.compare_figures import Measure, Versus
from grodtd.replay.compare_stats import ALPHA, Interval
from grodtd.replay.report_format import counted, r_text

SIZED = {
    Measure.REFERENCE_R: "with the same quantity",
    Measure.OWN_R: "with the quantity sized from its own stop",
}


class Verdict(StrEnum):
    """What a comparison shows."""

    NOTHING = "nothing to compare"
    SAME = "the same"
    TOO_FEW = "too few trades"
    NOT_SHOWN = "no difference shown"
    BETTER = "better"
    WORSE = "worse"


def verdict(found: Versus) -> Verdict:
    """Judge a policy against the first by one measure, at 5 % after Holm's correction."""
    if not found.pairs or found.mean is None:
        return Verdict.NOTHING
    if not found.differing:
        return Verdict.SAME
    if found.p_holm <= ALPHA:
        return Verdict.BETTER if found.mean > 0 else Verdict.WORSE
    if 2 / 2**found.blocks_differing > ALPHA:
        return Verdict.TOO_FEW
    return Verdict.NOT_SHOWN


def told(found: Versus, reference: str) -> str:
    """Return the verdict as sentences. `reference` is the first policy's name."""
    first = f"\u201c{reference}\u201d"
    judged = verdict(found)
    trades = _counted(found)
    if judged is Verdict.NOTHING or found.mean is None:
        return f"Nothing to compare: no entry was closed both here and under {first}."
    if judged is Verdict.SAME:
        return f"The same as {first} on every one of {trades}."
    amount = f"{r_text(found.mean)} a trade{_sureness(found)}"
    if judged is Verdict.TOO_FEW:
        differ = counted(found.blocks_differing, "independent stretch", "independent stretches")
        return f"Too few to tell: {trades}, of which {differ} differ. Not even winning on each of them would show."
    if judged in (Verdict.BETTER, Verdict.WORSE):
        sentence = f"{judged.value.capitalize()} than {first} by {amount}."
        against = [name for name, mean in found.by_model.items() if mean is None or (mean > 0) != (found.mean > 0)]
        if against:
            sentence += f" But not under {' and '.join(against)} fills: the bars cannot tell."
        return sentence
    shows = f" About {r_text(found.smallest).lstrip('+')} a trade would show." if found.smallest is not None else ""
    return f"No difference from {first} that {trades} can show: {amount}.{shows}"


def both_told(found: Mapping[Measure, Versus], reference: str) -> list[str]:
    """Return what both measures say: once where they agree."""
    same, sized = found[Measure.REFERENCE_R], found[Measure.OWN_R]
    first, second = told(same, reference), told(sized, reference)
    agree = (same.pairs, round(same.mean or 0, 9)) == (sized.pairs, round(sized.mean or 0, 9))
    if first == second or (agree and verdict(same) is verdict(sized)):
        return [first]
    return [
        f"{_capital(SIZED[measure])}: {_small(words)}" for measure, words in zip(Measure, (first, second), strict=True)
    ]


def p_text(p: float) -> str:
    """Write a p-value as precisely as it deserves.

    >>> p_text(1.0), p_text(0.0312), p_text(0.00005)
    ('1.00', '0.031', 'below 0.001')
    """
    if p < 0.001:
        return "below 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def interval_text(found: Interval | None) -> str:
    """Write an interval of R; an end that nothing bounds is said so.

    >>> interval_text(Interval(0.5, None))
    '+0.50 up'
    """
    if found is None:
        return "unknown"
    if found.low is None or found.high is None:
        return "unknown" if found.low is None else f"{r_text(found.low, '')} up"
    return f"{r_text(found.low, '')} to {r_text(found.high, '')}"


def _counted(found: Versus) -> str:
    """Trades that overlap are fewer news than they are trades."""
    trades = counted(found.pairs, "trade")
    if found.blocks >= found.pairs:
        return trades
    return f"{trades} ({counted(found.blocks, 'stretch', 'stretches')} of overlapping ones)"


def _sureness(found: Versus) -> str:
    """The interval is of this comparison by itself; where several are made the p-value answers for them all."""
    several = ", corrected for all comparisons" if found.p_holm != found.p else ""
    alone = " by itself" if several else ""
    within = "" if found.interval is None else f" (95 %{alone}: {interval_text(found.interval)})"
    return f"{within}, p {p_text(found.p_holm)}{several}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
