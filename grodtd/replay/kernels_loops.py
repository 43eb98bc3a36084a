"""The compiled loops: first touches with a block index, exits at fixed levels, the shared walk of a sweep.

All of them see a long: a short's prices come negated, high and low changed over (`kernels.Walk`), so that a stop is
touched by `low <= stop` and a target by `high >= target`. Prices are int64 units; nothing here rounds. They stand in
one file because a compiled function is kept on disk by its own file's age: one that calls another of an edited file
would be the old one.

The index has the highest high and lowest low of every 16 bars, of every 16 such blocks, and so on up: a bar that
touches a level is found in steps that grow with the logarithm of the hold, after a plain look at the first bars.
"""

import numba
import numpy as np

from grodtd.replay.prices import Bools, Floats, Ints

SHIFT = 4
"""A block is 2^SHIFT bars, and as many blocks make one of the next layer."""
NEVER = np.int64(2**62)
"""A target nobody reaches; its negative: a stop nobody reaches."""
PESSIMISTIC, OPTIMISTIC, PATH = 0, 1, 2
OPEN, BY_STOP, BY_TARGET = 0, 1, 2


@numba.njit(cache=True, nogil=True)
def build_index(high: Ints, low: Ints, sizes: Ints, tops: Ints, bottoms: Ints) -> None:
    """Fill `tops` and `bottoms` with block maxima and minima, layer after layer; `sizes`: blocks in each layer."""
    highs, lows, start, count = high, low, 0, len(high)
    for size in sizes:
        above, below = tops[start : start + size], bottoms[start : start + size]
        for block in range(size):
            first = block << SHIFT
            top, bottom = highs[first], lows[first]
            for at in range(first + 1, min(first + (1 << SHIFT), count)):
                top, bottom = max(top, highs[at]), min(bottom, lows[at])
            above[block], below[block] = top, bottom
        highs, lows, start, count = above, below, start + size, size


@numba.njit(cache=True, nogil=True)
def first_touch(
    high: Ints, low: Ints, tops: Ints, bottoms: Ints, starts: Ints, begin: int, end: int, stop: int, target: int
) -> int:
    """Return the first bar in [begin, end) with low <= stop or high >= target; `end` where there is none.

    `tops`, `bottoms`: the layers of the index; `starts`: int64[layers + 1], where each begins.
    """
    at = begin
    layers = len(starts) - 1
    while at < end:
        until = min(((at >> SHIFT) + 1) << SHIFT, end)
        for bar in range(at, until):
            if low[bar] <= stop or high[bar] >= target:
                return bar
        at = until
        if at >= end:
            return end
        layer, block = 0, at >> SHIFT
        while True:
            if block >= starts[layer + 1] - starts[layer]:
                return end
            here = starts[layer] + block
            if bottoms[here] <= stop or tops[here] >= target:
                if layer == 0:
                    break
                layer -= 1
                block <<= SHIFT
                continue
            block += 1
            while layer + 1 < layers and block & ((1 << SHIFT) - 1) == 0:
                layer += 1
                block >>= SHIFT
        at = block << SHIFT
    return end


@numba.njit(cache=True, nogil=True)
def stop_first(opened: int, high: int, low: int, model: int) -> bool:
    """Tell whether the model takes the stop's side of the bar first (`venue.bar_matching.stop_comes_first`)."""
    if model == PATH:
        return opened - low <= high - opened
    return model == PESSIMISTIC


@numba.njit(cache=True, nogil=True)
def fixed_exits(
    opened: Ints,
    high: Ints,
    low: Ints,
    tops: Ints,
    bottoms: Ints,
    starts: Ints,
    entry: Ints,
    stop: Ints,
    target: Ints,
    model: int,
    out_at: Ints,
    out_px: Ints,
    out_by: Ints,
    out_doubt: Bools,
) -> None:
    """Exit every entry at its stop or its target, int64[m] each; bars are looked at from the one after `entry`.

    `out_at`: bar of the exit, -1 where there is none; `out_px`: its price; `out_by`: OPEN, BY_STOP or BY_TARGET;
    `out_doubt`: only the model decided. A stop of NEVER: hit already, out at the next open.
    """
    count = len(opened)
    for k in range(len(entry)):
        at, by, px, doubt = entry[k] + 1, OPEN, np.int64(0), False
        if stop[k] != NEVER:
            at = first_touch(high, low, tops, bottoms, starts, at, count, stop[k], target[k])
        if at < count:
            begin = opened[at]
            stopped, reached = low[at] <= stop[k], high[at] >= target[k]
            if begin <= stop[k]:
                by, px = BY_STOP, begin
            elif begin >= target[k]:
                by, px = BY_TARGET, begin
            else:
                doubt = stopped and reached
                if stopped and (not reached or stop_first(begin, high[at], low[at], model)):
                    by, px = BY_STOP, stop[k]
                else:
                    by, px = BY_TARGET, target[k]
        out_at[k] = at if by != OPEN else -1
        out_px[k], out_by[k], out_doubt[k] = px, by, doubt


