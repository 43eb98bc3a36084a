"""Orders as the venue sees them: what we ask for, and what it reports back.

Field words are those of the trade: `cum_qty` is everything filled so far, `leaves_qty` what may still
fill, `last_qty`/`last_px` one execution. Times are nanoseconds since the epoch: `ts_event_ns` is the
venue's clock, `ts_received_ns` ours.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.instrument import FeeAsset
from grodtd.domain.money import ZERO


class Side(StrEnum):
    """Direction of an order; a bracket has the side of its entry (buy = long)."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> "Side":
        """The side that closes a position opened on this one."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for buy (long), -1 for sell (short)."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How an order meets the market."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class TimeInForce(StrEnum):
    """How long an order may rest."""

    GTC = "gtc"
    DAY = "day"
    IOC = "ioc"
    FOK = "fok"


class Leg(StrEnum):
    """What an order is for, in its bracket."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"
    """A marketable order that gets us out: stop hit locally, flatten, end of the ladder."""
    REMEDY = "remedy"
    """Buys back what was sold too much (rule 5)."""


class OrderStatus(StrEnum):
    """A venue's word on an order, already translated by the connector."""

    PENDING = "pending"
    """Known there, not yet live: an asynchronous acknowledgement."""
    WORKING = "working"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    REPLACED = "replaced"
    """This id gave way to the next generation's id."""


FINAL_STATUSES = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.REPLACED}
)


class NewOrder(msgspec.Struct, frozen=True, gc=False):
    """An order we want at the venue. `quantity` is the whole order's, units; prices in quote currency.

    On a replace, `quantity` is the total for the chain, fills of the earlier generations included
    (FIX: OrderQty against CumQty), so a fill that crosses the replace cannot make it too big.
    """

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    stop_px: Decimal | None = None
    limit_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    valid_until_ns: int | None = None
    """The venue drops the order if it arrives later than this (where it supports that)."""


class OrderReport(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A snapshot of one order: the answer to a submit, a cancel, a replace or a query.

    `cum_qty` carries over a chain of replaces. A snapshot never says which executions it is made of.
    """

    client_order_id: str
    status: OrderStatus
    cum_qty: Decimal = ZERO
    avg_px: Decimal | None = None
    """Average price of `cum_qty`, where the venue tells it."""
    order: NewOrder | None = None
    """The order as the venue holds it, where it tells that."""
    reason: str = ""
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class ExecutionReport(msgspec.Struct, frozen=True, tag=True, gc=False):
    """One thing that happened to an order at the venue, pushed to us.

    A fill has `exec_id`, `last_qty` > 0 and `last_px`; a trade bust has `exec_ref_id` naming the execution
    that is taken back, with `last_qty` the quantity that no longer counts. The rest are changes of status.
    """

    client_order_id: str
    status: OrderStatus
    cum_qty: Decimal = ZERO
    exec_id: str = ""
    last_qty: Decimal = ZERO
    last_px: Decimal | None = None
    fee: Decimal = ZERO
    fee_asset: FeeAsset = FeeAsset.QUOTE
    exec_ref_id: str = ""
    reason: str = ""
    symbol: str = ""
    side: Side | None = None
    ts_event_ns: int = 0
    ts_received_ns: int = 0


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One execution out of the account's history (`Broker.fills`)."""

    exec_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    px: Decimal
    fee: Decimal = ZERO
    fee_asset: FeeAsset = FeeAsset.QUOTE
    cum_qty: Decimal | None = None
    ts_event_ns: int = 0
