"""The desk: what a person may ask of a running daemon, done over the door. Answers are plain data for `models`.

Errors: `Refused` - not done, nothing happened; `NotDurable` - taken in, and not yet written down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Any, TypeVar

from grodtd.domain.bracket import ENDED, IN_FLIGHT, Bracket, LegOrder, OrderState
from grodtd.domain.errors import GrodtdError, NotSent, OutcomeUnknown, Refused
from grodtd.domain.ids import bracket_id_of_entry
from grodtd.domain.money import ZERO, plain
from grodtd.domain.orders import ExecutionReport, Leg, NewOrder, OrderReport, OrderType, Side
from grodtd.domain.policy import Policy
from grodtd.domain.risk import RiskLimits
from grodtd.execution.asking import EntryRequest
from grodtd.execution.levels import check_given
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.runtime.bars import LiveBars
from grodtd.runtime.runner import Runner
from grodtd.service.models import OpenRequest, PaperOrderRequest, ProtectRequest

T = TypeVar("T")
Data = dict[str, Any]
OwnPolicy = Callable[[str, str, Mapping[str, str]], Policy]
"""Gives the policy of one bracket: strategy, symbol, keys set by hand. Raises: ConfigError, Refused."""
Bring = Callable[[str, Side, Decimal, Decimal], list[ExecutionReport]]
DURABLE_WITHIN_S = 5.0
SETTLE_WITHIN_S = 2.0
LOOK_EVERY_S = 0.01


class NotDurable(GrodtdError):
    """The caller waits, and asks `status`: the request was taken in, but the journal cannot be written now.

    Nothing of it was sent. It goes out when the journal can be written again; asking again would ask twice.
    """


class Desk:
    """Speaks for one daemon. `status`, `view` and `explain` put its state into data and words."""

    def __init__(
        self,
        service: TradeExitService,
        runner: Runner,
        market: LiveBars,
        *,
        status: Callable[[], Data],
        view: Callable[[Bracket], Data],
        explain: Callable[[str], Awaitable[list[str]]],
        strategies: Collection[str],
        own_policy: OwnPolicy,
        stopping: Callable[[], bool] = lambda: False,
        bring: Bring | None = None,
        durable_within_s: float = DURABLE_WITHIN_S,
        journal: str = "the journal",
    ) -> None:
        """`bring` puts a position into a paper account; None: the account is a real one. `journal`: where it is."""
        self._journal = journal
        self._own_policy = own_policy
        self._service, self._runner, self._market = service, runner, market
        self.status, self._view, self._explain, self._stopping = status, view, explain, stopping
        self._strategies, self._bring, self._durable_within_s = frozenset(strategies), bring, durable_within_s

    # ---------------------------------------------------------------- looking

    def brackets(self, *, ended: bool = False) -> Data:
        """Return the open brackets, with `ended` the others, too."""
        return {"brackets": [self._view(bracket) for bracket in self._service.brackets(ended=ended)], "remarks": []}

    def bracket(self, bracket_id: str) -> Data:
        """Return one bracket. Raises: Refused - there is none, or it is over and no longer in memory."""
        return self._view(self._known(bracket_id))

    async def story(self, bracket_id: str) -> Data:
        """Return a bracket's life in words. Raises: Refused - the journal does not know it."""
        lines = await self._explain(bracket_id)
        if not lines:
            raise Refused(f"there is no bracket {bracket_id}", code="unknown_bracket")
        return {"bracket_id": bracket_id, "lines": lines}

    # ---------------------------------------------------------------- doing

    async def protect(self, asked: ProtectRequest) -> Data:
        """Begin to look after a position; return when it is covered, or after a short wait with how it stands."""
        self._check_open()
        if asked.bracket_id is not None:
            _check_name(asked.bracket_id)
        side = Side(asked.side)
        remarks: list[str] = []
        if asked.entry_order is not None:
            name = asked.bracket_id or bracket_id_of_entry(asked.entry_order)
            await self._durably(self._attach(asked, side, name))
            await self._runner.reconcile()  # what filled before we were asked
        else:
            if asked.price is None:
                raise Refused("price is missing: what was it filled at? (or name its entry_order)", code="no_price")
            _check_sides(asked, side, asked.price)
            name = asked.bracket_id or self._name_of(asked)
            held = await self._held(asked.symbol)
            if held is not None:
                remarks = self._make_good(asked, side, asked.price, name, held)
            remarks += self._far_off(asked, side, asked.price)
            await self._durably(self._hold(asked, side, asked.price, name))
        bracket = await self._settled(name)
        return {"brackets": [self._view(bracket)], "remarks": [*remarks, *_remarks(bracket)]}

    async def open(self, asked: OpenRequest) -> Data:
        """Open a trade; return when its entry is answered and what filled is covered, or after a short wait.

        Raises: Refused - a limit is in its way, or the venue would not have it; nothing is held.
        """
        self._check_open()
        name = asked.bracket_id or self._new_name(asked.symbol)
        _check_name(name)
        request = EntryRequest(
            bracket_id=name,
            symbol=asked.symbol,
            side=Side(asked.side),
            quantity=asked.quantity,
            risk_per_trade=asked.risk,
            limit_px=asked.limit_price,
            trigger_px=asked.trigger_price,
            stop_px=asked.stop_price,
            target_px=asked.target_price,
            strategy=asked.strategy,
            condition=asked.condition,
            policy=self._policy_of(asked),
        )
        await self._durably(self._service.open_bracket(request))
        risked = self._runner.turn.engine.risk.open.get(name)
        bracket = await self._settled(name)
        entry = _entry_of(bracket)
        if not entry.cum_qty and entry.state in (OrderState.REJECTED, OrderState.LOST):
            why = "the venue refused the entry" if entry.state is OrderState.REJECTED else "the entry never arrived"
            raise Refused(f"{why}{f': {entry.reason}' if entry.reason else ''}; nothing is held", code="entry_failed")
        remarks = _remarks(bracket)
        if risked is not None and risked.planned_money is not None:
            whole, money = plain(risked.planned_qty), plain(round(risked.planned_money, 2))
            remarks.insert(0, f"{whole} units lose {money} at their stop, fees included")
        return {"brackets": [self._view(bracket)], "remarks": remarks}

    async def flatten(self, bracket_id: str, reason: str) -> Data:
        """Get out of one bracket. Raises: Refused - there is none, or it has ended."""
        return {"brackets": [self._view(await self._flatten(bracket_id, reason))], "remarks": []}

    async def exit_now(self, bracket_id: str, reason: str) -> Data:
        """Get out of one bracket because a strategy says so. Raises: Refused - there is none, or it has ended."""
        return {"brackets": [self._view(await self._flatten(bracket_id, reason, "signal"))], "remarks": []}

    async def flatten_all(self, reason: str) -> Data:
        """Get out of every open bracket. Each is asked to leave before any answer is waited for.

        Raises: NotDurable and the like - of the first that could not, when all were asked.
        """
        names = [bracket.bracket_id for bracket in self._service.brackets()]
        asked = await asyncio.gather(
            *(self._flatten(name, reason, settle=False) for name in names), return_exceptions=True
        )
        for answer in asked:
            ended = isinstance(answer, Refused) and answer.code == "ended"  # by itself, meanwhile: what was wanted
            if isinstance(answer, BaseException) and not ended:
                raise answer
        return {"brackets": [self._view(await self._settled(name)) for name in names], "remarks": []}

    async def release(self, bracket_id: str, reason: str, *, keep_orders: bool) -> Data:
        """Hand a bracket's position back to its owner. Raises: Refused."""
        bracket = await self._durably(self._service.release(bracket_id, reason, keep_orders=keep_orders))
        words = "our exits stay at the venue" if keep_orders else "our exits are being cancelled"
        remarks = [f"nobody looks after this position now; {words}"]
        if any(order.leg is Leg.ENTRY and order.alive and order.cancel_wanted for order in bracket.orders):
            remarks.append("what its entry has not filled is being cancelled")
        return {"brackets": [self._view(bracket)], "remarks": remarks}

    async def pause(self, reason: str) -> Data:
        """Take no new brackets for entries to come."""
        await self._durably(self._service.pause_entries(reason or "paused by hand"))
        return self.entries()

    async def resume(self, reason: str) -> Data:
        """Take new brackets again."""
        self._check_open()
        await self._durably(self._service.resume_entries(reason))
        return self.entries()

    def entries(self) -> Data:
        """Say whether new brackets are taken."""
        return {"paused": self._runner.turn.engine.entries_paused}

    async def reconcile(self) -> Data:
        """Compare with the venue now."""
        found = await self._runner.reconcile()
        return {
            "complete": found.complete,
            "why": found.why,
            "facts": found.facts,
            "corrections": found.corrections,
            "orphans": [_open_order(report) for report in found.orphans],
            "positions": await self._positions(),
        }

    async def paper_order(self, asked: PaperOrderRequest) -> Data:
        """Trade in the paper account by hand. Raises: Refused - it is not one, or the venue says no."""
        if self._bring is None:
            raise Refused("this account is a real one: trade in it with your own tools", code="not_paper")
        self._check_open()
        order = NewOrder(
            client_order_id=asked.order_id or f"hand-{self._runner.clock.now_ns() // 1_000_000}",
            symbol=asked.symbol,
            side=Side(asked.side),
            order_type=OrderType.MARKET if asked.limit_price is None else OrderType.LIMIT,
            quantity=asked.quantity,
            limit_px=asked.limit_price,
        )
        report = await self._runner.broker.submit(order)
        return {
            "client_order_id": report.client_order_id,
            "status": report.status.value,
            "filled_qty": plain(report.cum_qty),
            "avg_px": None if report.avg_px is None else plain(report.avg_px),
            "reason": report.reason,
        }

    # ---------------------------------------------------------------- for the watcher, too

    async def entry(
        self, client_order_id: str, symbol: str, side: Side, quantity: Decimal, bracket_id: str, strategy: str
    ) -> None:
        """Attach a bracket to an entry order of another hand. Raises: Refused."""
        account_qty = await self._held(symbol)
        await self._service.protect_entry(
            client_order_id,
            symbol,
            side,
            quantity,
            bracket_id=bracket_id,
            strategy=strategy,
            account_qty=account_qty,
        )

    async def fill(
        self, symbol: str, side: Side, quantity: Decimal, px: Decimal, bracket_id: str, strategy: str
    ) -> None:
        """Protect units that are held. Raises: Refused."""
        await self._service.protect_fill(
            symbol,
            side,
            quantity,
            px,
            bracket_id=bracket_id,
            strategy=strategy,
            last_px=self._fresh_px(symbol, side),
            account_qty=await self._held(symbol),
        )

    # ---------------------------------------------------------------- how

    async def _attach(self, asked: ProtectRequest, side: Side, name: str) -> Bracket:
        assert asked.entry_order is not None
        return await self._service.protect_entry(
            asked.entry_order,
            asked.symbol,
            side,
            asked.quantity,
            bracket_id=name,
            strategy=asked.strategy,
            stop_px=asked.stop_price,
            target_px=asked.target_price,
            condition=asked.condition,
            account_qty=await self._held(asked.symbol),
            policy=self._policy_of(asked),
        )

    async def _hold(self, asked: ProtectRequest, side: Side, px: Decimal, name: str) -> Bracket:
        return await self._service.protect_fill(
            asked.symbol,
            side,
            asked.quantity,
            px,
            bracket_id=name,
            strategy=asked.strategy,
            stop_px=asked.stop_price,
            target_px=asked.target_price,
            condition=asked.condition,
            last_px=self._fresh_px(asked.symbol, side),
            account_qty=await self._held(asked.symbol),
            policy=self._policy_of(asked),
        )

    def _make_good(self, asked: ProtectRequest, side: Side, px: Decimal, name: str, held: Decimal) -> list[str]:
        """See that the account holds what is to be protected, as far as that is ours to see to."""
        free = (held - self._looked_after(asked.symbol)) * side.sign
        short = asked.quantity - max(ZERO, free)
        if short <= 0:
            return []
        if self._bring is None:
            there = f"the account reports {plain(max(ZERO, free))} {asked.symbol} that no bracket looks after"
            return [f"{there}, fewer than {plain(asked.quantity)}: see grodtd orphans before you trust this bracket"]
        taken = any(bracket.bracket_id == name for bracket in self._runner.brackets())
        if taken or self._runner.turn.engine.has_forgotten(name) or asked.strategy not in self._strategies:
            return []  # refused in a moment: nothing is brought in for it
        self._bring(asked.symbol, side, short, px)
        return [f"the paper account did not hold {plain(short)} {asked.symbol}: it took them in at {plain(px)}"]

    def _known(self, bracket_id: str) -> Bracket:
        """Return a bracket. Raises: Refused - and says where one that is no longer in memory can be read."""
        if self._runner.turn.engine.has_forgotten(bracket_id):
            raise Refused(
                f"bracket {bracket_id} ended long ago and is no longer in memory (daemon.kept): grodtd explain "
                f"{bracket_id} tells its life from the journal, {self._journal}",
                code="forgotten",
            )
        return self._service.bracket(bracket_id)

    async def _flatten(
        self, bracket_id: str, reason: str, exit_reason: str = "manual", *, settle: bool = True
    ) -> Bracket:
        bracket = self._known(bracket_id)
        px = self._exit_px(bracket.symbol, bracket.side)
        await self._durably(self._service.flatten(bracket_id, reason, exit_reason=exit_reason, last_px=px))
        return await self._settled(bracket_id) if settle else bracket

    async def _durably(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and do not let the caller wait for a full disk. Once taken in, it cannot be taken back."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self._durable_within_s)
        except TimeoutError:
            task.add_done_callback(_heard)
            why = self._runner.journal_error or f"no answer within {self._durable_within_s:g} s"
            raise NotDurable(
                f"taken in, but not written down: {why}. Nothing of it was sent; it goes out as soon as the journal "
                "can be written. Do not ask again: see `grodtd status`"
            ) from None

    async def _settled(self, bracket_id: str) -> Bracket:
        """Return a bracket when every unit of it is covered or gone, or as it stands after a short wait."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLE_WITHIN_S
        while True:
            bracket = self._service.bracket(bracket_id)
            data = self._view(bracket)
            bare = Decimal(data["exposed_qty"]) or Decimal(data["unknown_qty"]) or bracket.exit_reason
            busy = bare or any(_is_soon_over(order) for order in bracket.orders)
            if bracket.phase in ENDED or not busy or loop.time() > until_s:
                return bracket
            await asyncio.sleep(LOOK_EVERY_S)

    async def _held(self, symbol: str) -> Decimal | None:
        """The account's signed position; None when it cannot be told now."""
        try:
            return await self._runner.broker.position(symbol)
        except (Refused, NotSent, OutcomeUnknown):
            return None

    async def _positions(self) -> list[Data]:
        symbols = dict.fromkeys([*(bracket.symbol for bracket in self._runner.brackets()), *self._market.last])
        found = []
        for symbol in symbols:
            held, ours = await self._held(symbol), self._looked_after(symbol)
            if held is not None and (held or ours):
                found.append(
                    {
                        "symbol": symbol,
                        "account_qty": plain(held),
                        "brackets_qty": plain(ours),
                        "unprotected_qty": plain(held - ours),
                    }
                )
        return found

    def _looked_after(self, symbol: str) -> Decimal:
        own = [bracket for bracket in self._service.brackets() if bracket.symbol == symbol]
        return sum((Decimal(self._view(bracket)["open_qty"]) * bracket.side.sign for bracket in own), ZERO)

    def _exit_px(self, symbol: str, side: Side) -> Decimal | None:
        quote = self._market.last.get(symbol)
        return None if quote is None else quote.exit_px(side)

    def _fresh_px(self, symbol: str, side: Side) -> Decimal | None:
        """The price on the exit side, where it is recent enough to say that a stop is hit already."""
        quote = self._market.last.get(symbol)
        limits = self._runner.turn.engine.risk.limits or RiskLimits()
        max_age_ns = int(limits.quote_max_age_s * 1_000_000_000)
        if quote is None or self._runner.clock.now_ns() - quote.ts_received_ns > max_age_ns:
            return None
        return quote.exit_px(side)

    def _far_off(self, asked: ProtectRequest, side: Side, px: Decimal) -> list[str]:
        """Say it when a fill's price is nowhere near the market: a digit may be missing, and levels follow from it."""
        last_px, limits = self._fresh_px(asked.symbol, side), self._runner.turn.engine.risk.limits or RiskLimits()
        if not last_px or limits.collar_bps is None or abs(px - last_px) * 10_000 <= limits.collar_bps * last_px:
            return []
        there = f"{plain(round(abs(px - last_px) / last_px * 100, 1))} % from the last quote, {plain(last_px)}"
        return [f"the price given, {plain(px)}, is {there}: levels follow from it"]

    def _policy_of(self, asked: ProtectRequest | OpenRequest) -> Policy | None:
        """The policy of one bracket alone, where keys were set for it. Raises: ConfigError, Refused."""
        return self._own_policy(asked.strategy, asked.symbol, asked.settings) if asked.settings else None

    def _new_name(self, symbol: str) -> str:
        """Name a trade after its symbol and the second it was asked for in."""
        moment = datetime.fromtimestamp(self._runner.clock.now_ns() // 1_000_000_000, UTC)
        name = f"{bracket_id_of_entry(symbol)[:8]}-{moment:%y%m%d-%H%M%S}"
        taken = {bracket.bracket_id for bracket in self._runner.brackets()}
        gone = self._runner.turn.engine.has_forgotten
        names = (name if n == 1 else f"{name}-{n}" for n in count(1))
        return next(free for free in names if free not in taken and not gone(free))

    def _name_of(self, asked: ProtectRequest) -> str:
        """Name a bracket after what is asked and the day: the same request made twice would else be sold twice."""
        if asked.fill_id is not None:
            return bracket_id_of_entry(asked.fill_id)
        day = datetime.fromtimestamp(self._runner.clock.now_ns() / 1e9, UTC)
        facts = "|".join([asked.symbol, asked.side, plain(asked.quantity), plain(asked.price or ZERO), asked.strategy])
        return f"{bracket_id_of_entry(asked.symbol)[:8]}-{day:%y%m%d}-{sha256(facts.encode()).hexdigest()[:6]}"

    def _check_open(self) -> None:
        if self._stopping():
            raise Refused("the daemon is stopping: nothing new is taken on", code="stopping")


def _check_name(name: str) -> None:
    if name == "all":
        raise Refused("no bracket can be called all: `flatten all` means every one", code="bad_id")


def _check_sides(asked: ProtectRequest, side: Side, px: Decimal) -> None:
    """A level typed on the wrong side would sell what is held, at once. Whoever asks can still correct it.

    Raises: Refused.
    """
    try:
        check_given(side, px, asked.stop_price, asked.target_price)
    except Refused as refused:
        raise Refused(f"{refused}; nothing was done, the position is as it was", code=refused.code) from None


def _entry_of(bracket: Bracket) -> LegOrder:
    return next(order for order in bracket.orders if order.leg is Leg.ENTRY)


def _is_soon_over(order: LegOrder) -> bool:
    """Whether the venue's word on an order is still to come: an answer, or a market order's fill."""
    return order.state in IN_FLIGHT or (order.leg is Leg.ENTRY and order.alive and order.order_type is OrderType.MARKET)


def _remarks(bracket: Bracket) -> list[str]:
    """Say what a person should know of a bracket that has begun."""
    if bracket.levels is None or not bracket.levels.fallback or bracket.levels.stop_given:
        return []
    return [f"no ATR: the stop is the fallback percentage away (grodtd explain {bracket.bracket_id} says why)"]


def _open_order(report: OrderReport) -> Data:
    order = report.order
    if order is None:
        return {
            "client_order_id": report.client_order_id,
            "symbol": "",
            "side": "",
            "order_type": "",
            "leaves_qty": "0",
            "stop_px": None,
            "limit_px": None,
        }
    return {
        "client_order_id": report.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "order_type": order.order_type.value,
        "leaves_qty": plain(order.quantity - report.cum_qty),
        "stop_px": None if order.stop_px is None else plain(order.stop_px),
        "limit_px": None if order.limit_px is None else plain(order.limit_px),
    }


def _heard(task: "asyncio.Future[Any]") -> None:
    """Look at what became of a request nobody waits for any more: an unseen error would be told as lost."""
    if not task.cancelled():
        task.exception()
