"""`brokers.yaml`: the account a daemon trades, as a trader writes it and as the program takes it."""

from decimal import Decimal

import pytest

from grodtd.config import load
from grodtd.config.broker_schema import BrokerSettings, PaperProfile
from grodtd.domain.errors import ConfigError
from grodtd.venue.profiles import PROFILES

SPEEDS = "allowed: a number above 0 and at most 1000000, or max"
KEYS = "known keys here: profile, cash, latency_ms, feed, speed"
STRATEGIES = "trade_exit: {strategies: {swing: {}}}\n"


@pytest.fixture
def brokers(tmp_path, monkeypatch):
    """Load a directory that holds this brokers.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c").mkdir()

    def loaded(text, **environ):
        (tmp_path / "c" / "trade_exit.yaml").write_text(STRATEGIES, encoding="utf-8")
        (tmp_path / "c" / "brokers.yaml").write_text(text, encoding="utf-8")
        return load("c", environ=environ).brokers

    return loaded


def test_without_the_file_a_paper_account_is_traded(tmp_path):
    (tmp_path / "trade_exit.yaml").write_text(STRATEGIES, encoding="utf-8")
    assert load(tmp_path, environ={}).brokers == BrokerSettings()


def test_every_key_arrives(brokers):
    settings = brokers(
        "brokers:\n"
        "  use: paper\n"
        "  paper: {profile: perp, cash: 5000.50, latency_ms: 40, feed: day.csv.gz, speed: 60}\n"
        "  watch:\n"
        "    symbols: {AAPL: swing}\n"
        "    client_id_prefixes: {tv-: default}\n"
    )
    assert (settings.paper.profile, settings.paper.cash, settings.paper.latency_ms) == ("perp", Decimal("5000.5"), 40)
    assert (settings.paper.feed, settings.paper.speed) == ("day.csv.gz", Decimal(60))
    assert settings.watch.symbols == {"AAPL": "swing"}
    assert settings.watch.client_id_prefixes == {"tv-": "default"}


@pytest.mark.parametrize(
    ("written", "speed"), [("max", "Infinity"), ("1", "1"), ("0.5", "0.5"), ("'60'", "60"), ("1000000", "1000000")]
)
def test_a_feed_is_played_at_a_number_of_times_its_pace_or_as_fast_as_it_goes(brokers, written, speed):
    assert brokers(f"brokers: {{paper: {{speed: {written}}}}}\n").paper.speed == Decimal(speed)


def test_the_environment_chooses_too(brokers):
    settings = brokers("brokers: {}\n", GRODTD_BROKERS__PAPER__SPEED="max", GRODTD_BROKERS__PAPER__PROFILE="spot_oco")
    assert (settings.paper.speed, settings.paper.profile) == (Decimal("Infinity"), "spot_oco")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "brokers: {use: alpaca}\n",
            "c/brokers.yaml:1: brokers.use: 'alpaca' is not allowed; allowed: one of paper",
        ),
        (
            "brokers: {paper: {speed: 0}}\n",
            f"c/brokers.yaml:1: brokers.paper.speed: 0 is not allowed; {SPEEDS}",
        ),
        (
            "brokers: {paper: {speed: fast}}\n",
            f"c/brokers.yaml:1: brokers.paper.speed: 'fast' is not allowed; {SPEEDS}",
        ),
        (
            "brokers: {paper: {api_key: x}}\n",
            f"c/brokers.yaml:1: brokers.paper.api_key: unknown key; {KEYS}",
        ),
        (
            "brokers: {watch: {symbols: {AAPL: scalp}}}\n",
            "c/brokers.yaml:1: brokers.watch.symbols.AAPL: no strategy is named 'scalp'; known: default, swing",
        ),
    ],
)
def test_what_cannot_be_is_one_line_with_its_place(brokers, text, problem):
    with pytest.raises(ConfigError) as error:
        brokers(text)
    assert error.value.problems == [problem]


def test_the_profiles_offered_are_the_simulated_venues():
    assert {str(profile) for profile in PaperProfile} == set(PROFILES)
