"""`grodtd simulate`: seeded histories of the real runtime against a venue and a link that do everything wrong."""

import re
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from grodtd.venue.profiles import PROFILES

if TYPE_CHECKING:
    from grodtd.simulation.campaign import Campaign

console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


def simulate(
    seeds: Annotated[str | None, typer.Option(metavar="A..B", help="Seeds A to B, both included.")] = None,
    seed: Annotated[int | None, typer.Option(help="One seed.")] = None,
    profile: Annotated[str | None, typer.Option(help=f"One of {', '.join(PROFILES)}; default: all.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes to use; 0: one a core.")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Print everything that happened.")] = False,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Break our own logic on purpose, fault by fault; each must be caught.")
    ] = False,
) -> None:
    """Play seeded histories and check them against the venue's truth; a failing seed replays exactly.

    Exit status: 0 no violation and, from 100 histories on, every kind of fault struck (with --mutants: every one
    caught), 1 otherwise, 2 wrong usage.
    """
    if profile is not None and profile not in PROFILES:
        errors.print(f"--profile {profile}: use one of {', '.join(PROFILES)}", style="red", markup=False)
        raise typer.Exit(2)
    chosen = [profile] if profile else list(PROFILES)
    if mutants:
        raise typer.Exit(_mutants(_range(seeds or "1..40"), chosen))
    wanted = [seed] if seed is not None else _range(seeds or "1..20")
    if trace:
        raise typer.Exit(_trace(wanted, chosen))
    campaign = _run(wanted, chosen, jobs)
    for line in campaign.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if campaign.passed else 1)


def _run(wanted: list[int], chosen: list[str], jobs: int) -> "Campaign":
    from rich.progress import Progress  # noqa: PLC0415 - only where a bar is shown

    from grodtd.bootstrap import simulate_one  # noqa: PLC0415 - other commands start sooner without
    from grodtd.simulation.campaign import run  # noqa: PLC0415 - other commands start sooner without

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("simulating", total=len(wanted) * len(chosen))
        return run(simulate_one, wanted, chosen, jobs=jobs, progress=lambda done, _: bar.update(task, completed=done))


def _trace(wanted: list[int], chosen: list[str]) -> int:
    from grodtd.bootstrap import simulate_one  # noqa: PLC0415 - other commands start sooner without

    failed = False
    for name in chosen:
        for one in wanted:
            history = simulate_one(one, name)
            console.print(f"seed {one}, profile {name}", style="bold", highlight=False)
            for line in history.log:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            for invariant, what in history.violations:
                console.print(f"VIOLATION {invariant}: {what}", style="red", markup=False, highlight=False)
                failed = True
    return int(failed)


def _mutants(wanted: list[int], chosen: list[str]) -> int:
    """Try each deliberate fault until a seed catches it."""
    from grodtd.bootstrap import simulate_mutant  # noqa: PLC0415 - other commands start sooner without
    from grodtd.simulation.mutants import MUTANTS  # noqa: PLC0415 - other commands start sooner without

    survived = 0
    for mutant in track(MUTANTS, "spoiling", console=errors, disable=not errors.is_terminal):
        caught = simulate_mutant(mutant.name, wanted, chosen)
        if caught is None:
            survived += 1
        verdict = f"caught: {caught}" if caught else "SURVIVED"
        console.print(f"{mutant.name:<28}{verdict:<60}{mutant.what}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(MUTANTS) - survived} of {len(MUTANTS)} caught", highlight=False)
    return int(survived > 0)


def _range(text: str) -> list[int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if match is None or (match[2] is not None and int(match[2]) < int(match[1])):
        errors.print(f"--seeds {text}: write A..B, whole numbers, A not above B", style="red", markup=False)
        raise typer.Exit(2)
    first = int(match[1])
    return list(range(first, int(match[2] or first) + 1))
