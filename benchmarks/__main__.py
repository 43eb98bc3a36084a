"""`python -m benchmarks` is `python -m benchmarks.run_all`."""

import sys

from benchmarks.run_all import main

if __name__ == "__main__":
    sys.exit(main())
