"""What a bar does to a stop and targets, in each model. Long at 100, stop 90, target 110; the short is its mirror."""

from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.market import Bar
from grodtd.domain.orders import Side
from grodtd.venue.bar_matching import STOP, FillModel, is_ambiguous, match_exit_bar

PESSIMISTIC, OPTIMISTIC, PATH = FillModel


class Ticks(NamedTuple):
    open: int
    high: int
    low: int


def exits(side, stop, targets, bar, model):
    """Match in whole ticks and in decimals, see that both agree, and name the legs."""
    in_ticks = match_exit_bar(side, stop, targets, Ticks(*bar), model)
    open_px, high, low = (Decimal(px) for px in bar)
    in_decimals = match_exit_bar(
        side,
        None if stop is None else Decimal(stop),
        [Decimal(px) for px in targets],
        Bar("X", 0, open_px, high, low, open_px),
        model,
    )
    assert in_ticks == in_decimals
    return [("stop" if index == STOP else f"target{index + 1}", px) for index, px in in_ticks]


def mirror(bar):
    open_px, high, low = bar
    return 200 - open_px, 200 - low, 200 - high


def as_short(side, stop, targets, bar, model):
    """Tell the long's story as a short's, and mirror what came of it."""
    assert side is Side.BUY
    turned = exits(Side.SELL, None if stop is None else 200 - stop, [200 - px for px in targets], mirror(bar), model)
    return [(leg, 200 - px) for leg, px in turned]


ONE_TARGET = [
    # the bar (open, high, low)          pessimistic          optimistic           path
    ("quiet", (100, 105, 95), [], [], []),
    ("low meets the stop exactly", (100, 105, 90), ["stop 90"], ["stop 90"], ["stop 90"]),
    ("one tick short of the stop", (100, 105, 91), [], [], []),
    ("high meets the target exactly", (100, 110, 95), ["target1 110"], ["target1 110"], ["target1 110"]),
    ("one tick short of the target", (100, 109, 95), [], [], []),
    ("both, same distance", (100, 115, 85), ["stop 90"], ["target1 110", "stop 90"], ["stop 90"]),
    ("both, low nearer", (98, 115, 85), ["stop 90"], ["target1 110", "stop 90"], ["stop 90"]),
    ("both, high nearer", (102, 115, 85), ["stop 90"], ["target1 110", "stop 90"], ["target1 110", "stop 90"]),
    ("opens below the stop", (80, 85, 75), ["stop 80"], ["stop 80"], ["stop 80"]),
    ("opens at the stop", (90, 95, 85), ["stop 90"], ["stop 90"], ["stop 90"]),
    ("opens below the stop, then the target", (80, 115, 75), ["stop 80"], ["stop 80"], ["stop 80"]),
    ("opens above the target", (120, 125, 115), ["target1 120"], ["target1 120"], ["target1 120"]),
    ("opens at the target", (110, 112, 108), ["target1 110"], ["target1 110"], ["target1 110"]),
    (
        "opens above the target, then the stop",
        (120, 125, 85),
        ["target1 120", "stop 90"],
        ["target1 120", "stop 90"],
        ["target1 120", "stop 90"],
    ),
]


@pytest.mark.parametrize("told", [exits, as_short], ids=["long", "short"])
@pytest.mark.parametrize(
    ("story", "bar", "pessimistic", "optimistic", "path"), ONE_TARGET, ids=[r[0] for r in ONE_TARGET]
)
def test_one_stop_and_one_target(told, story, bar, pessimistic, optimistic, path):
    for model, expected in ((PESSIMISTIC, pessimistic), (OPTIMISTIC, optimistic), (PATH, path)):
        assert [f"{leg} {px}" for leg, px in told(Side.BUY, 90, [110], bar, model)] == expected


LADDER = [
    ("the first target", (100, 106, 95), PESSIMISTIC, ["target1 105"]),
    ("both targets", (100, 111, 95), PESSIMISTIC, ["target1 105", "target2 110"]),
    ("stop and first target", (100, 106, 85), PESSIMISTIC, ["stop 90"]),
    ("stop and first target", (100, 106, 85), OPTIMISTIC, ["target1 105", "stop 90"]),
    ("stop and both targets", (100, 111, 85), OPTIMISTIC, ["target1 105", "target2 110", "stop 90"]),
    ("up first", (104, 111, 85), PATH, ["target1 105", "target2 110", "stop 90"]),
    ("down first", (92, 111, 85), PATH, ["stop 90"]),
    ("opens through the first target", (107, 108, 95), PESSIMISTIC, ["target1 107"]),
    ("opens through the first, reaches the second", (107, 111, 95), PESSIMISTIC, ["target1 107", "target2 110"]),
    (
        "opens through the first, then the stop, then the second",
        (107, 111, 85),
        PESSIMISTIC,
        ["target1 107", "stop 90"],
    ),
    ("the same, kindly", (107, 111, 85), OPTIMISTIC, ["target1 107", "target2 110", "stop 90"]),
    ("opens through both", (115, 116, 95), PESSIMISTIC, ["target1 115", "target2 115"]),
]


