"""Made-up markets in which replays go wrong: one seed is one `Scenario` of prices, entries, configuration.

The paths are built to hit the corners: opens and extremes exactly on live levels, bars that span both levels,
bars that never moved, gaps in price and in time, flat stretches long enough to make the ATR zero, prices off
the tick, both sides with a spread that comes and goes. Everything is drawn from `random.Random(seed)`.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from random import Random

from tests.twin.brute_force import (
    PRECISE,
    Ohlc,
    TwinBar,
    TwinConfig,
    TwinEntry,
    TwinQuote,
    initial_levels,
    usable_atrs,
)

START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
SECOND_NS = 1_000_000_000
TICKS = [Decimal(tick) for tick in ("0.01", "0.01", "0.05", "0.25", "0.00001", "0.5", "1")]


@dataclass(frozen=True)
class Scenario:
    """A market, what is traded in it, and how. `bars` or `quotes` is empty."""

    name: str
    symbol: str
    config: TwinConfig
    entries: list[TwinEntry]
    bars: list[TwinBar] = field(default_factory=list)
    quotes: list[TwinQuote] = field(default_factory=list)


# ------------------------------------------------------------------ configuration


def random_config(rng: Random, symbol: str) -> TwinConfig:
    """Return a policy and an instrument; most are ordinary, each odd thing comes often enough."""
    low, high = rng.choice([("0.1", "10"), ("1", "3"), ("1.5", "2")])
    least = Random(f"least {rng.getstate()}").choice(["0", "0", "0", "0.004", "0.03"])  # the other draws stay theirs
    base = rng.choice([ratio for ratio in RATIOS if Decimal(low) <= Decimal(ratio) <= Decimal(high)])
    return TwinConfig(
        period=rng.choice([1, 2, 3, 5, 7, 14]),
        multiplier=Decimal(rng.choice(["0.5", "1", "1.5", "2", "2.75"])),
        method=rng.choice(["wilder", "wilder", "sma", "ema"]),
        fallback_percentage=Decimal(rng.choice(["0.02", "0.005", "0.0333"])),
        max_gap_bars=rng.choice([None, None, 0, 1, 3]),
        min_stop_ticks=rng.choice([1, 1, 2, 5]),
        min_stop_percentage=Decimal(least),
        strategy=rng.choice(["fixed_ratio", "fixed_ratio", "market_condition", "volatility_based", "adaptive_ratio"]),
        base_ratio=Decimal(base),
        min_ratio=Decimal(low),
        max_ratio=Decimal(high),
        volatility_factor=Decimal(rng.choice(["0", "0.5", "1", "1", "2"])),
        volatility_lookback=rng.choice([20, 21, 30, 100]),
        condition_factors={"trending": Decimal("1.2"), "ranging": Decimal(1), "volatile": Decimal("0.8")},
        efficiency_period=rng.choice([2, 5, 20]),
        trending_from=Decimal(rng.choice(["0.25", "0.4", "0.7"])),
        percentile_window=rng.choice([20, 33, 100]),
        volatile_from=Decimal(rng.choice(["0.5", "0.8"])),
        symbol_ratios={symbol: Decimal("1.8")} if rng.random() < 0.2 else {"OTHER": Decimal(high)},
        tick=rng.choice(TICKS),
        **rng.choice(INSTRUMENTS),
    )


RATIOS = ["0.5", "1", "1.5", "1.8", "2", "2.25", "3", "7"]
INSTRUMENTS = [
    {},
    {},
    {"contract_multiplier": Decimal(50)},
    {"fee_rate": Decimal("0.001")},
    {"fee_rate": Decimal("0.00075"), "lot": Decimal("0.01")},
    {"fee_rate": Decimal("0.001"), "fee_asset": "base", "lot": Decimal("0.001")},
    {
        "fee_rate": Decimal("0.001"),
        "fee_asset": "base",
        "lot": Decimal("0.01"),
        "contract_multiplier": Decimal(2),
    },
]


def random_quantity(rng: Random, config: TwinConfig) -> Decimal:
    """Return a quantity in lots, large enough that something is sellable after a base fee."""
    return config.lot * rng.choice([2, 5, 10, 30, 333, 1000])


# ------------------------------------------------------------------ bars


class Path:
    """A price that walks on ticks, on one side of the market, and likes the levels people choose."""

    def __init__(self, rng: Random, tick: Decimal) -> None:
        self.rng, self.tick = rng, tick
        self.price = tick * rng.choice([2_000, 5_000, 12_345])
        self.step = rng.choice([2, 5, 20])
        self.off_tick = rng.random() < 0.25
        self.magnetic = rng.choice([0.0, 0.3, 0.6])
        self.still = 0

    def move(self, ticks: int) -> Decimal:
        """Return the price some ticks away, now and then between two ticks, never near zero."""
        price = self.price + ticks * self.tick
        if self.off_tick and self.rng.random() < 0.5:
            price += self.tick * Decimal(self.rng.choice(["0.25", "0.5", "0.1"]))
        return max(price, 20 * self.tick)

    def bar(self, levels: list[Decimal]) -> Ohlc:
        """Return the next bar and go on from its close."""
        rng, step = self.rng, self.step
        if self.still:
            self.still -= 1
            return Ohlc(*[self.price] * 4)
        shape = rng.random()
        if shape < 0.02:
            self.still = rng.randint(3, 25)
        gap = rng.randint(-8 * step, 8 * step) if rng.random() < 0.08 else rng.randint(-step, step) // 3
        open_ = self.move(gap)
        if shape < 0.08:  # one trade, one price
            self.price = open_
            return Ohlc(*[open_] * 4)
        reach = 6 * step if shape < 0.18 else step  # a bar that whips through everything now and then
        prices = [
            open_,
            self.move(gap + rng.randint(-reach, reach)),
            self.move(gap + rng.randint(-reach, reach)),
        ]
        close = self.move(gap + rng.randint(-reach, reach))
        near = sorted(levels, key=lambda level: abs(level - open_))[:4]
        if near and rng.random() < self.magnetic:
            touched = rng.choice(near)
            what = rng.choice(["open", "extreme", "extreme", "close"])
            if what == "open":
                prices[0] = touched
            elif what == "close":
                close = touched
            elif touched > open_:  # the high, or the low, exactly there
                prices = [min(price, touched) for price in prices] + [touched]
                close = min(close, touched)
            else:
                prices = [max(price, touched) for price in prices] + [touched]
                close = max(close, touched)
        if rng.random() < 0.05:  # as far up as down: the tie of the path model
            reach_px = max(abs(price - prices[0]) for price in [*prices, close])
            prices += [prices[0] + reach_px, max(prices[0] - reach_px, self.tick)]
        self.price = close
        return Ohlc(prices[0], max(*prices, close), min(*prices, close), close)


def with_spread(rng: Random, bid: Ohlc, tick: Decimal, widest: int) -> Ohlc:
    """Return the ask side of a bar, never below the bid side."""
    open_, high, low, close = (price + rng.randint(0, widest) * tick for price in bid)
    return Ohlc(open_, max(open_, high, low, close), min(open_, high, low, close), close)


def random_bars_and_entries(
    rng: Random, symbol: str, config: TwinConfig, count: int
) -> tuple[list[TwinBar], list[TwinEntry]]:
    """Walk bar by bar; enter on the way, and let later bars meet the levels of what is open."""
    path, spacing = Path(rng, config.tick), rng.choice([60, 300, 3600, 86_400]) * SECOND_NS
    widest = rng.choice([0, 0, 1, 4])
    busy = rng.choice([0.1, 0.4])
    bars: list[TwinBar] = []
    entries: list[TwinEntry] = []
    levels: list[Decimal] = []
    time_ns = START_NS
    while len(bars) < count:
        bid = path.bar(levels[-40:])
        bars.append(TwinBar(time_ns, bid, with_spread(rng, bid, config.tick, widest) if widest else bid))
        after = time_ns + spacing * (rng.randint(2, 6) if rng.random() < 0.03 else 1)
        if rng.random() < 0.01 and len(bars) > 5:  # a bar cut short by one that comes early; most are whole ones
            after = time_ns + spacing // 2
        while rng.random() < busy:
            entry = random_entry(rng, symbol, config, bars[-1], min(after, time_ns + spacing))
            entries.append(entry)
            levels += levels_of(entry, bars, config)
        time_ns = after
    rng.shuffle(entries)  # file order is nobody's time order
    return bars, [
        replace(entry, bracket_id=f"row-{row}") if rng.random() < 0.2 else entry for row, entry in enumerate(entries)
    ]


def random_entry(rng: Random, symbol: str, config: TwinConfig, bar: TwinBar, end_ns: int) -> TwinEntry:
    """Return an entry into `bar`: either side, priced or not, some with levels given, a few of those wrong."""
    side = rng.choice(["buy", "sell"])
    prices = bar.ask if side == "buy" else bar.bid
    price = None
    if rng.random() < 0.3:
        span = int((prices.high - prices.low) / config.tick)
        within = prices.low + rng.randint(0, span) * config.tick
        price = rng.choice([prices.open, prices.high, prices.low, within])
    filled = prices.close if price is None else price
    sign = 1 if side == "buy" else -1
    stop = target = None
    if rng.random() < 0.35:
        ticks = rng.choice([1, 2, 5, 10, 20, 40])
        ticks = rng.choice([0, -ticks]) if rng.random() < 0.12 else ticks
        stop = filled - sign * (ticks * config.tick + rng.choice([0, 0, 0, config.tick / 4]))
    if rng.random() < 0.3:
        ticks = -3 if rng.random() < 0.05 else rng.choice([1, 3, 10, 20, 50])
        target = filled + sign * (ticks * config.tick + rng.choice([0, 0, 0, config.tick / 4]))
    time_ns = rng.choice([bar.time_ns, bar.time_ns, rng.randrange(bar.time_ns, end_ns, 1_000_000)])
    return TwinEntry(time_ns, symbol, side, random_quantity(rng, config), price, None, stop, target)


def levels_of(entry: TwinEntry, bars: list[TwinBar], config: TwinConfig) -> list[Decimal]:
    """Return the stop and target of an entry into the newest bar, for later bars to meet."""
    with localcontext(PRECISE):
        known = bars if entry.price is None else bars[:-1]
        side = bars[-1].ask if entry.side == "buy" else bars[-1].bid
        recent = known[-3 * config.period - 25 :]  # near enough: exact where the average forgets, close where not
        levels = initial_levels(
            entry,
            side.close if entry.price is None else entry.price,
            recent,
            usable_atrs(recent, config),
            config,
        )
        return [level for level in (levels.stop, levels.target) if level is not None]


def bars_scenario(seed: int, count: int = 120) -> Scenario:
    """Return the market of one seed, in bars."""
    rng = Random(seed)
    symbol = rng.choice(["AAPL", "EURUSD", "BTC-USD"])
    config = random_config(rng, symbol)
    bars, entries = random_bars_and_entries(rng, symbol, config, rng.choice([2, 12, count, count, count]))
    return Scenario(f"bars-{seed}", symbol, config, entries, bars)


# ------------------------------------------------------------------ quotes


def quotes_scenario(seed: int, count: int = 400) -> Scenario:
    """Return the market of one seed, in quotes: some crossed, some at the same millisecond, long silences."""
    rng = Random(seed)
    symbol = rng.choice(["AAPL", "EURUSD"])
    config = replace(random_config(rng, symbol), max_gap_bars=None, period=rng.choice([2, 3, 5]))
    path, widest = Path(rng, config.tick), rng.choice([0, 1, 3])
    quotes, entries = [], []
    time_ns = START_NS
    for _ in range(count):
        silence = 180_000 if rng.random() < 0.02 else rng.choice([0, 1, 250, 2_000, 5_000, 9_000, 20_000])
        time_ns += silence * 1_000_000
        path.price = path.move(rng.randint(-path.step, path.step))
        bid, spread = path.price, rng.randint(0, widest) * config.tick
        if rng.random() < 0.03:
            bid, spread = bid + 40 * config.tick, -80 * config.tick
        quotes.append(TwinQuote(time_ns, bid, bid + spread))
        if rng.random() < 0.08 and spread >= 0:
            bar = TwinBar(time_ns, Ohlc(*[bid] * 4), Ohlc(*[bid + spread] * 4))
            entries.append(replace(random_entry(rng, symbol, config, bar, time_ns + 1_000_000), price=None))
    return Scenario(f"quotes-{seed}", symbol, config, entries, [], quotes)
