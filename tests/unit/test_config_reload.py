"""Changed files while a daemon runs, and the versions it keeps: nothing bad is ever taken, nothing good is lost."""

from decimal import Decimal

import pytest

from grodtd.config import Change, Failed, Origin, Reloaded, Reloader, VersionStore, diff, load
from grodtd.domain.errors import ConfigError

S = 1_000_000_000
PERIOD = "trade_exit:\n  atr:\n    period: {}\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write ./configs/trade_exit.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()

    def writer(text, name="trade_exit.yaml"):
        (tmp_path / "configs" / name).write_text(text, encoding="utf-8")

    writer(PERIOD.format(14))
    return writer


def period(configuration):
    return configuration.policies["default"].atr.period


def test_a_difference_says_key_values_and_origin(write):
    write(PERIOD.format(14) + "  strategies: {scalp: {}}\n")
    old = load("configs", environ={})
    write("trade_exit:\n  atr: {multiplier: 2.0}\n  risk_reward:\n    symbol_specific_ratios: {SPY: 1.2}\n")
    new = load("configs", environ={"GRODTD_TRADE_EXIT__ATR__PERIOD": "21"})
    changes = diff(old, new)
    assert changes[:2] == [
        Change(
            "trade_exit.risk_reward.symbol_specific_ratios.SPY",
            None,
            "1.2",
            Origin("trade_exit.risk_reward.symbol_specific_ratios.SPY", "configs/trade_exit.yaml", 4),
        ),
        Change(
            "trade_exit.atr.period",
            "14",
            "21",
            Origin("trade_exit.atr.period", variable="GRODTD_TRADE_EXIT__ATR__PERIOD"),
        ),
    ]
    gone = changes[2:]
    assert gone
    assert all(change.path.startswith("trade_exit.strategies.scalp.") for change in gone)
    assert all(change.new is None and change.origin is None for change in gone)
    assert str(changes[0]) == (
        "trade_exit.risk_reward.symbol_specific_ratios.SPY: absent -> 1.2 (configs/trade_exit.yaml:4)"
    )
    assert diff(old, old) == []


def test_new_content_is_taken_once_it_has_settled(write):
    reloader = Reloader("configs", environ={}, settle_s=Decimal(1))
    assert reloader.poll(0) is None
    write(PERIOD.format(21))
    assert reloader.poll(10 * S) is None
    assert reloader.poll(11 * S - 1) is None
    assert period(reloader.current) == 14
    taken = reloader.poll(11 * S)
    assert isinstance(taken, Reloaded)
    assert [str(change) for change in taken.changes] == ["trade_exit.atr.period: 14 -> 21 (configs/trade_exit.yaml:3)"]
    assert (period(taken.old), period(taken.new), period(reloader.current)) == (14, 21, 21)
    assert taken.ts_ns == 11 * S
    assert reloader.poll(12 * S) is None


def test_a_file_that_is_still_being_written_is_left_alone(write):
    reloader = Reloader("configs", environ={})
    write("trade_exit:\n")  # the first half: valid, and all built-in defaults
    assert reloader.poll(0) is None
    write(PERIOD.format(21))
    assert reloader.poll(1 * S) is None
    taken = reloader.poll(2 * S)
    assert isinstance(taken, Reloaded)
    assert period(taken.new) == 21


def test_content_that_comes_back_is_no_change(write):
    reloader = Reloader("configs", environ={})
    write(PERIOD.format(21))
    assert reloader.poll(0) is None
    write(PERIOD.format(14))
    assert reloader.poll(5 * S) is None
    write(PERIOD.format(21))
    assert reloader.poll(6 * S) is None  # settles anew
    assert isinstance(reloader.poll(7 * S), Reloaded)


@pytest.mark.parametrize("bad", [PERIOD.format(-3), "trade_exit: [", PERIOD.format(21) + "  colour: red\n"])
def test_bad_content_changes_nothing_and_is_told_once(write, bad):
    reloader = Reloader("configs", environ={}, settle_s=Decimal(0))
    before = reloader.current
    write(bad)
    told = reloader.poll(1 * S)
    assert isinstance(told, Failed)
    assert len(told.problems) == 1
    assert told.problems[0].startswith("configs/trade_exit.yaml:")
    assert told.in_force is before
    assert reloader.current is before
    assert reloader.poll(2 * S) is None
    write(PERIOD.format(22))
    assert isinstance(reloader.poll(3 * S), Reloaded)
    assert period(reloader.current) == 22


def test_a_directory_that_vanishes_changes_nothing(write, tmp_path):
    reloader = Reloader("configs", environ={}, settle_s=Decimal(0))
    (tmp_path / "configs").rename(tmp_path / "elsewhere")
    told = reloader.poll(1 * S)
    assert isinstance(told, Failed)
    assert told.problems[0].startswith("configs: is not a directory")
    assert reloader.poll(2 * S) is None
    (tmp_path / "elsewhere").rename(tmp_path / "configs")
    assert isinstance(reloader.poll(3 * S), Reloaded)
    assert period(reloader.current) == 14