@numba.njit(cache=True, nogil=True)
def _targets(
    px: int, stops: Ints, ratios: Floats, scale: float, tick: int, highest: int, given: int, out: Ints
) -> None:
    """Fill int64[stops, ratios] with the targets of one entry.

    A quotient of whole numbers below 2^53 is rounded onto a whole number only where it is one: `ceil` is exact.
    """
    base, per_tick = float(px) * scale, scale * tick
    for s in range(len(stops)):
        risk = float(px - stops[s])
        for r in range(len(ratios)):
            level = np.int64(np.ceil((base + ratios[r] * risk) / per_tick)) * tick
            out[s, r] = level if level < highest else highest
    if given != NEVER:
        out[:, :] = given


@numba.njit(cache=True, nogil=True)
def sweep_exits(
    opened: Ints,
    high: Ints,
    low: Ints,
    tops: Ints,
    bottoms: Ints,
    starts: Ints,
    entry: Ints,
    entry_px: Ints,
    stops: Ints,
    ratios: Floats,
    ratio_scale: float,
    tick: int,
    highest: int,
    given_target: Ints,
    model: int,
    out_at: Ints,
    out_won: Ints,
) -> None:
    """Exit every entry under every stop x ratio in one walk along its bars.

    The walk halts only where the nearest stop or the nearest target of what is still open is touched, and settles
    there whatever that bar settles. Stops tighten in order, so what is settled is always the first few.

    `stops`: int64[stops, m], widening downwards; `ratios`: float64[ratios] rising, whole numbers of 1/`ratio_scale`;
    a target stands at the tick at or above entry + ratio x (entry - stop), not above `highest`; `given_target`:
    int64[m], NEVER where the ratio decides. `out_at`: int32[stops, ratios, m], -1 where open; `out_won`: int64, the
    price gained.
    """
    count, n_stops, n_ratios = len(opened), len(stops), len(ratios)
    targets = np.empty((n_stops, n_ratios), dtype=np.int64)
    passed = np.empty(n_stops, dtype=np.int64)
    following = np.empty(n_stops, dtype=np.int64)
    for k in range(len(entry)):
        px = entry_px[k]
        _targets(px, stops[:, k], ratios, ratio_scale, tick, highest, given_target[k], targets)
        following[:] = targets[:, 0]
        passed[:] = 0
        first, at, nearest = 0, entry[k], following.min()
        while first < n_stops:
            at = first_touch(high, low, tops, bottoms, starts, at + 1, count, stops[first, k], nearest)
            if at >= count:
                break
            begin, top, bottom = opened[at], high[at], low[at]
            s = first
            while s < n_stops and bottom <= stops[s, k]:  # its stop is touched: all that is left of it ends here
                stop = stops[s, k]
                at_open = begin <= stop
                by_stop = at_open or stop_first(begin, top, bottom, model)
                for r in range(passed[s], n_ratios):
                    level = targets[s, r]
                    if at_open or level > top:
                        left = min(begin, stop)
                    elif level <= begin:
                        left = begin
                    else:
                        left = stop if by_stop else level
                    out_at[s, r, k] = at
                    out_won[s, r, k] = left - px
                s += 1
            first, nearest = s, NEVER
            while s < n_stops:
                if following[s] <= top:
                    r = passed[s]
                    while r < n_ratios and targets[s, r] <= top:
                        out_at[s, r, k] = at
                        out_won[s, r, k] = max(targets[s, r], begin) - px
                        r += 1
                    passed[s] = r
                    following[s] = targets[s, r] if r < n_ratios else NEVER
                nearest = min(nearest, following[s])
                s += 1
            while first < n_stops and passed[first] == n_ratios:
                first += 1
        for s in range(first, n_stops):
            for r in range(passed[s], n_ratios):
                out_at[s, r, k] = -1
                out_won[s, r, k] = 0


