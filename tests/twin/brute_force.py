"""The twin: what a replay must answer, worked out the slow way from the text of the design alone.

It shares no line with `grodtd` (and imports nothing of it), keeps every price a `Decimal`, and walks every
bar for every bracket. Where it and the product disagree, one of them reads the design wrongly; the test
that compares them (`tests/integration/test_replay_equals_twin.py`) prints both rows.

Where the text leaves room, this is how it is read here. The letters are used in the code below.

Numbers and columns
  A  `atr` and `ratio` are derived figures like r_multiple, pnl, mae_r, mfe_r: 6 decimals, half-even, and a
     rounded zero has no minus sign. Prices and quantities lose trailing zeros (`110.50` is written
     `110.5`).
  B  ATR figures are rounded to 12 significant digits (half-even) when they are read; the recursion itself
     is not. So is the ratio, factors included: a median equal to now must give exactly the base ratio, or a
     target on a tick moves a tick.
  C  EMA form of the ATR: alpha 2/(period + 1), first value the mean of the first `period` true ranges
     (TA-Lib's EMA).
  D  `max_gap_bars`: two neighbours more than `max_gap_bars + 1` spacings apart end one run of bars and
     begin another, and an average knows its own run only: behind the gap it starts anew, after `period + 1`
     bars.
  E  The median of ATR% is over the bars, among the last `volatility_lookback`, that have a usable ATR:
     there, not zero, no gap. Without a usable ATR now the factor is 1.0.
  F  The most common spacing: of several equally common the smallest. A file of one bar covers that instant
     only.
  G  `entry_time` is the time of the bar (quote) filled in, not the entry's own time, and it is what rows
     are sorted by; entries of the same bar keep file order whatever their own times say. A row without exit
     time comes last.

Levels
  H  Given levels are rounded like computed ones (stop towards the entry, target away), being levels.
  I  The wrong-side test looks at the price as given. A stop given on the right side that would round onto
     the entry, or past it, is the first tick on the losing side; `min_stop_ticks` is for computed stops
     (the fallback's included), and so is `min_stop_percentage`, which comes before any rounding.
  J  A bracket with a wrong-side stop has no risk to measure by: r_multiple, mae_r and mfe_r are empty, and
     so is a target that was not given; `ratio` is still the policy's. On the last bar it is `open` like any
     other.
  K  With a given stop `atr` is still shown where there is one, and `fallback` is false even where there is
     none.
  L  A given target on the wrong side is simply a target the next open is through.
  M  Levels at or below zero are left alone: nothing in the text forbids them, and they are never touched.
  N  A market condition that is named but has no factor is an error, not 1.0.

Fees, lots and what is left
  O  The fee of a quote-fee venue is fee_rate x price x quantity x contract_multiplier per side. An open
     bracket has paid its entry's fee only.
  P  A base fee is taken from the entry: fee_rate x quantity. The exit pays in what it receives, quote
     currency, like any other. The same for a short, as its mirror.
  Q  What can be sold is floor_to_lot(quantity - base fee), whatever the fee asset. The rest (fee + dust) is
     one `residue` row with the last exit's time and price, so that the quantities sum to the entry. Its
     r_multiple, mae_r and mfe_r are empty, ambiguous false; its pnl is the dust marked at that price less
     what the fee coins had cost at the entry price (less the dust's share of the entry's quote fee): all
     rows together are the money that was made.
  R  A bracket still open shows one `open` row with all that was not sold, fee and dust included; its pnl is
     what is held marked at the last close, less what the fee coins had cost.
  S  Nothing sellable at all: one `residue` row, exit columns empty, marked like an open one.

Excursions
  T  mae_r and mfe_r include the entry itself (hence mae_r <= 0 <= mfe_r). For an open bracket every bar
     after the entry counts, and the mark is its "exit price".

  Y  What one bar (quote) takes out at one price for one reason is one exit, whatever orders it took.

Quotes
  U  An entry meets the quote in force: the last one at or before its time, and no later than the last quote
     of all. With `price` it is taken at its word.
  V  Mid bars: the mids of the quotes in [k x interval, (k + 1) x interval) counted from the epoch; no bar
     where no quote. An entry knows the bars that end at or before its time.
  W  Crossed quotes are left out of everything: fills, exits, bars, excursions, marks.
  X  A target on quotes is filled at the quote: either that is its level, or the quote gapped beyond it.

Exit policies have their own letters, AA and on: `exit_policies`.

Not here: `strategy` (one configuration for all entries), min_notional, --limits, --splits, `every`/`ema-cross` on
quotes.
"""

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from tests.twin.exit_policies import (
    Closes,
    ExitRules,
    closes_of,
    in_new_york,
    overdue,
    ratchet,
    target_parts,
    time_is_up,
)

