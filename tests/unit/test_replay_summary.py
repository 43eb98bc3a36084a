"""The figures of a run, worked out by hand, and the file they are written to."""

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.orders import Side
from grodtd.replay.exits import ExitRow
from grodtd.replay.splits import SplitWarning
from grodtd.replay.summary import OpenFigures, ReasonFigures, results, summarize
from grodtd.replay.summary_file import RunFacts, summary_json, write_summary

NOON_NS = 1_402_315_200_000_000_000  # 2014-06-09T12:00:00Z
HOUR_NS = 3_600_000_000_000


def row(
    bracket: str,
    r: str | None,
    pnl: str,
    hours: int | None,
    reason: str = "target",
    quantity: str = "10",
    entry: int = 0,
    *,
    ambiguous: bool = False,
    fallback: bool = False,
) -> ExitRow:
    """One exit; `entry` and `hours` are hours after noon (None: still open)."""
    return ExitRow(
        bracket_id=bracket,
        symbol="X",
        side=Side.BUY,
        quantity=Decimal(quantity),
        entry_time_ns=NOON_NS + entry * HOUR_NS,
        entry_price=Decimal(100),
        stop_price=Decimal(98),
        target_price=Decimal(103),
        atr=Decimal(1),
        ratio=Decimal("1.5"),
        exit_time_ns=None if hours is None else NOON_NS + hours * HOUR_NS,
        exit_price=None if hours is None else Decimal(101),
        exit_reason=reason,
        r_multiple=None if r is None else Decimal(r),
        pnl=Decimal(pnl),
        mae_r=Decimal(0),
        mfe_r=Decimal(0),
        ambiguous=ambiguous,
        fallback=fallback,
    )


# bracket  R      P&L     out after  how
DAY = [
    row("win", "1.5", "30", 2, "target"),
    row("loss", "-1", "-20", 1, "stop", ambiguous=True),
    row("gap", "-2", "-40", 3, "stop"),  # through the stop
    row("scaled", "1", "4", 4, "target", "4"),  # 40% at 1 R ...
    row("scaled", "2", "12", 7, "trail", "6"),  # ... and 60% at 2 R: 1.6 R
    row("even", "0", "0", 6, "breakeven", fallback=True),
    row("blind", None, "-6", 5, "stop"),  # its stop was given on the wrong side
    row("left", "0.5", "10", None, "open"),
    row("half", "1", "10", 2, "target", "5"),  # half of it is out, half is open
    row("half", "0.2", "2", None, "open", "5"),
]


