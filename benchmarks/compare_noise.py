"""How often noise is called a difference where trades overlap, in blocks and one by one (compare-design.md has it).

`python -m benchmarks.compare_noise` makes 2,000 histories of 180 pairs that differ by chance alone. Six trades are open
together and share the market's moves. Each history is judged as `grodtd compare` does (sign flips, 5 %), in blocks of
one trade and of twice as many as are open together. Seeded: the same figures on every machine; two minutes.
"""

import sys

import numpy as np

from grodtd.replay.compare_stats import block_sums, sign_flip_p

TOGETHER, PAIRS, ALPHA = 6, 180, 0.05
HISTORIES, SEED = 2_000, 20_140_106


def false_alarms(histories: int, seed: int) -> dict[int, float]:
    """Return the share of histories without a difference that are called one, by length of the blocks, in trades."""
    draw = np.random.default_rng(seed)
    found = dict.fromkeys((1, 2 * TOGETHER), 0)
    for history in range(histories):
        shared = np.convolve(draw.normal(0, 1, PAIRS + TOGETHER - 1), np.ones(TOGETHER), "valid")
        pairs = np.column_stack([shared, np.ones(PAIRS)])
        for length in found:
            found[length] += sign_flip_p(block_sums(pairs, length)[:, 0], seed=history) <= ALPHA
    return {length: alarms / histories for length, alarms in found.items()}


def main(histories: int = HISTORIES) -> None:
    """Print the shares, each with its standard error."""
    for length, share in false_alarms(histories, SEED).items():
        error = (share * (1 - share) / histories) ** 0.5
        print(f"blocks of {length:2}: {share:.1%} of {histories:,} histories are called a difference (+- {error:.1%})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