COLUMNS = (
    *("bracket_id", "symbol", "side", "quantity", "entry_time", "entry_price", "stop_price", "target_price"),
    *("atr", "ratio", "exit_time", "exit_price", "exit_reason", "r_multiple", "pnl", "mae_r", "mfe_r"),
    *("ambiguous", "fallback"),
)
MODELS = ("pessimistic", "optimistic", "path")
PRECISE = Context(prec=60, rounding=ROUND_HALF_EVEN)
TWELVE = Context(prec=12, rounding=ROUND_HALF_EVEN)
MINUTE_NS = 60_000_000_000
ONE = Decimal(1)
SOME_VALUES = 20
"""Fewer ATR% values than this make no median."""


class BadEntryError(ValueError):
    """An entry no replay can take: its time is in no bar, or its price is outside that bar."""


class Ohlc(NamedTuple):
    """One side of a bar."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True)
class TwinBar:
    """A bar with both sides; where the data has one price, both sides are it."""

    time_ns: int
    bid: Ohlc
    ask: Ohlc

    @classmethod
    def traded(cls, time_ns: int, *prices: Decimal) -> "TwinBar":
        """Make a bar from one open, high, low and close."""
        return cls(time_ns, Ohlc(*prices), Ohlc(*prices))

    @property
    def mid(self) -> Ohlc:
        """Half way between bid and ask, each of open, high, low and close on its own."""
        return Ohlc(*((bid + ask) / 2 for bid, ask in zip(self.bid, self.ask, strict=True)))


@dataclass(frozen=True)
class TwinQuote:
    """Best bid and ask at one instant."""

    time_ns: int
    bid: Decimal
    ask: Decimal


@dataclass(frozen=True)
class TwinEntry:
    """A row of the entries file. None is an empty cell."""

    time_ns: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal | None = None
    bracket_id: str | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    strategy: str | None = None


@dataclass(frozen=True)
class TwinConfig:
    """The policy and the instrument, flat. Fractions are plain numbers: 0.02 is two per cent."""

    period: int = 14
    multiplier: Decimal = Decimal(2)
    method: str = "wilder"
    fallback_percentage: Decimal = Decimal("0.02")
    max_gap_bars: int | None = None
    min_stop_ticks: int = 1
    min_stop_percentage: Decimal = Decimal(0)
    strategy: str = "fixed_ratio"
    base_ratio: Decimal = Decimal("1.5")
    min_ratio: Decimal = Decimal(1)
    max_ratio: Decimal = Decimal(3)
    volatility_factor: Decimal = Decimal(1)
    volatility_lookback: int = 100
    condition_factors: dict[str, Decimal] = field(default_factory=dict)
    symbol_ratios: dict[str, Decimal] = field(default_factory=dict)
    condition: str | None = None
    """Named by somebody; None: the bars tell it."""
    efficiency_period: int = 20
    trending_from: Decimal = Decimal("0.4")
    percentile_window: int = 100
    volatile_from: Decimal = Decimal("0.8")
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal(1)
    contract_multiplier: Decimal = Decimal(1)
    fee_rate: Decimal = Decimal(0)
    fee_asset: str = "quote"
    calendar: str | None = None
    exits: ExitRules = field(default_factory=ExitRules)


Atrs = Sequence[Decimal | None]
"""The usable ATR at the close of each bar; None where there is none."""

# ------------------------------------------------------------------ volatility


def spacing_ns(bars: Sequence[TwinBar]) -> int:
    """Return the most common distance between neighbours (F); 1 ns where there is only one bar."""
    counts = Counter(after.time_ns - before.time_ns for before, after in itertools.pairwise(bars))
    return min((d for d in counts if counts[d] == max(counts.values())), default=1)


def true_ranges(bars: Sequence[TwinBar]) -> list[Decimal]:
    """Return the true range of the second bar, the third, and so on, on mids."""
    ranges = []
    for before, bar in itertools.pairwise(bars):
        last, now = before.mid.close, bar.mid
        ranges.append(max(now.high - now.low, abs(now.high - last), abs(now.low - last)))
    return ranges


def atr_at_each_bar(bars: Sequence[TwinBar], period: int, method: str) -> list[Decimal | None]:
    """Return the ATR at the close of each bar, unrounded; None before there are `period` true ranges."""
    ranges = true_ranges(bars)
    atrs: list[Decimal | None] = []
    for index in range(len(bars)):
        known = ranges[:index] if index <= period else ranges[index - period : index]
        before = atrs[-1] if atrs else None
        if len(known) < period:
            atrs.append(None)
        elif before is None or method == "sma":
            atrs.append(sum(known, Decimal(0)) / period)
        elif method == "wilder":
            atrs.append((before * (period - 1) + known[-1]) / period)
        elif method == "ema":
            atrs.append(before + (known[-1] - before) * 2 / (period + 1))
        else:
            raise ValueError(method)
    return atrs


def usable_atrs(bars: Sequence[TwinBar], config: TwinConfig) -> list[Decimal | None]:
    """Return the ATR each bar offers a new bracket, to 12 digits; None where the fallback stands in."""
    atrs: list[Decimal | None] = []
    for run in runs_without_gaps(bars, config.max_gap_bars):
        atrs += atr_at_each_bar(run, config.period, config.method)
    return [TWELVE.create_decimal(atr) if atr else None for atr in atrs]


def runs_without_gaps(bars: Sequence[TwinBar], max_gap_bars: int | None) -> list[list[TwinBar]]:
    """Return the bars cut wherever more than `max_gap_bars` of them are missing (D)."""
    longest = None if max_gap_bars is None else (max_gap_bars + 1) * spacing_ns(bars)
    runs: list[list[TwinBar]] = []
    for bar in bars:
        if not runs or (longest is not None and bar.time_ns - runs[-1][-1].time_ns > longest):
            runs.append([])
        runs[-1].append(bar)
    return runs


def volatility_factor(bars: Sequence[TwinBar], atrs: Atrs, config: TwinConfig) -> Decimal:
    """Return (median ATR% / ATR% now) ** factor from the bars an entry knows; 1 where there is none (E)."""
    if not atrs or atrs[-1] is None:
        return Decimal(1)
    back = config.volatility_lookback
    recent = zip(bars[-back:], atrs[-back:], strict=True)
    percents = [atr / bar.mid.close for bar, atr in recent if atr is not None]
    if len(percents) < SOME_VALUES:
        return Decimal(1)
    ranked, middle = sorted(percents), len(percents) // 2
    median = ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2
    return Decimal((median / percents[-1]) ** config.volatility_factor)


def condition_told(bars: Sequence[TwinBar], atrs: Atrs, config: TwinConfig) -> str | None:
    """Return trending, volatile or ranging from the bars since the last one without an ATR; None: too few."""
    known = 0
    while known < len(bars) and atrs[-known - 1] is not None:
        known += 1
    if known < max(config.efficiency_period + 1, SOME_VALUES):
        return None
    closes = [bar.mid.close for bar in bars[-config.efficiency_period - 1 :]]
    path = sum(abs(Fraction(closes[i]) - Fraction(closes[i - 1])) for i in range(1, len(closes)))
    if path and abs(Fraction(closes[-1]) - Fraction(closes[0])) / path >= Fraction(config.trending_from):
        return "trending"
    window = min(known, config.percentile_window)
    percents = [(atr or 0) / bar.mid.close for bar, atr in zip(bars[-window:], atrs[-window:], strict=True)]
    now = percents[-1] * (1 - Decimal("2e-11"))  # an ATR of 12 digits: what is nearer than that is the same
    below = sum(1 for percent in percents[:-1] if percent < now)
    return "volatile" if Fraction(below, window - 1) >= Fraction(config.volatile_from) else "ranging"


# ------------------------------------------------------------------ levels


def round_up(price: Decimal, tick: Decimal) -> Decimal:
    """Return the first multiple of `tick` at or above `price`."""
    return -round_down(-price, tick)


def round_down(price: Decimal, tick: Decimal) -> Decimal:
    """Return the first multiple of `tick` at or below `price`."""
    return (Fraction(price) // Fraction(tick)) * tick


@dataclass(frozen=True)
class Levels:
    """What a bracket begins with."""

    stop: Decimal
    target: Decimal | None
    atr: Decimal | None
    ratio: Decimal | None
    fallback: bool
    wrong_side: bool


def ratio_of(symbol: str, bars: Sequence[TwinBar], atrs: Atrs, config: TwinConfig) -> Decimal:
    """Return reward over risk for a new bracket that knows these bars."""
    ratio = config.symbol_ratios.get(symbol, config.base_ratio)
    if config.strategy in ("market_condition", "adaptive_ratio"):
        condition = config.condition or condition_told(bars, atrs, config)
        ratio *= config.condition_factors[condition] if condition else 1
    if config.strategy in ("volatility_based", "adaptive_ratio"):
        ratio *= volatility_factor(bars, atrs, config)
    return TWELVE.create_decimal(min(max(ratio, config.min_ratio), config.max_ratio))


def initial_levels(
    entry: TwinEntry,
    entry_price: Decimal,
    bars: Sequence[TwinBar],
    atrs: Atrs,
    config: TwinConfig,
) -> Levels:
    """Return stop and target of a bracket filled at `entry_price`, from the `bars` and `atrs` it knows."""
    long = entry.side == "buy"
    rounded = round_up if long else round_down  # a long's stop towards its entry, and its target away from it
    atr = atrs[-1] if atrs else None
    fallback = False
    if entry.stop_price is not None:
        stop = rounded(entry.stop_price, config.tick)
        wrong_side = entry.stop_price >= entry_price if long else entry.stop_price <= entry_price
        shift = Decimal(0) if wrong_side else config.tick
    else:
        fallback = atr is None
        distance = entry_price * config.fallback_percentage if atr is None else config.multiplier * atr
        distance = max(distance, entry_price * config.min_stop_percentage)
        stop = rounded(entry_price - distance if long else entry_price + distance, config.tick)
        shift = config.min_stop_ticks * config.tick
        wrong_side = False
    if long and stop >= entry_price:
        stop -= shift
    if not long and stop <= entry_price:
        stop += shift
    ratio = None
    target = entry.target_price
    if target is None:
        ratio = ratio_of(entry.symbol, bars, atrs, config)
        reward = ratio * abs(entry_price - stop)
        target = entry_price + reward if long else entry_price - reward
        target = None if wrong_side else target
    return Levels(stop, target and rounded(target, config.tick), atr, ratio, fallback, wrong_side)


# ------------------------------------------------------------------ matching


class Exit(NamedTuple):
    """One fill that reduced a bracket."""

    at: int
    price: Decimal
    quantity: Decimal
    reason: str
    ambiguous: bool = False


@dataclass
class Target:
    """A limit that takes `quantity` out at `price`."""

    price: Decimal
    quantity: Decimal


@dataclass
class Trade:
    """One bracket on its way; its exit rules may change `stop` and `stop_reason` at a bar's close."""

    entry: TwinEntry
    entry_index: int
    entry_price: Decimal
    levels: Levels
    sellable: Decimal
    stop: Decimal
    targets: list[Target]
    """Near to far; their quantities never sum to more than what is open."""
    stop_reason: str = "stop"
    moved_ns: int | None = None
    """When the stop last moved."""
    due_ns: int | None = None
    """When a move that came too soon is made."""
    exits: list[Exit] = field(default_factory=list)

    @property
    def open_quantity(self) -> Decimal:
        """What is still to be sold."""
        return self.sellable - sum((e.quantity for e in self.exits), Decimal(0))

    @property
    def long(self) -> bool:
        """Whether it was bought."""
        return self.entry.side == "buy"

    def exit_side(self, bar: TwinBar) -> Ohlc:
        """The prices it gets out at."""
        return bar.bid if self.long else bar.ask

    def stopped_by(self, price: Decimal) -> bool:
        """Whether `price` is at or through the stop."""
        return price <= self.stop if self.long else price >= self.stop

    def taken_by(self, price: Decimal, target: Target) -> bool:
        """Whether `price` is at or through a target."""
        return price >= target.price if self.long else price <= target.price


