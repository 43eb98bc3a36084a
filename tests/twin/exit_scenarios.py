"""Made-up markets for exit policies: short paths, several trades on each, one policy a path drawn from a seed.

Most policies ask for two or three things at once, as traders' do; distances are a few of the path's own steps, so that
stops really move, targets are really reached, and the time really runs out.
"""

from dataclasses import replace
from decimal import Decimal
from random import Random

from tests.twin.brute_force import TwinBar, TwinConfig, TwinEntry
from tests.twin.exit_policies import ExitRules
from tests.twin.scenarios import SECOND_NS, Scenario, quotes_scenario, random_bars_and_entries, random_config

HOUR_NS = 3_600 * SECOND_NS
METHODS = ["atr", "chandelier", "percent", "distance", "ticks"]


def decimals(rng: Random, *texts: str) -> Decimal:
    return Decimal(rng.choice(texts))


def trailing(rng: Random, tick: Decimal) -> dict[str, object]:
    """A stop that trails, by any of the five methods, at once or once it is active."""
    method = rng.choice(METHODS)
    amount = {
        "percent": decimals(rng, "0.001", "0.004", "0.0125"),
        "distance": rng.choice([3, 7, 20]) * tick + rng.choice([0, 0, tick / 4]),
        "ticks": Decimal(rng.choice([1, 4, 15])),
    }.get(method) or decimals(rng, "0.5", "1", "1.5", "3")
    return {
        "trail": method,
        "amount": amount,
        "trail_atr": rng.choice(["entry", "current"]),
        "activate_at_r": decimals(rng, "0", "0", "0.5", "1", "2"),
    }


def break_even(rng: Random, tick: Decimal) -> dict[str, object]:
    return {
        "break_even_at_r": decimals(rng, "0.3", "0.5", "1", "1.5"),
        "offset_ticks": rng.choice([0, 0, 1, 3]),
        "plus_fees": rng.random() < 0.6,
    }


def locks(rng: Random, tick: Decimal) -> dict[str, object]:
    found = {Decimal(at): Decimal(lock) for at, lock in (("0.5", "-0.5"), ("1", "0.25"), ("2", "1"), ("3", "2.5"))}
    chosen = rng.sample(sorted(found), rng.choice([1, 2, 3]))
    return {"locks": tuple((at_r, found[at_r]) for at_r in sorted(chosen))}


def scale_out(rng: Random, tick: Decimal) -> dict[str, object]:
    fractions = rng.choice([["0.5"], ["0.33", "0.33"], ["0.5", "0.25", "0.25"], ["0.1", "0.2", "0.3"], ["1"], []])
    where = rng.sample(["0.25", "0.5", "1", "1.5", "2", "3"], len(fractions))
    return {
        "steps": tuple((Decimal(f), "r", Decimal(r)) for f, r in zip(fractions, where, strict=True)),
        "rest": "run" if not fractions else rng.choice(["target", "run"]),
    }


def time_exits(rng: Random, tick: Decimal) -> dict[str, object]:
    rules: dict[str, object] = {}
    while not rules:
        if rng.random() < 0.4:
            rules["after_bars"] = rng.choice([1, 2, 5, 9, 20])
        if rng.random() < 0.3:
            rules["after_s"] = rng.choice([59, 60, 600, 3_600, 5_400, 18_000, 90_000])
        if rng.random() < 0.4:
            rules["unprofitable_after_bars"] = rng.choice([1, 3, 6])
        if rng.random() < 0.25:
            rules["at_session_end"] = True
        if rng.random() < 0.25:
            rules["before_weekend"] = True
    return rules


