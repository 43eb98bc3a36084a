"""The first quote of an array that reaches a level, as a compiled loop: `execution.quote_scan.scan`, faster."""

import numba

from grodtd.execution.quote_scan import FAR, Heads, Ints


@numba.njit(cache=True, nogil=True)
def walk(bid: Ints, ask: Ints, long: Heads, short: Heads) -> int:
    """Return the first index at which anything is reached, n where nothing is; arguments as of `quote_scan.scan`.

    Its own file, which calls nothing compiled: what is kept on disk is renewed when this file changes.
    """
    trails, best, lifted, stop = long.trails, -FAR, 0, long.stop  # where stops trail, the first price works it out
    short_trails, short_best, short_lifted, short_stop = short.trails, -FAR, 0, short.stop
    groups, short_groups = len(trails.best), len(short_trails.best)
    for at in range(len(bid)):
        px, short_px = bid[at], -ask[at]
        if px > -short_px or px <= 0:
            continue
        if groups and px > best:
            best = px
            while lifted < groups and trails.best[lifted] <= px:
                lifted += 1
            stop = max(long.stop, trails.fixed[lifted], px - trails.near[lifted])
        if short_groups and short_px > short_best:
            short_best = short_px
            while short_lifted < short_groups and short_trails.best[short_lifted] <= short_px:
                short_lifted += 1
            short_stop = max(short.stop, short_trails.fixed[short_lifted], short_px - short_trails.near[short_lifted])
        if px <= stop or px >= long.target or short_px <= short_stop or short_px >= short.target:
            return at
    return len(bid)
