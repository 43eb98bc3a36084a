"""Whether a market is open at a moment: prices that do not come while it is closed are no fault."""

import numpy as np

from grodtd.domain.errors import ConfigError
from grodtd.domain.instrument import ALWAYS_OPEN
from grodtd.runtime.sessions import sessions


def is_closed(calendar: str, now_ns: int, *, at_first_ns: int = 0) -> bool:
    """Return whether `calendar`'s market is closed at `now_ns`, ns since the epoch; False where nobody can tell.

    For so long as `at_first_ns` after its open it counts as closed still: its last price is one of the day before.

    >>> saturday, monday = 1_772_841_600_000_000_000, 1_773_014_400_000_000_000  # 7 and 9 March 2026, midnight UTC
    >>> is_closed("FX", saturday), is_closed("FX", monday), is_closed("24/7", saturday)
    (True, False, False)
    """
    if calendar == ALWAYS_OPEN:
        return False
    try:
        known = sessions(calendar, now_ns, now_ns)
    except ConfigError:  # told at the start, and in the log, by who needs the hours
        return False
    begun = int(np.searchsorted(known.opens_ns, now_ns, side="right"))
    if begun == 0 or now_ns >= int(known.closes_ns[begun - 1]):
        return True
    return now_ns - int(known.opens_ns[begun - 1]) < at_first_ns
