"""What the execution engine keeps, and what anybody may read of it. Only the engine itself writes.

A snapshot holds all of it but what follows from the rest (`execution/snapshot.py`).
"""

import heapq
from collections.abc import Iterator
from decimal import Decimal

from grodtd.domain.bracket import ENDED, Bracket
from grodtd.domain.capabilities import Capabilities
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Leg
from grodtd.domain.policy import Policy
from grodtd.execution.bracket_order_manager import BracketOrderManager
from grodtd.execution.holdings import Doubt
from grodtd.execution.quote_scan import Ints, Scan, scan
from grodtd.execution.risk_state import RiskState
from grodtd.execution.terms import Terms
from grodtd.execution.trigger_book import TriggerBook


class EngineState:
    """Every bracket of one account, and what they live under."""

    def __init__(self) -> None:
        """Begin with no knowledge: policies, instruments and capabilities arrive as facts."""
        self._brackets: dict[str, Bracket] = {}
        self._entry_orders: dict[str, str] = {}
        self._policies: dict[str, Policy] = {"default": Policy()}
        self._instruments: dict[str, Instrument] = {}
        self._capabilities = Capabilities()
        self._terms: dict[tuple[str, str], Terms] = {}
        self._policies_in_use: dict[str, Policy] = {}
        self._open_on_symbol: dict[str, dict[str, None]] = {}
        """Brackets that have not ended, by symbol, oldest first."""
        self._open_shorts: dict[str, int] = {}
        """How many of them are shorts: whether one of the other side is open is asked at every request."""
        self._doubts: dict[str, Doubt] = {}
        """The last reading of a position that did not agree with what we hold, by symbol."""
        self._halted: dict[str, str] = {}
        """Symbols whose position was turned round by hands elsewhere, and why: no new entries there."""
        self._book = TriggerBook()
        self._deadlines: list[tuple[int, str]] = []
        self._due: dict[str, int | None] = {}
        self._paused = ""
        self._now_ns = 0
        """Time of the fact being folded in; never read before a fact sets it."""
        self._active = 0
        self._pairs: dict[str, dict[str, None]] = {}
        """Brackets with a reduce-only pair, by symbol."""
        self._watching: dict[str, None] = {}
        """Brackets with a level in the book, or that had one."""
        self._wants_bars: dict[str, dict[str, None]] = {}
        """Brackets that live by closed bars, by symbol, oldest first."""
        self._sessions: dict[str, tuple[tuple[int, ...], ...]] = {}
        """Ends of sessions, those before a weekend, and beginnings, by symbol."""
        self._risk = RiskState()
        """What the account may lose, and has lost; observed from the moment its limits are told."""
        self._forgotten: dict[str, int] = {}
        """When brackets ended that were dropped from memory, by name."""
        self._unexplained: dict[str, None] = {}
        """Executions of such brackets that were told of."""
        self._manager = BracketOrderManager()

    # -- what anybody may read ------------------------------------------------------------------------------

    @property
    def next_deadline_ns(self) -> int | None:
        """When the engine wants a TimerFired at the latest; None: when nothing else happens, never."""
        while self._deadlines and self._due.get(self._deadlines[0][1]) != self._deadlines[0][0]:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    @property
    def entries_paused(self) -> str:
        """Why new brackets are refused; empty when they are not."""
        return self._paused

    @property
    def halted(self) -> dict[str, str]:
        """Symbols that take no new entries until somebody resumes them, and why."""
        return dict(self._halted)

    @property
    def risk(self) -> RiskState:
        """What the account has at risk and has lost, as far as limits were told. Read it only."""
        return self._risk

    def bracket(self, bracket_id: str) -> Bracket | None:
        """Return one bracket as it stands."""
        return self._brackets.get(bracket_id)

    def brackets(self) -> Iterator[Bracket]:
        """All brackets still known, in the order they began."""
        return iter(self._brackets.values())

    def terms(self, bracket: Bracket) -> Terms:
        """Return what a bracket lives under."""
        terms = self._terms.get((bracket.policy_fingerprint, bracket.symbol))
        if terms is not None:
            return terms
        return self._terms_of(self._policies_in_use[bracket.policy_fingerprint], self._instruments[bracket.symbol])

    def _terms_of(self, policy: Policy, instrument: Instrument) -> Terms:
        key = (policy.fingerprint, instrument.symbol)
        terms = self._terms.get(key)
        if terms is None:
            sessions = self._sessions.get(instrument.symbol, ((), (), ()))
            terms = self._terms[key] = Terms.of(policy, instrument, self._capabilities, sessions)
        return terms

    def living_by_bars(self, symbol: str) -> Iterator[tuple[str, Policy]]:
        """Brackets of a symbol that must be told of closed bars, with their policies."""
        for bracket_id in self._wants_bars.get(symbol, ()):
            yield bracket_id, self.terms(self._brackets[bracket_id]).policy

    def idle_quotes(self, symbol: str, bid: Ints, ask: Ints, unit: Decimal, scan: Scan = scan) -> int:
        """Return how many of a symbol's quotes touch nothing before the first that does; all, where none does.

        bid, ask: int64[n], prices in `unit`, in time order. Those quotes would have changed nothing here and need not
        be handed in; the one that follows them is to be handed to `process`, which may change what is watched.
        `scan`: how to look (`replay.quote_walk.walk` is compiled).
        """
        return self._book.first(symbol, bid, ask, unit, scan)[0]

    def forget(self, bracket_id: str) -> None:
        """Drop an ended bracket from memory; its story is in the journal. A living one is kept."""
        bracket = self._brackets.get(bracket_id)
        if bracket is not None and bracket.phase in ENDED:
            del self._brackets[bracket_id]
            self._due.pop(bracket_id, None)
            for order in bracket.orders:
                if order.leg is Leg.ENTRY and self._entry_orders.get(order.client_order_id) == bracket_id:
                    del self._entry_orders[order.client_order_id]

    def has_forgotten(self, bracket_id: str) -> bool:
        """Whether a bracket of that name ended and was dropped from memory: the journal has it, the name is taken."""
        return bracket_id in self._forgotten
