"""`grodtd replay --limits`: what the limits would have refused live is not replayed, and refused.csv says why.

Bars of a stock that stands at 100 and then falls a dollar a bar; the account begins with 100 000.
"""

import csv
import json

import pytest
from typer.testing import CliRunner

from grodtd.cli import app

HEAD = "time,symbol,side,quantity,price,bracket_id,stop_price,target_price\n"


class Desk:
    """A folder with bars, and what a trader types in it."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "out"
        self.entries = folder / "entries.csv"

    def bars(self, closes):
        rows = [
            f"2024-01-{2 + n // 24:02d}T{n % 24:02d}:00:00Z,{px},{px + 0.5},{px - 0.5},{px}"
            for n, px in enumerate(closes)
        ]
        (self.folder / "X-1h.csv").write_text("time,open,high,low,close\n" + "\n".join(rows) + "\n")

    def wanting(self, *rows):
        """Entries as (hour, side, quantity, id, stop, target)."""
        lines = [
            f"2024-01-{2 + hour // 24:02d}T{hour % 24:02d}:00:00Z,X,{side},{quantity},,{name},{stop},{target}"
            for hour, side, quantity, name, stop, target in rows
        ]
        self.entries.write_text(HEAD + "\n".join(lines) + "\n")

    def replay(self, *more, environ=None, status=0):
        words = ["replay", str(self.folder / "X-1h.csv"), "--entries", str(self.entries), "--out", str(self.out), *more]
        done = CliRunner().invoke(app, words, env={"COLUMNS": "200", **(environ or {})})
        assert done.exit_code == status, done.output
        return done.output

    def rows(self, name):
        with (self.out / name).open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def kept(self):
        return [row["bracket_id"] for row in self.rows("exits.csv")]

    def refused(self):
        return {row["bracket_id"]: row["reason"] for row in self.rows("refused.csv")}


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    desk.bars([100] * 10 + [100 - n for n in range(1, 41)])
    return desk


def test_without_the_word_no_limit_applies(desk):
    desk.wanting((2, "buy", 5000, "big", 90, 130))
    desk.replay()
    assert desk.kept() == ["big"]
    assert not (desk.out / "refused.csv").exists()


def test_what_is_refused_is_in_refused_csv_with_the_reason_and_the_rest_is_replayed(desk):
    desk.wanting(
        (2, "buy", 201, "too-much", 90, 130), (3, "buy", 200, "fits", 90, 130), (4, "buy", 201, "third", 90, 130)
    )
    said = desk.replay("--limits")
    assert desk.kept() == ["fits"]
    assert desk.rows("refused.csv")[0] == {
        "time": "2024-01-02T02:00:00.000Z",
        "symbol": "X",
        "side": "buy",
        "quantity": "201",
        "price": "100",
        "bracket_id": "too-much",
        "stop_price": "90",
        "target_price": "130",
        "strategy": "default",
        "reason": "risk_limits.max_trade_risk: 201 at risk 10 each would lose 2010, and this entry would make it 2010; "
        "allowed: 0.02 of equity 100000 = 2000; what would pass: a quantity of at most 200",
    }
    assert "2 of 3 entries were refused by the limits (refused.csv): 2 by max_trade_risk" in " ".join(said.split())
    entries = json.loads((desk.out / "summary.json").read_text("utf-8"))["entries"]
    assert (entries["count"], entries["refused"], entries["dropped"]) == (1, 2, 0)


def test_what_is_open_counts_and_what_has_ended_does_not(desk):
    desk.wanting(
        (2, "buy", 200, "one", 90, 130),
        (3, "buy", 200, "two", 90, 130),
        (4, "buy", 1, "three", 90, 130),
        (30, "buy", 1, "later", 70, 130),  # by then both stops were hit
    )
    desk.replay("--limits")
    assert desk.kept() == ["one", "two", "later"]
    assert list(desk.refused()) == ["three"]
    assert desk.refused()["three"].startswith("risk_limits.max_symbol_risk: 1 at risk 10 each would lose 10")


def test_a_bad_day_is_over_the_next_day(desk):
    environ = {"GRODTD_RISK_LIMITS__MAX_DAY_LOSS": "0.03"}
    desk.wanting(
        (2, "buy", 200, "one", 90, 130),
        (3, "buy", 200, "two", 90, 130),
        (22, "buy", 1, "same-day", 70, 130),
        (25, "buy", 1, "next-day", 70, 130),
    )
    desk.replay("--limits", environ=environ)
    assert desk.kept() == ["one", "two", "next-day"]
    assert (
        "4000 were lost since 00:00 UTC; allowed: 0.03 of the 100000 the day began with" in desk.refused()["same-day"]
    )


def test_a_day_ends_with_the_session_of_its_calendar(desk):
    """The currency market's day ends at 17:00 New York, 22:00 UTC."""
    environ = {"GRODTD_RISK_LIMITS__MAX_DAY_LOSS": "0.03", "GRODTD_RISK_LIMITS__DAY_CALENDAR": "FX"}
    desk.wanting(
        (2, "buy", 200, "one", 90, 130),
        (3, "buy", 200, "two", 90, 130),
        (21, "buy", 1, "before", 70, 130),
        (22, "buy", 1, "after", 70, 130),
    )
    desk.replay("--limits", environ=environ)
    assert desk.kept() == ["one", "two", "after"]
    assert "4000 were lost since FX last closed; allowed: 0.03" in desk.refused()["before"]
    assert "an entry after FX closes, in 1h" in desk.refused()["before"]


