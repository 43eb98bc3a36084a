"""`python -m grodtd` is `grodtd`."""

from grodtd.cli import main

if __name__ == "__main__":
    main()
