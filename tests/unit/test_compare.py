"""Policies compared: what is the same is called the same, what was planted is found, what is noise is called noise."""

import csv
import dataclasses
import json
from decimal import Decimal

import numpy as np
import pytest

from grodtd.config.policy_file import read_policies
from grodtd.domain.orders import Side
from grodtd.replay.compare import Skipped, _replayed, compare, outliers_told, remarks_of
from grodtd.replay.compare_figures import Measure, figures, planned_risk, trades_of, under_models, versus
from grodtd.replay.compare_file import comparison_json, write_csv
from grodtd.replay.compare_stats import Interval
from grodtd.replay.compare_words import Verdict, both_told, told, verdict
from grodtd.replay.inputs import ReplayOptions
from tests.unit.compare_kit import STEADY, TWO, compared, shaken_market
from tests.unit.report_kit import bracket, walk

ONE = Decimal(1)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return compared(tmp_path_factory.mktemp("two"), TWO)


def outcomes(rows, units):
    """Trades as if every fill model agreed."""
    return under_models(dict.fromkeys(("pessimistic", "optimistic", "path"), rows), units)


def against(first, other, model="pessimistic"):
    units = planned_risk(first, ONE)
    [found] = versus(outcomes(first, units), [outcomes(other, units)], model, seed=1)
    return found


def trades(count, outcome):
    """Trades one after the other; `outcome` says for each whether it wins."""
    bars = walk(20 * count + 40)
    return [bracket(n, bars[0], 20 * n, bars[4], wins=outcome(n)) for n in range(1, count + 1)]


class TestTheSame:
    def test_a_policy_compared_with_itself_shows_no_difference_and_p_is_1(self, tmp_path):
        found = compared(tmp_path, "this:\n" + STEADY % 2 + "that:\n" + STEADY % 2)
        for measure in Measure:
            each = found.figures[1].versus[measure]
            assert (each.mean, each.p, each.p_holm, each.differing) == (0.0, 1.0, 1.0, 0)
            assert each.interval == Interval(0.0, 0.0)
            assert verdict(each) is Verdict.SAME
        assert both_told(found.figures[1].versus, "this") == ["The same as \u201cthis\u201d on every one of 40 trades."]
        assert found.figures[0].intervals == found.figures[1].intervals

    def test_another_number_of_processes_gives_the_same(self, tmp_path, two):
        again = compared(tmp_path, TWO, jobs=2)
        mine, theirs = comparison_json(again), comparison_json(two)
        for each in (mine, theirs):
            for changing in ("prices", "entries", "options"):
                each.pop(changing)
        assert mine == theirs


class TestPlantedHindsight:
    def test_the_stop_that_sits_out_every_dip_is_better(self, two):
        found = two.figures[1].versus
        assert {verdict(each) for each in found.values()} == {Verdict.BETTER}
        same_quantity = found[Measure.REFERENCE_R]
        assert (same_quantity.better, same_quantity.worse, same_quantity.pairs) == (40, 0, 40)
        assert same_quantity.p < 0.001
        assert same_quantity.interval.low > 3

    def test_the_stop_that_is_shaken_out_is_worse_seen_from_the_other(self, tmp_path):
        found = compared(tmp_path, "wide:\n" + STEADY % 5 + "tight:\n" + STEADY % 2)
        assert {verdict(each) for each in found.figures[1].versus.values()} == {Verdict.WORSE}

    def test_the_two_measures_differ_by_what_a_stop_is_wide(self, two):
        """The wide stop risks 2.5 times as much: its R of 1.5 is 3.75 R of the tight one."""
        wide = two.figures[1]
        assert float(two.runs[1].summary["expectancy_r"]) == pytest.approx(1.5, abs=0.05)
        assert wide.reference_r == pytest.approx(2.5 * two.runs[1].summary["expectancy_r"], rel=0.01)

    def test_a_trader_who_knows_the_outcome_is_better_than_one_who_does_not(self):
        blind = trades(60, lambda n: n % 2 == 0)
        knowing = [
            dataclasses.replace(row, r_multiple=max(row.r_multiple, Decimal(0)), pnl=max(row.pnl, Decimal(0)))
            for row in blind
        ]
        found = against(blind, knowing)
        assert verdict(found[Measure.OWN_R]) is Verdict.BETTER
        assert told(found[Measure.OWN_R], "blind").startswith("Better than \u201cblind\u201d by +0.50")