def stop_comes_first(trade: Trade, prices: Ohlc, fill_model: str) -> bool:
    """Say whether the bar went to the stop's side before the target's, as `fill_model` sees it."""
    if fill_model == "path":
        up, down = prices.high - prices.open, prices.open - prices.low
        return down <= up if trade.long else up <= down
    return {"pessimistic": True, "optimistic": False}[fill_model]


def match_bar(trade: Trade, bars: Sequence[TwinBar], index: int, fill_model: str) -> None:
    """Let one bar meet the bracket's levels as they stood when the bar began."""
    prices = trade.exit_side(bars[index])
    if trade.levels.wrong_side or trade.stopped_by(prices.open):
        trade.exits.append(Exit(index, prices.open, trade.open_quantity, trade.stop_reason))
        return
    opened_through = [target for target in trade.targets if trade.taken_by(prices.open, target)]
    for target in opened_through:
        trade.exits.append(Exit(index, prices.open, target.quantity, "target"))
    trade.targets = [target for target in trade.targets if target not in opened_through]

    worst, best = (prices.low, prices.high) if trade.long else (prices.high, prices.low)
    stop_touched = trade.stopped_by(worst)
    touched = [target for target in trade.targets if trade.taken_by(best, target)]
    ambiguous = bool(stop_touched and touched and not opened_through)
    if touched and not (stop_touched and stop_comes_first(trade, prices, fill_model)):
        for target in touched:
            trade.exits.append(Exit(index, target.price, target.quantity, "target", ambiguous))
        trade.targets = [target for target in trade.targets if target not in touched]
    if stop_touched and trade.open_quantity:
        trade.exits.append(Exit(index, trade.stop, trade.open_quantity, trade.stop_reason, ambiguous))


