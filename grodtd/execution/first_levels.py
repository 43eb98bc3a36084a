"""A bracket's levels, fixed for good when its first unit has filled, and the words that say where they come from."""

from msgspec.structs import replace

from grodtd.domain.bracket import Bracket
from grodtd.domain.market import VolatilityReading
from grodtd.domain.notes import NoteKind
from grodtd.execution import exit_rules
from grodtd.execution.coverage import entry_px, is_through
from grodtd.execution.ladder import STOP_HIT, leave
from grodtd.execution.levels import plan_levels
from grodtd.execution.risk_reward_calculator import RatioDecision
from grodtd.execution.terms import Step, Terms


def fix_levels(step: Step, bracket: Bracket, terms: Terms) -> Bracket:
    """Fix the levels when the first unit has filled."""
    px = entry_px(bracket)
    if not px:
        return bracket
    decision = plan_levels(
        bracket.side,
        px,
        bracket.reading or VolatilityReading(why_no_atr="no bars were given"),
        terms.policy,
        terms.instrument,
        bracket.given_stop_px,
        bracket.given_target_px,
    )
    levels = decision.levels
    bracket = replace(
        bracket,
        levels=levels,
        stop_px=levels.stop_px,
        target_px=levels.target_px,
        reading=None,
        stop_retry_at_ns=None,
    )
    atr = terms.policy.atr
    step.tell(
        NoteKind.LEVELS_SET,
        entry_px=px,
        stop_px=levels.stop_px,
        target_px=levels.target_px,
        atr_px=levels.atr_px,
        multiplier=None if levels.stop_given or levels.fallback or decision.is_least else atr.multiplier,
        fallback_percentage=atr.fallback_percentage if levels.fallback and not decision.is_least else None,
        min_stop_percentage=atr.min_stop_percentage if decision.is_least else None,
        stop_distance_px=decision.stop_distance_px,
        risk_px=levels.risk,
        ratio=levels.ratio,
        ratio_from=_source(decision.ratio) if decision.ratio is not None else None,
        remarks="; ".join(decision.remarks) or None,
    )
    if terms.rules:
        bracket = exit_rules.begin(step, bracket, terms)
    if decision.stop_is_hit:
        return leave(step, bracket, STOP_HIT, "the stop given is not on the losing side of the entry")
    if bracket.last_px is not None and is_through(bracket.side, bracket.last_px, levels.stop_px):
        return leave(step, bracket, STOP_HIT, "the market is through the stop already")
    return bracket


def _source(decision: RatioDecision) -> str:
    """Say where a ratio comes from: its key, what it was multiplied with, the bound that cut it."""
    factors = "".join(f" x {factor} ({name})" for name, factor in decision.factors)
    return decision.base_from + factors + (f", {decision.clamped_to}" if decision.clamped_to else "")