class TestNoise:
    def test_a_coin_is_no_better_than_another(self):
        draw = np.random.default_rng(3)
        heads, tails = draw.integers(0, 2, 400), draw.integers(0, 2, 400)
        found = against(trades(400, lambda n: heads[n - 1]), trades(400, lambda n: tails[n - 1]))
        each = found[Measure.OWN_R]
        assert verdict(each) is Verdict.NOT_SHOWN
        words = told(each, "heads")
        assert "No difference from \u201cheads\u201d that 400 trades can show" in words
        assert "would show" in words
        assert each.interval.holds(0)

    def test_four_trades_are_too_few_whatever_they_say(self):
        found = against(trades(4, lambda n: False), trades(4, lambda n: True))
        assert verdict(found[Measure.OWN_R]) is Verdict.TOO_FEW
        assert "Too few to tell: 4 trades" in told(found[Measure.OWN_R], "first")

    def test_several_policies_make_each_ones_luck_count_less(self):
        draw = np.random.default_rng(5)
        first, *others = ([int(x) for x in draw.integers(0, 2, 100)] for _ in range(5))
        rows = [trades(100, lambda n, w=w: w[n - 1]) for w in (first, *others)]
        made = [outcomes(each, planned_risk(rows[0], ONE)) for each in rows]
        found = versus(made[0], made[1:], "pessimistic", seed=1)
        lowest = min(found, key=lambda each: each[Measure.OWN_R].p)[Measure.OWN_R]
        assert lowest.p_holm == pytest.approx(min(1.0, 4 * lowest.p))


