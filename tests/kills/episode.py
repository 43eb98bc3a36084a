"""One episode: a venue, a worker killed again and again at seeded instants, and the checks at the end.

What is checked comes from the venue's truth and the journal file alone:

    unrecorded   an order arrived whose command is not in the journal
    twice        one client id was taken as a new order twice
    oversold     a bracket sold more than it had bought
    uncovered    a position is not covered by working stops of exactly its size, once all is calm
    orphan       an order rests for a bracket that holds nothing
    left         something is open or rests after the market went through every stop
    journal      the journal does not verify, or folded again gives something else
    mishap       the worker met an error of ours
"""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from grodtd.domain.errors import GrodtdError
from grodtd.domain.ids import parse_client_order_id
from grodtd.domain.orders import OrderType
from grodtd.runtime.refold import refold
from grodtd.storage import reading, upkeep
from tests.kills.venue_process import Answer, Request, Truth

REPO = Path(__file__).resolve().parents[2]
COMMANDED = re.compile(rb'"client_order_id":"([^"]+)"')
IN_FLIGHT = b"sent by a process that ended before the answer"
PATIENCE_S = 30.0
"""How long anything may take on a busy machine before the episode is given up."""


@dataclass
class Episode:
    """What came of it."""

    seed: int
    kills: int = 0
    killed_while_starting: int = 0
    brackets: int = 0
    protected: int = 0
    orders: int = 0
    exits_filled: int = 0
    in_flight: int = 0
    """Orders that were on their way, answer unknown, when the worker died."""
    records: int = 0
    settled_s: float = 0.0
    """From the last start until everything was covered, seconds."""
    violations: list[str] = field(default_factory=list)