def test_a_change_of_comments_is_noticed_and_changes_no_value(write):
    reloader = Reloader("configs", environ={}, settle_s=Decimal(0))
    write("# why\n" + PERIOD.format(14))
    taken = reloader.poll(0)
    assert isinstance(taken, Reloaded)
    assert taken.changes == ()
    assert taken.new.fingerprint == taken.old.fingerprint


def test_a_reload_that_is_asked_for_does_not_wait(write):
    reloader = Reloader("configs", environ={})
    write(PERIOD.format(21))
    assert isinstance(reloader.reload(0), Reloaded)
    assert period(reloader.current) == 21
    write(PERIOD.format(0))
    assert isinstance(reloader.reload(1), Failed)
    assert period(reloader.current) == 21


def test_a_reloader_does_not_start_on_a_bad_configuration(write):
    write(PERIOD.format(0))
    with pytest.raises(ConfigError):
        Reloader("configs", environ={})


# ---------------------------------------------------------------- versions


@pytest.fixture
def store(tmp_path):
    return VersionStore(tmp_path / "state" / "config_versions")


def test_versions_are_numbered_and_read_back_as_they_were(write, store):
    assert store.in_force() is None
    first = store.hand_in(load("configs", environ={}), 5 * S, "ada")
    write(PERIOD.format(21))
    second = store.hand_in(load("configs", environ={}), 6 * S, "grace")
    assert (first.number, second.number) == (1, 2)
    assert store.numbers() == [1, 2]
    assert store.version(1) == first
    assert store.in_force() == second
    assert (second.ts_ns, second.who, second.fingerprint) == (6 * S, "grace", second.configuration.fingerprint)
    assert period(store.version(1).configuration) == 14


def test_the_same_values_make_no_new_version(write, store):
    first = store.hand_in(load("configs", environ={}), 5 * S, "ada")
    write("# only a comment\n" + PERIOD.format(14))
    assert store.hand_in(load("configs", environ={}), 6 * S, "grace") == first
    assert store.numbers() == [1]


def test_going_back_makes_a_new_version_that_survives_a_restart(write, store):
    store.hand_in(load("configs", environ={}), 1 * S, "ada")
    write(PERIOD.format(21))
    left = load("configs", environ={})
    store.hand_in(left, 2 * S, "ada")
    back = store.rollback(1, 3 * S, "grace")
    assert (back.number, back.copy_of, period(back.configuration)) == (3, 1, 14)
    # The files still say 21; a restart hands them in again.
    assert store.hand_in(left, 4 * S, "start") == back
    # Somebody mends the files: they count again.
    write(PERIOD.format(16))
    mended = store.hand_in(load("configs", environ={}), 5 * S, "start")
    assert (mended.number, period(mended.configuration)) == (4, 16)
    # And the content left before is welcome again, being chosen anew.
    write(PERIOD.format(21))
    assert store.hand_in(load("configs", environ={}), 6 * S, "ada").number == 5


def test_going_back_to_nowhere_changes_nothing(write, store):
    store.hand_in(load("configs", environ={}), 1 * S, "ada")
    with pytest.raises(ConfigError, match="there is no version 7; known versions: 1"):
        store.rollback(7, 2 * S, "grace")
    assert store.numbers() == [1]


def test_a_version_that_was_tampered_with_is_refused(write, store, tmp_path):
    store.hand_in(load("configs", environ={}), 1 * S, "ada")
    path = tmp_path / "state" / "config_versions" / "0001.json"
    path.write_text(path.read_text().replace('"trade_exit.atr.period": 14', '"trade_exit.atr.period": 15'))
    with pytest.raises(ConfigError, match="was changed after it was written"):
        store.in_force()
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read as a configuration version"):
        store.in_force()


def test_two_writers_of_one_number_cannot_both_win(write, store, tmp_path, monkeypatch):
    store.hand_in(load("configs", environ={}), 1 * S, "ada")
    write(PERIOD.format(21))
    late = VersionStore(tmp_path / "state" / "config_versions")
    monkeypatch.setattr(late, "_next", lambda: 1)  # what it counted before the other one wrote
    with pytest.raises(ConfigError, match="another process wrote this version"):
        late.rollback(1, 2 * S, "grace")
    assert store.numbers() == [1]
    assert [path.name for path in (tmp_path / "state" / "config_versions").iterdir()] == ["0001.json"]


def test_a_full_or_forbidden_disk_is_a_line_for_the_operator(write, tmp_path):
    (tmp_path / "blocked").write_text("a file where the directory should be")
    with pytest.raises(ConfigError, match="cannot be written"):
        VersionStore(tmp_path / "blocked").hand_in(load("configs", environ={}), 1 * S, "ada")


def test_leftovers_of_a_crash_while_writing_are_no_versions(write, store, tmp_path):
    store.hand_in(load("configs", environ={}), 1 * S, "ada")
    (tmp_path / "state" / "config_versions" / "0002.draft-77").write_text("{")
    assert store.numbers() == [1]