def test_compiled_loops_hold_no_entry_to_limits_and_say_so(desk):
    desk.wanting((2, "buy", 1, "one", 90, 130))
    said = desk.replay("--limits", "--fast", status=2)
    assert "--fast does not cover this replay: entries are held to limits (--limits); leave out --fast" in " ".join(
        said.split()
    )
    assert not desk.out.exists()


def test_equity_follows_what_was_made_and_what_is_open(desk):
    """A short of 200 from 100 has made 3 800 by the close of 81, so 2 % are 2 076."""
    desk.wanting(
        (2, "sell", 200, "short", 110, 60), (28, "sell", 208, "more", 91, 60), (29, "sell", 208, "again", 90, 60)
    )
    desk.replay("--limits")
    assert desk.refused()["more"].split("; ")[1] == "allowed: 0.02 of equity 103800 = 2076"


def test_everything_refused_is_a_report_with_no_trade(desk):
    desk.wanting((2, "buy", 5000, "big", 90, 130))
    desk.replay("--limits")
    assert desk.kept() == []
    assert list(desk.refused()) == ["big"]


def test_its_story_says_so(desk):
    desk.wanting((2, "buy", 5000, "big", 90, 130))
    desk.replay("--limits")
    told = CliRunner().invoke(app, ["explain", "big", "--run", str(desk.out)]).output
    assert "asked to open: long 5000 X" in told
    assert "refused, nothing was sent: risk_limits.max_trade_risk" in told


def test_a_replay_without_limits_takes_the_older_runs_refusals_away(desk):
    desk.wanting((2, "buy", 5000, "big", 90, 130))
    desk.replay("--limits")
    desk.replay()
    assert not (desk.out / "refused.csv").exists()


def test_a_symbols_own_policy_holds_in_a_replay(desk):
    desk.wanting((20, "buy", 1, "one", "", ""))
    desk.replay()
    [usual] = desk.rows("exits.csv")
    desk.replay(environ={"GRODTD_TRADE_EXIT__SYMBOLS__X__ATR__MULTIPLIER": "1"})
    [own] = desk.rows("exits.csv")
    assert float(usual["entry_price"]) - float(usual["stop_price"]) > float(own["entry_price"]) - float(
        own["stop_price"]
    )
