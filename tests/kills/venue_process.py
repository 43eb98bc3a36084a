"""A venue in a process of its own: it lives on while the process that trades there is killed.

    python -m tests.kills.venue_process <socket> <seed>

It owns a `SimulatedVenue`, moves its market every few milliseconds of real time (a seeded random walk, a few units on
offer at a time), makes entries for whoever looks after them, and answers JSON lines on a Unix socket. It ends when its
standard input does.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOco, SubmitOrder
from grodtd.domain.errors import Refused
from grodtd.domain.events import LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport, OrderStatus, OrderType, Side
from grodtd.venue.profiles import MARGIN
from grodtd.venue.venue import SimulatedVenue

SYMBOL = "COIN"
TICK = Decimal("0.01")
QUOTE_EVERY_S = 0.003
ENTRY_EVERY_S = 0.05
ANNOUNCED_S = 0.01
"""An entry is on the list this long before it is sent: its protection is asked for first, as the door wants it."""
MOST_HELD = Decimal(150)
"""Units; with more in the account no new entry is made."""

CAPABILITIES = msgspec.structs.replace(MARGIN, late_bound_s=Decimal("0.5"))
"""A stock broker (nothing stops a second exit from turning the position over) to whom no request takes long."""


class Request(msgspec.Struct, frozen=True, array_like=True):
    """A call by name. `arguments` as `ARGUMENTS` says."""

    number: int
    call: str
    arguments: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What became of request `number`: a result, or a refusal (code, words)."""

    number: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    refused: tuple[str, str] | None = None


class Push(msgspec.Struct, frozen=True, tag=True):
    """Something the venue tells those who subscribed."""

    event: ExecutionReport | Quote | LinkStatus


class Entry(msgspec.Struct, frozen=True):
    """An entry made for the worker to look after."""

    bracket_id: str
    client_order_id: str
    side: Side
    quantity: Decimal


class Truth(msgspec.Struct, frozen=True):
    """All there is to know about the account."""

    position: Decimal
    open_orders: list[OrderReport]
    fills: list[Fill]
    arrived: list[tuple[str, str]]
    """(client id, what came of it: `taken` or the code it was refused with), of every new order of the worker."""
    entries: list[Entry]


ARGUMENTS: dict[str, Any] = {
    "subscribe": tuple[()],
    "submit": tuple[NewOrder],
    "submit_oco": tuple[NewOrder, NewOrder],
    "cancel": tuple[str],
    "replace": tuple[str, NewOrder],
    "order": tuple[str],
    "open_orders": tuple[()],
    "fills": tuple[int],
    "position": tuple[str],
    "equity": tuple[()],
    "instruments": tuple[list[str]],
    "server_time_ns": tuple[()],
    "entries": tuple[()],
    "calm": tuple[()],
    "fall": tuple[()],
    "truth": tuple[()],
}