def follow(trade: Trade, bars: Sequence[TwinBar], config: TwinConfig, fill_model: str, closes: Closes) -> None:
    """Walk a bracket through every bar after its entry, until nothing is left to sell."""
    rules = config.exits
    for index in range(trade.entry_index + 1, len(bars)):
        if not trade.open_quantity:
            return
        overdue(trade, bars, index, closes, rules, config)
        match_bar(trade, bars, index, fill_model)
        if not trade.open_quantity:
            return
        reason = time_is_up(trade, bars, index, closes, rules)
        if reason:
            close = trade.exit_side(bars[index]).close
            trade.exits.append(Exit(index, close, trade.open_quantity, reason))
        else:
            ratchet(trade, bars, index, closes, rules, config)


# ------------------------------------------------------------------ rows


def iso(time_ns: int) -> str:
    """Write a time as ISO 8601 with milliseconds and Z.

    >>> iso(1_400_000_000_250_000_000)
    '2014-05-13T16:53:20.250Z'
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def plain(value: Decimal) -> str:
    """Write a price or quantity without exponent and without zeros nobody needs.

    >>> plain(Decimal("1E+2")), plain(Decimal("110.50"))
    ('100', '110.5')
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def six(value: Fraction | Decimal | None) -> str:
    """Write a derived figure with 6 decimals, half-even; nothing for None (A).

    >>> six(Fraction(-1, 3)), six(Decimal("0.0000005")), six(Decimal("-0.0000005")), six(None)
    ('-0.333333', '0.000000', '0.000000', '')
    """
    if value is None:
        return ""
    millionths = round(Fraction(value) * 1_000_000)
    whole, rest = divmod(abs(millionths), 1_000_000)
    return f"{'-' if millionths < 0 else ''}{whole}.{rest:06d}"