@pytest.mark.parametrize("told", [exits, as_short], ids=["long", "short"])
@pytest.mark.parametrize(("story", "bar", "model", "expected"), LADDER, ids=[f"{r[0]}, {r[2]}" for r in LADDER])
def test_targets_are_taken_near_to_far(told, story, bar, model, expected):
    assert [f"{leg} {px}" for leg, px in told(Side.BUY, 90, [105, 110], bar, model)] == expected


def test_a_stop_alone_and_a_target_alone():
    assert exits(Side.BUY, 90, [], (100, 120, 80), PESSIMISTIC) == [("stop", 90)]
    assert exits(Side.BUY, None, [110], (100, 120, 80), PESSIMISTIC) == [("target1", 110)]
    assert exits(Side.BUY, None, [], (100, 120, 80), PESSIMISTIC) == []


@pytest.mark.parametrize(
    ("story", "bar", "ambiguous"),
    [
        ("reaches both from in between", (100, 110, 90), True),
        ("reaches the stop only", (100, 109, 90), False),
        ("reaches the target only", (100, 110, 91), False),
        ("opens at the stop", (90, 115, 85), False),
        ("opens at the target", (110, 115, 85), False),
        ("opens beyond the target", (112, 115, 85), False),
    ],
)
def test_ambiguous_means_only_the_model_decides(story, bar, ambiguous):
    assert is_ambiguous(Side.BUY, 90, [110], Ticks(*bar)) is ambiguous
    assert is_ambiguous(Side.SELL, 110, [90], Ticks(*mirror(bar))) is ambiguous
    assert not is_ambiguous(Side.BUY, None, [110], Ticks(*bar))
    assert not is_ambiguous(Side.BUY, 90, [], Ticks(*bar))


def test_nearness_is_exact_where_floats_are_not():
    # 100.3 - 100.1 and 100.5 - 100.3 are equal in decimals, not in floats: a tie, so the stop's side comes first.
    bar = Bar("X", 0, *(Decimal(px) for px in ("100.3", "100.5", "100.1", "100.3")))
    assert match_exit_bar(Side.BUY, Decimal("100.1"), [Decimal("100.5")], bar, PATH) == [(STOP, Decimal("100.1"))]
    assert match_exit_bar(Side.SELL, Decimal("100.5"), [Decimal("100.1")], bar, PATH) == [(STOP, Decimal("100.5"))]


prices = st.integers(80, 120)


@st.composite
def bars(draw):
    open_px = draw(prices)
    return open_px, draw(st.integers(open_px, 120)), draw(st.integers(80, open_px))


@given(bars(), prices, st.lists(prices, max_size=3, unique=True).map(sorted), st.sampled_from(FillModel))
def test_a_short_is_the_exact_mirror_of_a_long(bar, stop, targets, model):
    assert exits(Side.BUY, stop, targets, bar, model) == as_short(Side.BUY, stop, targets, bar, model)


@given(bars(), prices, st.lists(prices, min_size=1, max_size=3, unique=True).map(sorted))
def test_every_exit_is_at_a_price_the_bar_traded_and_never_worse_than_its_target(bar, stop, targets):
    _, high, low = bar
    for model in FillModel:
        for leg, px in exits(Side.BUY, stop, targets, bar, model):
            assert low <= px <= high
            assert px <= stop if leg == "stop" else px >= targets[int(leg[-1]) - 1]


@given(bars(), prices, prices)
def test_the_models_differ_only_where_the_bar_is_ambiguous(bar, stop, target):
    first = {model: exits(Side.BUY, stop, [target], bar, model)[:1] for model in FillModel}
    if is_ambiguous(Side.BUY, stop, [target], Ticks(*bar)):
        assert first[PESSIMISTIC] == [("stop", stop)]
        assert first[OPTIMISTIC] == [("target1", target)]
        assert first[PATH] in (first[PESSIMISTIC], first[OPTIMISTIC])
    else:
        assert first[PESSIMISTIC] == first[OPTIMISTIC] == first[PATH]
