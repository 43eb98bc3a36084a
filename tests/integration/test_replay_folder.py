"""`grodtd replay DIR`: a file a symbol, one account. Nothing shared, it is each file replayed alone; with limits, one's
loss is the other's refusal; and what a bar says is known at its end, however long other symbols' bars are.
"""

import csv
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from grodtd.cli import app
from grodtd.config.loading import load
from grodtd.domain.errors import DataError
from grodtd.replay.exits import exit_cells
from grodtd.replay.folder import prepare_batch, price_files
from grodtd.replay.inputs import Batch, ReplayOptions, prepare
from grodtd.replay.kernels_replay import drive_fast, why_not
from grodtd.replay.run import run, run_batch
from grodtd.venue.bar_matching import FillModel
from tests.twin.exit_scenarios import exits_scenario
from tests.twin.product import write_bars, write_config, write_entries
from tests.twin.scenarios import bars_scenario, quotes_scenario

HEAD = "time,symbol,side,quantity,price,bracket_id,stop_price,target_price\n"


def markets(folder, seed):
    """Three symbols' files in `folder`/prices and an entries file each, under the first one's policy."""
    found = [exits_scenario(seed), bars_scenario(seed + 1), quotes_scenario(seed)]
    (folder / "prices").mkdir(parents=True)
    config = write_config(folder, "MID", found[0].config)
    alone = {}
    for symbol, market in zip(("MID", "ABC", "ZZZ"), found, strict=True):
        entries = [
            replace(entry, symbol=symbol, bracket_id=f"{symbol}-{at}") for at, entry in enumerate(market.entries)
        ]
        own = folder / symbol
        own.mkdir()
        write_bars(folder / "prices", market).rename(folder / "prices" / f"{symbol}-x.csv")
        alone[symbol] = (folder / "prices" / f"{symbol}-x.csv", write_entries(own, entries))
    texts = [entries.read_text().splitlines() for _, entries in alone.values()]
    (folder / "all.csv").write_text("\n".join([texts[0][0], *(line for text in texts for line in text[1:])]) + "\n")
    return load(config, environ={}), alone


def replayed(prices, entries, configuration, by=None):
    options = ReplayOptions(prices=prices, entries=str(entries), model=FillModel.PATH, skip_bad=True)
    batch = prepare_batch(options, configuration)
    if by is not None and any(why_not(part) for part in batch.parts):
        return None
    return run_batch(batch, None, by=by)


@pytest.mark.parametrize("seed", range(0, 30, 3))
def test_a_folder_is_the_union_of_its_files_replayed_alone(tmp_path, seed):
    configuration, alone = markets(tmp_path, seed)
    whole = replayed(tmp_path / "prices", tmp_path / "all.csv", configuration)
    rows, history = {}, {}
    for symbol, (prices, entries) in alone.items():
        one = replayed(prices, entries, configuration)
        assert [row.symbol for row in one.rows] == [symbol] * len(one.rows)
        rows |= {tuple(exit_cells(row)): None for row in one.rows}
        history |= {life.entry.bracket_id: life.stop_history for life in one.lives}
    assert {tuple(exit_cells(row)) for row in whole.rows} == set(rows)
    assert len(whole.rows) == len(rows)
    assert {life.entry.bracket_id: life.stop_history for life in whole.lives} == history
    times = [row.entry_time_ns for row in whole.rows]
    assert times == sorted(times)
    fast = replayed(tmp_path / "prices", tmp_path / "all.csv", configuration, by=drive_fast)
    if fast is not None:
        assert fast.rows == whole.rows
        assert fast.facts.pnl_by_fill_model == whole.facts.pnl_by_fill_model


class Desk:
    """A folder of prices, and what a trader types in it; prices stand at 100, then fall a dollar an hour."""

    def __init__(self, folder):
        self.folder, self.out, self.prices = folder, folder / "out", folder / "prices"
        self.entries = folder / "entries.csv"
        self.prices.mkdir()

    def bars(self, symbol, falls_from, hours=48, length=1):
        rows = []
        for hour in range(0, hours, length):
            px = 100 - max(0, min(40, hour - falls_from + 1))
            stamp = f"2024-01-{2 + hour // 24:02d}T{hour % 24:02d}:00:00Z"
            rows.append(f"{stamp},{px},{px + 0.5},{px - 0.5},{px}")
        (self.prices / f"{symbol}-{length}h.csv").write_text("time,open,high,low,close\n" + "\n".join(rows) + "\n")

    def wanting(self, *rows):
        """Entries as (hour, symbol, side, quantity, id, stop, target)."""
        lines = [
            f"2024-01-{2 + hour // 24:02d}T{hour % 24:02d}:00:00Z,{symbol},{side},{quantity},,{name},{stop},{target}"
            for hour, symbol, side, quantity, name, stop, target in rows
        ]
        self.entries.write_text(HEAD + "\n".join(lines) + "\n")

    def typed(self, *more, entries=None, environ=None):
        words = ["replay", str(self.prices), "--entries", entries or str(self.entries), "--out", str(self.out), *more]
        return CliRunner().invoke(app, words, env={"COLUMNS": "300", **(environ or {})})

    def replay(self, *more, **given):
        done = self.typed(*more, **given)
        assert done.exit_code == 0, done.output
        return done.output

    def rows(self, name="exits.csv"):
        with (self.out / name).open(encoding="utf-8") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


