"""Deliberate faults in our own logic, each of a kind that programs of this sort really have.

`grodtd simulate --mutants` puts them in one after the other and demands that a simulated history catches each: that is
how we know that "no violation" says something. They reach into modules on purpose, and put everything back.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from grodtd.domain.bracket import ExitState, OrderState, Phase
from grodtd.domain.commands import SubmitOrder
from grodtd.domain.errors import GrodtdError
from grodtd.domain.events import RequestRefused, RequestUnknown
from grodtd.execution import (
    bracket_order_manager,
    coverage,
    deadlines,
    exit_orders,
    exit_rules,
    new_orders,
    oco_emulator,
    order_changes,
    order_lifecycle,
)
from grodtd.execution import enhanced_engine as engine_module
from grodtd.execution.bracket_order_manager import Meaning
from grodtd.execution.oco_emulator import Trigger
from grodtd.execution.terms import Terms
from grodtd.runtime import reconciler, runner
from grodtd.runtime.clocks import VenueClock
from grodtd.runtime.dispatcher import Dispatcher
from grodtd.runtime.governor import Governor
from grodtd.simulation import process
from grodtd.simulation.truth import is_entry


@dataclass(frozen=True)
class Mutant:
    """One deliberate fault."""

    name: str
    what: str
    """What real programs do so."""
    spoil: Callable[[ExitStack], None]


@contextmanager
def spoiled(mutant: Mutant) -> Iterator[None]:
    """Have the fault in our logic for a while."""
    with ExitStack() as stack:
        mutant.spoil(stack)
        yield


def _swap(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    before = getattr(owner, name)
    setattr(owner, name, value)
    stack.callback(setattr, owner, name, before)


def _row(stack: ExitStack, table: dict[Any, Any], key: Any, row: Any) -> None:
    before = table[key]
    table[key] = row
    stack.callback(table.__setitem__, key, before)


def _exits(key: tuple[ExitState, Trigger], state: ExitState, rule: Any) -> Callable[[ExitStack], None]:
    return lambda stack: _row(stack, oco_emulator.TABLE, key, (state, rule))


def _life(key: tuple[Phase, Meaning], phase: Phase, rule: Any) -> Callable[[ExitStack], None]:
    return lambda stack: _row(stack, bracket_order_manager.TABLE, key, (phase, rule))


def _orphans_stay(stack: ExitStack) -> None:
    for phase in (Phase.OPEN, Phase.EXITING, Phase.CLOSING):
        _life((phase, Meaning.FLAT_BUSY), Phase.CLOSING, bracket_order_manager.nothing)(stack)


def _oversell_ignored(stack: ExitStack) -> None:
    for phase in (Phase.OPEN, Phase.EXITING, Phase.CLOSING, Phase.CLOSED):
        _life((phase, Meaning.OVERSOLD), Phase.CLOSING, bracket_order_manager.cancel_rest)(stack)


def _protect_only_once(stack: ExitStack) -> None:
    original = oco_emulator.cover_rest

    def once(step: Any, bracket: Any, terms: Any, cover: Any) -> Any:
        return bracket if bracket.stop_generation else original(step, bracket, terms, cover)

    _row(stack, oco_emulator.TABLE, (ExitState.GUARD, Trigger.SHORT), (ExitState.GUARD, once))


def _timeout_is_a_refusal(stack: ExitStack) -> None:
    original = engine_module.Engine.process

    def process(self: Any, event: Any) -> Any:
        if isinstance(event, RequestUnknown):
            event = RequestRefused(
                event.client_order_id,
                event.verb,
                "timeout",
                "timeout",
                event.replacement_id,
                event.ts_event_ns,
                event.ts_received_ns,
            )
        return original(self, event)

    _swap(stack, engine_module.Engine, "process", process)


def _asked_is_cancelled(stack: ExitStack) -> None:
    original = order_lifecycle.ask_cancel

    def ask(order: Any, now_ns: int) -> Any:
        return replace(original(order, now_ns), state=OrderState.CANCELED)

    _swap(stack, order_changes, "ask_cancel", ask)


def _duplicates_count_twice(stack: ExitStack) -> None:
    original = order_lifecycle._book_execution  # noqa: SLF001 - that is what a mutant is

    def book(order: Any, report: Any) -> Any:
        if report.exec_id:
            report = replace(report, exec_id=f"{report.exec_id}#{len(order.executions)}")
        return original(order, report)

    _swap(stack, order_lifecycle, "_book_execution", book)


def _sent_before_durable(stack: ExitStack) -> None:
    def durable_since(self: Any, sequence: int) -> Any:
        async def wait() -> None:
            return

        return wait

    _swap(stack, runner.Runner, "_durable_since", durable_since)


def _gross_quantity(stack: ExitStack) -> None:
    _swap(stack, coverage, "signed_fill", lambda order: order.cum_qty if order.side.sign > 0 else -order.cum_qty)
    original = coverage._moved  # noqa: SLF001 - that is what a mutant is

    def moved(order: Any, terms: Any, cover: Any) -> Any:
        original(order, terms, cover)
        return order.cum_qty if order.side.sign > 0 else -order.cum_qty

    _swap(stack, coverage, "_moved", moved)


def _never_reconciles(stack: ExitStack) -> None:
    async def run_pass(self: Any) -> Any:
        return reconciler.Findings(complete=True)

    _swap(stack, reconciler.Reconciler, "run_pass", run_pass)


def _restart_forgets(stack: ExitStack) -> None:
    original = getattr(process, "recover")

    def recover(*given: Any, **named: Any) -> Any:
        turn = original(*given, **named)
        for bracket_id in list(turn.engine._brackets):  # noqa: SLF001 - that is what a mutant is
            del turn.engine._brackets[bracket_id]  # noqa: SLF001
        turn.engine._wants_bars.clear()  # noqa: SLF001
        turn.engine._open_on_symbol.clear()  # noqa: SLF001
        return turn

    _swap(stack, process, "recover", recover)


def _stop_loosened(stack: ExitStack) -> None:
    original = new_orders.stop_order

    def stop_order(bracket: Any, terms: Any, client_id: str, quantity: Any, now_ns: int) -> Any:
        order = original(bracket, terms, client_id, quantity, now_ns)
        if bracket.stop_generation:
            order = replace(order, stop_px=order.stop_px - bracket.side.sign * 10 * terms.instrument.tick_size)
        return order

    _swap(stack, exit_orders, "stop_order", stop_order)


def _lost_stop_stays_lost(stack: ExitStack) -> None:
    original = getattr(bracket_order_manager, "measure")

    def measure(bracket: Any, terms: Any) -> Any:
        cover = original(bracket, terms)
        gone = [
            o for o in bracket.orders if o.leg.value == "stop" and o.state in (OrderState.CANCELED, OrderState.EXPIRED)
        ]
        if gone and bracket.exits is ExitState.GUARD:
            cover.committed_qty = max(cover.committed_qty, cover.sellable_qty)
        return cover

    _swap(stack, bracket_order_manager, "measure", measure)


def _new_id_at_once(stack: ExitStack) -> None:
    """A request without an answer is forgotten, and another order sent under a new id."""
    _row(stack, order_lifecycle.TABLE, (OrderState.SENT, order_lifecycle.Meaning.UNSURE), OrderState.LOST)


def _asks_like_mad(stack: ExitStack) -> None:
    _swap(stack, Governor, "permit", _permit_everything)
    original = deadlines.next_deadline_ns

    def soon(bracket: Any, terms: Any, now_ns: int) -> Any:
        due = original(bracket, terms, now_ns)
        return None if due is None else min(due, now_ns + 20_000_000)

    _swap(stack, engine_module, "next_deadline_ns", soon)
    _swap(stack, Terms, "of", classmethod(_hasty_terms))


def _acts_before_comparing(stack: ExitStack) -> None:
    _swap(stack, Dispatcher, "hold", lambda _: None)


def _loser_acts_on(stack: ExitStack) -> None:
    def append(self: Any, records: Any) -> None:
        with suppress(GrodtdError):
            self._inner.append(records)

    async def commit(self: Any) -> None:
        with suppress(GrodtdError):
            await self._inner.commit()

    _swap(stack, process.SlowJournal, "append", append)
    _swap(stack, process.SlowJournal, "commit", commit)


def _trusts_own_clock(stack: ExitStack) -> None:
    async def keep(self: Any, broker: Any) -> str:
        return ""

    _swap(stack, VenueClock, "keep", keep)
    _swap(stack, VenueClock, "now_ns", lambda self: self._wall.now_ns())


def _trail_stands(stack: ExitStack) -> None:
    def never(*_given: Any, **_named: Any) -> None:
        return None

    _swap(stack, exit_rules, "wanted", never)
    _swap(stack, exit_rules, "next_move_px", never)


def _trail_forgets(stack: ExitStack) -> None:
    """Whatever moved a stop is forgotten with the process: the first one is placed again."""
    original = getattr(process, "recover")

    def recover(*given: Any, **named: Any) -> Any:
        turn = original(*given, **named)
        brackets = turn.engine._brackets  # noqa: SLF001 - that is what a mutant is
        for bracket_id, bracket in brackets.items():
            if bracket.levels is not None:
                stop_px = bracket.levels.stop_px
                brackets[bracket_id] = replace(bracket, stop_px=stop_px, best_px=None, held_stop_px=None)
        return turn

    _swap(stack, process, "recover", recover)


def _entry_sent_again(stack: ExitStack) -> None:
    """An entry without an answer is sent once more, to be on the safe side."""
    original = Dispatcher._carry_out  # noqa: SLF001 - that is what a mutant is

    async def carry_out(self: Any, command: Any) -> Any:
        facts = await original(self, command)
        entry = isinstance(command, SubmitOrder) and is_entry(command.order.client_order_id)
        if entry and any(isinstance(fact, RequestUnknown) for fact in facts):
            return await original(self, command)
        return facts

    _swap(stack, Dispatcher, "_carry_out", carry_out)


async def _permit_everything(self: Any, command: Any) -> None:
    return


_TERMS_OF = Terms.of.__func__  # type: ignore[attr-defined]


def _hasty_terms(cls: Any, *given: Any, **named: Any) -> Any:
    terms = _TERMS_OF(cls, *given, **named)
    return replace(terms, requery_ns=10_000_000, stop_retry_ns=0, exit_retry_ns=0)


MUTANTS: tuple[Mutant, ...] = (
    Mutant("protect-once", "protection does not grow with later fills", _protect_only_once),
    Mutant("timeout-is-refusal", "no answer is taken for a refusal", _timeout_is_a_refusal),
    Mutant("new-id-at-once", "an unanswered order is given up and sent anew under another id", _new_id_at_once),
    Mutant("asked-is-cancelled", "a cancel counts when it is asked for", _asked_is_cancelled),
    Mutant("duplicates-count", "an execution reported twice is booked twice", _duplicates_count_twice),
    Mutant("sent-before-durable", "orders leave before the journal has them", _sent_before_durable),
    Mutant("gross-quantity", "fees taken in units are forgotten", _gross_quantity),
    Mutant("never-reconciles", "the stream is believed to be complete", _never_reconciles),
    Mutant("restart-forgets", "after a restart open positions are nobody's", _restart_forgets),
    Mutant("stop-loosened", "a stop that is placed again is placed a little further away", _stop_loosened),
    Mutant("lost-stop-stays-lost", "a stop the venue took away is not put back", _lost_stop_stays_lost),
    Mutant(
        "sells-before-stop-is-gone",
        "the target sells while the stop may still fill",
        _exits((ExitState.TAKE, Trigger.BUSY), ExitState.TAKE, oco_emulator.take),
    ),
    Mutant(
        "missed-target-forgets-stop",
        "a target that was missed leaves the rest without a stop",
        _exits((ExitState.TAKE, Trigger.MISSED), ExitState.TAKE, oco_emulator.nothing),
    ),
    Mutant(
        "orphans-stay",
        "when the position is flat, what still rests is forgotten",
        _orphans_stay,
    ),
    Mutant(
        "oversell-ignored",
        "too much was sold, and nobody buys it back",
        _oversell_ignored,
    ),
    Mutant(
        "acts-before-comparing",
        "after a reconnect it goes on with what it last knew",
        _acts_before_comparing,
    ),
    Mutant("loser-acts-on", "an instance that lost the account goes on sending", _loser_acts_on),
    Mutant("trusts-own-clock", "deadlines and valid_until are by the computer's clock", _trusts_own_clock),
    Mutant("trail-stands", "a trailing stop stays where it was first placed", _trail_stands),
    Mutant("trail-forgets", "after a restart trailing stops begin anew", _trail_forgets),
    Mutant("entry-sent-again", "an entry without an answer is sent a second time", _entry_sent_again),
    Mutant("asks-like-mad", "requests are repeated without a pause", _asks_like_mad),
)
"""All of them; a history of some profile must catch each."""


def named(name: str) -> Mutant:
    """Return a mutant by name. Raises KeyError."""
    return next(mutant for mutant in MUTANTS if mutant.name == name)
