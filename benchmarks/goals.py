"""What ours must reach, a goal a figure: the rows of the design's performance table and their figures there.

A benchmark names the goal a row answers (`Row.goal`); `results` judges it. A figure of a peer counts as a ratio in one
run; the table's own figure of the peer, from another machine, stands in only where the peer cannot run here.
"""

from dataclasses import dataclass
from enum import StrEnum

from benchmarks.printing import Row, number


class Judge(StrEnum):
    """How a row is held against a goal."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    RATIO_AT_LEAST = "ratio at least"
    RATIO_AT_MOST = "ratio at most"


@dataclass(frozen=True)
class Goal:
    """One figure to reach. `bound` is in `unit`, or a ratio to what the row is held against."""

    key: str
    benchmark: str
    """Module of benchmarks/ that measures it."""
    work: str
    judge: Judge
    bound: float
    unit: str
    """Of the bound; for a ratio, what it is a multiple of."""

    def reached(self, row: Row) -> bool | None:
        """Tell whether a figure reaches it; None: the row has nothing to be held against."""
        value = row.ratio if self.judge in {Judge.RATIO_AT_LEAST, Judge.RATIO_AT_MOST} else row.value
        if value is None:
            return None
        return value >= self.bound if self.judge in {Judge.AT_LEAST, Judge.RATIO_AT_LEAST} else value <= self.bound

    @property
    def words(self) -> str:
        """Say what is to be reached.

        >>> Goal("x", "sweep", "a sweep", Judge.AT_LEAST, 1e8, "entry-combos/s").words
        '>= 100,000,000 entry-combos/s'
        >>> Goal("x", "replay_engine", "brackets", Judge.RATIO_AT_LEAST, 10, "backtesting.py").words
        '>= 10 x backtesting.py'
        """
        sign = ">=" if self.judge in {Judge.AT_LEAST, Judge.RATIO_AT_LEAST} else "<="
        times = " x" if self.judge in {Judge.RATIO_AT_LEAST, Judge.RATIO_AT_MOST} else ""
        return f"{sign} {number(self.bound)}{times} {self.unit}"


_L, _M, _RL, _RM = Judge.AT_LEAST, Judge.AT_MOST, Judge.RATIO_AT_LEAST, Judge.RATIO_AT_MOST

GOALS = (
    Goal("atr", "atr", "ATR(14) Wilder, 10M bars, one core", _RL, 1, "TA-Lib"),
    Goal("atr-stream", "atr", "ATR, one streaming update from Python", _L, 2e6, "updates/s"),
    Goal("engine", "replay_engine", "brackets on bars, full order accounting (100k bars, 1,000 entries)", _RL, 10,
         "backtesting.py"),
    Goal("engine-journal", "replay_engine", "the same, journal encoded in memory", _RL, 5, "backtesting.py"),
    Goal("exits", "kernels", "brackets on bars, exits only (1M bars, 10,000 entries), ATR and arrays given", _RL, 20,
         "vectorbt"),
    Goal("exits-whole", "kernels", "the same, the whole job with ATR and index", _RL, 6, "vectorbt"),
    Goal("exits-wide", "kernels", "the same with wide stops (mean hold 85,000 bars)", _L, 5e5, "entries/s"),
    Goal("sweep", "sweep", "sweep 20 x 20 (ATR multiple x ratio) on that, two cores", _L, 1e8, "entry-combos/s"),
    Goal("sweep-memory", "sweep", "peak memory of that sweep", _M, 1000, "MB"),
    Goal("quotes", "trigger_book", "quotes in batches, nothing triggering, N=100,000 open", _L, 1e6, "quotes/s"),
    Goal("quotes-flat", "trigger_book", "the same, N=100,000 against N=0", _RL, 0.8, "N=0"),
    Goal("quotes-trailing", "trigger_book", "quotes that move N=1,000 trailing stops each", _L, 5e5, "quotes/s"),
    Goal("fill-to-stop-p50", "fill_to_stop", "entry fill -> stop on the wire, in process, median", _M, 100, "us"),
    Goal("fill-to-stop-p99", "fill_to_stop", "entry fill -> stop on the wire, in process, 99th percentile", _M, 500,
         "us"),
    Goal("journal-load", "journal", "durable journal under load, group commit", _L, 5e4, "events/s"),
    Goal("journal-alone", "journal", "durable journal, one event alone", _RM, 2.5, "a bare commit"),
    Goal("restart", "recovery", "restart with 10,000 open brackets and 1M journal events, from a snapshot", _M, 5, "s"),
    Goal("restart-queries", "recovery", "questions to the venue at that restart, against 100 brackets", _RM, 1,
         "those of 100 brackets"),
    Goal("memory", "memory", "memory an open bracket in the core", _M, 4096, "bytes"),
)  # fmt: skip
