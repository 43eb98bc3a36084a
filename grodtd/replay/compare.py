"""The same entries under several policies, each through the engine that runs live; the first one is the reference.

The prices and the entries are read once, so no policy can choose its own. What can differ is how a trade ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

from grodtd.config.fields import Value
from grodtd.config.loading import Configuration
from grodtd.config.policy_file import NamedPolicy
from grodtd.domain.policy import policies_for
from grodtd.replay.columns import Progress
from grodtd.replay.compare_figures import Figures, figures, planned_risk, under_models, versus
from grodtd.replay.compare_stats import FEWEST_BLOCKS
from grodtd.replay.entries import is_rule
from grodtd.replay.exits import ExitRow
from grodtd.replay.inputs import Inputs, ReplayOptions, prepare
from grodtd.replay.processes import deaf_children, mortal_pool
from grodtd.replay.reading import ReadResult, symbol_of
from grodtd.replay.run import Replayed, run
from grodtd.replay.summary_file import summary_json

SEED = 20_140_106
"""Of the resamples and sign flips: the same input gives the same bytes."""


class Skipped(NamedTuple):
    """An entry that came to no bracket under one policy."""

    bracket_id: str
    at: str
    """Where it stands, as `file:line`; of a rule's entry, the line of its bar."""
    why: str


@dataclass(frozen=True)
class PolicyRun:
    """What a replay under one policy came to, small enough to hand from one process to another."""

    name: str
    changes: Mapping[str, Value]
    rows: Sequence[ExitRow]
    """As in `exits.csv`, under the fill model asked for."""
    by_model: Mapping[str, Sequence[ExitRow]]
    """The rows under every fill model."""
    summary: Mapping[str, Any]
    """As in `summary.json`."""
    skipped: Sequence[Skipped]
    """Entries that came to no bracket under this policy."""
    stop_history: Mapping[str, Sequence[tuple[int, Decimal]]]
    """Entry id: (time in ns since the epoch, new stop), oldest first, without the initial one."""


@dataclass(frozen=True)
class Comparison:
    """Several policies over the same entries."""

    inputs: Inputs
    runs: Sequence[PolicyRun]
    """In the order of the file; the first is what the others are compared with."""
    figures: Sequence[Figures]
    """One a run."""
    seed: int
    remarks: Sequence[str] = field(default_factory=tuple)


