"""What a user types: replay, explain, demo, config check. Files written, words said, exit status."""

import csv
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from grodtd.bootstrap import journal_records
from grodtd.runtime.refold import Diverged, refold

REPO = Path(__file__).resolve().parents[2]
BARS = """time,open,high,low,close
2024-01-01T00:00:00Z,100,101,99,100
2024-01-01T01:00:00Z,100,101,99,100
2024-01-01T02:00:00Z,100,101,99,100
2024-01-01T03:00:00Z,100,101,99,100
2024-01-01T04:00:00Z,100,106.5,99,106
2024-01-01T05:00:00Z,106,107,90,91
2024-01-01T06:00:00Z,91,92,90,91
"""
ENTRIES = """time,symbol,side,quantity,bracket_id,stop_price
2024-01-01T02:00:00Z,XYZ,buy,10,up,96
2024-01-01T04:00:00Z,XYZ,buy,10,down,104
2024-01-01T05:00:00Z,XYZ,sell,5,left,
"""


def grodtd(*words):
    return subprocess.run(
        [sys.executable, "-m", "grodtd", *map(str, words)], capture_output=True, text=True, cwd=REPO, check=False
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One replay of three trades: one takes its target, one is stopped, one is still open."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "XYZ-1h.csv").write_text(BARS)
    (folder / "entries.csv").write_text(ENTRIES)
    done = grodtd("replay", folder / "XYZ-1h.csv", "--entries", folder / "entries.csv", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_replay_writes_what_it_says(run):
    folder, done = run
    assert {"exits.csv", "summary.json", "report.html", "journal.db"} <= {p.name for p in (folder / "out").iterdir()}
    assert "report.html" in done.stdout
    assert "XYZ is not listed in instruments.yaml" in " ".join(done.stdout.split())


def test_the_exits_are_those_a_trader_would_work_out_by_hand(run):
    with (run[0] / "out" / "exits.csv").open() as file:
        rows = {row["bracket_id"]: row for row in csv.DictReader(file)}
    assert (rows["up"]["exit_reason"], rows["up"]["exit_price"], rows["up"]["r_multiple"]) == (
        "target",
        "106",
        "1.500000",
    )
    assert (rows["down"]["exit_reason"], rows["down"]["exit_price"], rows["down"]["pnl"]) == (
        "stop",
        "104",
        "-20.000000",
    )
    assert (rows["left"]["exit_reason"], rows["left"]["exit_time"], rows["left"]["fallback"]) == ("open", "", "true")


def test_the_summary_says_what_it_was_made_from(run):
    summary = json.loads((run[0] / "out" / "summary.json").read_text())
    assert (summary["count"], summary["wins"], summary["open"]["count"]) == (2, 1, 1)
    assert set(summary["pnl_by_fill_model"]) == {"pessimistic", "optimistic", "path"}
    assert len(summary["prices"]["sha256"]) == 64
    assert summary["config_fingerprint"]


def test_the_journal_folded_again_gives_the_same_commands_and_notes_byte_for_byte(run):
    records = list(journal_records(run[0] / "out" / "journal.db"))
    assert {record.kind for record in records} == {"fact", "command", "note"}
    turn = refold(records)
    assert turn.sequence == records[-1].seq
    assert turn.bracket("left").phase == "open"


def test_a_journal_that_says_something_else_is_noticed(run):
    records = list(journal_records(run[0] / "out" / "journal.db"))
    at = next(n for n, record in enumerate(records) if record.kind == "command")
    forged = list(records)
    forged[at] = type(records[at])(
        records[at].seq, records[at].ts_ns, "command", records[at].bracket_id, b'{"type":"CancelOrder"}'
    )
    with pytest.raises(Diverged, match=f"record {records[at].seq}"):
        refold(forged)
    with pytest.raises(Diverged):
        refold(records[:at] + records[at + 1 :])


def test_the_journal_is_plain_sqlite_and_names_its_input(run):
    with sqlite3.connect(run[0] / "out" / "journal.db") as database:
        about = dict(database.execute("SELECT key, value FROM meta"))
    assert about["prices_sha256"]
    assert about["config_fingerprint"]


def test_explain_tells_a_life_in_order(run):
    before = sorted(path.name for path in (run[0] / "out").iterdir())
    done = grodtd("explain", "up", "--run", run[0] / "out")
    assert sorted(path.name for path in (run[0] / "out").iterdir()) == before  # reading leaves nothing behind
    assert done.returncode == 0
    told = done.stdout
    for words in (
        "entry filled: long 10 XYZ at 100",
        "stop 96 as given",
        "ratio 1.5",
        "target 106",
        "fill: up.target1",
    ):
        assert words in told, told
    assert told.index("entry filled") < told.index("fill: up.target1") < told.index("closed:")
    assert "naked" in told


def test_an_unknown_bracket_and_a_missing_run_are_said(run, tmp_path):
    nobody = grodtd("explain", "nobody", "--run", run[0] / "out")
    assert (nobody.returncode, "Traceback" in nobody.stderr) == (2, False)
    assert "nobody" in nobody.stderr
    nowhere = grodtd("explain", "up", "--run", tmp_path / "nowhere")
    assert nowhere.returncode == 2
    assert "Traceback" not in nowhere.stderr
    assert "the --out folder of a replay without --fast" in nowhere.stderr


@pytest.mark.parametrize(
    ("what", "bars", "words"),
    [
        ("a high below its low", "2024-01-01T07:00:00Z,100,90,99,95\n", ":9: "),
        ("time running backwards", "2023-01-01T00:00:00Z,100,101,99,100\n", ":9: "),
        ("a bar twice", "2024-01-01T06:00:00Z,91,92,90,91\n", ":9: "),
        ("not a number", "2024-01-01T07:00:00Z,NaN,92,90,91\n", ":9: "),
    ],
)
def test_bad_bars_are_named_with_file_and_line_and_nothing_is_written(tmp_path, what, bars, words):
    (tmp_path / "XYZ.csv").write_text(BARS + bars)
    done = grodtd("replay", tmp_path / "XYZ.csv", "--entries", "every:2", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert f"XYZ.csv{words}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    again = grodtd("replay", tmp_path / "XYZ.csv", "--entries", "every:2", "--out", tmp_path / "out", "--skip-bad")
    assert again.returncode == 0, again.stderr
    assert "1" in again.stdout


def test_the_demo_runs_offline_and_says_where_the_report_is(tmp_path):
    done = grodtd("demo", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    assert "splits" in done.stdout
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000


def test_config_check_tells_every_value_and_its_origin():
    done = grodtd("config", "check")
    assert done.returncode == 0
    assert "trade_exit.atr.period" in done.stdout
    assert "risk_reward.yaml" in done.stdout


def test_config_check_names_the_nearest_key_and_exits_with_2(tmp_path):
    (tmp_path / "trade_exit.yaml").write_text("trade_exit:\n  atr:\n    perod: 14\n")
    done = grodtd("config", "check", tmp_path)
    assert done.returncode == 2
    assert "trade_exit.yaml:3" in done.stderr
    assert "trade_exit.atr.period" in done.stderr


def test_levels_on_the_wrong_side_are_said_where_the_figures_are(tmp_path):
    """Swapped columns, most often: such trades are out at once, and would pass for quick wins."""
    entries = tmp_path / "entries.csv"
    entries.write_text(
        "time,symbol,side,quantity,bracket_id,stop_price,target_price\n"
        "2001-01-05,AAPL,buy,10,swapped,90,1\n2003-01-03,AAPL,sell,10,fine,,\n"
    )
    done = grodtd("replay", REPO / "examples" / "AAPL-1d.csv.gz", "--entries", entries, "--out", tmp_path / "out")
    said = " ".join(done.stdout.split())
    remarks = json.loads((tmp_path / "out" / "summary.json").read_text())["remarks"]
    for words in ("1 entry gives a stop that is not on the losing side", "a target that is not on the winning side"):
        assert words in said
        assert any(words in remark and "(swapped)" in remark for remark in remarks)