class TestByHand:
    """Six brackets closed and two open: see DAY."""

    @pytest.fixture
    def day(self):
        return summarize(DAY)

    def test_a_bracket_with_several_exits_counts_once_its_r_weighted_by_quantity(self, day):
        scaled = next(result for result in results(DAY) if result.bracket_id == "scaled")
        assert (scaled.r_multiple, scaled.pnl) == (Decimal("1.6"), Decimal(16))
        assert (day.brackets, day.count) == (8, 6)

    def test_with_a_part_whose_r_is_unknown_the_whole_is_unknown(self):
        (result,) = results([row("a", "1", "5", 1, quantity="5"), row("a", None, "5", 2, quantity="5")])
        assert (result.r_multiple, result.pnl) == (None, 10)

    def test_wins_and_losses_go_by_money(self, day):
        assert (day.wins, day.losses) == (2, 3)
        assert day.win_rate == pytest.approx(Decimal(2) / 6)
        assert (day.gross_profit, day.gross_loss, day.pnl) == (46, 66, -20)
        assert day.profit_factor == pytest.approx(Decimal(46) / 66)

    def test_figures_in_r_leave_out_the_bracket_that_planned_no_risk(self, day):
        assert day.without_r == 1
        assert day.total_r == Decimal("0.1")  # 1.5 - 1 - 2 + 1.6 + 0
        assert day.expectancy_r == Decimal("0.02")
        assert (day.best_r, day.worst_r) == (Decimal("1.6"), Decimal(-2))
        assert (day.avg_win_r, day.avg_loss_r) == (Decimal("1.55"), Decimal("-1.5"))

    def test_drawdown_follows_the_exits_in_time_from_zero(self, day):
        """By exit: -1, then 1.5, then -2, 0, 1.6: equity -1, 0.5, -1.5, -1.5, 0.1; from 0.5 down to -1.5."""
        assert day.max_drawdown_r == 2

    def test_a_run_that_only_loses_has_its_drawdown_from_nothing(self):
        assert summarize([row("a", "-1", "-1", 1, "stop"), row("b", "-1", "-1", 2, "stop")]).max_drawdown_r == 2

    def test_time_in_trade_ends_with_the_last_exit(self, day):
        """Hours 2, 1, 3, 7, 6, 5."""
        in_hours = [seconds / 3600 for seconds in (day.time_in_trade.average_s, day.time_in_trade.median_s)]
        assert in_hours == [4, 4]
        assert day.time_in_trade.longest_s == 7 * 3600

    def test_each_reason_has_its_exits_and_the_reasons_add_up(self, day):
        assert day.by_exit_reason == {
            "breakeven": ReasonFigures(1, Decimal(0), Decimal(0)),
            "stop": ReasonFigures(3, Decimal(-66), Decimal(-3)),
            "target": ReasonFigures(2, Decimal(34), Decimal("1.9")),  # 1.5 and 40% of 1
            "trail": ReasonFigures(1, Decimal(12), Decimal("1.2")),  # 60% of 2
        }

    def test_what_is_open_is_told_apart(self, day):
        assert day.open == OpenFigures(2, Decimal(22), Decimal("1.1"))  # 0.5 R, and half of 1 with half of 0.2

    def test_what_the_fill_model_decided_and_what_fell_back_is_counted(self, day):
        assert (day.ambiguous_exits, day.ambiguous_bars, day.fallback) == (1, 1, 1)

    def test_two_brackets_out_in_one_ambiguous_bar_are_one_bar(self):
        rows = [row("a", "-1", "-1", 1, "stop", ambiguous=True), row("b", "-1", "-1", 1, "stop", ambiguous=True)]
        day = summarize(rows)
        assert (day.ambiguous_exits, day.ambiguous_bars) == (2, 1)


class TestWithoutAnything:
    def test_no_bracket_gives_no_rates(self):
        none = summarize([])
        assert (none.count, none.pnl, none.max_drawdown_r, none.total_r) == (0, 0, 0, 0)
        assert {none.win_rate, none.expectancy_r, none.profit_factor, none.best_r, none.time_in_trade.median_s} == {
            None
        }
        assert none.by_exit_reason == {}

    def test_no_loss_gives_no_profit_factor(self):
        assert summarize([row("a", "1", "10", 1)]).profit_factor is None

    def test_no_win_gives_a_profit_factor_of_zero(self):
        assert summarize([row("a", "-1", "-10", 1)]).profit_factor == 0


brackets = st.lists(
    st.tuples(
        st.decimals(-3, 3, places=2),
        st.decimals(-100, 100, places=2),
        st.integers(1, 20),
        st.sampled_from(["stop", "target", "time"]),
    ),
    max_size=12,
)


