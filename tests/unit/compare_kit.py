"""Made-up comparisons: a market that punishes a tight stop on purpose, and policies replayed over it."""

from datetime import UTC, datetime, timedelta

from grodtd.config.loading import default_config_dir
from grodtd.config.policy_file import read_policies
from grodtd.replay.compare import compare
from grodtd.replay.inputs import ReplayOptions

CYCLE = 40
STEADY = "  atr: {method: sma, period: 5, multiplier: %s}\n"


def shaken_market(path, cycles, *, both=False):
    """Write hourly bars: every 40 bars a dip that takes out a stop 2 ATR away, then a rise beyond any target.

    Each cycle differs a little from the one before, as markets do. An entry at the close of bar 20 of each cycle
    (`every:40` with 20 bars before the first) sees a calm market of bars one point high. With `both`, the bar that dips
    is the one that rises: nobody can tell which came first.
    """
    time = datetime(2024, 1, 1, tzinfo=UTC)
    lines = ["time,open,high,low,close"]
    for bar in range(CYCLE // 2, cycles * CYCLE + CYCLE):
        cycle, at = divmod(bar, CYCLE)
        o, h, lo, c = 100.0, 100.5, 99.5, 100.0
        if bar >= CYCLE and at == 3:
            lo = 97.2 - cycle % 5 / 10
            h = 112.0 if both else h
        if bar >= CYCLE and at == 6:
            h = 112 + cycle % 3
        lines.append(f"{time.isoformat()},{o},{h:.1f},{lo:.1f},{c}")
        time += timedelta(hours=1)
    path.write_text("\n".join(lines) + "\n")


def entries_of(path, cycles, **more):
    """Write one entry a cycle, at the close of its first bar."""
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    lines = [",".join(["time", "symbol", "side", "quantity", *more])]
    for cycle in range(1, cycles + 1):
        moment = begin + timedelta(hours=cycle * CYCLE - CYCLE // 2)
        lines.append(",".join([moment.isoformat(), "XYZ", "buy", "10", *more.values()]))
    path.write_text("\n".join(lines) + "\n")


def compared(folder, policies, cycles=40, jobs=1, *, both=False, **more):
    """Compare policies, given as YAML, over the shaken market."""
    shaken_market(folder / "XYZ-1h.csv", cycles, both=both)
    entries_of(folder / "entries.csv", cycles, **more)
    (folder / "policies.yaml").write_text(policies)
    directory = default_config_dir()
    return compare(
        ReplayOptions(folder / "XYZ-1h.csv", str(folder / "entries.csv")),
        read_policies(folder / "policies.yaml", directory, None, {}),
        jobs=jobs,
    )


TWO = "tight:\n" + STEADY % 2 + "wide:\n" + STEADY % 5
"""The tight stop is taken out by every dip; the wide one sits it out: hindsight, planted."""
