"""A bracket: one position under care, from its entry to its end, as far as the venue has told us.

Values only; the machines in `execution/` say how they change. Quantities are units, always >= 0 for orders;
`open_qty` of a bracket is positive while a position is open (long or short alike) and negative when too much
was sold. Each chain of replaces is one `LegOrder`: its fills are counted once, whatever id reported them.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from grodtd.domain.instrument import FeeAsset
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ZERO
from grodtd.domain.orders import Leg, NewOrder, OrderType, Side, TimeInForce
from grodtd.domain.policy import Plan


class OrderState(StrEnum):
    """Where one order of ours stands. In flight is a state: sent is not done, asked-to-cancel is not cancelled."""

    SENT = "sent"
    UNSURE = "unsure"
    """The request had no answer: it may live, or come to life late."""
    WORKING = "working"
    CANCELLING = "cancelling"
    REPLACING = "replacing"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    LOST = "lost"
    """Not found, and too old to arrive, or forgotten by the venue; should it be seen again, the venue's word counts."""


ALIVE = frozenset({OrderState.SENT, OrderState.UNSURE, OrderState.WORKING, OrderState.CANCELLING, OrderState.REPLACING})
"""States in which an order may still fill."""

IN_FLIGHT = frozenset({OrderState.SENT, OrderState.UNSURE})
"""States in which we do not yet know that the venue holds the order."""


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One fill of an order, kept to drop its duplicates and to undo it when it is busted; or such a bust."""

    exec_id: str
    qty: Decimal
    px: Decimal
    fee: Decimal = ZERO
    fee_asset: FeeAsset = FeeAsset.QUOTE
    ref_id: str = ""
    """Of a bust: the execution it takes back."""
    inferred: bool = False
    """Known only from its bust, which overtook it: its own report is still to come."""


class LegOrder(msgspec.Struct, frozen=True, gc=False):
    """One order of a bracket: what we asked for, and what became of it."""

    leg: Leg
    client_order_id: str
    """The id that is, or would be, live; a replace moves it on."""
    side: Side
    order_type: OrderType
    quantity: Decimal
    """Whole quantity of the chain, fills included, units."""
    stop_px: Decimal | None = None
    limit_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    state: OrderState = OrderState.SENT
    reported_cum: Decimal = ZERO
    """Highest cumulative quantity any report named."""
    reported_avg_px: Decimal | None = None
    executions: tuple[Execution, ...] = ()
    busts: tuple[Execution, ...] = ()
    """Executions the venue took back; `exec_id` is the bust's own."""
    pending: NewOrder | None = None
    """The replacement on its way."""
    pending_sent_ns: int = 0
    """When the replacement was asked for."""
    old_end: OrderState | None = None
    """How the old order of a replace ended, while it is open whether the new one was taken."""
    amend_refused: bool = False
    """The venue cannot change it: cancel and place again instead of asking once more."""
    amend_failures: int = 0
    amend_retry_at_ns: int | None = None
    """The venue would not change it for now: when it may be asked again."""
    past_ids: tuple[str, ...] = ()
    linked_id: str = ""
    """Client id of the leg the venue links this one with."""
    sent_ns: int = 0
    valid_until_ns: int | None = None
    asked_ns: int = 0
    """When we last asked the venue something about it (cancel, replace, query)."""
    cancel_wanted: bool = False
    """A cancel is owed as soon as the venue knows the order."""
    cancels: int = 0
    """How often a cancel was sent."""
    answer_lost: bool = False
    """A request about it had no answer: nobody waits for one any more."""
    missed_ns: int | None = None
    """When the venue, asked about it, first did not know it; any report of it clears this."""
    copy_refused: bool = False
    """A second copy of it was refused: no third is sent, the first one's fate is waited out."""
    reason: str = ""
    rung: int = 0
    """Of a target, or of the stop linked with it: which scale-out step it is for, nearest first."""

    @property
    def cum_qty(self) -> Decimal:
        """Units filled: the greater of distinct executions' sum and the highest reported cumulative, less busts."""
        if not (self.executions or self.busts):
            return self.reported_cum  # most orders, most of the time
        executed = ZERO
        for execution in self.executions:
            executed += execution.qty
        cum = executed if executed > self.reported_cum else self.reported_cum
        for bust in self.busts:
            cum -= bust.qty
        return cum

    @property
    def alive(self) -> bool:
        """Whether it may still fill."""
        return self.state in ALIVE

    @property
    def leaves_qty(self) -> Decimal:
        """Units that may still fill; a replace under way counts the larger of both sizes."""
        if self.state not in ALIVE:
            return ZERO
        quantity = self.quantity
        if self.pending is not None and self.pending.quantity > quantity:
            quantity = self.pending.quantity
        leaves = quantity - self.cum_qty
        return leaves if leaves > 0 else ZERO

    @property
    def value(self) -> Decimal:
        """Sum of price x quantity over what filled; quantity without an execution is valued at the reported average."""
        total, executed = ZERO, ZERO
        for execution in self.executions:
            total += execution.qty * execution.px
            executed += execution.qty
        if self.reported_cum > executed:
            px = self.reported_avg_px or self.limit_px or self.stop_px
            if px is not None:
                total += (self.reported_cum - executed) * px
        for bust in self.busts:
            total -= bust.qty * bust.px
        return total

    @property
    def unpriced_qty(self) -> Decimal:
        """Units a cumulative figure told us of, at a price nobody has told yet: `value` leaves them out."""
        if self.reported_avg_px or self.limit_px or self.stop_px:
            return ZERO
        executed = ZERO
        for execution in self.executions:
            executed += execution.qty
        return self.reported_cum - executed if self.reported_cum > executed else ZERO

    def fees(self, asset: FeeAsset) -> Decimal:
        """Fees paid in `asset` so far, busted executions' fees given back."""
        total = ZERO
        for execution in self.executions:
            if execution.fee_asset is asset:
                total += execution.fee
        for bust in self.busts:
            if bust.fee_asset is asset:
                total -= bust.fee
        return total


