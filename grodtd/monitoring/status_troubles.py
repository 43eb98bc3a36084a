"""Troubles of the daemon's own house, in words: a clock that is off, a snapshot that could not be kept."""

from grodtd.monitoring.explain import clock
from grodtd.runtime.silence import Trouble


def clock_off(off_s: float | None, refusal: str, warn_beyond_s: float) -> list[Trouble]:
    """Return the trouble with the computer's clock, if any: `off_s` is the venue's less ours, None where not known.

    `refusal` says why no new entries are taken because of it; empty when they are.

    >>> [trouble.words for trouble in clock_off(1.5, "", 1)]
    ["this computer's clock is 1.5 s behind the venue's: synchronise it; orders are timed by the venue's"]
    """
    if refusal:
        return [Trouble("clock_off", f"{refusal}; no new entries until then")]
    if off_s is None or abs(off_s) <= warn_beyond_s:
        return []
    way = "behind" if off_s > 0 else "ahead of"
    off = f"this computer's clock is {abs(off_s):.1f} s {way} the venue's"
    words = f"{off}: synchronise it; orders are timed by the venue's"
    return [Trouble("clock_off", words, serious=False)]


def snapshot_failed(error: str, failed_ns: int) -> list[Trouble]:
    """Return the trouble with the last snapshot, if it failed, at `failed_ns`.

    Nothing is lost by it: the journal has everything, and a restart takes longer.
    """
    if not error:
        return []
    words = (
        f"the snapshot of {clock(failed_ns)} could not be kept ({error}): nothing is lost, a restart takes longer; "
        "mend that, the next one is tried by itself"
    )
    return [Trouble("snapshot_failed", words, serious=False)]
