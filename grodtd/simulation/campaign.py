"""Many histories: run them, over several processes where asked, and say what they came to."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from grodtd.simulation.faults import FREE, Fault, possible
from grodtd.simulation.world import LEAST_FAULTS, History
from grodtd.venue.profiles import PROFILES

YEAR_S = 365.25 * 86_400
LARGE = 100
"""From so many histories on, a kind of fault that was never struck is a failure: the rates are for a dozen."""
Play = Callable[[int, str], History]
"""Plays one history: seed and profile. A module-level function where processes are asked for."""
Progress = Callable[[int, int], None]


@dataclass
class Campaign:
    """What many histories came to."""

    histories: Counter[str] = field(default_factory=Counter)
    """By profile."""
    faults: Counter[Fault] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    """By invariant."""
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    """(seed, profile, first violation) of each history that had one."""
    kills: int = 0
    brackets: int = 0
    records: int = 0
    simulated_s: float = 0.0
    fewest_faults: int | None = None
    """The history with the fewest faults had so many, the free ones not counted."""
    naked_s: dict[str, list[float]] = field(default_factory=dict)
    """Lengths of every stretch without full protection while our process lived and the link was up, by profile."""

    def add(self, history: History) -> None:
        """Take one history in."""
        self.histories[history.profile] += 1
        self.faults.update(history.faults)
        self.kills += history.kills
        self.brackets += history.brackets
        self.records += history.records
        self.simulated_s += history.simulated_s
        counted = sum(n for kind, n in history.faults.items() if kind not in FREE)
        self.fewest_faults = counted if self.fewest_faults is None else min(self.fewest_faults, counted)
        self.naked_s.setdefault(history.profile, []).extend(history.naked_s)
        if history.violations:
            self.violations.update(invariant for invariant, _ in history.violations)
            invariant, what = history.violations[0]
            self.failures.append((history.seed, history.profile, f"{invariant}: {what}"))

    @property
    def count(self) -> int:
        """Histories."""
        return sum(self.histories.values())

    @property
    def missed(self) -> list[Fault]:
        """Kinds that could have happened at the venues played, and never did."""
        could = {kind for profile in self.histories for kind in possible(PROFILES[profile])}
        return [kind for kind in Fault if kind in could and not self.faults[kind]]

    def shortfalls(self) -> list[str]:
        """Why this campaign shows less than it should; empty when it does not."""
        found = []
        if self.fewest_faults is not None and self.fewest_faults < LEAST_FAULTS:
            found.append(f"a history had {self.fewest_faults} faults, fewer than {LEAST_FAULTS}")
        if self.count >= LARGE and self.missed:
            found.append(f"never struck: {', '.join(kind.value for kind in self.missed)}")
        return found

    @property
    def passed(self) -> bool:
        """Whether no invariant was broken, and everything was tried."""
        return not self.failures and not self.shortfalls()

    def lines(self) -> Iterator[str]:
        """Yield the campaign in words and figures."""
        yield f"histories   {self.count} ({', '.join(f'{p} {n}' for p, n in self.histories.items())})"
        yield f"simulated   {self.simulated_s / 3600:.1f} hours ({self.simulated_s / YEAR_S:.4f} years)"
        yield f"brackets    {self.brackets}, journal records {self.records}, kills {self.kills}"
        counted = sum(n for kind, n in self.faults.items() if kind not in FREE)
        mean = counted / max(1, self.count)
        yield (
            f"faults      {counted} ({mean:.0f} a history, at least {self.fewest_faults or 0}); "
            f"and {self.faults.total() - counted} stale reads and bad quotes, not counted"
        )
        for kind in Fault:
            yield f"  {kind.value:<46}{self.faults.get(kind, 0):>9}"
        yield "naked while the process lived and the link was up, seconds a stretch:"
        for profile, stretches in self.naked_s.items():
            ordered = sorted(stretches)
            if ordered:
                yield (
                    f"  {profile:<14}stretches {len(ordered):>7}  median {_at(ordered, 0.5):>6.2f}  "
                    f"p99 {_at(ordered, 0.99):>6.2f}  worst {ordered[-1]:>6.2f}"
                )
        yield f"violations  {self.violations.total()}"
        for invariant, n in sorted(self.violations.items()):
            yield f"  {invariant}: {n}"
        for what in self.shortfalls():
            yield f"not tried hard enough: {what}"
        for seed, profile, what in self.failures[:20]:
            yield f"  repeat with: grodtd simulate --seed {seed} --profile {profile} --trace   ({what})"


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(
    play: Play,
    seeds: Iterable[int],
    profiles: Iterable[str],
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    broken: Callable[[History], None] | None = None,
) -> Campaign:
    """Play every seed on every profile. Over `jobs` processes (0: one a core); the result is the same.

    `broken` hears of a history that broke an invariant as soon as it is played.
    """
    campaign = Campaign()
    jobs = jobs or os.cpu_count() or 1
    work = [(seed, profile) for profile in profiles for seed in seeds]
    for done, history in enumerate(_played(play, work, jobs), 1):
        campaign.add(history)
        if history.violations and broken is not None:
            broken(history)
        if progress is not None:
            progress(done, len(work))
    return campaign


def _played(play: Play, work: list[tuple[int, str]], jobs: int) -> Iterator[History]:
    if jobs <= 1:
        for seed, profile in work:
            yield play(seed, profile)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(play, *zip(*work, strict=True), chunksize=8)
