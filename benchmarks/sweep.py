"""A sweep of 20 stop multipliers x 20 ratios over 10,000 entries on 1,000,000 bars: entry-combos a second.

Wall seconds with two threads, since two cores are the point, and CPU seconds of one. Held against vectorbt on the same
prices and entries (20 settings of it: each takes some 47 MB there); the limit is writing the results, in the same run.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np

from benchmarks import peers
from benchmarks.market import ENTRIES, TICK, market, places
from benchmarks.printing import Row, median_row, peak_mb, rates, show
from grodtd.domain.orders import Side
from grodtd.domain.policy import AtrPolicy
from grodtd.replay import kernels_loops as loops
from grodtd.replay import sweep_loops
from grodtd.replay.feed import Feed
from grodtd.replay.kernels import walks
from grodtd.replay.prices import Floats
from grodtd.replay.sweep_walk import Ground, Walked, stops_of, walk
from grodtd.replay.volatility import atr_series
from grodtd.venue.bar_matching import FillModel

THREADS, ROUNDS, STRETCHES = 2, 9, 10
SIZES, FULL = (1, 5, 20, 100), 20
"""Values on each of the two axes."""
UNIT = "entry-combos/s"


def main() -> None:
    """Measure and print."""
    bars, entry = market(), places()
    series, over = atr_series(bars, AtrPolicy(), 0), walks(Feed.of_bars(bars))
    never = np.full(ENTRIES, loops.NEVER)
    ground = Ground(Side.BUY, entry, entry, bars.bid.close[entry], series.atr[entry], never, never, entry, series)
    over.of(Side.BUY)
    rows = []
    for size in SIZES:
        multipliers = [Decimal("0.5") + Decimal("9.5") * at / max(size - 1, 1) for at in range(size)]
        ratios = [Decimal(f"{0.25 + 4.75 * at / max(size - 1, 1):.4f}") for at in range(size)]
        stops = np.array([stops_of(ground, over, each, AtrPolicy(), TICK) for each in multipliers])
        entries = ENTRIES if size <= 20 else ENTRIES // 10
        shape = (size, size, entries)
        into = Walked(np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int64))
        stretch = entries // STRETCHES

        def some(at: int, stops=stops, ratios=ratios, into=into, stretch=stretch) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            part = slice(at * stretch, (at + 1) * stretch)
            walk(over, ground.part(part), stops[:, part], ratios, TICK, FillModel.PESSIMISTIC,
                 Walked(*(each[:, :, part] for each in into)))  # fmt: skip

        combos = size * size * entries
        with ThreadPoolExecutor(THREADS) as pool:
            found = rates(
                lambda some=some, pool=pool: list(pool.map(some, range(STRETCHES))),  # type: ignore[misc]
                combos, ROUNDS, time.perf_counter,
            )  # fmt: skip
        growth = {"series": "combinations/two threads", "x": size * size, "memory_mb": peak_mb()}
        if size != FULL:
            rows.append(median_row(f"{size} x {size} settings", found, UNIT, **growth))
            continue
        written = rates(lambda into=into: (into.at.fill(1), into.won.fill(1)), combos, ROUNDS, time.perf_counter)  # type: ignore[misc]
        peer, limit = peers.figure(peers.VECTORBT_SWEEP), statistics.median(written)
        what, median = f"{size} x {size} settings", statistics.median(found)
        alone = rates(lambda some=some: [some(at) for at in range(STRETCHES)], combos, ROUNDS)  # type: ignore[misc]
        tallied = rates(lambda into=into, stops=stops: _tally(ground, stops, into), combos, 3)  # type: ignore[misc]
        rows += [
            median_row(what, found, UNIT, against=peer.per_s, against_what=peer.said, goal="sweep", **growth),
            Row("  against writing them", median, UNIT, limit, "limit"),
            median_row("  one core, CPU time", alone, UNIT),
            median_row("  their figures, one thread", tallied, UNIT),
            Row("  peak memory", peak_mb(), "MB", peer.memory_mb, f"{peer.said}, 20 settings", goal="sweep-memory"),
        ]
    show("sweep over fixed levels (1M bars, 10,000 entries, two threads)", rows)


def _tally(ground: Ground, stops: np.ndarray, into: Walked) -> Floats:
    """Expectancy, profit factor, drawdown and the windows of every setting."""
    count = into.at.shape[2]
    ones, begins = np.ones(count), np.arange(6) * (count // 6)
    out = np.empty((*into.at.shape[:2], sweep_loops.FIGURES + 4 * (len(begins) - 1)))
    px = ground.px[:count].astype(np.float64)
    sweep_loops.tally_walk(
        into.at,
        into.won,
        px - stops[:, :count],
        px,
        ones,
        ones,
        0.0,
        np.arange(1_000_000),
        np.arange(count) * 6 // count,
        ground.entry[begins],
        out,
    )
    return out


if __name__ == "__main__":
    main()