def in_r(trade: Trade, price: Decimal) -> Fraction:
    """Return how far `price` is from the entry in units of the initial risk; a gain is positive."""
    gain = price - trade.entry_price if trade.long else trade.entry_price - price
    return Fraction(gain) / Fraction(abs(trade.entry_price - trade.levels.stop))


def excursions(trade: Trade, bars: Sequence[TwinBar], before: int, price: Decimal) -> tuple[Fraction, Fraction]:
    """Return mae_r and mfe_r: over the entry, the bars after it and before index `before`, and `price`."""
    seen = [price, trade.entry_price]
    for bar in bars[trade.entry_index + 1 : before]:
        seen += [trade.exit_side(bar).high, trade.exit_side(bar).low]
    ends = [in_r(trade, max(seen)), in_r(trade, min(seen))]
    return min(ends), max(ends)


def money(trade: Trade, price: Decimal, quantity: Decimal, config: TwinConfig, *, sold: bool) -> Fraction:
    """Return the pnl of `quantity` got out at `price`, or only marked there when it is not `sold` (O)."""
    gain = price - trade.entry_price if trade.long else trade.entry_price - price
    value = Fraction(gain)
    if config.fee_asset == "quote":
        value -= Fraction(config.fee_rate) * Fraction(trade.entry_price)
    if sold:
        value -= Fraction(config.fee_rate) * Fraction(price)
    return value * Fraction(quantity) * Fraction(config.contract_multiplier)


