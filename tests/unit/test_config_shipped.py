"""The files and the page that ship: they load, every key is explained where it stands, and nothing is out of date."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from grodtd.config import default_config_dir, load
from grodtd.config import docs as documentation
from grodtd.config.docs import documented, range_comment, renewed
from grodtd.config.registry import FILE_OF, FILES
from grodtd.config.text import parse
from grodtd.domain.policy import Policy

REPO = Path(__file__).resolve().parents[2]
CONFIGS = REPO / "configs"


def comment_above(lines, number):
    """Return the comment block that ends just above line `number` (from 1), as one line of words."""
    block = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        block.insert(0, line.strip().lstrip("# "))
    return " ".join(block)


def shipped_line(path):
    """Find a key in its shipped file; for free names, the block that holds them, or the first of them."""
    document = parse((CONFIGS / FILE_OF[path[0]]).read_bytes())
    places = document.leaves | document.blocks
    if "<symbol>" in path and path[-1] != "<symbol>":
        for at in ("defaults",), ("symbols", "AAPL"):
            here = (path[0], *at, path[-1])
            if here in places:
                return document.line_of(here)
        pytest.fail(f"{path} is not in instruments.yaml")
    here = tuple(segment for segment in path if not segment.startswith("<"))
    assert here in places, f"{'.'.join(here)} is not in {FILE_OF[path[0]]}"
    return document.line_of(here)


@pytest.mark.parametrize(("path", "key"), [pytest.param(p, k, id=".".join(p)) for p, k in documented()])
def test_every_shipped_key_says_why_and_what_it_takes(path, key):
    lines = (CONFIGS / FILE_OF[path[0]]).read_text(encoding="utf-8").splitlines()
    words = comment_above(lines, shipped_line(path))
    assert key.why in words
    assert range_comment(key) in words


def test_the_blocks_set_a_second_time_are_explained_too():
    lines = (CONFIGS / "trade_exit.yaml").read_text(encoding="utf-8").splitlines()
    document = parse((CONFIGS / "trade_exit.yaml").read_bytes())
    again = [path for path in document.leaves if path[:2] == ("trade_exit", "risk_reward")]
    assert [path[-1] for path in again] == ["strategy", "base_ratio"]
    for path in [*again, ("trade_exit", "risk_reward"), ("trade_exit", "strategies")]:
        assert comment_above(lines, document.line_of(path))


@pytest.mark.parametrize("name", FILES)
def test_shipped_files_are_narrow_and_end_with_a_newline(name):
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 120
    assert re.search(r"[^\n]\n\Z", text)


def test_the_shipped_policy_is_the_built_in_one_plus_the_printed_ratios():
    shipped = load(CONFIGS, environ={}).policies["default"]
    plain = Policy()
    assert (shipped.atr, shipped.bracket_orders, shipped.protection) == (
        plain.atr,
        plain.bracket_orders,
        plain.protection,
    )
    assert shipped.risk_reward.symbol_specific_ratios == {
        "AAPL": Decimal("1.8"),
        "TSLA": Decimal(2),
        "SPY": Decimal("1.2"),
    }
    assert shipped.risk_reward.market_condition_factors == {
        "trending": Decimal("1.2"),
        "ranging": Decimal(1),
        "volatile": Decimal("0.8"),
    }


@pytest.mark.parametrize(
    ("symbol", "tick", "lot", "calendar"),
    [
        ("AAPL", "0.01", "1", "XNYS"),
        ("TSLA", "0.01", "1", "XNYS"),
        ("SPY", "0.01", "1", "XNYS"),
        ("BTCUSD", "0.01", "0.00000001", None),
        ("EURUSD", "0.00001", "1", "FX"),
    ],
)
def test_shipped_instruments_have_their_markets_steps(symbol, tick, lot, calendar):
    instrument = load(CONFIGS, environ={}).instruments[symbol]
    assert (instrument.tick_size, instrument.lot_size) == (Decimal(tick), Decimal(lot))
    assert instrument.calendar == calendar
    assert instrument.fee_rate == 0


def test_shipped_calendars_exist():
    calendars = pytest.importorskip("exchange_calendars")
    named = {i.calendar for i in load(CONFIGS, environ={}).instruments.values() if i.calendar}
    assert named <= {"FX", *calendars.get_calendar_names()}


def test_the_page_lists_every_key_as_the_schema_has_it():
    page = (REPO / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8")
    assert page == renewed(page), "run: python -m grodtd.config.docs docs/CONFIGURATION.md"
    for path, key in documented():
        assert f"| `{'.'.join(path)}` | {key.allowed} |" in page


def test_writing_the_page_anew_touches_only_the_table(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{documentation.BEGIN}\nout of date\n{documentation.END}\nafter\n", encoding="utf-8")
    documentation.main(str(page))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "out of date" not in text
    assert "`trade_exit.atr.period`" in text


def test_the_default_directory_is_the_checkouts():
    assert default_config_dir() == CONFIGS