class VenueProcess:
    """The venue, its market and its visitors."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.venue = SimulatedVenue(CAPABILITIES, [Instrument(SYMBOL, tick_size=TICK)], cash=Decimal(10**7))
        self.side = self.rng.choice(list(Side))
        self.mid = Decimal(100)
        self.is_calm = False
        self.listed: list[Entry] = []
        self.arrived: list[tuple[str, str]] = []
        self.subscribers: list[asyncio.StreamWriter] = []

    # -- the market -----------------------------------------------------------------------------------------

    async def trade(self) -> None:
        """Move the market until the process ends."""
        loop = asyncio.get_running_loop()
        next_entry = loop.time()
        while True:
            if not self.is_calm:
                self.mid += TICK * self.rng.randint(-6, 6)
                if loop.time() >= next_entry:
                    next_entry = loop.time() + ENTRY_EVERY_S
                    self.make_entry(loop)
            self.quote()
            await asyncio.sleep(QUOTE_EVERY_S)

    def quote(self) -> None:
        units = Decimal(self.rng.randint(1, 15))
        now_ns = time.time_ns()
        quote = Quote(SYMBOL, self.mid, self.mid + TICK, now_ns, bid_qty=units, ask_qty=units)
        reports = self.venue.on_quote(quote, now_ns)
        self.push([quote, *reports])

    def make_entry(self, loop: asyncio.AbstractEventLoop) -> None:
        """List an entry, and send it a little later."""
        if abs(self.venue.position(SYMBOL)) > MOST_HELD:
            return
        number = len(self.listed) + 1
        entry = Entry(f"B{number}", f"user-{number}", self.side, Decimal(self.rng.randint(5, 40)))
        self.listed.append(entry)
        loop.call_later(ANNOUNCED_S, self.send_entry, entry)

    def send_entry(self, entry: Entry) -> None:
        px = self.mid + TICK * 3 * entry.side.sign
        order = NewOrder(entry.client_order_id, SYMBOL, entry.side, OrderType.LIMIT, entry.quantity, limit_px=px)
        self.push([*self.venue.apply(SubmitOrder("", order), time.time_ns())])

    def calm(self) -> None:
        """Stand still: the price stays, entries that are still open end, no new ones come."""
        self.is_calm = True
        for report in self.venue.open_orders():
            if report.client_order_id.startswith("user-"):
                ended = self.venue.yank(report.client_order_id, OrderStatus.CANCELED, "calm", time.time_ns())
                self.push([*ended])

    def fall(self) -> None:
        """Go through every stop there is, and stand still there."""
        self.mid -= 40 * self.side.sign

    # -- its visitors ---------------------------------------------------------------------------------------

    def push(self, events: list[Any]) -> None:
        for event in events:
            line = msgspec.json.encode(Push(event)) + b"\n"
            for writer in self.subscribers:
                writer.write(line)

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one visitor until it goes, or is killed."""
        decode = msgspec.json.Decoder(Request).decode
        try:
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    break  # killed in the middle of a line: not a request
                request = decode(line)
                arguments = msgspec.json.decode(request.arguments, type=ARGUMENTS[request.call])
                if request.call == "subscribe":
                    self.subscribers.append(writer)
                try:
                    result = msgspec.Raw(msgspec.json.encode(self.answer(request.call, arguments)))
                    answer = Answer(request.number, result)
                except Refused as error:
                    answer = Answer(request.number, refused=(error.code, str(error)))
                writer.write(msgspec.json.encode(answer) + b"\n")
        except ConnectionError:
            pass
        finally:
            if writer in self.subscribers:
                self.subscribers.remove(writer)
            writer.close()

    def answer(self, call: str, arguments: tuple[Any, ...]) -> Any:
        venue = self.venue
        if call == "submit":
            (order,) = arguments
            return self.new_order(SubmitOrder("", order), order.client_order_id)
        if call == "submit_oco":
            stop, target = arguments
            return self.new_order(SubmitOco("", stop, target), stop.client_order_id)
        if call == "cancel":
            (client_order_id,) = arguments
            self.push([*venue.apply(CancelOrder("", client_order_id), time.time_ns())])
            return venue.order(client_order_id)
        if call == "replace":
            client_order_id, order = arguments
            return self.new_order(ReplaceOrder("", client_order_id, order), order.client_order_id)
        simple: dict[str, Callable[..., Any]] = {
            "subscribe": lambda: None,
            "order": venue.order,
            "open_orders": venue.open_orders,
            "fills": venue.fills,
            "position": venue.position,
            "equity": venue.equity,
            "instruments": venue.instruments,
            "server_time_ns": time.time_ns,
            "entries": lambda: self.listed,
            "calm": self.calm,
            "fall": self.fall,
            "truth": self.truth,
        }
        return simple[call](*arguments)

    def new_order(self, command: SubmitOrder | SubmitOco | ReplaceOrder, client_order_id: str) -> OrderReport | None:
        try:
            reports = self.venue.apply(command, time.time_ns())
        except Refused as error:
            self.arrived.append((client_order_id, error.code))
            raise
        self.arrived.append((client_order_id, "taken"))
        self.push([*reports])
        return self.venue.order(client_order_id)

    def truth(self) -> Truth:
        venue = self.venue
        return Truth(venue.position(SYMBOL), venue.open_orders(), venue.fills(0), self.arrived, self.listed)


async def main(socket: str, seed: int) -> None:
    """Serve until standard input ends."""
    process = VenueProcess(seed)
    process.quote()
    server = await asyncio.start_unix_server(process.visit, socket, limit=2**24)
    market = asyncio.create_task(process.trade())
    print("open", flush=True)
    until_left_alone = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({market, until_left_alone}, return_when=asyncio.FIRST_COMPLETED)
    if market.done():
        market.result()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
