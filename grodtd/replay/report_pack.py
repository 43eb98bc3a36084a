"""What travels inside the page: bars, rows and lines, small enough to keep.

Numbers travel as differences in base64: a bar takes some ten bytes instead of sixty. Bars come twice: a coarse copy
of the whole period, and blocks of single bars where brackets need them, then elsewhere, as far as the size allows.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grodtd.domain.money import ZERO, plain
from grodtd.domain.orders import Side
from grodtd.replay.exits import OPEN, REASONS, ExitRow
from grodtd.replay.prices import DAY_NS, Floats, Ints

MOST_COARSE_CANDLES = 3_000
BLOCK_BARS = 256
"""Small enough that a bracket costs little more than its own surroundings."""
MOST_DIGITS = 12
CANDLES_ON_A_SCREEN = 300
"""A bracket longer than this many coarse candles is drawn from them anyway: it needs no single bars."""

Packed = dict[str, Any]
"""Plain JSON values."""


def script_json(value: object) -> str:
    r"""Return JSON that may stand inside an HTML script element whatever text it holds.

    >>> script_json("</script>&")
    '"\\u003c/script\\u003e\\u0026"'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def deltas(steps: Ints) -> Packed:
    """Pack whole numbers as base64 of the narrowest little-endian type that holds them all (8: float64)."""
    low, high = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
    for width in (1, 2, 4):
        if -(1 << (8 * width - 1)) <= low and high < 1 << (8 * width - 1):
            return {"width": width, "text": _base64(steps.astype(f"<i{width}"))}
    return {"width": 8, "text": _base64(steps.astype("<f8"))}


def column(values: Ints) -> Packed:
    """Pack whole numbers as the first, a common unit, and differences in that unit."""
    unit = int(np.gcd.reduce(values)) if len(values) else 1
    scaled = values // (unit or 1)
    steps = np.diff(scaled, prepend=scaled[:1])
    return {"first": int(scaled[0]) if len(scaled) else 0, "unit": unit or 1, **deltas(steps)}


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


