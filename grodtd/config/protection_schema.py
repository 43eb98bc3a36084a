"""How a position is kept protected: plans, retries, the ladder of a lost stop, waits."""

from grodtd.config.block import Block
from grodtd.config.fields import Number, key
from grodtd.domain.policy import Plan, ProtectionPolicy

GUARD = ProtectionPolicy()


class Protection(Block):
    """Bounds of the ladder a lost stop climbs, and of the waits that safety asks for."""

    plan: Plan | None = key(
        GUARD.plan,
        "Where the two exits rest, if you insist; null chooses the safest the venue is capable of.",
        strict=False,
    )
    allow_synthetic: bool = key(
        GUARD.allow_synthetic,
        "Accept a venue without stop orders: nothing rests there, so a dead process means no stop.",
    )
    stop_retry_attempts: int = key(
        GUARD.stop_retry_attempts,
        "How often a refused stop is sent again before the next rung.",
        "attempts",
        ge=0,
        le=100,
    )
    stop_retry_delay_s: Number = key(
        GUARD.stop_retry_delay_s,
        "First wait before a refused stop is sent again; doubles each time. The position is naked meanwhile.",
        "seconds",
        gt=0,
        le=60,
    )
    local_stop_s: Number = key(
        GUARD.local_stop_s,
        "How long a stop the venue refused may be watched from here before we leave at market.",
        "seconds",
        ge=0,
        le=3_600,
    )
    exit_collar_bps: Number = key(
        GUARD.exit_collar_bps,
        "How far through the last price the first marketable exit may go; doubles each time, then market.",
        "basis points of the price",
        ge=0,
        le=10_000,
    )
    exit_collar_attempts: int = key(
        GUARD.exit_collar_attempts, "Exits sent with a collar before one goes at market.", "attempts", ge=0, le=100
    )
    stop_limit_bps: Number = key(
        GUARD.stop_limit_bps,
        "How far beyond the stop its limit stands, on venues that have stop-limits only: further fills more surely.",
        "basis points of the price",
        ge=0,
        le=10_000,
    )
    exit_retry_delay_s: Number = key(
        GUARD.exit_retry_delay_s, "Wait between two attempts to get out.", "seconds", gt=0, le=60
    )
    cancel_requery_s: Number = key(
        GUARD.cancel_requery_s,
        "A request without a final answer is asked about again after this long.",
        "seconds",
        gt=0,
        le=60,
    )
    clock_skew_s: Number = key(
        GUARD.clock_skew_s, "How far the venue's clock may differ from ours.", "seconds", ge=0, le=60
    )
    read_lag_s: Number = key(
        GUARD.read_lag_s,
        "How old the venue's answers may be: 'no such order' counts only after this long.",
        "seconds",
        ge=0,
        le=300,
    )
    other_stop_type_after: int = key(
        GUARD.other_stop_type_after,
        "After so many failures of a stop one attempt is made with the other type (stop-limit); 0: never.",
        "failures",
        ge=0,
        le=100,
    )
    max_denied_stops: int = key(
        GUARD.max_denied_stops,
        "When the venue denies knowing so many stops it held, no more are sent until it admits one: they may all rest.",
        "orders",
        ge=1,
        le=10,
    )
    naked_alarm_s: Number = key(
        GUARD.naked_alarm_s,
        "A position without its whole protection for this long is an alarm; again at 4, 9, 16 ... times that.",
        "seconds",
        gt=0,
        le=60,
    )
    max_stops: int = key(
        GUARD.max_stops,
        "More additive stops than this on one bracket are merged where the venue can amend.",
        "orders",
        ge=1,
        le=1_000,
    )
    rearm_at_open_s: int = key(
        GUARD.rearm_at_open_s,
        "Where orders live for a day: stops are armed again so long after the next open, or (negative) before it.",
        "seconds",
        ge=-43_200,
        le=3_600,
    )
