"""`make simulate`: the whole of it, part by part. Writes docs/SIMULATION.md.

Histories on every profile, death at every boundary and again while recovering, deliberate faults, real kills, deep
walks, and the property tests at full length. No network. `--only` runs some parts and leaves what the report says of
the others; a part that was asked for less of than the report wants is printed and not written.
"""

import argparse
import itertools
import os
import platform
import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

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
LEAST_EXAMPLES = 1000
"""So many make a report that is worth keeping; it names how many there were."""


def crash(case: tuple[str, str, tuple[int, ...]]) -> list[str]:
    """Play a scripted life with some deaths; return what broke."""
    profile, strategy, deaths = case
    history, _ = simulate_script(profile, deaths, strategy)
    return [f"{profile} {strategy} {deaths}: {invariant} {what}" for invariant, what in history.violations]


def mutant(name: str) -> tuple[str, str | None]:
    """Say what caught a mutant."""
    return name, simulate_mutant(name, range(1, 101), list(PROFILES))


def tested(marked: str, paths: list[str], jobs: int, more: dict[str, str]) -> tuple[list[str], bool]:
    """Run tests at full length, telling failures as they come; return what pytest says last, and whether they hold."""
    command = [sys.executable, "-m", "pytest", "-v", "-n", str(jobs), "--timeout", "0", *shlex.split(marked), *paths]
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "thorough", **more}
    failed, last, tail = [], "", deque[str](maxlen=500)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603 - pytest
        assert running.stdout is not None
        for line in running.stdout:
            tail.append(line)
            if " FAILED " in line or line.startswith("ERROR"):
                failed.append(line.strip())
                print(failed[-1], flush=True)
            if line.startswith("=") and " in " in line:
                last = line.strip("= \n")
    if running.returncode:
        print("".join(tail), flush=True)  # what broke, and with which values
    return [*failed[:20], last], running.returncode == 0


def histories(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Play every seed on every profile."""
    began = time.time()

    def progress(done: int, total: int) -> None:
        if done % 500 == 0:
            print(f"{done} of {total} histories, {time.time() - began:.0f} s", flush=True)

    def broke(history: History) -> None:
        invariant, what = history.violations[0]
        print(f"seed {history.seed} {history.profile}: {invariant} {what}", flush=True)

    seeds = range(args.first, args.first + args.seeds)
    campaign = run(simulate_one, seeds, list(PROFILES), jobs=args.jobs, progress=progress, broken=broke)
    return ["```", *campaign.lines(), "```"], campaign.passed


def deaths(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Die at every boundary of the scripted lives, and again while recovering."""
    lives = [(profile, strategy) for strategy in LIVES for profile in PROFILES]
    boundaries = {life: simulate_script(life[0], (), life[1])[1] for life in lives}
    single = [(*life, (n,)) for life, last in boundaries.items() for n in range(1, last + 1, args.every)]
    double = [(profile, strategy, (n, n + after)) for profile, strategy, (n,) in single for after in AFTER]
    with ProcessPoolExecutor(args.jobs) as pool:
        broken = list(itertools.chain.from_iterable(pool.map(crash, single + double, chunksize=16)))
    said = (
        f"{len(single)} single deaths (every write, commit and send of the lives {', '.join(LIVES)} in each profile) "
        f"and {len(double)} double deaths (again 1 to 21 boundaries later): {len(broken)} violations."
    )
    return [said, *(f"- {what}" for what in broken[:20])], not broken


def faults(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Put each mistake into our own logic, and see it caught."""
    with ProcessPoolExecutor(args.jobs) as pool:
        caught = dict(pool.map(mutant, [m.name for m in MUTANTS]))
    rows = [f"| {m.what} | {caught[m.name] or 'NOTHING'} |" for m in MUTANTS]
    return ["| fault in our logic | caught by |", "|---|---|", *rows], None not in caught.values()


def slain(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Kill real processes."""
    episodes = kills.run(args.kills)
    return ["```", *kills.lines(episodes), "```"], not any(episode.violations for episode in episodes)


def walks(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Walk every interleaving with two faults, and of positions that grow."""
    said, held = tested("-k test_deep_walk", ["tests/unit/test_walks.py"], args.jobs, {})
    return ["```", *said, "```"], held


def properties(args: argparse.Namespace) -> tuple[list[str], bool]:
    """Run the property tests with as many examples each."""
    marked = "-m hypothesis -k 'not test_deep_walk'"
    said, held = tested(marked, ["tests", "grodtd"], args.jobs, {"GRODTD_EXAMPLES": str(args.examples)})
    return ["```", f"{args.examples} examples each", *said, "```"], held


class Part(NamedTuple):
    """One part of the run."""

    title: str
    play: Callable[[argparse.Namespace], tuple[list[str], bool]]
    whole: Callable[[argparse.Namespace], bool]
    """Whether so much was asked for as the report wants."""


PARTS = {
    "histories": Part("Histories", histories, lambda args: args.seeds >= SEEDS),
    "deaths": Part("Death at every boundary", deaths, lambda args: args.every == 1),
    "faults": Part("Deliberate faults", faults, lambda _: True),
    "kills": Part("Real kills", slain, lambda args: args.kills >= KILLS),
    "walks": Part("Deep walks", walks, lambda _: True),
    "properties": Part("Property tests", properties, lambda args: args.examples >= LEAST_EXAMPLES),
}


def written(report: Path) -> dict[str, str]:
    """Return what a report says of each part, by title; nothing where there is none yet."""
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    return {title: body.strip("\n") for title, _, body in (part.partition("\n") for part in text.split("\n## ")[1:])}


def write(report: Path, found: dict[str, str]) -> None:
    """Write the report: what each part came to when it was last run."""
    parts = [f"## {part.title}\n\n{found.get(part.title, 'Not run yet.')}\n" for part in PARTS.values()]
    words = "Made by `make simulate`; do not edit. Each part says what made it, and how long that took."
    report.write_text("\n".join(["# The simulation's last full run", "", f"{words}\n", *parts]), encoding="utf-8")


def main() -> int:
    """Run the parts asked for, print what they come to, write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to run; all of them")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="histories on each profile")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--kills", type=int, default=KILLS, help="real kill -9")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each property")
    parser.add_argument("--every", type=int, default=1, help="die at every Nth boundary only")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one a core")
    args = parser.parse_args()
    args.jobs = args.jobs or os.cpu_count() or 1
    by = f"grodtd {grodtd.__version__}, Python {platform.python_version()}, {args.jobs} processes"
    passed = True
    for name in args.only:
        part, began = PARTS[name], time.time()
        lines, held = part.play(args)
        lines = [*lines, "", f"{by}: {time.time() - began:.0f} s."]
        print("\n".join([f"## {part.title}", "", *lines, ""]), flush=True)
        passed = passed and held
        if part.whole(args):
            write(REPORT, {**written(REPORT), part.title: "\n".join(lines)})
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
