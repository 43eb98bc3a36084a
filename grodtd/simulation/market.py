"""The market of a simulated history: two symbols that wander, gap and whip, and quotes that are sometimes nonsense."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.money import floor_to
from grodtd.domain.orders import Side
from grodtd.simulation.faults import Fault, Faults
from grodtd.simulation.link import Link
from grodtd.venue.profiles import usual_instrument

SYMBOL, OTHER = "SIM", "SAM"
HALVES = Decimal("0.5")


@dataclass
class Street:
    """One symbol: its price, the side everybody trades there, and whether it trades."""

    instrument: Instrument
    mid: Decimal
    side: Side
    halted_until_s: float = 0.0

    @property
    def symbol(self) -> str:
        """Its name."""
        return self.instrument.symbol

    def sides(self) -> tuple[Decimal, Decimal]:
        """Bid and ask, two ticks apart."""
        tick = self.instrument.tick_size
        bid = floor_to(self.mid, tick)
        return bid, bid + 2 * tick

    def exit_px(self) -> Decimal:
        """The price a position here is sold (bought back) at."""
        bid, ask = self.sides()
        return bid if self.side is Side.BUY else ask


def streets_of(capabilities: Capabilities, rng: Random) -> dict[str, Street]:
    """Return the symbols of a history. Short positions only where coins need not be held."""
    listed = (
        (usual_instrument(capabilities, SYMBOL, min_notional=Decimal(5)), Decimal(100)),
        (
            usual_instrument(
                capabilities, OTHER, tick_size=Decimal("0.001"), lot_size=Decimal(1), min_notional=Decimal(10)
            ),
            Decimal(7),
        ),
    )
    return {
        instrument.symbol: Street(
            instrument, mid, Side.BUY if capabilities.locks_inventory or rng.random() < 0.5 else Side.SELL
        )
        for instrument, mid in listed
    }


class Market:
    """Moves prices, and tells venue and process of them: the one always, the other when the link lets it."""

    def __init__(self, streets: Mapping[str, Street], link: Link, faults: Faults) -> None:
        """Draw from `faults.rng`."""
        self.streets, self._link, self._faults, self._rng = streets, link, faults, faults.rng

    def move(self, street: Street) -> str:
        """Let a quarter of a second pass in one symbol; returns what was remarkable about it."""
        if street.halted_until_s:
            return ""
        told = ""
        kind = self._faults.strikes(Fault.PRICE_GAP, Fault.WHIPSAW)
        street.mid *= self._factor(1 + self._rng.gauss(0, 0.0012))
        if kind is Fault.PRICE_GAP:
            street.mid *= self._factor(1 + self._rng.choice((-1, 1)) * self._rng.uniform(0.01, 0.06))
            told = f"{street.symbol} gaps to {street.mid:.2f}"
        elif kind is Fault.WHIPSAW:
            here = street.mid
            for share in ("1.05", "0.95"):
                street.mid = here * Decimal(share)
                self.quote(street)
            street.mid = here
            told = f"{street.symbol} whips"
        self.quote(street)
        return told

    def _factor(self, factor: float) -> Decimal:
        return Decimal(str(round(factor, 6)))

    def quote(self, street: Street) -> None:
        """Quote a symbol: often with few units on offer, sometimes followed by nonsense the venue never traded on."""
        bid, ask = street.sides()
        link, rng = self._link, self._rng
        quote = Quote(street.symbol, bid, ask, link.now_ns())
        if not self._faults.calm and rng.random() < 0.5:
            lot = street.instrument.lot_size
            quote = replace(quote, bid_qty=lot * rng.randint(1, 30), ask_qty=lot * rng.randint(1, 30))
        link.spread(link.venue.on_quote(quote, link.now_ns()))
        link.quote(quote)
        kind = self._faults.strikes(Fault.BAD_QUOTE, Fault.SPIKE)
        if kind is Fault.BAD_QUOTE:
            bad = (
                replace(quote, bid=ask + 5, ask=bid),
                replace(quote, bid=Decimal(0)),
                replace(quote, bid=Decimal("NaN"), ask=Decimal("NaN")),
            )
            link.quote(rng.choice(bad))
        elif kind is Fault.SPIKE:
            factor = rng.choice((Decimal("0.9"), Decimal("1.1")))
            tick = street.instrument.tick_size
            link.quote(replace(quote, bid=floor_to(bid * factor, tick), ask=floor_to(ask * factor, tick)))
