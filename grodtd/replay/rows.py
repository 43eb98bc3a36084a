"""From a bracket's life to its rows of `exits.csv`."""

from decimal import Decimal

from grodtd.domain.bracket import ENDED
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ZERO, divide
from grodtd.domain.orders import Side
from grodtd.replay.driver import Entry, Life, entry_fee
from grodtd.replay.exits import OPEN, ExitRow
from grodtd.replay.feed import Feed


class _Sheet:
    """What every row of one bracket shares."""

    def __init__(self, life: Life, feed: Feed, instrument: Instrument) -> None:
        levels = life.bracket.levels
        assert levels is not None
        self.life, self.feed, self.instrument, self.levels = life, feed, instrument, levels
        entry = life.entry
        sign = entry.side.sign
        losing = (entry.px - levels.stop_px) * sign
        self.risk = losing if losing > 0 else None
        fee, asset = entry_fee(instrument, entry.quantity, entry.px)
        self.entry_fee = fee if asset is FeeAsset.QUOTE else ZERO
        self.fee_units = fee if asset is FeeAsset.BASE else ZERO

    def row(self, quantity: Decimal, index: int | None, px: Decimal, reason: str, exit_fee: Decimal) -> ExitRow:
        """One exit of `quantity` at `px`, or with no index what is still open, marked at `px`."""
        entry = self.life.entry
        gain = (px - entry.px) * entry.side.sign
        mae, mfe = self._excursions(index, gain)
        share = divide(self.entry_fee * quantity, entry.quantity) if self.entry_fee else ZERO
        risk = self.risk
        gone = self.fee_units if index is None else ZERO  # the fee's units are part of what was not sold, and are gone
        earned = gain * (quantity - gone) - entry.px * gone
        return self._made(
            quantity,
            index,
            px,
            reason,
            r_multiple=divide(gain, risk) if risk is not None else None,
            pnl=earned * self.instrument.contract_multiplier - exit_fee - share,
            mae_r=divide(mae, risk) if risk is not None else None,
            mfe_r=divide(mfe, risk) if risk is not None else None,
            ambiguous=index in self.life.ambiguous_at,
        )

    def residue(self, quantity: Decimal, index: int | None, px: Decimal) -> ExitRow:
        """What could not be sold: fee units and dust. The dust is marked at `px`; the fee units are gone."""
        entry = self.life.entry
        dust = quantity - self.fee_units
        share = divide(self.entry_fee * dust, entry.quantity) if self.entry_fee else ZERO
        worth = (px - entry.px) * entry.side.sign * dust - entry.px * self.fee_units
        return self._made(
            quantity,
            index,
            px,
            "residue",
            r_multiple=None,
            pnl=worth * self.instrument.contract_multiplier - share,
            mae_r=None,
            mfe_r=None,
            ambiguous=False,
        )

    def _made(
        self,
        quantity: Decimal,
        index: int | None,
        px: Decimal,
        reason: str,
        *,
        r_multiple: Decimal | None,
        pnl: Decimal,
        mae_r: Decimal | None,
        mfe_r: Decimal | None,
        ambiguous: bool,
    ) -> ExitRow:
        entry, levels, feed = self.life.entry, self.levels, self.feed
        return ExitRow(
            bracket_id=entry.bracket_id,
            symbol=feed.symbol,
            side=entry.side,
            quantity=quantity,
            entry_time_ns=int(feed.time_ns[entry.index]),
            entry_price=entry.px,
            stop_price=levels.stop_px,
            target_price=levels.target_px,
            atr=levels.atr_px,
            ratio=None if levels.target_given else levels.ratio,
            exit_time_ns=None if index is None else int(feed.time_ns[index]),
            exit_price=None if index is None else px,
            exit_reason=reason,
            r_multiple=r_multiple,
            pnl=pnl,
            mae_r=mae_r,
            mfe_r=mfe_r,
            ambiguous=ambiguous,
            fallback=levels.fallback,
        )

    def _excursions(self, index: int | None, gain: Decimal) -> tuple[Decimal, Decimal]:
        """Worst and best move of the exit side from the bar after the entry to the bar before the exit, and `gain`."""
        entry, feed = self.life.entry, self.feed
        worst, best = min(gain, ZERO), max(gain, ZERO)
        between = feed.extremes(entry.side, entry.index, len(feed) if index is None else index)
        if between is not None:
            low, high = (units * feed.unit - entry.px for units in between)
            if entry.side is Side.SELL:
                low, high = -high, -low
            worst, best = min(worst, low), max(best, high)
        return worst, best


def _together(life: Life) -> list[tuple[int, Decimal, str, Decimal, Decimal]]:
    """A bracket's exits as (index, price, reason, quantity, fee); linked stops that fill at once are one exit."""
    found: list[tuple[int, Decimal, str, Decimal, Decimal]] = []
    for index, report, reason in life.exits:
        px = report.last_px
        if px is None:
            continue
        if found and found[-1][:3] == (index, px, reason):
            _, _, _, quantity, fee = found.pop()
            found.append((index, px, reason, quantity + report.last_qty, fee + report.fee))
        else:
            found.append((index, px, reason, report.last_qty, report.fee))
    return found


def rows_of(life: Life, feed: Feed, instrument: Instrument) -> list[ExitRow]:
    """Return a bracket's exits in order of time; their quantities sum to its entry's.

    What is still open when the prices end is marked at the last close of the exit side.
    """
    sheet = _Sheet(life, feed, instrument)
    rows = [sheet.row(quantity, index, px, reason, fee) for index, px, reason, quantity, fee in _together(life)]
    left = life.entry.quantity - sum((row.quantity for row in rows), ZERO)
    if left > 0:
        over = life.bracket.phase in ENDED  # what was not sold is the fee's units, and dust
        if over and life.exits:
            index, report, _ = life.exits[-1]
            rows.append(sheet.residue(left, index, report.last_px or life.entry.px))
        elif over:
            rows.append(sheet.residue(left, None, _last_close(feed, life.entry)))
        else:
            rows.append(sheet.row(left, None, _last_close(feed, life.entry), OPEN, ZERO))
    return rows


def _last_close(feed: Feed, entry: Entry) -> Decimal:
    close = feed.exit_side(entry.side).close
    last = len(feed) - 1
    if feed.trusted is not None:
        while last > 0 and not feed.trusted[last]:
            last -= 1
    return int(close[last]) * feed.unit
