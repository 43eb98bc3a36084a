"""What a sample of trades can show: against scipy's figures, against brute force, and against noise made on purpose."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.replay.compare_stats import (
    FEWEST_BLOCKS,
    MOST_EXACT,
    Interval,
    block_sums,
    holm,
    interval,
    open_together,
    ratio_of,
    sign_flip_p,
    smallest_shown,
)

SAMPLE = np.random.default_rng(11).normal(0.1, 1.2, 60).round(3)
"""The sample whose intervals scipy 1.17.1 worked out: stats.bootstrap(method="BCa", n_resamples=99999)."""

BY_SCIPY = {"mean": (-0.24603, 0.28860), "profit factor": (0.57299, 2.00327), "p of the first 12": 0.36474609375}


def with_count(values):
    return np.column_stack([values, np.ones(len(values))])


def gains_and_losses(values):
    return np.column_stack([np.maximum(values, 0), np.maximum(-values, 0)])


class TestIntervals:
    def test_a_mean_has_scipys_bca_interval(self):
        found = interval(with_count(SAMPLE), seed=1, resamples=99_999)
        assert (found.low, found.high) == pytest.approx(BY_SCIPY["mean"], abs=0.004)

    def test_a_profit_factor_has_scipys_bca_interval(self):
        found = interval(gains_and_losses(SAMPLE), seed=1, resamples=99_999)
        assert (found.low, found.high) == pytest.approx(BY_SCIPY["profit factor"], abs=0.01)

    def test_the_same_seed_gives_the_same_interval(self):
        assert interval(with_count(SAMPLE), seed=3) == interval(with_count(SAMPLE), seed=3)
        assert interval(with_count(SAMPLE), seed=3) != interval(with_count(SAMPLE), seed=4)

    def test_a_sample_without_variety_has_an_interval_of_no_width(self):
        assert interval(with_count(np.full(30, -1.0)), seed=1) == Interval(-1.0, -1.0)

    @pytest.mark.parametrize("count", [0, 1, FEWEST_BLOCKS - 1])
    def test_too_few_blocks_have_no_interval(self, count):
        assert interval(with_count(SAMPLE[:count]), seed=1) is None

    def test_a_profit_factor_without_losses_has_none_and_with_few_has_no_upper_end(self):
        assert interval(gains_and_losses(np.abs(SAMPLE)), seed=1) is None
        one_loss = np.append(np.abs(SAMPLE[:20]), -1.0)
        found = interval(gains_and_losses(one_loss), seed=1)
        assert found.high is None
        assert found.low < ratio_of(gains_and_losses(one_loss).sum(axis=0))
        assert not found.holds(found.low - 1)
        assert found.holds(1e9)


class TestSignFlips:
    @given(st.lists(st.integers(-50, 50), max_size=9))
    def test_few_blocks_are_counted_exactly(self, wholes):
        differences = np.array(wholes, dtype=np.float64)
        seen = abs(sum(wholes))
        patterns = list(product((-1, 1), repeat=len(wholes)))
        as_large = sum(
            abs(sum(sign * one for sign, one in zip(signs, wholes, strict=True))) >= seen for signs in patterns
        )
        assert sign_flip_p(differences, seed=0) == pytest.approx(as_large / len(patterns))

    def test_scipy_counts_the_same(self):
        assert sign_flip_p(SAMPLE[:12], seed=0) == BY_SCIPY["p of the first 12"]

    def test_many_blocks_are_drawn_and_come_close(self):
        differences = SAMPLE[: MOST_EXACT + 2]
        signs = np.array(list(product((-1, 1), repeat=len(differences))))
        exact = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
        assert sign_flip_p(differences, seed=5) == pytest.approx(exact, abs=0.012)

    def test_nothing_that_differs_is_no_difference_at_all(self):
        assert sign_flip_p(np.zeros(400), seed=0) == 1.0
        assert sign_flip_p(np.empty(0), seed=0) == 1.0

    def test_it_does_not_depend_on_which_policy_comes_first(self):
        assert sign_flip_p(SAMPLE, seed=2) == pytest.approx(sign_flip_p(-SAMPLE, seed=2), abs=0.01)

    def test_never_certain(self):
        assert 0 < sign_flip_p(np.full(500, 1.0), seed=0) < 0.001


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_bonferroni_over_every_subset(p_values):
    places = range(len(p_values))
    subsets = [each for size in range(1, len(p_values) + 1) for each in combinations(places, size)]
    for at, found in enumerate(holm(p_values)):
        closed = max(min(1.0, len(each) * min(p_values[i] for i in each)) for each in subsets if at in each)
        assert found == pytest.approx(closed)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=30))
def test_open_together_counts_trades_open_at_each_entry(trades):
    entry = np.array([begin for begin, _ in trades], dtype=np.int64)
    leave = entry + np.array([length for _, length in trades], dtype=np.int64)
    counts = [sum(a <= moment < b for a, b in zip(entry, leave, strict=True)) for moment in entry]
    assert open_together(entry, leave) == int(np.ceil(sum(counts) / len(counts) - 1e-9))


def test_blocks_lose_nothing():
    sums = block_sums(with_count(SAMPLE), 7)
    assert len(sums) == 9
    assert sums.sum(axis=0) == pytest.approx([SAMPLE.sum(), 60])
    assert block_sums(with_count(SAMPLE), 1) == pytest.approx(with_count(SAMPLE))


def test_what_would_show_does_show_four_times_in_five():
    smallest = smallest_shown(with_count(SAMPLE - SAMPLE.mean()))
    draw = np.random.default_rng(8)
    spread = SAMPLE.std()
    shown = sum(sign_flip_p(draw.normal(smallest, spread, 60), seed=n) <= 0.05 for n in range(200))
    assert 0.72 <= shown / 200 <= 0.88
    assert smallest_shown(with_count(SAMPLE[:5])) is None


def test_noise_is_called_noise_also_where_trades_overlap():
    """Six trades open together share the market's moves: one by one they cry wolf, in blocks of twelve they do not."""
    draw = np.random.default_rng(4)
    alarms = {1: 0, 12: 0}
    for history in range(100):
        shared = np.convolve(draw.normal(0, 1, 185), np.ones(6), "valid")
        for length in alarms:
            sums = block_sums(with_count(shared), length)
            alarms[length] += sign_flip_p(sums[:, 0], seed=history) <= 0.05
    assert alarms[1] > 25
    assert alarms[12] < 15
