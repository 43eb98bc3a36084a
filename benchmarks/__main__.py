"""`make bench`: every benchmark, one after the other. Each can be run alone: python -m benchmarks.NAME."""

import importlib
import sys

NAMES = ("replay_engine", "kernels", "sweep", "journal", "recovery", "latency")


def main() -> int:
    """Run all, or the ones named."""
    for name in sys.argv[1:] or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