class TestProperties:
    @given(brackets)
    def test_the_parts_add_up(self, made):
        day = summarize([row(f"B{n}", str(r), str(pnl), hours, how) for n, (r, pnl, hours, how) in enumerate(made)])
        assert day.pnl == sum(pnl for _, pnl, _, _ in made)
        assert sum(figures.pnl for figures in day.by_exit_reason.values()) == day.pnl
        assert sum(figures.r for figures in day.by_exit_reason.values()) == day.total_r == sum(r for r, *_ in made)
        assert sum(figures.exits for figures in day.by_exit_reason.values()) == day.count == len(made)

    @given(brackets)
    def test_no_later_fall_from_any_height_is_deeper_than_the_drawdown(self, made):
        day = summarize([row(f"B{n}", str(r), "1", hours) for n, (r, _, hours, _) in enumerate(made)])
        curve = [Decimal(0)]
        for r, _, _, _ in sorted(made, key=lambda bracket: bracket[2]):
            curve.append(curve[-1] + r)
        falls = [high - low for n, high in enumerate(curve) for low in curve[n:]]
        assert day.max_drawdown_r == max(falls)

    @given(brackets, st.integers(2, 5))
    def test_leaving_in_equal_parts_changes_nothing(self, made, parts):
        whole, split = [], []
        for n, (r, pnl, hours, how) in enumerate(made):
            one = row(f"B{n}", str(r), str(pnl * parts), hours, how, str(10 * parts))
            whole.append(one)
            split += [replace(one, quantity=Decimal(10), pnl=pnl)] * parts
        one, many = summarize(whole), summarize(split)
        assert (many.count, many.pnl, many.wins) == (one.count, one.pnl, one.wins)
        assert many.expectancy_r == pytest.approx(one.expectancy_r)
        assert many.max_drawdown_r == pytest.approx(one.max_drawdown_r)


SPLIT = SplitWarning(7, NOON_NS, Fraction(7), "near a 7:1 split")
RUN = RunFacts(
    symbol="X",
    fill_model="pessimistic",
    prices_path="X-1h.csv",
    prices_sha256="ab" * 32,
    prices_count=1000,
    prices_first_ns=NOON_NS,
    prices_last_ns=NOON_NS + 1000 * HOUR_NS,
    entries_source="every:50",
    entries_sha256=None,
    entries_count=8,
    dropped_prices=2,
    options={"quantity": "1", "skip_bad": True},
    config_fingerprint="0123456789ab",
    pnl_by_fill_model={"pessimistic": Decimal(-20), "optimistic": Decimal("30.1234567"), "path": None},
    split_warnings=[SPLIT],
    split_brackets={SPLIT: ["gap", "blind"]},
    remarks=["2 bad rows dropped, first: line 17: close is empty"],
)


class TestFile:
    def test_it_says_what_ran_what_came_of_it_and_how_far_to_trust_it(self):
        found = summary_json(summarize(DAY), RUN)
        assert list(found)[:7] == [
            "schema",
            "symbol",
            "fill_model",
            "prices",
            "entries",
            "options",
            "config_fingerprint",
        ]
        assert found["prices"] == {
            "path": "X-1h.csv",
            "sha256": "ab" * 32,
            "count": 1000,
            "first": "2014-06-09T12:00:00.000Z",
            "last": "2014-07-21T04:00:00.000Z",
            "dropped": 2,
            "crossed_quotes": 0,
        }
        assert found["entries"] == {"source": "every:50", "sha256": None, "count": 8, "dropped": 0, "refused": 0}
        assert (found["count"], found["win_rate"], found["expectancy_r"], found["pnl"]) == (6, 0.333333, 0.02, -20.0)
        assert found["by_exit_reason"]["stop"] == {"exits": 3, "pnl": -66.0, "r": -3.0}
        assert found["open"] == {"count": 2, "pnl": 22.0, "r": 1.1}
        assert found["pnl_by_fill_model"] == {"pessimistic": -20.0, "optimistic": 30.123457, "path": None}
        assert found["ambiguous_bars"] == 1
        assert found["split_warnings"] == [
            {
                "time": "2014-06-09T12:00:00.000Z",
                "ratio": "7:1",
                "text": "near a 7:1 split",
                "brackets": ["gap", "blind"],
            }
        ]
        assert found["remarks"] == ["2 bad rows dropped, first: line 17: close is empty"]

    def test_a_figure_that_does_not_exist_is_null(self, tmp_path):
        write_summary(tmp_path / "summary.json", summarize([]), RUN)
        found = json.loads((tmp_path / "summary.json").read_text())
        assert found["win_rate"] is found["profit_factor"] is found["time_in_trade"]["average_s"] is None

    def test_the_same_run_writes_the_same_bytes(self, tmp_path):
        for name in ("one", "two"):
            write_summary(tmp_path / name, summarize(DAY), RUN)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
        assert json.loads((tmp_path / "one").read_text()) == summary_json(summarize(DAY), RUN)
