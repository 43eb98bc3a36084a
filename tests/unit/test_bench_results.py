"""The page `make bench` writes: every goal is judged or said to be missing, and the committed page names them all."""

import pytest

pytest.importorskip("matplotlib", reason="the plots are an extra of the benchmarks")

from benchmarks import plots
from benchmarks.goals import GOALS, Goal, Judge
from benchmarks.printing import KEEP_IN, Row, kept, rates, show
from benchmarks.results import Run, points, write
from benchmarks.run_all import NAMES, RESULTS, quiet

ABOUT = {"machine": "two cores", "Python": "3.11"}


def goal_line(page: str, work: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(f"| {work} |"))


def goal(key: str) -> Goal:
    return next(each for each in GOALS if each.key == key)


def page_with(*rows: Row, failed: str = "") -> str:
    return write([Run("sweep", [("a sweep", rows)], 12.0, failed)], ABOUT)


@pytest.mark.parametrize(
    ("judge", "bound", "row", "reached"),
    [
        (Judge.AT_LEAST, 100, Row("fast enough", 100, "quotes/s"), True),
        (Judge.AT_LEAST, 100, Row("too slow", 99, "quotes/s"), False),
        (Judge.AT_MOST, 5, Row("a restart in time", 5, "s"), True),
        (Judge.AT_MOST, 5, Row("a restart too late", 5.1, "s"), False),
        (Judge.RATIO_AT_LEAST, 10, Row("ten times the peer", 1_000, "entries/s", 100), True),
        (Judge.RATIO_AT_LEAST, 10, Row("nine times the peer", 900, "entries/s", 100), False),
        (Judge.RATIO_AT_MOST, 2.5, Row("two commits' time", 200, "us", 100), True),
        (Judge.RATIO_AT_MOST, 2.5, Row("three commits' time", 300, "us", 100), False),
        (Judge.RATIO_AT_LEAST, 10, Row("a ratio to nothing", 1_000, "entries/s"), None),
    ],
    ids=lambda value: value.what if isinstance(value, Row) else "",
)
def test_a_figure_is_judged_by_its_goal(judge, bound, row, reached):
    assert Goal("key", "sweep", "work", judge, bound, "unit").reached(row) is reached


def test_a_reached_goal_says_ours_the_spread_the_peer_and_the_ratio():
    row = Row("20 x 20", 2e8, "entry-combos/s", 1e5, "vectorbt 1.2.0", [1.9e8, 2e8, 2.1e8], goal="sweep")
    line = goal_line(page_with(row), goal("sweep").work)
    assert "200,000,000 entry-combos/s | 190,000,000 to 210,000,000 (3) | vectorbt 1.2.0 100,000 | 2000.00" in line
    assert line.endswith("| >= 100,000,000 entry-combos/s | yes |")


def test_a_missed_goal_says_so_and_is_not_counted():
    page = page_with(Row("20 x 20", 9e7, "entry-combos/s", goal="sweep"), Row("memory", 900, "MB", goal="sweep-memory"))
    assert goal_line(page, goal("sweep").work).endswith("| **no** |")
    assert f"1 of {len(GOALS)} reached." in page


def test_what_did_not_run_is_told_with_its_reason():
    page = page_with(failed="it ended with 1")
    assert "not measured: it ended with 1" in goal_line(page, goal("sweep").work)
    assert "not measured: there is no such benchmark" in goal_line(page, goal("atr").work)
    assert "- `sweep`: it ended with 1" in page


def test_the_page_says_what_it_was_measured_on():
    assert "| machine | two cores |" in page_with()


def test_a_busy_machine_is_told():
    assert "not a quiet machine" in quiet(1.2)
    assert quiet(0.1) == "used 0.1 cores"
    assert quiet(None) == "not known"


def test_growth_is_in_order_and_drawn(tmp_path):
    rows = [Row("N", 1e6 / n, "quotes/s", series="quotes/plain", x=n, memory_mb=n) for n in (100, 0.5, 10_000)]
    run = Run("sweep", [("a sweep", rows)], 1.0)
    assert [row.x for row in points([run])["quotes/plain"]] == [0.5, 100, 10_000]
    assert "| quotes/plain | 10,000 | 100 quotes/s | 10,000 MB |" in write([run], ABOUT)
    (path,) = plots.draw(points([run]), tmp_path)
    assert "us a quote" in path.read_text()
    assert path.read_bytes() == plots.draw(points([run]), tmp_path)[0].read_bytes()


def test_rows_come_through_the_file_a_benchmark_leaves(tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.jsonl"
    monkeypatch.setenv(KEEP_IN, str(path))
    rows = [Row("one", 1.0, "s", 2.0, "limit", [1.0, 1.5], goal="restart"), Row("two", 3.0, "MB")]
    show("a title", rows)
    show("another", rows[:1])
    assert kept(path) == [("a title", rows), ("another", rows[:1])]
    assert "limit 2   ratio 0.50" in capsys.readouterr().out


def test_rates_leave_the_first_round_out():
    ticks = iter([0.0, 2.0, 2.0, 6.0])
    worked = []
    assert rates(lambda: worked.append(1), 8, 2, clock=lambda: next(ticks)) == [4.0, 2.0]
    assert len(worked) == 3


def test_every_goal_has_a_benchmark_that_runs():
    assert {each.benchmark for each in GOALS} <= set(NAMES)
    assert len({each.key for each in GOALS}) == len(GOALS)


def test_the_committed_page_names_every_goal():
    page = RESULTS.read_text(encoding="utf-8")
    for each in GOALS:
        assert each.words in goal_line(page, each.work)
