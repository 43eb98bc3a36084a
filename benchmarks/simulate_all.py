"""`make simulate`: the whole of it. Histories, all crash points, double crashes, mutants; writes docs/SIMULATION.md.

python -m benchmarks.simulate_all [--seeds N] [--jobs N]
"""

import argparse
import itertools
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import grodtd
from benchmarks import kills
from grodtd.bootstrap import simulate_mutant, simulate_one, simulate_script
from grodtd.simulation.campaign import run
from grodtd.simulation.mutants import MUTANTS
from grodtd.venue.profiles import PROFILES

REPORT = Path(__file__).resolve().parent.parent / "docs" / "SIMULATION.md"
AFTER = (1, 2, 3, 5, 8, 13, 21)


def crash(case: tuple[str, tuple[int, ...]]) -> list[str]:
    """Play the scripted life with some deaths; return what broke."""
    profile, deaths = case
    history, _ = simulate_script(profile, deaths)
    return [f"{profile} {deaths}: {invariant} {what}" for invariant, what in history.violations]


def mutant(name: str) -> tuple[str, str | None]:
    """Say what caught a mutant."""
    return name, simulate_mutant(name, range(1, 101), list(PROFILES))


def main() -> int:
    """Run everything, print it, write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
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

    campaign = run(simulate_one, range(1, args.seeds + 1), list(PROFILES), jobs=args.jobs, progress=progress)
    lines += [*campaign.lines(), "```", "", "## Death at every boundary", ""]
    boundaries = {profile: simulate_script(profile, ())[1] for profile in PROFILES}
    single = [(profile, (n,)) for profile, last in boundaries.items() for n in range(1, last + 1)]
    double = [(profile, (n, n + after)) for profile, (n,) in single for after in AFTER]
    with ProcessPoolExecutor(args.jobs) as pool:
        broken = list(itertools.chain.from_iterable(pool.map(crash, single + double, chunksize=16)))
        caught = dict(pool.map(mutant, [m.name for m in MUTANTS]))
    lines += [
        (
            f"{len(single)} single deaths (every write, commit and send of the scripted life in each profile) and "
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
    episodes = kills.run(200)
    slain = [violation for episode in episodes for violation in episode.violations]
    lines += ["## Real kills", "", "```", *kills.lines(episodes), "```", ""]
    text = "\n".join(lines)
    print(text)
    print(f"{time.time() - began:.0f} s")
    if args.seeds >= 2000:
        REPORT.write_text(text, encoding="utf-8")
    return int(bool(campaign.failures or broken or slain or None in caught.values()))


if __name__ == "__main__":
    sys.exit(main())