def compare(
    options: ReplayOptions,
    policies: Sequence[NamedPolicy],
    *,
    jobs: int = 1,
    seed: int = SEED,
    read: ReadResult | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Replay and compare at least two policies, over `jobs` processes. The result does not depend on how many.

    `read` hands in prices that are at hand already. Raises: DataError, ConfigError - the input, with file and line.
    """
    # A rule such as every:50 begins where there is an ATR: where the slowest of the policies has one.
    symbol = read.prices.symbol if read is not None else options.symbol or symbol_of(options.prices)
    slowest = max(policies, key=lambda policy: _period(policy.configuration, symbol))
    inputs = prepare(options, slowest.configuration, read, progress)
    runs = _all_runs(inputs, policies, jobs, progress)
    model = options.model.value
    units = planned_risk(runs[0].rows, inputs.instrument.contract_multiplier)
    trades = [under_models(found.by_model, units) for found in runs]
    alone = [figures(found.rows, by_model, model, seed) for found, by_model in zip(runs, trades, strict=True)]
    against = versus(trades[0], trades[1:], model, seed)
    compared = [alone[0], *(replace(each, versus=found) for each, found in zip(alone[1:], against, strict=True))]
    remarks = _period_remarks(inputs, policies) + remarks_of(inputs, runs) + outliers_told(runs, compared)
    return Comparison(inputs, runs, compared, seed, tuple(remarks))


def _period(configuration: Configuration, symbol: str) -> int:
    """Bars before a rule's first entry: a rule enters under the default strategy's policy in its symbol."""
    return policies_for(configuration.policies, symbol)["default"].atr.period


def _all_runs(inputs: Inputs, policies: Sequence[NamedPolicy], jobs: int, progress: Progress | None) -> list[PolicyRun]:
    work = [(policy.name, policy.changes, replace(inputs, configuration=policy.configuration)) for policy in policies]
    found = []
    if jobs <= 1:
        for done, one in enumerate(work):
            found.append(_replayed(*one, _part(progress, one[0], done, len(work))))
        return found
    with mortal_pool(min(jobs, len(work))) as pool:
        with deaf_children():
            results = pool.map(_replayed, *zip(*work, strict=True))
        for done, result in enumerate(results, 1):
            found.append(result)
            if progress is not None:
                progress(f"replaying {result.name}", done / len(work))
    return found


def _part(progress: Progress | None, name: str, done: int, total: int) -> Progress | None:
    """Progress of one policy as part of all."""
    if progress is None:
        return None
    return lambda _, fraction: progress(f"replaying {name}", (done + fraction) / total)


def _replayed(name: str, changes: Mapping[str, Value], inputs: Inputs, progress: Progress | None = None) -> PolicyRun:
    """Replay one policy. At module level, so that another process can be asked to."""
    replayed = run(inputs, None, progress)
    time_ns = inputs.feed.time_ns
    rows = replayed.rows
    by_model: dict[str, Sequence[ExitRow]] = {inputs.options.model.value: rows}
    for model, again in replayed.other_models.items():
        decided = {row.bracket_id for row in again}
        by_model[model] = [*(row for row in rows if row.bracket_id not in decided), *again]
    entered = {row.bracket_id for row in rows}
    return PolicyRun(
        name=name,
        changes=dict(changes),
        rows=rows,
        by_model=by_model,
        summary=summary_json(replayed.summary, replayed.facts),
        skipped=_skipped(inputs, entered, replayed),
        stop_history={
            life.entry.bracket_id: [(int(time_ns[index]), px) for index, px in life.stop_history]
            for life in replayed.lives
            if life.stop_history
        },
    )


def _skipped(inputs: Inputs, entered: set[str], replayed: Replayed) -> list[Skipped]:
    """Return the entries without a row, where they stand, and what the engine said of them."""
    source = inputs.prices.path if is_rule(inputs.options.entries) else inputs.options.entries
    why = {entry.bracket_id: words for entry, words in replayed.unmade}
    return [
        Skipped(entry.bracket_id, f"{source}:{entry.line}", why.get(entry.bracket_id, "it came to no bracket"))
        for entry in inputs.entries
        if entry.bracket_id not in entered
    ]


def _period_remarks(inputs: Inputs, policies: Sequence[NamedPolicy]) -> list[str]:
    rule, periods = inputs.options.entries, {_period(policy.configuration, inputs.prices.symbol) for policy in policies}
    if not (is_rule(rule) and rule.startswith("every") and len(periods) > 1):
        return []
    return [f"{rule} begins after the longest ATR period of the policies, {max(periods)} bars"]


def remarks_of(inputs: Inputs, runs: Sequence[PolicyRun]) -> list[str]:
    """Say what the reader must know before he trusts the comparison."""
    said = list(inputs.remarks)
    given = sum(entry.stop_px is not None for entry in inputs.entries)
    if given:
        said.append(
            f"{given} of {len(inputs.entries)} entries bring a stop of their own: it is kept under every policy, "
            "whatever the policy's stop distance"
        )
    strategies = sorted({entry.strategy for entry in inputs.entries} - {"default"})
    if strategies:
        said.append(f"entries of strategy {', '.join(strategies)}: each policy is laid on top of the strategy's keys")
    said += [
        f"{found.name} skipped {len(found.skipped)} of {len(inputs.entries)} entries: "
        + _names([f"{one.bracket_id} ({one.at}: {one.why})" for one in found.skipped])
        for found in runs
        if found.skipped
    ]
    return said


def outliers_told(runs: Sequence[PolicyRun], found: Sequence[Figures]) -> list[str]:
    """Say where one trade makes half of all R won and lost: what stands there in R is that trade, not the policy."""
    said = []
    for one, each in zip(runs, found, strict=True):
        known = [(trade.own_r, trade.entry_id) for trade in each.trades if trade.own_r is not None]
        if len(known) < FEWEST_BLOCKS:
            continue
        r, name = max(known, key=lambda pair: abs(pair[0]))
        if abs(r) > sum(abs(own_r) for own_r, _ in known) / 2:
            said.append(
                f"{one.name}: trade {name} alone made {r:,.2f} R, more than all others together: look at it first"
            )
    return said


def _names(ids: Sequence[str], most: int = 3) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more