def random_rules(rng: Random, tick: Decimal, price: Decimal) -> ExitRules:
    """Return a policy for a path of steps of `tick` round `price`: one kind of rule, or several at once."""
    kinds = [trailing, break_even, locks, scale_out, time_exits]
    chosen = rng.sample(kinds, rng.choice([1, 1, 2, 3, 5]))
    rules: dict[str, object] = {"step_ticks": rng.choice([1, 1, 1, 2, 6])}
    for kind in chosen:
        rules |= kind(rng, tick)
    near = price + rng.randint(-15, 15) * tick
    if trailing in chosen and rng.random() < 0.2:
        rules["activate_px"] = near + rng.choice([0, 0, tick / 2])
    if scale_out in chosen and rng.random() < 0.25:
        rules["steps"] = ((decimals(rng, "0.3", "0.5"), "px", near), (Decimal("0.25"), "r", Decimal(1)))
    return ExitRules(**rules)  # type: ignore[arg-type]


def exits_scenario(seed: int) -> Scenario:
    """Return a short market of bars and its policy; now and then the market closes for a night or a weekend."""
    rng = Random(f"exits {seed}")
    symbol = rng.choice(["AAPL", "EURUSD"])
    config = random_config(rng, symbol)
    config = replace(config, period=rng.choice([1, 2, 3, 5]), strategy="fixed_ratio")
    bars, entries = random_bars_and_entries(rng, symbol, config, rng.randint(15, 45))
    while len(entries) < 3:
        bars, entries = random_bars_and_entries(rng, symbol, config, 45)
    rules = random_rules(rng, config.tick, bars[0].bid.open)
    if rng.random() < 0.15:  # dear enough for the fee of a fee to be a part of a tick
        config = replace(
            config, fee_rate=Decimal("0.004"), lot=Decimal("0.001"), fee_asset=rng.choice(["base", "quote"])
        )
    spacing_ns = min(bars[at + 1].time_ns - bars[at].time_ns for at in range(len(bars) - 1))
    if spacing_ns > HOUR_NS:
        rules = replace(rules, at_session_end=False, before_weekend=False)
    else:
        bars, entries = with_nights(rng, bars, entries)
    return Scenario(f"exits-{seed}", symbol, replace(config, exits=rules), entries, bars)


def with_nights(rng: Random, bars: list[TwinBar], entries: list[TwinEntry]) -> tuple[list[TwinBar], list[TwinEntry]]:
    """Return the same market with hours missing in a few places, just under and over what makes a night or weekend."""
    for begin in sorted(rng.sample(range(1, len(bars)), rng.choice([0, 2, 4]))):
        from_ns = bars[begin].time_ns
        pause_ns = rng.choice([3, 4, 17, 46, 47, 63]) * HOUR_NS - rng.choice([0, 0, SECOND_NS])
        bars = [replace(bar, time_ns=bar.time_ns + pause_ns * (bar.time_ns >= from_ns)) for bar in bars]
        entries = [replace(one, time_ns=one.time_ns + pause_ns * (one.time_ns >= from_ns)) for one in entries]
    return bars, entries


def exit_quotes_scenario(seed: int) -> Scenario:
    """Return a short market of quotes; the stop moves at the closes of its one-minute bars, or with every quote."""
    rng = Random(f"exit quotes {seed}")
    market = quotes_scenario(seed + 10_000, count=rng.choice([60, 120]))
    config = market.config
    rules = random_rules(rng, config.tick, market.quotes[0].bid)
    if rng.random() < 0.3:
        rules = replace(rules, **trailing(rng, config.tick))  # type: ignore[arg-type]
    rules = replace(
        rules,
        on=rng.choice(["bar_close", "quote", "quote"]),
        min_interval_s=decimals(rng, "0", "1", "1", "7.5", "60"),
        after_s=rng.choice([rules.after_s, 20, 90]) if rules.after_s else None,
    )
    config = replace(config, exits=rules, period=rng.choice([1, 2, 3]), strategy="fixed_ratio")
    return replace(market, name=f"exit-quotes-{seed}", config=config)


def without_rules(config: TwinConfig) -> TwinConfig:
    """Return the configuration with its stop and its one target alone."""
    return replace(config, exits=ExitRules())
