"""Exit rules by compiled loops: what an entry costs when it is held for 10 to 100,000 bars in which nothing happens.

One bracket at a time, levels in Decimal and all, as `grodtd replay --fast` follows them. Entries a CPU second.
"""

from decimal import Decimal

import numpy as np
from msgspec.structs import replace

from benchmarks.market import BARS, TICK, market
from benchmarks.printing import Row, median_row, peak_mb, rates, show
from grodtd.domain.bracket import Levels
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Side
from grodtd.domain.policy import (
    AtrPolicy,
    BreakEvenPolicy,
    LockStep,
    Policy,
    TimeExitPolicy,
    TrailAtr,
    TrailingPolicy,
    TrailMethod,
)
from grodtd.replay.feed import Feed
from grodtd.replay.kernels import walks
from grodtd.replay.kernels_rules import Clock, Follower, Holding
from grodtd.replay.volatility import atr_series
from grodtd.venue.bar_matching import FillModel

ENTRIES, ROUNDS = 200, 5
HOLDS = (10, 100, 1_000, 10_000, 100_000)
FAR = Decimal(1_000_000)
"""No price of the market is so far from another."""
NEVER_MOVES = Decimal(10) ** 8
RULES = {
    "time": Policy(),
    "break-even and locks": Policy(
        break_even=BreakEvenPolicy(at_r=Decimal(1)), profit_lock=(LockStep(Decimal(2), Decimal(1)),)
    ),
    "trail by the ATR at entry": Policy(trailing=TrailingPolicy(method=TrailMethod.CHANDELIER, amount=NEVER_MOVES)),
    "trail by the current ATR": Policy(
        trailing=TrailingPolicy(method=TrailMethod.ATR, amount=NEVER_MOVES, atr=TrailAtr.CURRENT)
    ),
    "out unless in profit": Policy(time_exit=TimeExitPolicy(unprofitable_after_bars=1)),
}
"""Each is followed to the close of the bar the hold names; entered so deep that it is in profit throughout."""


def growth() -> list[Row]:
    """Measure each rule at each hold."""
    bars, entry = market(), np.linspace(50, BARS - HOLDS[-1] - 2, ENTRIES).astype(np.int64)
    over, series = walks(Feed.of_bars(bars)), atr_series(bars, AtrPolicy(), 0)
    instrument = Instrument("X", tick_size=TICK)
    clock = Clock(bars, instrument, bars.time_ns)
    follower = Follower(over, Side.BUY, instrument, FillModel.PESSIMISTIC, clock, lambda _: series)
    holding, px = Holding(Decimal(1), Decimal(1)), bars.px(int(bars.bid.low.min())) - 1
    levels = Levels(px, px - FAR, px + 100 * FAR, atr_px=Decimal(1))
    rows = []
    for name, policy in RULES.items():
        for hold in HOLDS:
            timed = replace(policy, time_exit=replace(policy.time_exit, after_bars=hold))

            def follow(timed: Policy = timed, hold: int = hold) -> None:
                for at in entry.tolist():
                    [out], _ = follower.follow(at, holding, levels, timed, "default")
                    assert out.bar == at + hold

            found = rates(follow, ENTRIES, ROUNDS)
            place = {"series": f"rules/{name}", "x": float(hold), "memory_mb": peak_mb()}
            rows.append(median_row(f"{name}, {hold:,} bars", found, "entries/s", **place))
    return rows


def main() -> None:
    """Measure and print."""
    show("exits by rules, by how long an entry is held (1M bars, one core)", growth())


if __name__ == "__main__":
    main()