class Lines:
    """Lines of a process' output, with a limit on how long one may take."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._fd = process.stdout.fileno()
        self._process = process
        self._rest = b""

    def next(self) -> str:
        until = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, until - time.monotonic()))
            more = os.read(self._fd, 65536) if ready else b""
            if not more:
                raise TimeoutError(f"{self._process.args}: nothing more to hear after {self._rest!r}")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()


class Control:
    """The parent's own line to the venue."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rwb")

    def ask(self, call: str, kind: Any = None) -> Any:
        self._file.write(msgspec.json.encode(Request(0, call, msgspec.Raw(b"[]"))) + b"\n")
        self._file.flush()
        return msgspec.json.decode(msgspec.json.decode(self._file.readline(), type=Answer).result, type=kind)

    def truth(self) -> Truth:
        return self.ask("truth", Truth)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Worker:
    """The process that forks lives, and the life of the moment."""

    def __init__(self, venue_socket: Path, journal: Path, episode: Episode) -> None:
        module = [sys.executable, "-m", "tests.kills.worker", str(venue_socket), str(journal)]
        self._process = subprocess.Popen(module, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines = Lines(self._process)
        self._episode = episode
        self._pid = 0

    def _hear(self, *words: str) -> set[str]:
        """Read until every one of `words` was said."""
        heard: set[str] = set()
        while not heard.issuperset(words):
            word, _, rest = self._lines.next().partition(" ")
            heard.add(word)
            if word == "pid":
                self._pid = int(rest)
            elif word == "mishap":
                self._episode.violations.append(f"mishap: {rest}")
            elif word == "ended" and int(rest) != signal.SIGKILL:
                raise AssertionError(f"the worker ended by itself: {rest}, {self._episode.violations}")
        return heard

    def start(self, until: str) -> None:
        """Begin a life; return when it is `started` or `working`."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"live\n")
        self._process.stdin.flush()
        self._hear("pid", until)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._hear("ended")

    def close(self) -> None:
        _end(self._process)


def play(seed: int, kills: int, folder: Path) -> Episode:
    """Kill the worker `kills` times, let it settle, let the market go through every stop, and check."""
    rng = Random(f"kills/{seed}")
    episode = Episode(seed)
    # A Unix socket's path may be 107 bytes long, less than where a test's folder often is: it is named from within.
    journal, venue_socket = folder / "journal.db", Path(os.path.relpath(folder / "venue", REPO))
    if len(str(venue_socket)) > len(str(folder / "venue")):
        venue_socket = folder / "venue"
    serve = [sys.executable, "-m", "tests.kills.venue_process", str(venue_socket), str(seed)]
    venue = subprocess.Popen(serve, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    worker = Worker(venue_socket, journal, episode)
    try:
        Lines(venue).next()
        control = Control(venue_socket)
        for _ in range(kills):
            while_starting = rng.random() < 0.25
            worker.start("started" if while_starting else "working")
            time.sleep(rng.uniform(0.005, 0.120))  # the instant of death: what is tried, not waited for
            worker.kill()
            episode.kills += 1
            episode.killed_while_starting += while_starting
        worker.start("working")
        control.ask("calm")
        began = time.monotonic()
        calm = _wait(control, uncovered)
        episode.settled_s = time.monotonic() - began
        episode.violations += uncovered(calm)
        control.ask("fall")
        end = _wait(control, left)
        episode.violations += left(end)
        worker.kill()
        control.close()
        _check_all(episode, end, journal)
    finally:
        _end(venue)  # on which a life that still lives ends, too
        worker.close()
    return episode


def _wait(control: Control, trouble: Any) -> Truth:
    """Ask for the venue's truth until nothing is wrong with it, or for as long as anybody would wait."""
    until = time.monotonic() + PATIENCE_S / 2
    while trouble(truth := control.truth()) and time.monotonic() < until:
        time.sleep(0.02)
    return truth


def _brackets_of(truth: Truth) -> dict[str, Decimal]:
    """Units each bracket holds, by the venue's fills: positive held, negative oversold."""
    entries = {entry.client_order_id: entry for entry in truth.entries}
    side = {entry.bracket_id: entry.side for entry in truth.entries}
    held = dict.fromkeys(side, Decimal(0))
    for fill in truth.fills:
        entry = entries.get(fill.client_order_id)
        named = parse_client_order_id(fill.client_order_id)
        bracket_id = entry.bracket_id if entry else named[0] if named else ""
        held[bracket_id] += fill.quantity * (1 if fill.side is side[bracket_id] else -1)
    return held


def uncovered(truth: Truth) -> list[str]:
    """What is wrong with an account that had its time: each position covered by its size, nothing else resting."""
    found = []
    stops: Counter[str] = Counter()
    others = []
    for report in truth.open_orders:
        named = parse_client_order_id(report.client_order_id)
        order = report.order
        if named and order and order.order_type is OrderType.STOP:
            stops[named[0]] += order.quantity - report.cum_qty  # type: ignore[assignment]
        else:
            others.append(report.client_order_id)
    held = _brackets_of(truth)
    for bracket_id, units in held.items():
        if units < 0:
            found.append(f"oversold: {bracket_id} by {-units}")
        elif units and stops[bracket_id] != units:
            found.append(f"uncovered: {bracket_id} holds {units}, its stops cover {stops[bracket_id]}")
        elif not units and stops[bracket_id]:
            found.append(f"orphan: stops of {stops[bracket_id]} for {bracket_id}, which holds nothing")
    found += [f"orphan: {name} rests" for name in others]
    signs = {entry.bracket_id: entry.side.sign for entry in truth.entries}
    owned = sum(units * signs[bracket_id] for bracket_id, units in held.items())
    if truth.position != owned:
        found.append(f"oversold: the account holds {truth.position}, the brackets {owned}")
    return found


def left(truth: Truth) -> list[str]:
    """What is left after the market went through every stop."""
    found = [f"left: {bracket_id} holds {units}" for bracket_id, units in _brackets_of(truth).items() if units]
    return found + [f"left: {report.client_order_id} rests" for report in truth.open_orders]


def _check_all(episode: Episode, truth: Truth, journal: Path) -> None:
    """Compare every order that ever arrived with the journal, and the journal with itself."""
    try:
        upkeep.verify(journal)
        records = list(reading.read(journal))
        refold(records)
    except GrodtdError as error:
        episode.violations.append(f"journal: {error}")
        return
    commanded = {
        name.decode() for record in records if record.kind == "command" for name in COMMANDED.findall(record.payload)
    }
    arrived = {client_order_id for client_order_id, _ in truth.arrived}
    taken = Counter(client_order_id for client_order_id, what in truth.arrived if what == "taken")
    episode.violations += [f"unrecorded: {name}" for name in sorted(arrived - commanded)]
    episode.violations += [f"twice: {name}, {times} times" for name, times in taken.items() if times > 1]
    episode.brackets = len(truth.entries)
    episode.protected = len({name.partition(".")[0] for name in taken})
    episode.orders = len(taken)
    episode.exits_filled = sum(not fill.client_order_id.startswith("user-") for fill in truth.fills)
    episode.in_flight = sum(IN_FLIGHT in record.payload for record in records if record.kind == "fact")
    episode.records = len(records)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close a process' input, on which it ends by itself; one that does not is killed."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
