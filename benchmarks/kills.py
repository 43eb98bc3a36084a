"""kill -9, two hundred times: figures, and every violation. `make simulate` calls it; not on Windows.

python -m benchmarks.kills [--kills N] [--seed N]

Every 20 kills a fresh venue and journal; what is checked: tests/kills/episode.py.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.episode import Episode, play

KILLS_AN_EPISODE = 20
FIGURES = (
    "kills",
    "killed_while_starting",
    "in_flight",
    "brackets",
    "protected",
    "orders",
    "exits_filled",
    "records",
)


def run(kills: int, seed: int = 1) -> list[Episode]:
    """Play as many episodes as `kills` needs."""
    episodes = []
    while kills > 0:
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            episodes.append(play(seed + len(episodes), min(kills, KILLS_AN_EPISODE), Path(folder)))
        kills -= KILLS_AN_EPISODE
    return episodes


def lines(episodes: list[Episode]) -> list[str]:
    """Say what came of it."""

    def total(name: str) -> int:
        return sum(getattr(episode, name) for episode in episodes)

    settled_s = [episode.settled_s for episode in episodes]
    counts = {name: total(name) for name in FIGURES}
    return [
        "{kills} kills -9, {killed_while_starting} of them while starting".format(**counts),
        "{in_flight} orders were on their way at a death, their fate unknown".format(**counts),
        "{brackets} entries, {protected} filled and protected; {orders} orders of ours".format(**counts),
        "{exits_filled} exit fills; {records} records in {episodes} journals".format(episodes=len(episodes), **counts),
        f"covered after the last start: median {statistics.median(settled_s):.2f} s, worst {max(settled_s):.2f} s",
        f"{sum(len(episode.violations) for episode in episodes)} violations",
        *(f"- seed {episode.seed}: {what}" for episode in episodes for what in episode.violations[:10]),
    ]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.time()
    episodes = run(args.kills, args.seed)
    print("\n".join(lines(episodes)))
    print(f"{time.time() - began:.0f} s")
    return int(any(episode.violations for episode in episodes))


if __name__ == "__main__":
    sys.exit(main())
