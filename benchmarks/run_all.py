"""`make bench`: every benchmark in a process of its own, one after the other; writes benchmarks/RESULTS.md and plots.

python -m benchmarks.run_all [NAME...] [--no-peers]; with names, only those run, and RESULTS.md is left alone.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import peers, plots
from benchmarks.goals import GOALS
from benchmarks.printing import KEEP_IN, kept
from benchmarks.results import Run, answer, points, write

NAMES = (
    "atr",
    "replay_engine",
    "kernels",
    "sweep",
    "trigger_book",
    "peer_quotes",
    "fill_to_stop",
    "journal",
    "memory",
    "recovery",
    "latency",
)
"""In order. One whose module is not there is passed over; a goal of its own is then told as not measured."""
TIMEOUT_S = 400
BUSY = 0.2
"""Cores used by others from which on a run does not count as quiet."""
RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
LIBRARIES = ("numpy", "numba", "msgspec", "polars", "SQLAlchemy", "TA-Lib")


def main() -> int:
    """Run all, or the ones named; return 1 when one broke off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_all", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(NAMES)}")
    parser.add_argument("--no-peers", action="store_true", help="do not install peers that are not there yet")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if not args.no_peers and (why := peers.install()):
        print(f"{why}: held against the design's table where a peer is missing", flush=True)
    began, busy = time.perf_counter(), others_s()
    runs = [run_one(name) for name in args.names or NAMES if importlib.util.find_spec(f"benchmarks.{name}")]
    seconds = time.perf_counter() - began
    for goal in GOALS:
        row = answer(goal, runs)
        if row is not None:
            print(f"{'reached' if goal.reached(row) else 'MISSED ':8} {goal.work}: {goal.words}")
    if not args.names:
        others = None if busy is None else ((others_s() or 0) - busy) / seconds
        RESULTS.write_text(write(runs, about(others, seconds)), encoding="utf-8")
        plots.draw(points(runs))
        print(f"{seconds:.0f} s; written to {RESULTS}")
    return int(any(run.failed for run in runs))


def run_one(name: str) -> Run:
    """Run one benchmark in a process of its own, printing as it goes."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="grodtd-bench-") as folder:
        rows = Path(folder) / "rows.jsonl"
        try:
            done = subprocess.run(  # noqa: S603 - our own modules
                [sys.executable, "-m", f"benchmarks.{name}"],
                env={**os.environ, KEEP_IN: str(rows)},
                check=False,
                timeout=TIMEOUT_S,
            )
            failed = f"it ended with {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            failed = f"it took longer than {TIMEOUT_S} s"
        return Run(name, kept(rows), time.perf_counter() - began, failed)


def about(others: float | None, seconds: float) -> dict[str, str]:
    """Say what this was measured on."""
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores, {memory_gb():.0f} GB; {platform.system()}",
        "other programs meanwhile": quiet(others),
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "libraries": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES),
        "peers": peers.versions(),
        "took": f"{seconds:.0f} s",
    }


def others_s() -> float | None:
    """CPU seconds all other programs of this machine have used since it started; None where nobody says."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, stat.read_text(encoding="ascii").split()[1:11])
    used = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    ours = os.times()
    return used - ours.user - ours.system - ours.children_user - ours.children_system


def quiet(others: float | None) -> str:
    """Say how far figures by the clock can be trusted.

    >>> quiet(0.05)
    'used 0.1 cores'
    """
    if others is None:
        return "not known"
    said = f"used {others:.1f} cores"
    return said if others < BUSY else f"{said}: **not a quiet machine, its figures by the clock are too low**"


def processor() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def memory_gb() -> float:
    """Memory of the machine, GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


if __name__ == "__main__":
    sys.exit(main())
