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

from msgspec.structs import replace

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import (
    BracketRequested,
    EntriesPaused,
    EntriesResumed,
    EntryRefused,
    FlattenRequested,
    LevelsChangeRequested,
    ReleaseRequested,
)
from grodtd.domain.instrument import FeeAsset
from grodtd.domain.market import VolatilityReading
from grodtd.domain.money import ZERO
from grodtd.domain.notes import Note
from grodtd.domain.orders import Side
from grodtd.domain.policy import Policy, policy_for
from grodtd.domain.risk import EntryTerms
from grodtd.execution.asking import (
    EntryRequest,
    check_amount,
    check_number,
    check_prices,
    check_request,
    check_side,
    name_of,
)
from grodtd.execution.levels import check_given
from grodtd.execution.volatility_reading import bars_wanted, condition_policy, read_bars
from grodtd.ports import Account, Clock, Core, MarketData, RiskAdvisor, RiskQuestion, Views

UNTOLD = frozenset({"no_journal", "fenced"})
"""Refusals that nobody can write down."""


class TradeExitService:
    """Looks after trades from their entry fill to their exit.

    `policies` are the ones in force, by strategy; they tell how many bars a reading needs. Bars that do not come within
    `bars_within_s` seconds are done without: the fallback percentage makes the stop, and the bracket says so.
    Without an `account` no entry is sent from here; an `advisor` is asked about each.
    """

    def __init__(
        self,
        core: Core,
        views: Views,
        market_data: MarketData,
        clock: Clock,
        policies: dict[str, Policy] | None = None,
        *,
        account: Account | None = None,
        advisor: RiskAdvisor | None = None,
        bars_within_s: float = 2.0,
    ) -> None:
        """Speak to a running core; the service itself holds no trade."""
        self._core, self._views, self._market_data, self._clock = core, views, market_data, clock
        self._policies = policies or {"default": Policy()}
        self._account, self._advisor = account, advisor
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
        policy: Policy | None = None,
    ) -> Bracket:
        """Protect a position that exists: `quantity` units filled at `px`.

        Levels come from recent bars and the policy unless given; a given stop that the entry has passed already counts
        as hit. The bracket has the name you give it, or one that follows from `fill_id`, your broker's id of the fill:
        without either, the same call made twice would protect, and later sell, twice. Returns the bracket with its
        levels set and its protection on the way. No limit applies: what is held gets protected. `policy` takes the
        place of its strategy's, for this bracket alone.

        Raises: Refused - `unknown_symbol`, `unknown_strategy`, `bad_quantity`, `bad_price`, `bad_side`, `no_id`,
        `bad_id`; `duplicate_id` this fill has its bracket, `id_taken` another position has this name.
        """
        check_amount("quantity", quantity, "bad_quantity")
        check_amount("px", px, "bad_price")
        check_side(side)
        check_prices(stop_px=stop_px, target_px=target_px, last_px=last_px)
        check_number("fee", fee, "bad_price")
        check_number("account_qty", account_qty, "bad_quantity")
        name = name_of(bracket_id, fill_id, "fill_id")
        reading = await self._reading(symbol, strategy, condition, policy)
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
                policy=policy,
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
        policy: Policy | None = None,
    ) -> Bracket:
        """Watch an entry order of yours and protect every unit from its first partial fill on.

        Ask before you send the order: what is wrong is refused while there is nothing to lose. `entry_px` is where you
        expect to fill (its limit, or the market now): given levels must lie on their own sides of it. The bracket is
        named after the entry unless you name it.

        Raises: Refused - `entries_paused`, `too_many` brackets are active, `unprotected` (the venue has no stops),
        `opposite` (a bracket of the other side is open there), `symbol_halted` (its position was turned round by hand),
        `no_journal`, `bad_stop`, `bad_target`, `bad_levels`, and those of `protect_fill`.
        """
        check_amount("quantity", quantity, "bad_quantity")
        check_side(side)
        check_prices(entry_px=entry_px, stop_px=stop_px, target_px=target_px)
        check_number("account_qty", account_qty, "bad_quantity")
        if entry_px is not None:
            check_given(side, entry_px, stop_px, target_px)
        name = name_of(bracket_id, entry_client_order_id, "entry_client_order_id")
        reading = await self._reading(symbol, strategy, condition, policy)
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
                policy=policy,
                ts_event_ns=now_ns,
                ts_received_ns=now_ns,
            )
        )

    async def open_bracket(self, asked: EntryRequest) -> Bracket:
        """Open a trade: size it, check it against the account's limits, send its entry, protect it from its first fill.

        Returns when the intent is durable and the entry on its way; `follow` tells what becomes of it. An entry without
        an answer is asked about until its fate is known; it is never sent a second time. One that has not filled after
        bracket_orders.timeout_seconds is cancelled.

        Raises: Refused - nothing was sent. Its code is the last word of the limit in the way (`max_trade_risk`,
        `quote`, `stop_px`, ...), `advisor`, `bad_target`, `link_down`, `not_compared`, or one of `protect_entry`. What
        is refused is kept in the journal, with the words.
        """
        check_request(asked)
        account = self._account
        if account is None:
            raise Refused("this door knows no account: it sends no entries", code="no_account")
        reading = await self._reading(asked.symbol, asked.strategy, asked.condition, asked.policy)
        equity, account_qty = await account.equity(), await account.position(asked.symbol)
        request = BracketRequested(
            bracket_id=asked.bracket_id,
            symbol=asked.symbol,
            side=asked.side,
            quantity=ZERO if asked.quantity is None else asked.quantity,
            strategy=asked.strategy,
            stop_px=asked.stop_px,
            target_px=asked.target_px,
            reading=reading,
            account_qty=account_qty,
            policy=asked.policy,
            entry=EntryTerms(asked.limit_px, asked.trigger_px, asked.risk_per_trade, equity),
        )
        try:
            await self._core.handle(await self._passed(request, account))
        except Refused as refused:
            if refused.code not in UNTOLD:
                await self._keep_refusal(request, refused)
            raise
        return self.bracket(request.bracket_id)

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
        check_prices(stop_px=stop_px, target_px=target_px)
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

    async def flatten(
        self, bracket_id: str, reason: str = "", *, exit_reason: str = "manual", last_px: Decimal | None = None
    ) -> Bracket:
        """Get out of a bracket now. Returns at once; `follow` tells when it is closed.

        `last_px`: the price on the exit side, when known; the first attempt stays near it.
        """
        check_prices(last_px=last_px)
        now_ns = self._clock.now_ns()
        await self._core.handle(FlattenRequested(bracket_id, reason, exit_reason, last_px, now_ns, now_ns))
        return self.bracket(bracket_id)

    async def exit_now(self, bracket_id: str, reason: str, *, last_px: Decimal | None = None) -> Bracket:
        """Get out because a strategy says so: the exit's reason is `signal`, and `reason` says which."""
        return await self.flatten(bracket_id, reason, exit_reason="signal", last_px=last_px)

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

    async def _passed(self, request: BracketRequested, account: Account) -> BracketRequested:
        """Return an entry with its size, once our own limits and the outside system allow it. Raises: Refused."""
        request = self._as_of_now(request, account)
        accepted, sized_by = account.weigh(request)
        entry = replace(request.entry or EntryTerms(), sized_by=sized_by)
        if self._advisor is not None:
            question = RiskQuestion(
                bracket_id=request.bracket_id,
                symbol=request.symbol,
                side=request.side,
                quantity=accepted.quantity,
                entry_px=entry.trigger_px if entry.limit_px is None else entry.limit_px,
                stop_px=accepted.stop_px,
                strategy=request.strategy,
                risk_money=accepted.risk_money,
                notional=accepted.notional,
                equity=entry.equity,
            )
            advice = await self._advisor.ask(question)
            if not advice.allow:
                raise Refused(f"risk_limits.advisor: {advice.reason}", code="advisor")
            entry = replace(entry, advice=advice.reason or "allowed by the risk system")
        return self._as_of_now(replace(request, quantity=accepted.quantity, entry=entry), account)

    def _as_of_now(self, request: BracketRequested, account: Account) -> BracketRequested:
        now_ns = self._clock.now_ns()
        assert request.entry is not None
        entry = replace(request.entry, quote=account.quote(request.symbol))
        return replace(request, entry=entry, ts_event_ns=now_ns, ts_received_ns=now_ns)

    async def _keep_refusal(self, request: BracketRequested, refused: Refused) -> None:
        now_ns = self._clock.now_ns()
        await self._core.handle(
            EntryRefused(
                request.bracket_id,
                request.symbol,
                request.side,
                refused.code,
                str(refused),
                request.quantity,
                now_ns,
                now_ns,
            )
        )

    async def _reading(
        self, symbol: str, strategy: str, condition: str | None, policy: Policy | None
    ) -> VolatilityReading:
        policy = policy or policy_for(self._policies, strategy, symbol) or self._policies["default"]
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
