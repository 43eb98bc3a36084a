"""Rules between keys: bounds that contain what they bound, steps that add up, a price step the venue can write."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from grodtd.config.entry_schema import RiskReward
from grodtd.config.exit_schema import Trailing, steps
from grodtd.config.fields import Place, parse_place, parse_r
from grodtd.config.instrument_schema import InstrumentRules
from grodtd.config.layers import DEFAULT, Origin, Setting, complaint
from grodtd.config.schema import PolicyBlock, locks
from grodtd.config.text import Path
from grodtd.domain.money import ONE, ZERO, plain
from grodtd.domain.policy import Plan, TrailMethod

MIN_RATIO: Path = ("risk_reward", "min_ratio")
MAX_RATIO: Path = ("risk_reward", "max_ratio")
RATIOS: Path = ("risk_reward", "symbol_specific_ratios")
STEPS: Path = ("scale_out", "steps")
LOCKS: Path = ("profit_lock",)


class Placed(NamedTuple):
    """What applies to one policy or symbol, by relative path; `bad` are paths whose value was refused somewhere."""

    settings: dict[Path, Setting]
    bad: set[Path]

    def origin(self, path: Path) -> Origin:
        """Return where a value comes from."""
        return self.settings[path].origin if path in self.settings else DEFAULT

    def doubtful(self, path: Path) -> bool:
        """Tell whether the value is unknown because something was refused: nothing may be concluded from it."""
        return any(path[:depth] in self.bad for depth in range(len(path) + 1))


class Clash(NamedTuple):
    """Two values that cannot both stand: `value` at `path` `relation` `other_value` at `other`."""

    path: Path
    value: str
    relation: str
    other: Path
    other_value: str
    allowed: str


UNFIT = "does not go with"
OPPOSITE = {"is below": "is above", "is above": "is below", UNFIT: UNFIT}


def policy_problems(name: str, block: PolicyBlock, placed: Placed, already: Sequence[str]) -> Iterator[str]:
    """Say which values of a policy contradict each other; what the default policy had said already is not repeated."""
    strategy, _, symbol = name.partition("@")
    where = f"in strategy {strategy}" if strategy != "default" else ""
    where = f"{where} for {symbol}".strip() if symbol else where
    for line in (*_clash_lines(block, placed), *_ladder_lines(block, placed)):
        if not any(said == line or said.startswith(f"{line} (") for said in already):
            yield f"{line} ({where})" if where else line


def _clash_lines(block: PolicyBlock, placed: Placed) -> Iterator[str]:
    for clash in (*_ratio_clashes(block.risk_reward), *_plan_clashes(block), *_trailing_clashes(block.trailing)):
        if not (placed.doubtful(clash.path) or placed.doubtful(clash.other)):
            yield _spoken(clash, placed)


def _ladder_lines(block: PolicyBlock, placed: Placed) -> Iterator[str]:
    """Say which scale-out steps and profit locks stand in each other's way, or in their own."""
    for path, words in (*_step_problems(block, placed), *_lock_problems(block, placed)):
        origin = placed.origin(path)
        yield complaint(origin, tuple(origin.path.split(".")), words)


def _step_problems(block: PolicyBlock, placed: Placed) -> Iterator[tuple[Path, str]]:
    places: dict[Place, str] = {}
    total = ZERO
    for name, fraction in steps(block.scale_out).items():
        place = parse_place(name)
        if place in places:
            first = f"{places[place]} ({placed.origin((*STEPS, places[place]))})"
            yield (*STEPS, name), f"is the same place as {first}; allowed: one step at a place"
        places.setdefault(place, name)
        before, total = total, total + fraction
        if before <= ONE < total:
            yield (*STEPS, name), f"{plain(fraction)} brings the fractions to {plain(total)}; allowed: at most 1 in all"


def _lock_problems(block: PolicyBlock, placed: Placed) -> Iterator[tuple[Path, str]]:
    places: dict[Decimal, str] = {}
    for name, lock_r in locks(block).items():
        at_r = parse_r(name)
        if at_r in places:
            first = f"{places[at_r]} ({placed.origin((*LOCKS, places[at_r]))})"
            yield (*LOCKS, name), f"is the same place as {first}; allowed: one lock at a place"
        places.setdefault(at_r, name)
        if lock_r >= at_r:
            words = f"{plain(lock_r)} is not below the {name} it begins at; allowed: a number above -1 and below {name}"
            yield (*LOCKS, name), words


def _trailing_clashes(trailing: Trailing) -> Iterator[Clash]:
    amount, method = ("trailing", "amount"), ("trailing", "method")
    if trailing.method is TrailMethod.PERCENT and trailing.amount >= 1:
        allowed = "with percent a number above 0 and below 1 (0.02 is two per cent)"
        yield Clash(amount, plain(trailing.amount), UNFIT, method, "percent", allowed)
    if trailing.method is TrailMethod.TICKS and trailing.amount != trailing.amount.to_integral_value():
        yield Clash(amount, plain(trailing.amount), UNFIT, method, "ticks", "with ticks a whole number")


def _ratio_clashes(ratios: RiskReward) -> Iterator[Clash]:
    low, high = ratios.min_ratio, ratios.max_ratio
    if low > high:
        yield Clash(MIN_RATIO, plain(low), "is above", MAX_RATIO, plain(high), "min_ratio at most max_ratio")
        return
    bounded: dict[Path, Decimal] = {("risk_reward", "base_ratio"): ratios.base_ratio}
    bounded |= {(*RATIOS, symbol): ratio for symbol, ratio in ratios.symbol_specific_ratios.items()}
    within = f"ratios from min_ratio {plain(low)} to max_ratio {plain(high)}"
    for path, ratio in bounded.items():
        if ratio < low:
            yield Clash(path, plain(ratio), "is below", MIN_RATIO, plain(low), within)
        if ratio > high:
            yield Clash(path, plain(ratio), "is above", MAX_RATIO, plain(high), within)


def _plan_clashes(block: PolicyBlock) -> Iterator[Clash]:
    if block.protection.plan is Plan.SYNTHETIC and not block.protection.allow_synthetic:
        plan, allow = ("protection", "plan"), ("protection", "allow_synthetic")
        yield Clash(
            plan,
            "synthetic",
            "needs",
            allow,
            "true, but it is false",
            "synthetic only together with allow_synthetic: true",
        )


def _spoken(clash: Clash, placed: Placed) -> str:
    """Write a clash at the value, or at the bound when the value is nobody's doing."""
    where, other = placed.origin(clash.path), placed.origin(clash.other)
    here, there = (clash.path, clash.value), (clash.other, clash.other_value)
    relation = clash.relation
    if where == DEFAULT:
        where, other, here, there, relation = other, where, there, here, OPPOSITE[relation]
    words = f"{here[1]} {relation} {'.'.join(there[0][1:])} {there[1]} ({other})"
    return complaint(where, tuple(where.path.split(".")), f"{words}; allowed: {clash.allowed}")


def precision_problem(symbol: str, rules: InstrumentRules, placed: Placed) -> Iterator[str]:
    """Say when a tick has more decimals than the venue takes."""
    exponent = rules.tick_size.normalize().as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    if rules.precision is None or decimals <= rules.precision:
        return
    if not (placed.doubtful(("precision",)) or placed.doubtful(("tick_size",))):
        origin = placed.origin(("tick_size",))
        words = (
            f"{plain(rules.tick_size)} has more decimals than precision {rules.precision} "
            f"({placed.origin(('precision',))}) of {symbol}; allowed: a tick the venue can write"
        )
        yield complaint(origin, tuple(origin.path.split(".")), words)