SHARED = {"GRODTD_RISK_LIMITS__MAX_OPEN_RISK": "0.02"}
"""All brackets together may lose 2 000 of the 100 000 the account begins with."""


def test_all_symbols_share_one_accounts_limits(desk):
    desk.bars("X", falls_from=10)
    desk.bars("Y", falls_from=99)
    desk.wanting(
        (2, "X", "buy", 150, "first", 90, 130),
        (3, "Y", "buy", 51, "too-much", 90, 130),  # 1 500 + 510
        (4, "Y", "buy", 50, "fits", 90, 130),
        (25, "Y", "buy", 100, "after-the-stop", 90, 130),
    )
    said = desk.replay("--limits", environ=SHARED)
    assert [row["bracket_id"] for row in desk.rows()] == ["first", "fits", "after-the-stop"]
    [refused] = desk.rows("refused.csv")
    assert (refused["symbol"], refused["bracket_id"]) == ("Y", "too-much")
    assert refused["reason"].startswith("risk_limits.max_open_risk")
    assert "1 of 4 entries were refused by the limits" in said


def test_a_loss_in_one_symbol_ends_the_day_for_all(desk):
    desk.bars("X", falls_from=5)
    desk.bars("Y", falls_from=99)
    desk.wanting(
        (2, "X", "buy", 200, "loses", 95, 130),
        (20, "Y", "buy", 1, "same-day", 90, 130),
        (25, "Y", "buy", 1, "next-day", 90, 130),
    )
    desk.replay("--limits", environ={"GRODTD_RISK_LIMITS__MAX_DAY_LOSS": "0.005"})
    assert [row["bracket_id"] for row in desk.rows()] == ["loses", "next-day"]


def test_equity_counts_what_is_open_in_every_symbol_at_its_last_close(desk):
    desk.bars("X", falls_from=10)
    desk.bars("Y", falls_from=99)
    desk.wanting((2, "X", "sell", 200, "short", 110, 60), (28, "Y", "buy", 1000, "big", 90, 130))
    desk.replay("--limits")
    assert "allowed: 0.02 of equity 103800 = 2076" in desk.rows("refused.csv")[0]["reason"]


def test_what_a_long_bar_says_is_known_at_its_end_only(desk):
    """X's daily bar touches its stop some time that day: by noon nobody knows, by midnight all do."""
    desk.bars("X", falls_from=20, hours=96, length=24)
    desk.bars("Y", falls_from=999, hours=96)
    desk.wanting(
        (0, "X", "buy", 200, "all", 98, 130),  # filled at the close, midnight; stopped in the bar of the next day
        (36, "Y", "buy", 200, "noon", 98, 130),
        (47, "Y", "buy", 200, "midnight", 98, 130),
    )
    desk.replay("--limits", environ={"GRODTD_RISK_LIMITS__MAX_OPEN_RISK": "0.005"})
    assert [row["bracket_id"] for row in desk.rows()] == ["all", "midnight"]
    assert [row["bracket_id"] for row in desk.rows("refused.csv")] == ["noon"]


def test_at_one_moment_the_entries_file_decides_who_comes_first(desk):
    desk.bars("X", falls_from=99)
    desk.bars("Y", falls_from=99)
    for order in (("X", "Y"), ("Y", "X")):
        desk.wanting(*[(2, symbol, "buy", 150, f"of-{symbol}", 90, 130) for symbol in order])
        desk.replay("--limits", environ=SHARED)
        assert [row["bracket_id"] for row in desk.rows()] == [f"of-{order[0]}"]


def test_a_rule_makes_entries_on_every_symbol_numbered_in_time_order(desk):
    for symbol in ("Y", "X"):
        desk.bars(symbol, falls_from=99)
    desk.replay(entries="every:20")
    assert [(row["bracket_id"], row["symbol"]) for row in desk.rows()] == [
        ("E000001", "X"),
        ("E000002", "Y"),
        ("E000003", "X"),
        ("E000004", "Y"),
    ]
    first = (desk.out / "exits.csv").read_bytes()
    desk.replay("--fast", entries="every:20")
    assert (desk.out / "exits.csv").read_bytes() == first


