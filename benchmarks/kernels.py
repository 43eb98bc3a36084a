"""Exits only, by compiled loops: 10,000 entries on 1,000,000 bars. Entries a second; CPU seconds of this process.

Held against vectorbt on the same prices and entries, ATR and arrays given to it, by the faster of its two ways; for
wide stops, against a plain scan in the same run: what grows with the hold.
"""

import statistics
from decimal import Decimal

import numba
import numpy as np

from benchmarks import peers, rule_holds
from benchmarks.market import BARS, ENTRIES, TICK, market, places
from benchmarks.printing import median_row, peak_mb, rates, show
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy
from grodtd.replay import kernels_loops as loops
from grodtd.replay.feed import Feed
from grodtd.replay.kernels import fixed_exits, walks
from grodtd.replay.sweep_walk import Ground, stops_of
from grodtd.replay.volatility import atr_series
from grodtd.venue.bar_matching import FillModel

ROUNDS = 9
LEVELS = ((0.7, 1.0), (2.0, 1.5), (8.0, 2.0), (20.0, 3.0), (50.0, 3.0), (100.0, 3.0))
"""Multiples of ATR to the stop and of that to the target: from narrow to wide."""
MODEL = FillModel.PESSIMISTIC


@numba.njit
def _scan(high, low, entry, stop, target, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for k in range(len(entry)):
        out[k] = -1
        for i in range(entry[k] + 1, len(high)):
            if low[i] <= stop[k] or high[i] >= target[k]:
                out[k] = i
                break


def main() -> None:
    """Measure and print."""
    bars, entry = market(), places()
    over = walks(Feed.of_bars(bars))
    prices, series = over.of(Side.BUY), atr_series(bars, AtrPolicy(), 0)
    px, never = bars.bid.close[entry], np.full(ENTRIES, loops.NEVER)

    def levels(multiplier: float, ratio: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
        stop = np.ceil(px - multiplier * series.atr[entry]).astype(np.int64)
        return stop, np.ceil(px + ratio * (px - stop)).astype(np.int64)

    stop, target = levels(2.0, 1.5)
    given = rates(lambda: fixed_exits(prices, entry, stop, target, MODEL), ENTRIES, ROUNDS)

    def whole() -> None:
        fresh, known = walks(Feed.of_bars(bars)), atr_series(bars, AtrPolicy(), 0)
        ground = Ground(Side.BUY, entry, entry, px, known.atr[entry], never, never, entry, known)
        stop = stops_of(ground, fresh, Decimal(2), AtrPolicy(), TICK)
        fixed_exits(fresh.of(Side.BUY), entry, stop, px - (-3 * (px - stop) // 2), MODEL)  # ratio 1.5, rounded away

    job = rates(whole, ENTRIES, ROUNDS)
    peer = peers.best(peers.VECTORBT_ENTRIES, peers.VECTORBT_EXITS)
    theirs = {"unit": "entries/s", "against": peer.per_s, "against_what": peer.said}
    rows = [
        median_row("ATR and arrays given", given, **theirs, goal="exits"),
        median_row("whole job: ATR, index, exits", job, **theirs, goal="exits-whole"),
    ]
    scanned = np.empty(ENTRIES, dtype=np.int64)
    for multiplier, ratio in LEVELS:
        stop, target = levels(multiplier, ratio)
        found = fixed_exits(prices, entry, stop, target, MODEL)
        hold = float(np.where(found.at >= 0, found.at - entry, BARS - entry).mean())
        ours = rates(lambda s=stop, t=target: fixed_exits(prices, entry, s, t, MODEL), ENTRIES, ROUNDS)  # type: ignore[misc]
        some = slice(0, ENTRIES, 1 if hold < 10_000 else 20)
        plain = rates(
            lambda s=stop[some], t=target[some], e=entry[some]: _scan(  # type: ignore[misc]
                prices.high, prices.low, e, s, t, scanned
            ),
            len(entry[some]),
            3,
        )
        what, place = f"mean hold {hold:,.0f} bars", {"series": "holds/indexed", "x": hold, "memory_mb": peak_mb()}
        wide = "exits-wide" if multiplier == LEVELS[-1][0] else ""
        scan = statistics.median(plain)
        rows += [
            median_row(what, ours, "entries/s", against=scan, against_what="plain scan", goal=wide, **place),
            median_row("  plain scan", plain, "entries/s", **{**place, "series": "holds/plain scan"}),
        ]
    show("exits only (1M bars, 10,000 entries, one core)", rows)
    rule_holds.main()


if __name__ == "__main__":
    main()