def together(exits: list[Exit]) -> list[Exit]:
    """Return exits with those of one bar, price and reason made one: two targets the open was through, say (Y)."""
    made: list[Exit] = []
    for out in exits:
        same = made and (made[-1].at, made[-1].price, made[-1].reason) == (out.at, out.price, out.reason)
        before = made.pop().quantity if same else Decimal(0)
        made.append(out._replace(quantity=out.quantity + before))
    return made


def rows_of(trade: Trade, bars: Sequence[TwinBar], config: TwinConfig) -> list[dict[str, str]]:
    """Return a bracket's rows, in the order its exits happened."""
    entry, levels = trade.entry, trade.levels
    target = None if config.exits.rest == "run" else levels.target
    head = {
        "bracket_id": str(entry.bracket_id),
        "symbol": entry.symbol,
        "side": entry.side,
        "entry_time": iso(bars[trade.entry_index].time_ns),
        "entry_price": plain(trade.entry_price),
        "stop_price": plain(levels.stop),
        "target_price": "" if target is None else plain(target),
        "atr": six(levels.atr),
        "ratio": six(levels.ratio),
        "fallback": "true" if levels.fallback else "false",
    }
    tail = dict.fromkeys(("exit_time", "exit_price", "r_multiple", "mae_r", "mfe_r"), "")
    tail["ambiguous"] = "false"

    def measured(before: int, price: Decimal) -> dict[str, str]:
        if levels.wrong_side:
            return {}
        mae, mfe = excursions(trade, bars, before, price)
        return {"r_multiple": six(in_r(trade, price)), "mae_r": six(mae), "mfe_r": six(mfe)}

    rows = []
    for out in together(trade.exits):
        pnl = money(trade, out.price, out.quantity, config, sold=True)
        row = head | tail | measured(out.at, out.price)
        row |= {"quantity": plain(out.quantity), "exit_reason": out.reason, "pnl": six(pnl)}
        row |= {"exit_time": iso(bars[out.at].time_ns), "exit_price": plain(out.price)}
        rows.append(row | {"ambiguous": "true" if out.ambiguous else "false"})

    left = entry.quantity - sum((out.quantity for out in trade.exits), Decimal(0))
    if left:
        fee_quantity = base_fee(entry, config)
        last = trade.exit_side(bars[-1]).close
        price = last if trade.open_quantity or not trade.exits else trade.exits[-1].price
        pnl = money(trade, price, left - fee_quantity, config, sold=False)
        pnl -= Fraction(fee_quantity) * Fraction(trade.entry_price) * Fraction(config.contract_multiplier)
        row = head | tail | {"quantity": plain(left), "exit_reason": "residue", "pnl": six(pnl)}
        if trade.open_quantity:
            row |= {"exit_reason": "open"} | measured(len(bars), last)
        elif trade.exits:
            row |= {"exit_time": rows[-1]["exit_time"], "exit_price": rows[-1]["exit_price"]}
        rows.append(row)
    return [{column: row[column] for column in COLUMNS} for row in rows]


