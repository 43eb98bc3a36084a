"""`ports.Broker` over the socket of `venue_process`: what a connector does, without a wire format of its own."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec

from grodtd.domain.errors import NotSent, OutcomeUnknown, Refused
from grodtd.domain.events import LinkStatus
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, Fill, NewOrder, OrderReport
from tests.kills.venue_process import CAPABILITIES, Answer, Entry, Push, Request

Pushed = ExecutionReport | Quote | LinkStatus


class RemoteBroker:
    """One connection. It ends with the venue's process; a new one is made by who starts anew."""

    capabilities = CAPABILITIES

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._pushed: asyncio.Queue[Pushed | None] = asyncio.Queue()
        self._up = True
        self.reading = asyncio.create_task(self._read(), name="venue socket")

    @classmethod
    async def connect(cls, socket: str) -> "RemoteBroker":
        broker = cls(*await asyncio.open_unix_connection(socket, limit=2**24))
        broker._pushed.put_nowait(LinkStatus(up=True))
        await broker._ask("subscribe", None)
        return broker

    async def submit(self, order: NewOrder) -> OrderReport:
        return await self._ask("submit", OrderReport, order)

    async def submit_oco(self, stop: NewOrder, target: NewOrder) -> None:
        await self._ask("submit_oco", OrderReport, stop, target)

    async def cancel(self, client_order_id: str) -> OrderReport:
        return await self._ask("cancel", OrderReport, client_order_id)

    async def replace(self, client_order_id: str, order: NewOrder) -> OrderReport:
        return await self._ask("replace", OrderReport, client_order_id, order)

    async def order(self, client_order_id: str) -> OrderReport | None:
        return await self._ask("order", OrderReport | None, client_order_id)

    async def open_orders(self) -> list[OrderReport]:
        return await self._ask("open_orders", list[OrderReport])

    async def fills(self, since_ns: int) -> list[Fill]:
        return await self._ask("fills", list[Fill], since_ns)

    async def position(self, symbol: str) -> Decimal:
        return await self._ask("position", Decimal, symbol)

    async def equity(self) -> Decimal:
        return await self._ask("equity", Decimal)

    async def instruments(self, symbols: list[str]) -> list[Instrument]:
        return await self._ask("instruments", list[Instrument], symbols)

    async def server_time_ns(self) -> int:
        return await self._ask("server_time_ns", int)

    async def entries(self) -> list[Entry]:
        """Not of the port: what the venue's user wants looked after, ended or not."""
        return await self._ask("entries", list[Entry])

    async def events(self) -> AsyncIterator[Pushed]:
        while (event := await self._pushed.get()) is not None:
            yield event

    async def _ask(self, call: str, kind: Any, *arguments: Any) -> Any:
        if not self._up:
            raise NotSent("the venue hung up")
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        request = Request(number, call, msgspec.Raw(msgspec.json.encode(arguments)))
        self._writer.write(msgspec.json.encode(request) + b"\n")
        try:
            told = await answer
        finally:
            self._waiting.pop(number, None)
        if told.refused is not None:
            code, words = told.refused
            raise Refused(words, code=code)
        return msgspec.json.decode(told.result, type=kind)

    async def _read(self) -> None:
        decode = msgspec.json.Decoder(Answer | Push).decode
        try:
            while line := await self._reader.readline():
                message = decode(line)
                if isinstance(message, Push):
                    self._pushed.put_nowait(message.event)
                    continue
                waiting = self._waiting.get(message.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
        except ConnectionError:
            pass
        finally:
            self._up = False
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(OutcomeUnknown("the venue hung up"))
            self._pushed.put_nowait(None)
