"""Trades a simulated user asks for whole: sized, checked, entered and protected by our process, or refused as a whole.

He asks at the door and waits a few seconds; without an answer, or told to come back, he asks again under the same name.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from grodtd.domain.errors import Refused
from grodtd.execution.asking import EntryRequest
from grodtd.execution.trade_exit_service import TradeExitService
from grodtd.simulation.truth import Books, Position

LATER = frozenset({"no_journal", "fenced", "link_down", "not_compared", "quote", "equity", "clock_off"})
"""Refusals after which he comes back."""
PATIENCE_S = 5.0
AGAIN_AFTER_S = 3.0
TRIES = 6


@dataclass
class _Wish:
    asked: EntryRequest
    position: Position
    door: TradeExitService | None = None
    task: "asyncio.Task[object] | None" = None
    not_before_s: float = 0.0
    tries: int = 0


class WholeTrades:
    """What he wants opened, until he has his answer."""

    def __init__(self, books: Books, log: Callable[[str], None]) -> None:
        """Expect what may come in `books`."""
        self._books, self.log = books, log
        self._wishes: list[_Wish] = []

    def want(self, asked: EntryRequest) -> None:
        """Ask for a trade from now on."""
        entry_id = f"{asked.bracket_id}.entry1"
        position = Position(asked.bracket_id, entry_id, asked.side, asked.symbol, strategy=asked.strategy)
        self._books.expect(position)
        self._wishes.append(_Wish(asked, position))

    def pass_on(self, door: TradeExitService) -> None:
        """Ask a process that is ready what is to be asked, and hear what it answers. Never waits."""
        now_s = asyncio.get_running_loop().time()
        for wish in list(self._wishes):
            if wish.task is not None and wish.task.done():
                self._hear(wish, now_s)
            elif wish.task is not None and wish.door is not door:  # that process is gone, and its answer with it
                wish.task.cancel()
                wish.task = None
            elif wish.task is None and now_s >= wish.not_before_s:
                wish.tries += 1
                wish.door = door
                asking = asyncio.wait_for(door.open_bracket(wish.asked), PATIENCE_S)
                wish.task = asyncio.get_running_loop().create_task(asking, name="open_bracket")

    def _hear(self, wish: _Wish, now_s: float) -> None:
        task, wish.task = wish.task, None
        assert task is not None
        wish.not_before_s = now_s + AGAIN_AFTER_S
        error = None if task.cancelled() else task.exception()
        name = wish.asked.bracket_id
        if task.cancelled() or isinstance(error, TimeoutError):
            return
        if isinstance(error, Refused) and error.code != "duplicate_id":
            if error.code in LATER and wish.tries < TRIES:
                return
            self.log(f"refused whole: {name}: {error}")
            self._books.forget(name)
        elif isinstance(error, Refused | None):
            self.log(f"opened whole: {name}")
            wish.position.accepted = True
        else:
            self._books.violated("ERROR", f"open_bracket {name}: {error!r}")
        self._wishes.remove(wish)