def base_fee(entry: TwinEntry, config: TwinConfig) -> Decimal:
    """Return the units the venue keeps of an entry (P)."""
    return entry.quantity * config.fee_rate if config.fee_asset == "base" else Decimal(0)


# ------------------------------------------------------------------ the two doors


def begin(entry: TwinEntry, at: int, price: Decimal, levels: Levels, config: TwinConfig) -> Trade:
    """Return the bracket of an entry that was filled at `price` in the bar (or quote) with index `at`."""
    brought = entry.quantity - base_fee(entry, config)
    trade = Trade(entry, at, price, levels, round_down(brought, config.lot), levels.stop, [])
    trade.targets = [Target(*part) for part in target_parts(trade, brought, config.exits, config)]
    return trade


def named(entries: Sequence[TwinEntry]) -> list[TwinEntry]:
    """Give each entry without an id the one of its row: E000001 and so on."""
    return [
        TwinEntry(**(vars(entry) | {"bracket_id": entry.bracket_id or f"E{row:06d}"}))
        for row, entry in enumerate(entries, start=1)
    ]


def in_order(trades: list[Trade], bars: Sequence[TwinBar], config: TwinConfig) -> list[dict[str, str]]:
    """Return all rows by entry time, entries-file order, exit time (G)."""
    rows = []
    for trade in trades:
        mine = rows_of(trade, bars, config)
        mine.sort(key=lambda row: row["exit_time"] or "~")  # stable: of one time, as they happened
        rows += [(trade.entry_index, row) for row in mine]
    rows.sort(key=lambda pair: pair[0])
    return [row for _, row in rows]


def replay(
    bars: Sequence[TwinBar], entries: Sequence[TwinEntry], config: TwinConfig, fill_model: str
) -> list[dict[str, str]]:
    """Return the rows of exits.csv, as strings, for entries into one symbol's bars.

    Raises: BadEntryError - an entry's time is in no bar, or its price outside the bar for its side.
    """
    with localcontext(PRECISE):
        atrs, spacing = usable_atrs(bars, config), spacing_ns(bars)
        times_ns = [bar.time_ns for bar in bars]
        closes = closes_of(times_ns, range(len(bars)), spacing, atrs)
        if config.calendar is not None:
            closes = {"XNYS": in_new_york}[config.calendar](closes, times_ns)
        trades = []
        for entry in named(entries):
            at = bar_of(bars, entry.time_ns, spacing)
            side = bars[at].ask if entry.side == "buy" else bars[at].bid
            price = side.close if entry.price is None else entry.price
            if not side.low <= price <= side.high:
                raise BadEntryError(f"{entry.bracket_id}: {price} is outside {side.low}..{side.high}")
            known = at + 1 if entry.price is None else at
            levels = initial_levels(entry, price, bars[:known], atrs[:known], config)
            trade = begin(entry, at, price, levels, config)
            follow(trade, bars, config, fill_model, closes)
            trades.append(trade)
        return in_order(trades, bars, config)


def bar_of(bars: Sequence[TwinBar], time_ns: int, spacing: int) -> int:
    """Return the index of the bar an instant is in: it lasts one spacing, cut at the next bar."""
    at = bisect_right(bars, time_ns, key=lambda bar: bar.time_ns) - 1
    if at < 0 or time_ns >= bars[at].time_ns + spacing:
        raise BadEntryError(f"{iso(time_ns)} is outside the bars")
    return at


