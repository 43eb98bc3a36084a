"""The process that is killed: the live runner with its journal on disk, looking after what the venue's user enters.

    python -m tests.kills.worker <socket> <journal>

This process itself only loads the code and forks a life for each line on its standard input, so that a life begins in
milliseconds; each life is a process of its own, killed by its id. Lines on standard output: `pid N`, `started`,
`working`, `mishap ...`, `ended <wait status>`.
"""

import asyncio
import os
import sys
import traceback
from decimal import Decimal

from grodtd.domain.errors import Refused
from grodtd.domain.events import BracketRequested, CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded, RunStarted
from grodtd.domain.market import VolatilityReading
from grodtd.domain.policy import AtrPolicy, BracketOrdersPolicy, Policy, ProtectionPolicy
from grodtd.runtime.clocks import SystemClock
from grodtd.runtime.recovery import recover
from grodtd.runtime.runner import Runner
from grodtd.storage.journal import SqlJournal
from tests.kills.remote_broker import RemoteBroker
from tests.kills.venue_process import SYMBOL, Entry

ATR = VolatilityReading(atr_px=Decimal("0.40"), close_px=Decimal(100), bars=100)
LOOK_EVERY_S = 0.005

POLICY = Policy(
    atr=AtrPolicy(multiplier=Decimal(2)),
    bracket_orders=BracketOrdersPolicy(max_active_brackets=10_000),
    # The venue is next door: what is true there is known here within milliseconds, a busy machine aside.
    protection=ProtectionPolicy(
        cancel_requery_s=Decimal("0.3"),
        clock_skew_s=Decimal("0.05"),
        read_lag_s=Decimal("0.3"),
        stop_retry_delay_s=Decimal("0.05"),
        exit_retry_delay_s=Decimal("0.05"),
    ),
)


def say(line: str) -> None:
    """Write one line at once and whole, so that a kill cannot halve it and two processes cannot mix theirs."""
    os.write(1, line.replace("\n", " | ").encode() + b"\n")


async def live(socket: str, journal_path: str) -> None:
    """Take up where the journal ends, and look after entries until killed or the venue hangs up."""
    clock = SystemClock()
    journal = SqlJournal(journal_path, account="kills", holder="the worker", now_ns=clock.now_ns())
    turn = recover(journal, journal.append)
    broker = await RemoteBroker.connect(socket)
    runner = Runner(turn, broker, journal, clock, reconcile_every_s=0.5, snapshots=journal, snapshot_every=50)
    runner.on_mishap(lambda event, error: say(f"mishap {error!r} at {event!r}"))
    now_ns = clock.now_ns()
    await runner.start(
        RunStarted("live", ts_received_ns=now_ns),
        PoliciesLoaded({"default": POLICY}, now_ns),
        InstrumentsLoaded(tuple(await broker.instruments([SYMBOL])), now_ns),
        CapabilitiesLearned(broker.capabilities, now_ns),
    )
    await runner.ready.wait()
    say("working")
    looking = asyncio.create_task(look_after_entries(runner, broker))
    await asyncio.wait({looking, broker.reading}, return_when=asyncio.FIRST_COMPLETED)
    if looking.done() and not broker.reading.done():
        looking.result()


async def look_after_entries(runner: Runner, broker: RemoteBroker) -> None:
    """Ask for protection of every entry on the venue's list, once."""
    known = {bracket.bracket_id for bracket in runner.brackets()}
    while True:
        fresh = [entry for entry in await broker.entries() if entry.bracket_id not in known]
        for entry in fresh:
            await protect(runner, entry)
            known.add(entry.bracket_id)
        if fresh:
            await runner.reconcile()  # it may have filled while nobody lived
        await asyncio.sleep(LOOK_EVERY_S)


async def protect(runner: Runner, entry: Entry) -> None:
    now_ns = runner.clock.now_ns()
    request = BracketRequested(
        bracket_id=entry.bracket_id,
        symbol=SYMBOL,
        side=entry.side,
        quantity=entry.quantity,
        entry_client_order_id=entry.client_order_id,
        reading=ATR,
        ts_event_ns=now_ns,
        ts_received_ns=now_ns,
    )
    try:
        await runner.handle(request)
    except Refused as error:
        say(f"mishap {error!r} for {entry.bracket_id}")


def one_life(socket: str, journal: str) -> None:
    """Live until killed; what ends it otherwise is told."""
    try:
        say("started")
        asyncio.run(live(socket, journal))
    except BaseException:  # noqa: BLE001 - it must be heard of; the parent fails the run
        say(f"mishap {traceback.format_exc()}")
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Fork a life a line."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            one_life(*sys.argv[1:3])
        say(f"pid {pid}")
        _, status = os.waitpid(pid, 0)
        say(f"ended {status}")


if __name__ == "__main__":
    main()