class TestWhatIsCompared:
    def test_open_and_skipped_entries_are_in_no_pair(self):
        first = trades(30, lambda n: n % 2 == 0)
        other = [row for row in trades(30, lambda n: n % 3 == 0) if row.bracket_id != "E000004"]
        other[0] = dataclasses.replace(other[0], exit_reason="open", exit_time_ns=None, exit_price=None)
        assert against(first, other)[Measure.OWN_R].pairs == 28

    def test_without_planned_risk_there_is_no_r_but_money_stays(self):
        first = trades(12, lambda n: True)
        wrong = dataclasses.replace(first[0], stop_price=first[0].entry_price, r_multiple=None)
        units = planned_risk([wrong, *first[1:]], ONE)
        found = trades_of([wrong, *first[1:]], units)
        assert (found[0].own_r, found[0].reference_r) == (None, None)
        assert found[0].return_bps != 0
        assert (
            figures([wrong, *first[1:]], outcomes([wrong, *first[1:]], units), "pessimistic", seed=1).summary.count
            == 12
        )

    def test_a_difference_that_hangs_on_the_fill_model_is_said_to(self):
        first = trades(60, lambda n: n % 4 == 0)
        other = trades(60, lambda n: n % 4 != 1)
        units = planned_risk(first, ONE)
        turned = {"pessimistic": other, "optimistic": trades(60, lambda n: False), "path": other}
        [found] = versus(outcomes(first, units), [under_models(turned, units)], "pessimistic", seed=1)
        assert "But not under optimistic fills: the bars cannot tell." in told(found[Measure.OWN_R], "first")

    def test_what_bars_cannot_tell_is_an_interval_of_outcomes(self, tmp_path):
        found = compared(tmp_path, TWO, cycles=12, both=True)
        tight, wide = found.figures
        assert tight.summary.ambiguous_bars == 12
        assert tight.by_model["pessimistic"].own_r == pytest.approx(-1)
        assert tight.by_model["optimistic"].own_r == pytest.approx(1.5)
        assert len({under.total_r for under in wide.by_model.values()}) == 1
        assert [len(rows) for rows in found.runs[0].by_model.values()] == [12, 12, 12]

    def test_an_entry_no_policy_skipped_is_named_by_none(self, two):
        assert [run.skipped for run in two.runs] == [[], []]
        assert not any("skipped" in remark for remark in two.remarks)

    def test_an_entry_a_policy_skipped_is_named(self, two):
        skipped = [Skipped(f"E00000{n}", f"entries.csv:{n + 1}", "no price") for n in range(1, 6)]
        runs = [two.runs[0], dataclasses.replace(two.runs[1], skipped=skipped)]
        assert (
            "wide skipped 5 of 40 entries: E000001 (entries.csv:2: no price), E000002 (entries.csv:3: no price), "
            "E000003 (entries.csv:4: no price) and 2 more" in remarks_of(two.inputs, runs)
        )
        policy = comparison_json(dataclasses.replace(two, runs=runs))["policies"][1]
        assert policy["skipped"][4] == {"bracket_id": "E000005", "at": "entries.csv:6", "why": "no price"}

    def test_an_entry_without_a_bracket_has_its_line_and_the_engines_words(self, two):
        broken = [dataclasses.replace(entry, quantity=Decimal(0)) for entry in two.inputs.entries[:1]]
        inputs = dataclasses.replace(two.inputs, entries=[*broken, *two.inputs.entries[1:3]])
        run = _replayed("two", {}, inputs)
        [skipped] = run.skipped
        assert skipped.at == f"{inputs.options.entries}:2"
        assert skipped.why == "bracket E000001: quantity 0 is not a positive number"

    def test_a_rule_begins_where_the_slowest_policy_of_its_symbol_has_an_atr(self, tmp_path):
        shaken_market(tmp_path / "XYZ-1h.csv", 3)
        (tmp_path / "policies.yaml").write_text("a: {}\nb: {atr: {multiplier: 3}}\n")
        folder = tmp_path / "configs"
        folder.mkdir()
        (folder / "trade_exit.yaml").write_text("trade_exit:\n  symbols: {XYZ: {atr: {period: 30}}}\n")
        options = ReplayOptions(tmp_path / "XYZ-1h.csv", "every:1")
        found = compare(options, read_policies(tmp_path / "policies.yaml", folder, None, {}))
        assert found.inputs.entries[0].index == 30

    def test_a_trade_that_outweighs_all_others_is_named(self, two):
        wild = [dataclasses.replace(two.figures[0].trades[7], own_r=-25_000.0), *two.figures[0].trades[8:]]
        found = outliers_told(two.runs[:1], [dataclasses.replace(two.figures[0], trades=wild)])
        assert found == [
            "tight: trade E000008 alone made -25,000.00 R, more than all others together: look at it first"
        ]
        assert outliers_told(two.runs, two.figures) == []

    def test_a_short_is_the_mirror_of_a_long(self):
        longs = [row for row in trades(40, lambda n: n % 3 == 0) if row.side is Side.BUY]
        units = planned_risk(longs, ONE)
        assert {float(risk) for risk in units.risk.values()} == {2.0}
        shorts = [row for row in trades(40, lambda n: n % 3 == 0) if row.side is Side.SELL]
        assert {float(risk) for risk in planned_risk(shorts, ONE).risk.values()} == {2.0}

    def test_entries_with_stops_of_their_own_are_said_to_bring_them(self, tmp_path):
        found = compared(tmp_path, TWO, cycles=12, stop_price="90")
        assert any(remark.startswith("12 of 12 entries bring a stop of their own") for remark in found.remarks)
        assert found.figures[1].versus[Measure.OWN_R].differing == 0


class TestFiles:
    def test_the_csv_is_long_one_policy_after_the_other(self, two, tmp_path):
        write_csv(tmp_path / "compare.csv", two)
        with (tmp_path / "compare.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["policy"] for row in rows] == ["tight"] * 40 + ["wide"] * 40
        assert rows[0]["exit_reason"] == "stop"
        assert rows[0]["reference_r"] == rows[0]["r_multiple"]
        assert rows[40]["exit_reason"] == "target"
        assert float(rows[40]["reference_r"]) == pytest.approx(2.5 * float(rows[40]["r_multiple"]), rel=0.01)
        assert float(rows[40]["return_bps"]) == pytest.approx(float(rows[40]["pnl"]) / 1000 * 10_000)

    def test_the_json_says_how_it_was_judged_and_what_came_of_it(self, two):
        found = json.loads(json.dumps(comparison_json(two)))
        assert found["reference"] == "tight"
        assert found["judged_by"]["correction"].startswith("Holm")
        tight, wide = found["policies"]
        assert tight["versus_reference"] is None
        assert wide["versus_reference"]["reference_r"]["verdict"] == "better"
        assert wide["by_fill_model"].keys() == {"pessimistic", "optimistic", "path"}
        assert wide["changes"] == {"atr.method": "sma", "atr.period": 5, "atr.multiplier": "5"}
        assert wide["by_exit_reason"].keys() == {"target"}