def replay_quotes(
    quotes: Sequence[TwinQuote],
    entries: Sequence[TwinEntry],
    config: TwinConfig,
    interval_ns: int = MINUTE_NS,
) -> list[dict[str, str]]:
    """Return the rows of exits.csv for entries into one symbol's quotes; no fill model is needed.

    A quote is a bar that never moved: its open is the only price there is, so a level it is at or through is
    filled there. Only the ATR needs real bars.
    """
    with localcontext(PRECISE):
        good = [quote for quote in quotes if quote.bid <= quote.ask]
        moments = [TwinBar(q.time_ns, Ohlc(*[q.bid] * 4), Ohlc(*[q.ask] * 4)) for q in good]
        bars = mid_bars(good, interval_ns)
        atrs = usable_atrs(bars, config)
        closes = closes_of_quotes(good, bars, atrs, interval_ns)
        trades = []
        for entry in named(entries):
            at = bisect_right(good, entry.time_ns, key=lambda quote: quote.time_ns) - 1
            if at < 0 or entry.time_ns > good[-1].time_ns:
                raise BadEntryError(f"{iso(entry.time_ns)} is outside the quotes")
            now = good[at].ask if entry.side == "buy" else good[at].bid
            price = now if entry.price is None else entry.price
            known = sum(1 for bar in bars if bar.time_ns + interval_ns <= entry.time_ns)
            levels = initial_levels(entry, price, bars[:known], atrs[:known], config)
            trade = begin(entry, at, price, levels, config)
            follow(trade, moments, config, "pessimistic", closes)
            trades.append(trade)
        return in_order(trades, moments, config)


def closes_of_quotes(quotes: Sequence[TwinQuote], bars: Sequence[TwinBar], atrs: Atrs, interval_ns: int) -> Closes:
    """Return where the bars quotes make end: with the last quote in them, which makes their ATR known."""
    number = {bar.time_ns: at for at, bar in enumerate(bars)}
    inside = [number[quote.time_ns // interval_ns * interval_ns] for quote in quotes]
    closes = closes_of([quote.time_ns for quote in quotes], inside, 0, [None] * len(quotes))
    known = [
        atrs[at] if closed else (atrs[at - 1] if at else None) for at, closed in zip(inside, closes.of_bar, strict=True)
    ]
    return replace(closes, atrs=known)


def mid_bars(quotes: Sequence[TwinQuote], interval_ns: int) -> list[TwinBar]:
    """Return bars of the quotes' mids (V)."""
    mids: dict[int, list[Decimal]] = {}
    for quote in quotes:
        mids.setdefault(quote.time_ns // interval_ns * interval_ns, []).append((quote.bid + quote.ask) / 2)
    return [TwinBar.traded(time_ns, m[0], max(m), min(m), m[-1]) for time_ns, m in sorted(mids.items())]


# ------------------------------------------------------------------ made-up entries


def every(
    n: int,
    bars: Sequence[TwinBar],
    config: TwinConfig,
    *,
    symbol: str,
    side: str = "buy",
    quantity: Decimal = ONE,
) -> list[TwinEntry]:
    """Return `every:N[:side]`: an unpriced entry at each bar index from the ATR period on that N divides."""
    chosen = [bar for index, bar in enumerate(bars) if index >= config.period and index % n == 0]
    return [TwinEntry(bar.time_ns, symbol, side, quantity) for bar in chosen]


def ema_cross(
    fast: int, slow: int, bars: Sequence[TwinBar], *, symbol: str, quantity: Decimal = ONE
) -> list[TwinEntry]:
    """Return `ema-cross:F,S`: buy where the fast average goes from <= to > the slow, sell from >= to <."""
    with localcontext(PRECISE):
        closes = [bar.mid.close for bar in bars]
        entries, a, b = [], closes[0], closes[0]
        for index, close in enumerate(closes):
            before = a - b
            a += (close - a) * 2 / (fast + 1)
            b += (close - b) * 2 / (slow + 1)
            if index >= slow and before <= 0 < a - b:
                entries.append(TwinEntry(bars[index].time_ns, symbol, "buy", quantity))
            if index >= slow and before >= 0 > a - b:
                entries.append(TwinEntry(bars[index].time_ns, symbol, "sell", quantity))
        return entries
