"""`make simulate`: the whole of it. Writes docs/SIMULATION.md, unless fewer seeds, kills or boundaries were asked for.

Histories on every profile, death at every boundary and again while recovering, deliberate faults, real kills, and the
property tests at full length. No network. python -m benchmarks.simulate_all --help says how to have less of it.
"""

import argparse
import itertools
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import grodtd
from benchmarks import kills
from grodtd.bootstrap import simulate_mutant, simulate_one, simulate_script
from grodtd.simulation.campaign import run
from grodtd.simulation.crashes import LIVES
from grodtd.simulation.mutants import MUTANTS
from grodtd.simulation.world import History
from grodtd.venue.profiles import PROFILES

REPORT = Path(__file__).resolve().parent.parent / "docs" / "SIMULATION.md"
AFTER = (1, 2, 3, 5, 8, 13, 21)
"""Boundaries from one death to the next."""
SEEDS, KILLS, EXAMPLES = 2000, 200, 10_000


def crash(case: tuple[str, str, tuple[int, ...]]) -> list[str]:
    """Play a scripted life with some deaths; return what broke."""
    profile, strategy, deaths = case
    history, _ = simulate_script(profile, deaths, strategy)
    return [f"{profile} {strategy} {deaths}: {invariant} {what}" for invariant, what in history.violations]


def mutant(name: str) -> tuple[str, str | None]:
    """Say what caught a mutant."""
    return name, simulate_mutant(name, range(1, 101), list(PROFILES))


def properties(examples: int, jobs: int) -> tuple[list[str], bool]:
    """Run the property tests with so many examples each; return what pytest says, and whether they hold."""
    began = time.time()
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), "-m", "hypothesis", "tests", "grodtd"]
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "thorough", "GRODTD_EXAMPLES": str(examples)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - pytest
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")) or " in " in line]
    return [f"{examples} examples each, {time.time() - began:.0f} s", *said[-20:]], done.returncode == 0


def main() -> int:
    """Run everything, print it, write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=SEEDS, help="histories on each profile")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--kills", type=int, default=KILLS, help="real kill -9; 0: none")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each property; 0: none")
    parser.add_argument("--every", type=int, default=1, help="die at every Nth boundary only")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one a core")
    args = parser.parse_args()
    args.jobs = args.jobs or os.cpu_count() or 1
    began = time.time()
    lines = [
        "# The simulation's last full run",
        "",
        f"grodtd {grodtd.__version__}, Python {platform.python_version()}. Made by `make simulate`; do not edit.",
        "",
        "## Histories",
        "",
        "```",
    ]

    def progress(done: int, total: int) -> None:
        if done % 500 == 0:
            print(f"{done} of {total} histories, {time.time() - began:.0f} s", flush=True)

    def broke(history: History) -> None:
        invariant, what = history.violations[0]
        print(f"seed {history.seed} {history.profile}: {invariant} {what}", flush=True)

    seeds = range(args.first, args.first + args.seeds)
    campaign = run(simulate_one, seeds, list(PROFILES), jobs=args.jobs, progress=progress, broken=broke)
    print("\n".join(campaign.lines()), flush=True)
    lines += [*campaign.lines(), "```", "", "## Death at every boundary", ""]
    lives = [(profile, strategy) for strategy in LIVES for profile in PROFILES]
    boundaries = {life: simulate_script(life[0], (), life[1])[1] for life in lives}
    single = [(*life, (n,)) for life, last in boundaries.items() for n in range(1, last + 1, args.every)]
    double = [(profile, strategy, (n, n + after)) for profile, strategy, (n,) in single for after in AFTER]
    with ProcessPoolExecutor(args.jobs) as pool:
        broken = list(itertools.chain.from_iterable(pool.map(crash, single + double, chunksize=16)))
        caught = dict(pool.map(mutant, [m.name for m in MUTANTS]))
    lines += [
        (
            f"{len(single)} single deaths (every write, commit and send of the lives {', '.join(LIVES)} in each "
            "profile) and "
            f"{len(double)} double deaths (again 1 to 21 boundaries later): {len(broken)} violations."
        ),
        "",
        *(f"- {what}" for what in broken[:20]),
        "## Deliberate faults",
        "",
        "| fault in our logic | caught by |",
        "|---|---|",
        *(f"| {m.what} | {caught[m.name] or 'NOTHING'} |" for m in MUTANTS),
        "",
    ]
    episodes = kills.run(args.kills) if args.kills else []
    slain = [violation for episode in episodes for violation in episode.violations]
    if episodes:
        lines += ["## Real kills", "", "```", *kills.lines(episodes), "```", ""]
    held = True
    if args.examples:
        said, held = properties(args.examples, args.jobs)
        lines += ["## Property tests", "", "```", *said, "```", ""]
    else:
        lines += ["## Property tests", "", "Not run with this one.", ""]
    lines.append(f"{time.time() - began:.0f} s in all on {args.jobs} processes.")
    text = "\n".join([*lines, ""])
    print(text)
    whole = args.seeds >= SEEDS and args.kills >= KILLS and args.every == 1
    if whole:
        REPORT.write_text(text, encoding="utf-8")
    return int(not campaign.passed or bool(broken or slain) or None in caught.values() or not held)


if __name__ == "__main__":
    sys.exit(main())