NO_TRAIL, FROM_BAR, FROM_BEST, PERCENT = 0, 1, 2, 3
"""What a trail hangs from: the bar that closed, the best price since entry, a share of that."""
AT_TARGET, AT_STOP, AT_TIME, AT_DEADLINE = 0, 1, 2, 3
FIRST_WHY, TRAILED = 1, -1
"""Why a stop stands where it does: 0 as planned, -1 the trail, from 1 on the step that moved it."""


@numba.njit(cache=True, nogil=True)
def _candidate(kind: int, latest: int, best: int, distance: int, share: int, whole: int, tick: int) -> int:
    """Return where the trail wants the stop, at the tick at or above it."""
    if kind == PERCENT:
        return -((share * abs(best) - best * whole) // (whole * tick)) * tick
    return -((distance - (latest if kind == FROM_BAR else best)) // tick) * tick


@numba.njit(cache=True, nogil=True)
def _next_move(
    stop: int,
    best: int,
    ats: Ints,
    tos: Ints,
    kind: int,
    distance: int,
    share: int,
    whole: int,
    active: int,
    step: int,
    tick: int,
) -> int:
    """Return a price short of which no bar moves the stop; -NEVER: the next bar may, whatever its price."""
    goal, found = stop + step, int(NEVER)
    for i in range(len(ats)):
        if tos[i] >= goal:
            if best >= ats[i]:
                return int(-NEVER)
            found = min(found, ats[i])
    if kind != NO_TRAIL:
        before = -((-goal) // tick) * tick - tick  # a candidate past this one is rounded up to the goal
        if kind == PERCENT:
            kept = whole - share if before >= 0 else whole + share
            need = int(np.floor(before / kept * whole)) - 2
        else:
            need = before + distance + 1
        if best < active:
            need = max(need, active)
        elif kind != FROM_BAR and best >= need:
            if kind != PERCENT or _candidate(kind, best, best, distance, share, whole, tick) >= goal:
                return int(-NEVER)
            need = best + 1
        found = min(found, need)
    return found


@numba.njit(cache=True, nogil=True)
def _wanted(
    latest: int,
    best: int,
    ats: Ints,
    tos: Ints,
    kind: int,
    distance: int,
    share: int,
    whole: int,
    active: int,
    tick: int,
) -> tuple[int, int]:
    """Return the nearest stop any rule asks for now, and which: the first of equals."""
    wanted, reason = int(-NEVER), 0
    for i in range(len(ats)):
        if best >= ats[i] and tos[i] > wanted:
            wanted, reason = tos[i], i + FIRST_WHY
    if kind != NO_TRAIL and best >= active:
        level = _candidate(kind, latest, best, distance, share, whole, tick)
        if level > wanted:
            wanted, reason = level, TRAILED
    return wanted, reason


@numba.njit(cache=True, nogil=True)
def _reach_needed(kind: int, best: int, goal: int, tick: int) -> int:
    """Return how far `reach` must go for a candidate that, rounded up to the tick, is at the goal."""
    before = -((-goal) // tick) * tick - tick
    return before + 1 if kind == FROM_BAR else before + 1 - best


@numba.njit(cache=True, nogil=True)
def _put(row: Ints, bar: int, px: int, gone: int, what: int, doubt: int) -> None:
    row[0], row[1], row[2], row[3], row[4] = bar, px, gone, what, doubt


@numba.njit(cache=True, nogil=True)
def one_life(  # noqa: PLR0915 - a compiled loop: what it calls is compiled into it, and it reads in one piece
    opened: Ints,
    high: Ints,
    low: Ints,
    tops: Ints,
    bottoms: Ints,
    starts: Ints,
    close: Ints,
    entry: int,
    px: int,
    stop: int,
    targets: Ints,
    ats: Ints,
    tos: Ints,
    kind: int,
    distance: int,
    share: int,
    whole: int,
    active: int,
    step: int,
    tick: int,
    limit: int,
    bars_up: int,
    fading_from: int,
    deadline: int,
    close_tops: Ints,
    close_bottoms: Ints,
    distances: Ints,
    reach: Ints,
    reach_tops: Ints,
    reach_bottoms: Ints,
    known_from: int,
    model: int,
    out: Ints,
    moves: Ints,
) -> tuple[int, int]:
    """Follow one bracket bar by bar where its rules act, and nowhere else; return how many exits and moves it had.

    `targets`: near to far, one a part, NEVER for a part without; `ats`, `tos`: the stop goes to `tos[i]` once a price
    reaches `ats[i]`; the trail follows `distance` units (or `share`/`whole` of the price) behind from `active` on; a
    stop moves by at least `step` and stays below `limit`. Out at the close of bar `bars_up`, of the first from
    `fading_from` on that is not in profit, or of `deadline`. NEVER in any of them: not asked for.

    Where the trail follows by the current ATR, `distances` holds it for each bar (else it is empty), from `known_from`
    on, and `reach` what it is compared with: high - distance (FROM_BAR) or -distance (FROM_BEST), with its index.

    `out`: int64[parts + 1, 5] of (bar, price, parts gone after it, AT_..., doubtful), and for a stop the why in the
    place of AT_STOP + 10 x (why + 1); `moves`: int64[n, 2] of (bar, new stop).
    """
    count, parts = len(opened), len(targets)
    gone, exits, moved, why, best = 0, 0, 0, 0, px
    at, current = entry + 1, len(distances) > 0
    fades = int(NEVER)
    if fading_from < count:
        begin = max(at, fading_from)
        fades = first_touch(close, close, close_tops, close_bottoms, starts, begin, count, px, int(NEVER))
    last = min(bars_up, deadline, fades, count - 1)
    while at < count and gone < parts:
        fixed = NO_TRAIL if current else kind
        may_move = _next_move(stop, best, ats, tos, fixed, distance, share, whole, active, step, tick)
        if current and best < active:
            may_move = min(may_move, active)
        elif current and kind != FROM_BAR:
            may_move = min(may_move, best + 1)
        bar = first_touch(high, low, tops, bottoms, starts, at, last + 1, stop, min(targets[gone], may_move))
        if current and at < known_from:
            bar = min(bar, at)
        elif current and best >= active:
            need = _reach_needed(kind, best, stop + step, tick)
            bar = first_touch(reach, reach, reach_tops, reach_bottoms, starts, at, bar, -int(NEVER), need)
        if bar > last:
            if last not in (bars_up, deadline, fades):
                break
            bar = last
        begin, top, bottom = opened[bar], high[bar], low[bar]
        target = targets[gone]
        stopped = bottom <= stop
        doubt = stop < begin < target and stopped and top >= target
        if begin <= stop:
            _put(out[exits], bar, begin, parts, AT_STOP + 10 * (why + 1), 0)
            return exits + 1, moved
        while gone < parts and targets[gone] <= begin:
            gone += 1
            _put(out[exits], bar, begin, gone, AT_TARGET, doubt)
            exits += 1
        if not (stopped and stop_first(begin, top, bottom, model)):
            while gone < parts and targets[gone] <= top:
                gone += 1
                _put(out[exits], bar, targets[gone - 1], gone, AT_TARGET, doubt)
                exits += 1
        if gone == parts:
            break
        if stopped:
            _put(out[exits], bar, stop, parts, AT_STOP + 10 * (why + 1), doubt)
            return exits + 1, moved
        best = max(best, top)
        if bar >= bars_up or (bar >= fading_from and close[bar] <= px):
            _put(out[exits], bar, close[bar], parts, AT_TIME, 0)
            return exits + 1, moved
        behind = distances[bar] if current and bar >= known_from else distance
        wanted, reason = _wanted(top, best, ats, tos, kind, behind, share, whole, active, tick)
        if wanted - stop >= step and wanted < limit:
            stop, why = wanted, reason
            moves[moved, 0], moves[moved, 1] = bar, stop
            moved += 1
        if bar >= deadline:
            _put(out[exits], bar, close[bar], parts, AT_DEADLINE, 0)
            return exits + 1, moved
        at = bar + 1
    return exits, moved
