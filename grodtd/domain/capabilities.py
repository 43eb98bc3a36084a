"""What a venue can do, in the names DESIGN section 4 fixes. A connector fills one in; the planner reads it."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.instrument import FeeAsset


class ReduceOnly(StrEnum):
    """How the venue understands 'only reduce my position'."""

    NONE = "none"
    PER_ORDER = "per_order"
    """Checked when an order would execute: two resting exits of full size are safe."""
    COUNTED = "counted"
    """Resting reduce-only orders add up against the position: a second full-size exit is refused."""


class StopOrders(StrEnum):
    """Which stop orders rest at the venue."""

    MARKET = "market"
    LIMIT = "limit"
    NONE = "none"


class Amend(StrEnum):
    """How an order's quantity or price is changed there."""

    IN_PLACE = "in_place"
    REPLACE = "replace"
    QUANTITY_DOWN_ONLY = "quantity_down_only"
    NONE = "none"


class SiblingOnPartial(StrEnum):
    """What happens to the other leg of a native pair when one leg fills in part."""

    CANCEL = "cancel"
    RESIZE = "resize"
    NONE = "none"


class ClientIdScope(StrEnum):
    """Among which orders a client id must be unique."""

    FOREVER = "forever"
    WHILE_OPEN = "while_open"
    NONE = "none"


class ClientIdFormat(msgspec.Struct, frozen=True):
    """What a client order id may look like at the venue."""

    max_length: int = 36
    characters: str = r"[A-Za-z0-9._-]"
    uuid: bool = False


class Capabilities(msgspec.Struct, frozen=True):
    """A venue's abilities. Defaults are the poorest a sane venue has; a connector says what is better."""

    name: str = "venue"
    native_oco: bool = False
    native_bracket: bool = False
    reduce_only: ReduceOnly = ReduceOnly.NONE
    stop_orders: StopOrders = StopOrders.MARKET
    locks_inventory: bool = False
    amend: Amend = Amend.NONE
    sibling_on_partial: SiblingOnPartial = SiblingOnPartial.NONE
    client_id_scope: ClientIdScope = ClientIdScope.FOREVER
    client_id_format: ClientIdFormat = ClientIdFormat()
    supports_valid_until: bool = False
    late_bound_s: Decimal = Decimal(15)
    """Where `valid_until` is not supported: how late an order may still arrive."""
    streams_fills: bool = True
    fee_asset: FeeAsset = FeeAsset.QUOTE
    price_band: Decimal | None = None
    """Fraction around the last price outside which the venue refuses an order; None: no band."""
    sessions: bool = False
    """Trades in sessions: DAY orders die at the close."""
    gtc: bool = True
    """Orders may rest for longer than a day. Without it every resting order is a DAY order: it dies at the close, and
    a held position's stop is armed again at the next open."""