class PackedBars:
    """The period's bars as whole numbers of `1 / scale`, packed in pieces. Mid prices may need one digit more."""

    def __init__(
        self,
        time_ns: Ints,
        ohlc: tuple[Floats, Floats, Floats, Floats],
        precision: int,
        most_coarse: int = MOST_COARSE_CANDLES,
    ) -> None:
        """Take open, high, low, close as float64[n] each, and the digits after the point of the file's prices.

        `most_coarse`: candles of the coarse copy.
        """
        self._most_coarse = most_coarse
        digits = _digits(ohlc, precision)
        self.count = len(time_ns)
        self.scale = 10**digits
        self._time_ms = time_ns // 1_000_000
        self._ohlc = tuple(np.rint(side * self.scale).astype(np.int64) for side in ohlc)

    def coarse_step(self) -> int:
        """How many bars a candle of the coarse copy stands for."""
        return -(-self.count // self._most_coarse)

    def coarse(self) -> Packed:
        """Pack the whole period in at most `most_coarse` candles."""
        starts = np.arange(0, self.count, self.coarse_step())
        ends = np.append(starts[1:], self.count) - 1
        opens, highs, lows, closes = self._ohlc
        return _run(
            self._time_ms[starts],
            opens[starts],
            np.maximum.reduceat(highs, starts),
            np.minimum.reduceat(lows, starts),
            closes[ends],
        )

    def block(self, number: int) -> Packed:
        """Pack single bars `number * BLOCK_BARS` and the following ones."""
        part = slice(number * BLOCK_BARS, (number + 1) * BLOCK_BARS)
        opens, highs, lows, closes = self._ohlc
        return _run(self._time_ms[part], opens[part], highs[part], lows[part], closes[part])


def _run(time_ms: Ints, opens: Ints, highs: Ints, lows: Ints, closes: Ints) -> Packed:
    """Open relative to the close before it, close to the open, high and low to the body: small numbers all."""
    before = np.concatenate([opens[:1], closes[:-1]])
    return {
        "t": column(time_ms),
        "close_before": int(opens[0]),
        "o": deltas(opens - before),
        "c": deltas(closes - opens),
        "h": deltas(highs - np.maximum(opens, closes)),
        "l": deltas(np.minimum(opens, closes) - lows),
    }


def _digits(ohlc: tuple[Floats, Floats, Floats, Floats], precision: int) -> int:
    """Digits that write every price to within a millionth of its last digit; the file's own, or a few more."""
    for digits in range(precision, min(MOST_DIGITS, precision + 4)):
        if all(np.abs(side * 10**digits - np.rint(side * 10**digits)).max() < 1e-3 for side in ohlc):
            return digits
    return min(MOST_DIGITS, precision + 4)


def pack_bars(bars: PackedBars, spans: Sequence[tuple[int, int]], budget_chars: int) -> tuple[Packed, int]:
    """Return the bars for the page, and how many of `spans` did not fit in single bars.

    `spans` are the (first, last) bar of each bracket, the most important first; they go before all other bars.
    """
    step = bars.coarse_step()
    packed: Packed = {"count": bars.count, "scale": bars.scale, "coarse_step": step, "coarse": bars.coarse()}
    packed |= {"block_size": BLOCK_BARS, "blocks": {}}
    left_out = 0
    if step == 1:
        return packed, 0
    room = budget_chars - len(json.dumps(packed["coarse"]))
    chosen: dict[int, Packed] = {}
    last_block = (bars.count - 1) // BLOCK_BARS
    for first, last in spans:
        if last - first > CANDLES_ON_A_SCREEN * step:
            continue
        margin = max(60, int((last - first) * 0.9))  # what the chart shows around a bracket, and a drag's room
        numbers = range(max(0, first - margin) // BLOCK_BARS, min(last_block, (last + margin) // BLOCK_BARS) + 1)
        fresh = {number: bars.block(number) for number in numbers if number not in chosen}
        cost = sum(_chars(block) for block in fresh.values())
        if cost > room:
            left_out += 1
            continue
        room -= cost
        chosen |= fresh
    for number in range(last_block + 1):
        if number not in chosen and room > 0:
            block = bars.block(number)
            room -= _chars(block)
            if room >= 0:
                chosen[number] = block
    packed["blocks"] = {str(number): chosen[number] for number in sorted(chosen)}
    return packed, left_out


def market_json(symbol: str, precision: int, interval_ns: int, bars: Packed) -> Packed:
    """Return one symbol as the page's script has it: its packed bars, and how its prices and times are written."""
    return {
        "symbol": symbol,
        "precision": precision,
        "interval_ms": interval_ns // 1_000_000,
        "daily": interval_ns >= DAY_NS,
        "bars": bars,
    }


def _chars(block: Packed) -> int:
    return len(json.dumps(block, separators=(",", ":"))) + 10


def bar_index(time_ns: Ints, moments: Sequence[int]) -> list[int]:
    """Return the bar each moment lies in: the last that begins at or before it, else the first."""
    found = np.searchsorted(time_ns, np.array(moments, dtype=np.int64), side="right") - 1
    return [int(index) for index in np.maximum(found, 0)]


def pack_rows(rows: Sequence[ExitRow], times: Mapping[str, Ints]) -> Packed:
    """Return rows column by column, with `ids` and `reasons` as lists the columns point into.

    `times`: each symbol's bars, in the order the page has them.
    """
    place = {symbol: at for at, symbol in enumerate(times)}
    ids = {bracket: index for index, bracket in enumerate(dict.fromkeys(row.bracket_id for row in rows))}
    reasons = [reason for reason in REASONS if any(row.exit_reason == reason for row in rows)]
    closed = [row.exit_time_ns if row.exit_reason != OPEN else None for row in rows]
    columns: Packed = {
        "bracket": [ids[row.bracket_id] for row in rows],
        "market": [place[row.symbol] for row in rows],
        "side": [0 if row.side is Side.BUY else 1 for row in rows],
        "quantity": [plain(row.quantity) for row in rows],
        "entry_ms": [row.entry_time_ns // 1_000_000 for row in rows],
        "entry_bar": _bars_of(rows, times, [row.entry_time_ns for row in rows]),
        "exit_ms": [None if moment is None else moment // 1_000_000 for moment in closed],
        "exit_bar": _bars_of(rows, times, closed),
        "reason": [reasons.index(row.exit_reason) for row in rows],
        "weight": [number(part) for part in shares(rows)],
        "ambiguous": [int(row.ambiguous) for row in rows],
        "fallback": [int(row.fallback) for row in rows],
    }
    for name in (
        "entry_price",
        "stop_price",
        "target_price",
        "exit_price",
        "atr",
        "r_multiple",
        "pnl",
        "mae_r",
        "mfe_r",
    ):
        columns[name] = [number(getattr(row, name)) for row in rows]
    return {"rows": columns, "ids": list(ids), "reasons": reasons}


def _bars_of(rows: Sequence[ExitRow], times: Mapping[str, Ints], moments: Sequence[int | None]) -> list[int | None]:
    """Return the bar each row's moment lies in, of its own symbol's; None where there is no moment."""
    found: list[int | None] = [None] * len(rows)
    for symbol, time_ns in times.items():
        own = [(at, ns) for at, ns in enumerate(moments) if ns is not None and rows[at].symbol == symbol]
        for (at, _), bar in zip(own, bar_index(time_ns, [ns for _, ns in own]), strict=True):
            found[at] = bar
    return found


def shares(rows: Sequence[ExitRow]) -> list[float]:
    """Return what part of its bracket's quantity each row is, 0 to 1."""
    whole: dict[str, Decimal] = {}
    for row in rows:
        whole[row.bracket_id] = whole.get(row.bracket_id, ZERO) + row.quantity
    return [float(row.quantity / whole[row.bracket_id]) if whole[row.bracket_id] else 1.0 for row in rows]


def pack_stops(
    history: Mapping[str, Sequence[tuple[int, float | Decimal]]],
    ids: Sequence[str],
    times: Mapping[str, Ints],
    budget_chars: int,
) -> tuple[Packed, int]:
    """Return moved stops as bracket index: [bar, price, bar, price, ...], and how many did not fit the budget.

    `times`: the bars of each bracket of `history`.
    """
    packed: Packed = {}
    left_out = 0
    for index, bracket in enumerate(ids):
        moves = history.get(bracket, ())
        if not moves:
            continue
        steps: dict[int, float] = {}
        for bar, (_, price) in zip(bar_index(times[bracket], [moment for moment, _ in moves]), moves, strict=True):
            steps[bar] = float(price)
        flat: list[float] = []
        for bar, price in steps.items():
            if not flat or flat[-1] != price:
                flat += [bar, price]
        budget_chars -= len(json.dumps(flat))
        if budget_chars < 0:
            left_out += 1
        else:
            packed[str(index)] = flat
    return packed, left_out


def number(value: float | Decimal | None) -> float | int | None:
    """Return a JSON number as short as exactness allows: a whole number without a point."""
    if value is None:
        return None
    real = float(value)
    return int(real) if real.is_integer() and abs(real) < 1e15 else real
