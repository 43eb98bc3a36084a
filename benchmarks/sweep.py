"""A sweep of 20 stop multipliers x 20 ratios over 10,000 entries on 1,000,000 bars: entry-combos a second.

Wall seconds with two threads, since two cores are the point, and CPU seconds of one. Held against vectorbt's figure in
the design's table (78,000 entry-combos/s, some 47 MB a combo) and the goal of 100 million on two cores; the limit is
writing the results, measured in the same run.
"""

import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np

from benchmarks.market import ENTRIES, TICK, market, places
from benchmarks.printing import Row, show
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

VECTORBT, GOAL, THREADS, ROUNDS, STRETCHES = 78_000, 100_000_000, 2, 9, 10


def main() -> None:
    """Measure and print."""
    bars, entry = market(), places()
    series, over = atr_series(bars, AtrPolicy(), 0), walks(Feed.of_bars(bars))
    never = np.full(ENTRIES, loops.NEVER)
    ground = Ground(Side.BUY, entry, entry, bars.bid.close[entry], series.atr[entry], never, never, entry, series)
    over.of(Side.BUY)
    rows = []
    for size in (1, 5, 20, 100):
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
            found = _rates(lambda some=some, pool=pool: list(pool.map(some, range(STRETCHES))), combos)  # type: ignore[misc]
        rows.append(Row(f"{size} x {size} settings", statistics.median(found), "entry-combos/s", GOAL, "goal", found))
        if size == 20:
            alone = _rates(lambda some=some: [some(at) for at in range(STRETCHES)], combos, clock=time.process_time)  # type: ignore[misc]
            rows.append(
                Row("  one core, CPU time", statistics.median(alone), "entry-combos/s", GOAL / 2, "goal", alone)
            )
            rows.append(Row("  against vectorbt", statistics.median(found), "entry-combos/s", VECTORBT, "table", []))
            written = _rates(lambda into=into: (into.at.fill(1), into.won.fill(1)), combos)  # type: ignore[misc]
            limit = statistics.median(written)
            rows.append(Row("  against writing them", statistics.median(found), "entry-combos/s", limit, "limit", []))
            tallied = _rates(lambda into=into, stops=stops: _tally(ground, stops, into), combos, 3)  # type: ignore[misc]
            rows.append(
                Row("  their figures, one thread", statistics.median(tallied), "entry-combos/s", rounds=tallied)
            )
    show("sweep over fixed levels (1M bars, 10,000 entries, two threads)", rows)
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB", flush=True)


def _rates(work, units: int, rounds: int = ROUNDS, clock=time.perf_counter) -> list[float]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    work()
    found = []
    for _ in range(rounds):
        began = clock()
        work()
        found.append(units / (clock() - began))
    return found


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
