"""The door: what a trading program calls. Async, over `ports.Core`; it decides nothing itself.

    service = TradeExitService(core, views, market_data, clock)
    bracket = await service.protect_fill("AAPL", Side.BUY, Decimal(100), Decimal("187.20"))

Errors: `Refused` - the call asked for something that is not done, nothing happened.
"""

from collections.abc import AsyncIterator
from decimal import Decimal

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import Refused
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
from grodtd.execution.atr_calculator import ATRCalculator
from grodtd.ports import Clock, Core, MarketData, Views

NS = 1_000_000_000


class TradeExitService:
    """Looks after trades from their entry fill to their exit.

    `policies` are the ones in force, by strategy; they tell how many bars a reading needs.
    """

    def __init__(
        self, core: Core, views: Views, market_data: MarketData, clock: Clock, policies: dict[str, Policy] | None = None
    ) -> None:
        """Speak to a running core; the service itself holds no trade."""
        self._core, self._views, self._market_data, self._clock = core, views, market_data, clock
        self._policies = policies or {"default": Policy()}

    async def protect_fill(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal,
        px: Decimal,
        *,
        bracket_id: str,
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

        Levels come from recent bars and the policy unless given. Returns the bracket with its levels set and its
        protection on the way. Nothing is refused because of a limit: what is held gets protected.
        Raises: Refused - unknown symbol or strategy, or an id that is taken.
        """
        now_ns = self._clock.now_ns()
        reading = await self._reading(symbol, strategy, now_ns, condition)
        await self._core.handle(
            BracketRequested(
                bracket_id=check_bracket_id(bracket_id),
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
        return self.bracket(bracket_id)

    async def protect_entry(
        self,
        entry_client_order_id: str,
        symbol: str,
        side: Side,
        quantity: Decimal,
        *,
        bracket_id: str | None = None,
        strategy: str = "default",
        stop_px: Decimal | None = None,
        target_px: Decimal | None = None,
        condition: str | None = None,
        account_qty: Decimal | None = None,
    ) -> Bracket:
        """Watch an entry order of yours and protect every unit from its first partial fill on.

        The bracket is named after the entry unless you name it. Raises: Refused - entries are paused, too many
        brackets are active, the venue could not protect it, unknown symbol or strategy, or an id that is taken.
        """
        now_ns = self._clock.now_ns()
        name = check_bracket_id(bracket_id or bracket_id_of_entry(entry_client_order_id))
        reading = await self._reading(symbol, strategy, now_ns, condition)
        await self._core.handle(
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
        return self.bracket(name)

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

        Raises: Refused - no such open bracket, or a looser stop without `allow_loosen` and a reason.
        """
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

    async def _reading(self, symbol: str, strategy: str, now_ns: int, condition: str | None) -> VolatilityReading:
        policy = self._policies.get(strategy) or self._policies["default"]
        lookback = policy.risk_reward.volatility_lookback
        interval_s = policy.atr.interval_s
        calculator = ATRCalculator(policy.atr, lookback, interval_s * NS)
        # Wilder's average remembers for ever, a little: three periods before the look-back leave under 5 % of a start.
        count = policy.atr.period * 3 + lookback + 1
        for bar in await self._market_data.bars(symbol, interval_s, count, now_ns):
            calculator.update(bar)
        reading = calculator.reading()
        if condition is None:
            return reading
        return VolatilityReading(
            reading.atr_px,
            reading.close_px,
            reading.median_atr_pct,
            reading.bars,
            reading.why_no_atr,
            condition,
        )
