"""The daemon as an operator has it: a process of its own, a real socket, signals, kill -9, a journal on disk."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grodtd.cli import app
from grodtd.service.client import Client, NoDaemon, Problem

PATIENCE_S = 20.0
REPO = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets and signals")


class Process:
    """A daemon in a folder, and an operator at its command line."""

    def __init__(self, folder):
        self.state = folder / "state"
        self.socket = self.state / "grodtd.sock"
        self._out, self._err = folder / "out", folder / "err"
        self._process = None

    def start(self, *options):
        """Start it; return when it answers."""
        # Made by the daemon itself, for its owner alone.
        with self._out.open("wb") as out, self._err.open("ab") as err:
            command = [sys.executable, "-m", "grodtd", "run", "--state", str(self.state), *map(str, options)]
            self._process = subprocess.Popen(command, stdout=out, stderr=err, cwd=REPO)
        self.until(lambda: "ready" in self._out.read_text(), "the daemon is ready")
        self.until(self._answers, "the daemon answers")
        return self

    def _answers(self):
        try:
            with Client(self.socket) as client:
                return client.status()["compared"]
        except (NoDaemon, Problem):
            return False

    def until(self, holds, what):
        """Wait, for a bounded time, until `holds()` is true; a daemon that died says why."""
        last_s = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert self._process.poll() is None, f"the daemon ended: {self.log}"
            assert time.monotonic() < last_s, f"waited in vain until {what}: {self.log}"
            time.sleep(0.02)
        return found

    def end(self, how=signal.SIGTERM):
        """Send a signal; return the exit status."""
        self._process.send_signal(how)
        return self._process.wait(PATIENCE_S)

    def wait(self):
        """Return the exit status of a daemon that ends by itself."""
        return self._process.wait(PATIENCE_S)

    @property
    def log(self):
        return self._err.read_text()

    @property
    def said(self):
        return self._out.read_text()

    def say(self, *words):
        """Type a command; return its exit status and what it printed."""
        done = CliRunner().invoke(app, [*words, "--state", str(self.state)])
        return done.exit_code, done.output

    def ask(self, *words):
        """Type a command with --json; return the data."""
        done = CliRunner().invoke(app, [*words, "--state", str(self.state), "--json"])
        assert done.exit_code in (0, 5), done.output
        return json.loads(done.stdout)

    def bracket(self, bracket_id):
        found = [b for b in self.ask("brackets", "--ended") if b["bracket_id"] == bracket_id]
        return found[0] if found else None


@pytest.fixture
def daemon(tmp_path):
    process = Process(tmp_path)
    yield process
    if process._process is not None and process._process.poll() is None:
        process._process.kill()
        process._process.wait(PATIENCE_S)


def day(folder, name="EURUSD", *, falls_at=900, rows=1000, begin="2014-05-08T00:00:00"):
    """A day of quotes a minute apart that swing by 10 pips, and fall by four cents at some row."""
    path = folder / f"{name}-day.csv"
    lines = ["time,bid,ask"]
    for row in range(rows):
        px = 1.39 + (row % 2) * 0.001 - (0.04 if row >= falls_at else 0)
        hour, minute = divmod(row, 60)
        lines.append(f"2014-05-08T{hour:02}:{minute:02}:00Z,{px:.5f},{px + 0.0001:.5f}")
    path.write_text("\n".join(lines) + "\n")
    return path


BUY_1000 = ("protect", "EURUSD", "--side", "buy", "--quantity", "1000", "--price", "1.3900")


def test_a_fill_is_protected_and_the_daemon_ends_with_its_stop_at_the_venue(daemon):
    daemon.start()
    assert "PAPER" in daemon.said.splitlines()[0]
    assert "no money moves" in daemon.said
    assert daemon.socket.stat().st_mode & 0o777 == 0o600
    assert daemon.state.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in daemon.state.iterdir() if path.stat().st_mode & 0o077} == set()

    status, text = daemon.say(*BUY_1000, "--id", "B1")
    assert status == 0, text
    assert "protected: 1000 behind stop 1.3622, by the fallback percentage" in text
    assert "the paper account did not hold 1000 EURUSD" in text

    status, text = daemon.say("status")
    assert status == 0
    assert text.splitlines()[0] == "PAPER  all protected: 1000 EURUSD"
    assert daemon.ask("status")["totals"]["protected_qty"] == "1000"
    assert abs(daemon.ask("status")["clock_off_s"]) < 1  # the paper venue tells its time: this computer's
    assert daemon.say("brackets")[1].count("B1") >= 1
    assert "B1.stop1" in daemon.say("show", "B1")[1]
    assert "no ATR (not enough bars: have 0, need 15)" in daemon.say("explain", "B1")[1]
    assert daemon.say("orphans") == (0, "no orphans; every position in the account is looked after\n")

    assert daemon.end(signal.SIGTERM) == 0
    assert not daemon.socket.exists()
    assert "stops stay at the venue" in daemon.log
    assert daemon.say("status")[0] == 3

    daemon.start()  # the account remembers the stop, and the journal the bracket
    assert daemon.bracket("B1")["protected_qty"] == "1000"
    assert daemon.say("flatten", "B1")[0] == 0
    assert daemon.end(signal.SIGINT) == 0


def test_a_trade_is_opened_trailed_and_left_as_typed(daemon, tmp_path):
    daemon.start("--feed", day(tmp_path), "--speed", "60")  # a quote a second: none is stale
    daemon.until(lambda: daemon.ask("status")["last_quote_age_s"] is not None, "the market moves")

    status, text = daemon.say("open", "EURUSD", "--side", "buy", "--risk", "0.005", "--stop", "1.38", "--id", "B1")
    assert status == 0, text
    bracket = daemon.bracket("B1")
    assert (bracket["phase"], bracket["exposed_qty"], bracket["stop_px"]) == ("open", "0", "1.38")
    assert bracket["open_qty"] == bracket["protected_qty"] != "0"
    assert f"{bracket['open_qty']} units lose" in text  # 0.5 % of 100 000 over a stop some hundred pips away
    assert 450 < float(bracket["open_qty"]) * 0.01 < 550

    again = ("open", "EURUSD", "--side", "buy", "--quantity", "1000000", "--id", "B2")
    assert daemon.say(*again)[0] == 4
    assert "refused, nothing was sent: risk_limits.max_trade_risk" in daemon.say("explain", "B2")[1]
    assert json.loads(CliRunner().invoke(app, [*again, "--state", str(daemon.state), "--json"]).stdout)["error"]["code"]
    status, text = daemon.say("open", "EURUSD", "--side", "buy", "--quantity", "1", "--set", "trailing.method")
    assert (status, "write KEY=VALUE" in text) == (2, True)

    assert daemon.say("pause-entries", "--reason", "lunch")[0] == 0
    assert daemon.say("open", "EURUSD", "--side", "buy", "--quantity", "1000")[0] == 4
    assert daemon.bracket("B1")["protected_qty"] == bracket["open_qty"]
    assert daemon.say("resume")[0] == 0

    trail = ("--set", "trailing.method=percent", "--set", "trailing.amount=0.02")
    status, text = daemon.say(*BUY_1000, "--id", "P1", *trail)
    assert status == 0, text
    assert daemon.bracket("P1")["policy"] != bracket["policy"]
    status, text = daemon.say(*BUY_1000, "--id", "P2", "--set", "trailing.amuont=0.02")
    assert (status, "nearest known key: trailing.amount" in text) == (2, True), text

    assert daemon.say("flatten", "B1", "--reason", "signal: ema crossed")[0] == 0
    assert daemon.bracket("B1")["exit_reason"] == "signal"
    assert "asked to get out (signal): ema crossed" in daemon.say("explain", "B1")[1]
    assert daemon.end() == 0


def test_killed_without_warning_it_takes_up_where_it_was_and_the_stop_is_hit(daemon, tmp_path):
    daemon.start()
    daemon.say(*BUY_1000, "--id", "B1")
    daemon.end(signal.SIGKILL)
    assert daemon.socket.exists()
    status, text = daemon.say("status")
    assert status == 3
    assert "a killed one left it behind" in text

    daemon.start("--feed", day(tmp_path, falls_at=0), "--speed", "max", "--log", "console")
    daemon.until(lambda: daemon.bracket("B1")["phase"] == "closed", "the price fell through the stop")
    assert "ended without releasing its lease; taken over under epoch 2" in daemon.log
    story = daemon.ask("explain", "B1")["lines"]
    assert any("B1.stop1 1000 at 1.35" in line for line in story), story
    assert daemon.ask("status")["totals"]["open_qty"] == "0"
    assert daemon.end() == 0
    # The journal of a daemon that is gone is read all the same.
    offline = CliRunner().invoke(app, ["explain", "B1", "--run", str(daemon.state / "journal.db")])
    assert offline.exit_code == 0
    assert offline.output.splitlines() == story


def test_bars_are_warm_from_history_and_a_market_goes_on_where_it_was(daemon, tmp_path):
    feed = day(tmp_path)
    daemon.start("--feed", feed, "--speed", "60", "--from", "2014-05-08T15:00")
    [symbol] = daemon.until(lambda: daemon.ask("status")["symbols"], "a quote came")
    [warmth] = symbol["warmth"]
    assert (warmth["why_no_atr"], warmth["atr_px"]) == ("", "0.001")
    daemon.say(*BUY_1000, "--id", "B1")
    bracket = daemon.bracket("B1")
    # 2 ATR of 0.001; no fallback
    assert (bracket["stop_px"], bracket["atr_px"], bracket["fallback"]) == ("1.388", "0.001", False)
    played = daemon.until(lambda: n if (n := daemon.ask("status")["feed"]["played"]) > 901 else 0, "it plays")
    assert daemon.end() == 0

    daemon.start("--feed", feed, "--speed", "60")
    assert daemon.ask("status")["feed"]["played"] >= played
    assert daemon.end() == 0


def test_a_second_daemon_is_refused_in_words(daemon):
    daemon.start()
    second = subprocess.run(
        [sys.executable, "-m", "grodtd", "run", "--state", str(daemon.state)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=REPO,
        check=False,
    )
    assert second.returncode == 1
    assert f"is in use by {os.uname().nodename}" in second.stderr
    assert "Stop it before starting another." in second.stderr
    assert "Traceback" not in second.stderr
    assert daemon.say("status")[0] == 0


def test_who_lost_the_lease_stops_acting(daemon):
    daemon.start()
    daemon.say(*BUY_1000, "--id", "B1")
    # Another host takes the account over: what PostgreSQL lets it do, and a copied SQLite file does.
    with sqlite3.connect(daemon.state / "journal.db", timeout=5) as journal:
        journal.execute("UPDATE head SET epoch = epoch + 1")
        journal.execute("UPDATE lease SET epoch = epoch + 1, holder = 'elsewhere:1'")
    status, text = daemon.say("pause-entries", "--reason", "noticed now")
    assert status in (1, 3), text  # 3: its own renewal of the lease noticed first, and it is gone
    assert daemon.wait() == 1
    assert "was taken over by elsewhere:1 under epoch 2. This instance must stop." in daemon.log
    assert "Traceback" not in daemon.log.splitlines()[-1]


def test_brackets_whose_paper_account_is_gone_do_not_hang_for_ever(daemon):
    daemon.start()
    daemon.say(*BUY_1000, "--id", "B1")
    daemon.end()
    (daemon.state / "paper-account.jsonl").unlink()
    daemon.start()
    assert daemon.bracket("B1")["phase"] == "released"
    assert daemon.ask("status")["verdict"].startswith("no bracket is open")
    assert "the paper account it lived in is gone" in daemon.say("explain", "B1")[1]


def test_what_fills_by_another_hand_is_protected(daemon, tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    for path in (REPO / "configs").glob("*.yaml"):
        (config / path.name).write_text(path.read_text())
    (config / "brokers.yaml").write_text("brokers: {watch: {symbols: {EURUSD: default}}}\n")
    daemon.start("--config", config, "--feed", day(tmp_path), "--speed", "60")
    daemon.until(lambda: daemon.ask("status")["symbols"], "a quote came")
    assert daemon.say("paper-order", "EURUSD", "--side", "sell", "--quantity", "500", "--id", "hand-1")[0] == 0
    bracket = daemon.until(lambda: daemon.bracket("hand-1"), "the fill was noticed")
    assert (bracket["side"], bracket["open_qty"]) == ("sell", "500")
    daemon.until(lambda: daemon.bracket("hand-1")["protected_qty"] == "500", "it is protected")