class Phase(StrEnum):
    """A bracket's life."""

    WAITING = "waiting"
    """The entry may fill; nothing sellable is held."""
    OPEN = "open"
    """A position is held and guarded."""
    EXITING = "exiting"
    """Getting out at market, for good."""
    CLOSING = "closing"
    """Flat, but something could still fill."""
    CLOSED = "closed"
    RESIDUE = "residue"
    """What is left cannot be sold: an end state, with its value."""
    RELEASED = "released"
    """Handed back to its owner: facts are still booked, nothing is placed."""
    EXTERNALLY_CLOSED = "externally_closed"
    """The position was closed by hands elsewhere: ours went, nothing was sold."""


ENDED = frozenset({Phase.CLOSED, Phase.RESIDUE, Phase.RELEASED, Phase.EXTERNALLY_CLOSED})


class ExitState(StrEnum):
    """What the pair of exits is doing (the one-cancels-other machine)."""

    GUARD = "guard"
    """The stop guards; the target rests or is watched here."""
    TAKE = "take"
    """The target was touched: the stop goes first, then the target sells."""
    LEAVE = "leave"
    """Everything resting goes, then a marketable exit sells what is open."""


class Rung(msgspec.Struct, frozen=True, gc=False):
    """One target of several: a part of the position, and where it is sold; the last one takes what is left over."""

    fraction: Decimal
    px: Decimal | None
    """None: this part has no target."""


class Levels(msgspec.Struct, frozen=True, gc=False):
    """The plan of a trade, fixed when its first unit filled. Prices in quote currency per unit."""

    entry_px: Decimal
    stop_px: Decimal
    target_px: Decimal | None
    ratio: Decimal | None = None
    atr_px: Decimal | None = None
    condition: str | None = None
    """Market condition the ratio was decided under, where its strategy asks for one and it was known."""
    factors: tuple[tuple[str, Decimal], ...] = ()
    """What the base ratio was multiplied with: (what it is, factor)."""
    fallback: bool = False
    stop_given: bool = False
    target_given: bool = False

    @property
    def risk(self) -> Decimal:
        """|entry - stop| per unit."""
        return abs(self.entry_px - self.stop_px)


