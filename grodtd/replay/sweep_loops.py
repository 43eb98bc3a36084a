"""The compiled loops that make a setting's figures of its trades, as `replay.summary` makes them of rows."""

import numba
import numpy as np

from grodtd.replay.prices import Floats, Ints

CLOSED, STILL_OPEN, WINS, LOSSES, WITHOUT_R, TOTAL_R, PROFIT, LOSS, DRAWDOWN = range(9)
FIGURES = 9
"""Places of a setting's figures; after them four for each window that is judged (`sweep_figures.Figures`)."""


@numba.njit(cache=True, nogil=True)
def tally(at: Ints, r: Floats, pnl: Floats, moment: Ints, window: Ints, begins: Ints, out: Floats) -> None:
    """Fill one setting's figures, float64[FIGURES + 4 x windows].

    Trades stand in order of entry: `at` is the index of the exit (-1: open), `r` its R (NaN: it planned no risk),
    `pnl` its money. `moment`: the first index with the same time as each; `window`: which window each entry is in,
    from 0; `begins`: index at which each window begins. A window's four are the sum and the number of R that were
    known when it began, and those of its own entries.
    """
    out[:] = 0.0
    windows = len(begins)
    when = np.empty(len(at), dtype=np.int64)
    which = np.empty(len(at), dtype=np.int64)
    count = 0
    for k in range(len(at)):
        if at[k] < 0:
            out[STILL_OPEN] += 1
            continue
        out[CLOSED] += 1
        if pnl[k] > 0:
            out[WINS] += 1
            out[PROFIT] += pnl[k]
        elif pnl[k] < 0:
            out[LOSSES] += 1
            out[LOSS] -= pnl[k]
        if np.isnan(r[k]):
            out[WITHOUT_R] += 1
            continue
        out[TOTAL_R] += r[k]
        when[count], which[count] = moment[at[k]], k
        count += 1
        for w in range(1, windows):
            place = FIGURES + 4 * (w - 1)
            if window[k] < w and moment[at[k]] < begins[w]:
                out[place] += r[k]
                out[place + 1] += 1
            elif window[k] == w:
                out[place + 2] += r[k]
                out[place + 3] += 1
    equity, peak, deepest = 0.0, 0.0, 0.0
    for step in np.argsort(when[:count], kind="mergesort"):
        equity += r[which[step]]
        peak = max(peak, equity)
        deepest = max(deepest, peak - equity)
    out[DRAWDOWN] = deepest


@numba.njit(cache=True, nogil=True)
def tally_walk(
    at: Ints,
    won: Ints,
    risk: Floats,
    px: Floats,
    sign: Floats,
    money: Floats,
    fee_rate: float,
    moment: Ints,
    window: Ints,
    begins: Ints,
    out: Floats,
) -> None:
    """Fill the figures of all settings of a walk: int32 and int64[stops, ratios, m] to float64[stops, ratios, ...].

    `risk`: float64[stops, m] and `px`: float64[m], units; `sign`: 1 for a long; `money`: what one unit of price
    gained is worth, with the entry's quantity; `fee_rate`: of the value of both sides.
    """
    entries = at.shape[2]
    r, pnl, here = np.empty(entries), np.empty(entries), np.empty(entries, dtype=np.int64)
    for s in range(at.shape[0]):
        for i in range(at.shape[1]):
            for k in range(entries):
                gain = float(won[s, i, k])
                here[k] = at[s, i, k]
                r[k] = gain / risk[s, k]
                pnl[k] = money[k] * (gain - fee_rate * (2 * px[k] + sign[k] * gain))
            tally(here, r, pnl, moment, window, begins, out[s, i])