def test_the_summary_tells_each_symbols_part_and_the_journal_holds_them_all(desk):
    desk.bars("X", falls_from=10)
    desk.bars("Y", falls_from=30)
    desk.bars("IDLE", falls_from=1)
    desk.wanting((2, "X", "buy", 1, "a", 90, 130), (3, "Y", "sell", 1, "b", 110, 90))
    said = desk.replay()
    assert "without an entry, so not read: IDLE" in said
    summary = json.loads((desk.out / "summary.json").read_text())
    assert summary["symbol"] == "X, Y"
    found = [(each["symbol"], each["count"], each["pnl"]) for each in summary["by_symbol"]]
    assert found == [("X", 1, -10), ("Y", 1, 10)]
    assert sum(each["pnl"] for each in summary["by_symbol"]) == summary["pnl"]
    assert "By symbol" in (desk.out / "report.html").read_text()
    for name in "ab":
        told = CliRunner().invoke(app, ["explain", name, "--run", str(desk.out)])
        assert told.exit_code == 0, told.output


def test_one_file_says_what_it_always_said(desk):
    """A batch of one is that file's replay, `by_symbol` and all prefixes left out."""
    desk.bars("X", falls_from=10)
    desk.wanting((2, "X", "buy", 1, "a", 90, 130))
    options = ReplayOptions(prices=desk.prices / "X-1h.csv", entries=str(desk.entries))
    inputs = prepare(options, load("configs", environ={}))
    assert run(inputs, None).facts == run_batch(Batch([inputs]), None).facts
    assert run(inputs, None).facts.by_symbol == ()


def test_a_replay_without_an_entry_says_so(desk):
    desk.bars("X", falls_from=10)
    assert "note: no entries (every:5000): the rule makes none on these prices" in desk.replay(entries="every:5000")
    desk.prices /= "X-1h.csv"
    assert "note: no entries (every:5000): the rule makes none on these prices" in desk.replay(entries="every:5000")


def test_less_than_a_lot_is_said_to_be_unprotected(desk):
    """AAPL trades in whole shares (instruments.yaml): half of one cannot be sold."""
    desk.bars("AAPL", falls_from=10)
    desk.wanting((2, "AAPL", "buy", "0.5", "a", 90, 130), (3, "AAPL", "buy", 1, "b", 90, 130))
    said = desk.replay()
    assert "1 bracket was left with too little to sell" in said
    assert "which nothing protects: first a, 0.5 AAPL" in said


WRONG = [
    (lambda desk: (desk.prices / "X.csv").write_text("x"), r"X\.csv: X has a file already, X-1h\.csv; one symbol"),
    (lambda desk: (desk.prices / "notes.txt").write_text("x"), r"notes\.txt: is no price file by its name; use \.csv"),
    (lambda desk: (desk.prices / "old").mkdir(), r"old: is a folder; the prices of .* must lie in it side by side"),
    (lambda desk: (desk.prices / "X-1h.csv").unlink(), r"prices: is empty; put a file of prices for each symbol"),
]


@pytest.mark.parametrize(("spoil", "words"), WRONG)
def test_what_is_wrong_with_a_folder_is_said(desk, spoil, words):
    desk.bars("X", falls_from=10)
    (desk.prices / ".DS_Store").write_text("passed over")
    assert list(price_files(desk.prices)) == ["X"]
    spoil(desk)
    with pytest.raises(DataError, match=words):
        price_files(desk.prices)


def test_an_entry_whose_symbol_has_no_file_is_a_bad_row_with_its_line(desk):
    desk.bars("X", falls_from=10)
    desk.wanting((2, "X", "buy", 1, "a", 90, 130), (3, "Q", "buy", 1, "b", 90, 130))
    done = desk.typed()
    assert done.exit_code == 2
    assert "entries.csv:3: symbol 'Q' is unknown: " in done.output
    assert "prices has no file of it; it has X" in done.output
    desk.replay("--skip-bad")
    assert [row["bracket_id"] for row in desk.rows()] == ["a"]
    desk.wanting((3, "Q", "buy", 1, "b", 90, 130))
    done = desk.typed("--skip-bad")
    assert "no entry is of a symbol with a file in" in done.output


def test_a_bad_row_in_one_of_many_files_is_named_with_its_line(desk):
    desk.bars("X", falls_from=10)
    desk.bars("Y", falls_from=10)
    path = desk.prices / "Y-1h.csv"
    path.write_text(path.read_text().replace("T03:00:00Z,100,", "T03:00:00Z,-,", 1))
    desk.wanting((2, "X", "buy", 1, "a", 90, 130), (5, "Y", "buy", 1, "b", 90, 130))
    done = desk.typed()
    assert done.exit_code == 2
    assert "Y-1h.csv:5: open '-' is not a number" in done.output
    assert "--symbol AB: the files of" in desk.typed("--symbol", "AB").output
