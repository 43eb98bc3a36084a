"""The peers' side: their scripts, run in environments of their own, in the same run as ours. No part of this project.

Where the scripts are (PEERS_SCRIPTS, by default ../shared/peers beside the checkout), `python -m benchmarks.peers`
makes their environments in PEERS_DIR (by default grodtd-peers in the user's cache folder) as their README says, a few
minutes and 3 GB. Where they are not, or do not run, a benchmark is held against the peer's figure of the design's
table, measured on another machine, and says so.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
SCRIPTS = Path(os.environ.get("PEERS_SCRIPTS", REPO.parent / "shared" / "peers"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
FOLDER = Path(os.environ.get("PEERS_DIR", CACHE / "grodtd-peers"))
ENVIRONMENTS = {
    "venv": (
        "numpy==2.4.6 pandas==2.3.3 numba==0.68.1 TA-Lib==0.8.2 polars==2.1.0 talipp==2.7.0 backtesting==0.6.6"
        " backtrader==1.9.78.123 nautilus_trader==1.221.0"
    ),
    "venv_vbt": "vectorbt==1.2.0 vectorbt-rust==1.2.0 TA-Lib==0.8.2",
}
REFERENCE = "ref_m2_rr15.npz"
"""Exits that `b2_numba.py` leaves for the other scripts to check themselves against."""
TIMEOUT_S = 150


@dataclass(frozen=True)
class Script:
    """One script's run, the row of its results that counts, and the design's table for when it cannot run."""

    peer: str
    environment: str
    command: str
    row: str
    """How the name of the wanted row begins; of several, the fastest counts."""
    recorded: float
    """A second, from the design's table."""
    needs_reference: bool = False


@dataclass(frozen=True)
class Figure:
    """What a peer does a second, and where that is from."""

    per_s: float
    peer: str
    measured: bool
    why_not: str = ""
    memory_mb: float | None = None

    @property
    def said(self) -> str:
        """Say what it is, for the row held against it."""
        return self.peer if self.measured else f"{self.peer} (design's table: {self.why_not})"


BACKTESTING = Script("backtesting.py 0.6.6", "venv", "b2_bt.py 100000 3", "backtesting.py", 1_017, True)
NAUTILUS_BARS = Script("nautilus 1.221", "venv", "b2_nautilus.py 100000 1", "nautilus Backtest", 190, True)
VECTORBT_ENTRIES = Script("vectorbt 1.2.0", "venv_vbt", "b2_vbt.py rust single", "vectorbt Portfolio", 137_000, True)
VECTORBT_EXITS = Script("vectorbt 1.2.0", "venv_vbt", "b2_vbt.py rust gen", "vectorbt generate", 137_000, True)
VECTORBT_SWEEP = Script("vectorbt 1.2.0", "venv_vbt", "b2_vbt.py rust sweep 20", "vectorbt from_signals", 78_000)
NAUTILUS_ATR = Script("nautilus 1.221", "venv", "b1_atr.py 1000000", "nautilus AverageTrueRange(14, WILDER).u", 7.6e6)


def nautilus_quotes(mode: str, brackets: int, quotes: int, recorded: float) -> Script:
    """Return the run with `brackets` open (`mode`: resting, emulated, trail, trail_emu), `quotes` of them timed."""
    command = f"b4_nautilus_ticks.py {mode} {brackets} {quotes}"
    return Script("nautilus 1.221", "venv", command, f"nautilus quotes, {mode} N={brackets}", recorded)


NAUTILUS_QUOTES = {
    ("plain", 0): nautilus_quotes("resting", 0, 50_000, 94_000),
    ("plain", 100): nautilus_quotes("resting", 100, 20_000, 23_000),
    ("plain", 1_000): nautilus_quotes("resting", 1_000, 3_000, 2_800),
    ("trailing", 100): nautilus_quotes("trail_emu", 100, 1_000, 1_400),
    ("trailing", 1_000): nautilus_quotes("trail_emu", 1_000, 100, 90),
}


def figure(script: Script) -> Figure:
    """Run a script now and return its figure, CPU seconds where it says them; the table's where it cannot run."""
    why = why_not(script.environment)
    if not why and script.needs_reference and not (FOLDER / REFERENCE).exists():
        why = _run("venv", "b2_numba.py", FOLDER / "reference.jsonl")
    if not why:
        kept = FOLDER / "now.jsonl"
        kept.unlink(missing_ok=True)
        why = _run(script.environment, script.command, kept)
        rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        found = [row for row in rows if row["name"].startswith(script.row)]
        if found:
            best = max(found, key=_rate)
            return Figure(_rate(best), script.peer, measured=True, memory_mb=best.get("peak_rss_mb"))
        why = why or f"{script.command} gave no row {script.row!r}"
    return Figure(script.recorded, script.peer, measured=False, why_not=why)


def best(*scripts: Script) -> Figure:
    """Return the fastest figure of several runs; one that was measured here counts before any that was not."""
    return max((figure(script) for script in scripts), key=lambda each: (each.measured, each.per_s))


def _rate(row: dict[str, float]) -> float:
    return row["rate_cpu"] or row["rate_wall"]


def why_not(environment: str) -> str:
    """Say why an environment's scripts cannot run; empty when they can."""
    if not SCRIPTS.is_dir():
        return f"no scripts in {SCRIPTS.name}/"
    if not _python(environment).exists():
        return "its environment is not installed"
    return ""


def _python(environment: str) -> Path:
    return FOLDER / environment / "bin" / "python"


def _run(environment: str, command: str, results: Path) -> str:
    """Run a script; return why it failed, empty when it did not."""
    script, *arguments = command.split()
    try:
        done = subprocess.run(  # noqa: S603 - the scripts beside the checkout
            [_python(environment), SCRIPTS / script, *arguments],
            env={**os.environ, "PEERS_DIR": str(FOLDER), "PEERS_RESULTS": str(results)},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            cwd=FOLDER,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {TIMEOUT_S} s"
    last = done.stderr.strip().rpartition("\n")[2]
    return f"it ended with {done.returncode}: {last[:80]}" if done.returncode else ""


def versions() -> str:
    """Say which peers are installed here."""
    return "; ".join(
        f"{pins.replace('==', ' ')}" if not why_not(name) else f"{name}: {why_not(name)}"
        for name, pins in ENVIRONMENTS.items()
    )


def install() -> str:
    """Make the environments that are not there yet; return why that failed, empty when it did not."""
    if not SCRIPTS.is_dir():
        return f"no peers' scripts in {SCRIPTS}: set PEERS_SCRIPTS"
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, pins in ENVIRONMENTS.items():
        if _python(name).exists():
            continue
        print(f"installing the peers of {name} into {FOLDER}", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", FOLDER / name], check=True)  # noqa: S603
            subprocess.run([_python(name), "-m", "pip", "install", "-q", *pins.split()], check=True)  # noqa: S603
        except (subprocess.CalledProcessError, OSError) as error:
            (_python(name)).unlink(missing_ok=True)  # half an environment is none
            return f"{name} could not be installed: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(install())