class Bracket(msgspec.Struct, frozen=True, gc=False):
    """One position under care. `stop_px` and `target_px` are the levels in force; `levels` the initial plan."""

    bracket_id: str
    symbol: str
    side: Side
    strategy: str
    policy_fingerprint: str
    plan: Plan
    plan_reason: str
    entry_qty_wanted: Decimal
    orders: tuple[LegOrder, ...] = ()
    phase: Phase = Phase.WAITING
    exits: ExitState = ExitState.GUARD
    levels: Levels | None = None
    stop_px: Decimal | None = None
    target_px: Decimal | None = None
    """The next target: of several, the nearest that is not sold out."""
    rungs: tuple[Rung, ...] = ()
    """Targets in force, nearest first, where there is more than one, or none for a part; else empty."""
    stop_why: str = "stop"
    """What the stop in force is called when it is hit: stop, trail, breakeven or lock."""
    best_px: Decimal | None = None
    """Best exit-side price since entry, as far as it mattered; only kept where the stop may move."""
    atr_px: Decimal | None = None
    """The latest ATR told with a closed bar."""
    bars_held: int = 0
    """Closed bars since the entry's, where bars are told."""
    filled_ns: int = 0
    """When its levels were set: with the first fill whose price was told."""
    moved_ns: int = 0
    """When the stop last moved by its rules."""
    move_at_ns: int | None = None
    """A better stop is due, and waits for this moment: moves are not made closer together than the policy says."""
    leave_at_ns: int | None = None
    """When the trade has had its time, and why is `leave_why`."""
    leave_why: str = ""
    held_stop_px: Decimal | None = None
    """While the venue is asked to move the stop nearer: the level that is held until it has; None: `stop_px`."""
    given_stop_px: Decimal | None = None
    given_target_px: Decimal | None = None
    reading: VolatilityReading | None = None
    """The VolatilityReading it began with; dropped once levels are set."""
    stop_generation: int = 0
    target_generation: int = 0
    exit_generation: int = 0
    remedy_generation: int = 0
    """Last generation used for each leg: `client_order_id` counts them."""
    frozen_reason: str = ""
    reconcile_at_ns: int | None = None
    """While frozen: when to ask for a reconciliation again."""
    exit_reason: str = ""
    """Why we leave at market; sticky."""
    external_qty: Decimal = ZERO
    """Units that hands elsewhere took out of the position: no longer ours to sell."""
    exit_attempts: int = 0
    exit_retry_at_ns: int | None = None
    rearmed: int = 0
    """Exit attempt after whose refusal the stop was put back."""
    stop_failures: int = 0
    stop_failed_ns: int = 0
    """When the stop was last refused or taken away."""
    denied_stops: int = 0
    """Stops the venue held and then did not know, since it last admitted one."""
    stop_retry_at_ns: int | None = None
    target_failures: int = 0
    target_misses: int = 0
    """Attempts in a row to take the target that sold nothing."""
    target_retry_at_ns: int | None = None
    take_generation: int = 0
    """Target generation in use when the present TAKE began: a higher one means its order was sent."""
    taking_px: Decimal | None = None
    """Of several targets, where the one the present TAKE is for stands."""
    closed_until_ns: int | None = None
    """While set, the market is closed and took our exits with it (DAY orders), or takes none: exposed by design. At
    this time the stop is armed again."""
    local_stop_until_ns: int | None = None
    """While set, the stop is watched here because the venue refuses it; at this time we leave."""
    entry_deadline_ns: int | None = None
    last_px: Decimal | None = None
    """Last exit-side price a fact about this bracket carried."""
    last_px_ns: int = 0
    covered: bool = False
    """Whether everything open has been covered at some time."""
    naked_since_ns: int | None = None
    naked_alarms: int = 0
    """Alarms raised in the present naked window."""
    naked_ns: int = 0
    """Total time open_qty was not covered, nanoseconds; the present window not included."""
    opened_ns: int = 0
    closed_ns: int | None = None
    incidents: int = 0
    """Over-exits neutralised (rule 5)."""
    oversold_qty: Decimal = ZERO
    """Most units ever sold beyond what was held, buy-backs not counted."""
