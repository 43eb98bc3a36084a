"""The door: what a trading program calls. Async, over `ports.Core`; it decides nothing itself.

    service = TradeExitService(core, views, market_data, clock)
    bracket = await service.protect_fill("AAPL", Side.BUY, Decimal(100), Decimal("187.20"), fill_id="exec-4711")

Errors: `Refused` - the call asked for something that is not done, nothing happened; its `code` is for programs. A call
may be repeated: `duplicate_id` says that this very position is looked after already, `id_taken` that the name belongs
to another one, so that this one is not.
"""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import (
    BracketRequested,
    EntriesPaused,
    EntriesResumed,
    FlattenRequested,
    LevelsChangeRequested,
    ReleaseRequested,
)
from grodtd.domain.ids import bracket_id_of_entry, check_bracket_id
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ZERO
from grodtd.domain.notes import Note
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy
from grodtd.execution.levels import check_given
from grodtd.execution.volatility_reading import bars_wanted, condition_policy, read_bars
from grodtd.ports import Clock, Core, MarketData, Views


class TradeExitService:
    """Looks after trades from their entry fill to their exit.

    `policies` are the ones in force, by strategy; they tell how many bars a reading needs. Bars that do not come within
    `bars_within_s` seconds are done without: the fallback percentage makes the stop, and the bracket says so.
    """

    def __init__(
        self,
        core: Core,
        views: Views,
        market_data: MarketData,
        clock: Clock,
        policies: dict[str, Policy] | None = None,
        *,
        bars_within_s: float = 2.0,
    ) -> None:
        """Speak to a running core; the service itself holds no trade."""
        self._core, self._views, self._market_data, self._clock = core, views, market_data, clock
        self._policies = policies or {"default": Policy()}
        self._bars_within_s = bars_within_s

    async def protect_fill(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        px: Decimal,
        *,
        bracket_id: str | None = None,
        fill_id: str | None = None,
        strategy: str = "default",
        stop_px: Decimal | None = None,
        target_px: Decimal | None = None,
        condition: str | None = None,
        fee: Decimal = ZERO,
        fee_asset: FeeAsset = FeeAsset.QUOTE,
        last_px: Decimal | None = None,
        account_qty: Decimal | None = None,
    ) -> Bracket:
        """Protect a position that exists: `quantity` units filled at `px`.

        Levels come from recent bars and the policy unless given; a given stop that the entry has passed already counts
        as hit. The bracket has the name you give it, or one that follows from `fill_id`, your broker's id of the fill:
        without either, the same call made twice would protect, and later sell, twice. Returns the bracket with its
        levels set and its protection on the way. No limit applies: what is held gets protected.

        Raises: Refused - `unknown_symbol`, `unknown_strategy`, `bad_quantity`, `bad_price`, `bad_side`, `no_id`,
        `bad_id`; `duplicate_id` this fill has its bracket, `id_taken` another position has this name.
        """
        _check_amount("quantity", quantity, "bad_quantity")
        _check_amount("px", px, "bad_price")
        _check_side(side)
        _check_prices(stop_px=stop_px, target_px=target_px, last_px=last_px)
        _check_number("fee", fee, "bad_price")
        _check_number("account_qty", account_qty, "bad_quantity")
        name = _name(bracket_id, fill_id, "fill_id")
        reading = await self._reading(symbol, strategy, condition)
        now_ns = self._clock.now_ns()
        return await self._open(
            BracketRequested(
                bracket_id=name,
                symbol=symbol,
                side=side,
                quantity=quantity,
                filled_qty=quantity,
                filled_px=px,
                fee=fee,
                fee_asset=fee_asset,
                strategy=strategy,
                stop_px=stop_px,
                target_px=target_px,
                reading=reading,
                account_qty=account_qty,
                last_px=last_px,
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )

    async def protect_entry(
        self,
        entry_client_order_id: str,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        entry_px: Decimal | None = None,
        bracket_id: str | None = None,
        strategy: str = "default",
        stop_px: Decimal | None = None,
        target_px: Decimal | None = None,
        condition: str | None = None,
        account_qty: Decimal | None = None,
    ) -> Bracket:
        """Watch an entry order of yours and protect every unit from its first partial fill on.

        Ask before you send the order: what is wrong is refused while there is nothing to lose. `entry_px` is where you
        expect to fill (its limit, or the market now): given levels must lie on their own sides of it. The bracket is
        named after the entry unless you name it.

        Raises: Refused - `entries_paused`, `too_many` brackets are active, `unprotected` (the venue has no stops),
        `opposite` (a bracket of the other side is open there), `symbol_halted` (its position was turned round by hand),
        `no_journal`, `bad_stop`, `bad_target`, `bad_levels`, and those of `protect_fill`.
        """
        _check_amount("quantity", quantity, "bad_quantity")
        _check_side(side)
        _check_prices(entry_px=entry_px, stop_px=stop_px, target_px=target_px)
        _check_number("account_qty", account_qty, "bad_quantity")
        if entry_px is not None:
            check_given(side, entry_px, stop_px, target_px)
        name = _name(bracket_id, entry_client_order_id, "entry_client_order_id")
        reading = await self._reading(symbol, strategy, condition)
        now_ns = self._clock.now_ns()
        return await self._open(
            BracketRequested(
                bracket_id=name,
                symbol=symbol,
                side=side,
                quantity=quantity,
                entry_client_order_id=entry_client_order_id,
                strategy=strategy,
                stop_px=stop_px,
                target_px=target_px,
                reading=reading,
                account_qty=account_qty,
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )

    async def change_levels(
        self,
        bracket_id: str,
        *,
        stop_px: Decimal | None = None,
        target_px: Decimal | None = None,
        reason: str = "",
        allow_loosen: bool = False,
    ) -> Bracket:
        """Move a bracket's stop, target or both.

        Raises: Refused - `unknown_bracket`, `ended`, `not_open`, `leaving`, `bad_price`, `bad_levels`; `looser` for a
        looser stop without `allow_loosen`, `no_reason` for one without a reason.
        """
        if stop_px is None and target_px is None:
            raise Refused(
                f"bracket {bracket_id}: give stop_px, target_px or both: nothing to change", code="bad_levels"
            )
        _check_prices(stop_px=stop_px, target_px=target_px)
        now_ns = self._clock.now_ns()
        await self._core.handle(
            LevelsChangeRequested(bracket_id, stop_px, target_px, reason, allow_loosen, now_ns, now_ns)
        )
        return self.bracket(bracket_id)

    async def release(self, bracket_id: str, reason: str, *, keep_orders: bool = False) -> Bracket:
        """Stop looking after a bracket. The position stays; our exits are cancelled unless `keep_orders`."""
        now_ns = self._clock.now_ns()
        await self._core.handle(ReleaseRequested(bracket_id, reason, keep_orders, now_ns, now_ns))
        return self.bracket(bracket_id)

    async def flatten(self, bracket_id: str, reason: str = "", *, exit_reason: str = "manual") -> Bracket:
        """Get out of a bracket now. Returns at once; `follow` tells when it is closed."""
        now_ns = self._clock.now_ns()
        await self._core.handle(
            FlattenRequested(bracket_id, reason, exit_reason, ts_event_ns=now_ns, ts_received_ns=now_ns)
        )
        return self.bracket(bracket_id)

    async def pause_entries(self, reason: str = "") -> None:
        """Take no new brackets for entries. Open brackets keep everything they have."""
        now_ns = self._clock.now_ns()
        await self._core.handle(EntriesPaused(reason, now_ns, now_ns))

    async def resume_entries(self, reason: str = "") -> None:
        """Take new brackets again."""
        now_ns = self._clock.now_ns()
        await self._core.handle(EntriesResumed(reason, now_ns, now_ns))

    def bracket(self, bracket_id: str) -> Bracket:
        """Return one bracket as it stands. Raises: Refused - there is none of that name."""
        for bracket in self._views.brackets():
            if bracket.bracket_id == bracket_id:
                return bracket
        raise Refused(f"there is no bracket {bracket_id}", code="unknown_bracket")

    def brackets(self, *, ended: bool = False) -> list[Bracket]:
        """Return the open brackets, oldest first; with `ended` those that are over, too."""
        return [bracket for bracket in self._views.brackets() if ended or bracket.phase not in ENDED]

    def follow(self, bracket_id: str | None = None) -> AsyncIterator[Note]:
        """Decisions as they are made, for one bracket or all."""
        return self._views.follow(bracket_id)

    async def _open(self, request: BracketRequested) -> Bracket:
        await self._core.handle(request)
        return self.bracket(request.bracket_id)

    async def _reading(self, symbol: str, strategy: str, condition: str | None) -> VolatilityReading:
        policy = self._policies.get(strategy) or self._policies["default"]
        interval_s, count = policy.atr.interval_s, bars_wanted(policy)
        try:
            async with asyncio.timeout(self._bars_within_s):
                bars = await self._market_data.bars(symbol, interval_s, count, self._clock.now_ns())
        except (Refused, NotSent, OutcomeUnknown, OSError) as error:  # TimeoutError is an OSError
            # A source of bars that is down leaves no position bare: the fallback needs none.
            why = f"no bars of {symbol}: {str(error) or f'no answer within {self._bars_within_s} s'}"
            unknown = condition is None and condition_policy(policy) is not None
            return VolatilityReading(why_no_atr=why, condition=condition, why_no_condition=why if unknown else "")
        return read_bars(policy, bars, condition)


def _name(bracket_id: str | None, source_id: str | None, source: str) -> str:
    """Return the bracket's name: the one given, else one that follows from an id the caller's broker knows."""
    if bracket_id is not None:
        return check_bracket_id(bracket_id)
    if not source_id:
        raise Refused(
            f"give bracket_id or {source}: without a name the same request made twice would protect twice", code="no_id"
        )
    return check_bracket_id(bracket_id_of_entry(source_id))


def _check_number(what: str, value: object, code: str) -> Decimal | None:
    """Return a Decimal that is a number, or None for None. Raises: Refused."""
    if value is None:
        return None
    if not isinstance(value, Decimal):
        kind = type(value).__name__
        raise Refused(f'{what} {value!r} is of type {kind}: give a Decimal, Decimal("187.20")', code=code)
    if not value.is_finite():
        raise Refused(f"{what} is {value}: give a number", code=code)
    return value


def _check_amount(what: str, value: object, code: str) -> None:
    """Refuse what is no quantity or price of a trade. Raises: Refused."""
    number = _check_number(what, value, code)
    if number is None or number <= 0:
        raise Refused(f"{what} is {number}: give a number above zero", code=code)


def _check_prices(**prices: Decimal | None) -> None:
    """Refuse a level that is no price; None is one that was not given. Raises: Refused."""
    for what, px in prices.items():
        if px is not None:
            _check_amount(what, px, "bad_price")


def _check_side(side: object) -> None:
    """Refuse a side that is none: a word taken for one would be read as a short. Raises: Refused."""
    if not isinstance(side, Side):
        raise Refused(f"side is {side!r}: give Side.BUY for a long, Side.SELL for a short", code="bad_side")
