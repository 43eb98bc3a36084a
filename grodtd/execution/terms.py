"""What a decision is made under, and the sheet it is written on.

`Terms` are shared by every bracket of one symbol and policy; `Step` collects what one fact led to.
"""

from decimal import Decimal

import msgspec

from grodtd.domain.capabilities import Capabilities
from grodtd.domain.commands import Command
from grodtd.domain.instrument import FeeAsset, Instrument
from grodtd.domain.money import ZERO, plain
from grodtd.domain.notes import Note, NoteKind, Severity
from grodtd.domain.policy import NS_PER_S, Policy, seconds_ns


class Terms(msgspec.Struct, frozen=True, eq=False):
    """Policy, trading rules and venue abilities one bracket lives under; times already in nanoseconds."""

    policy: Policy
    instrument: Instrument
    capabilities: Capabilities
    requery_ns: int
    stop_retry_ns: int
    exit_retry_ns: int
    local_stop_ns: int
    naked_alarm_ns: int
    read_lag_ns: int
    late_ns: int
    """How long after sending an order without `valid_until` may still come to life."""
    base_fee_rate: Decimal = ZERO
    """Fee taken out of the units themselves, as a fraction; 0 where fees are money."""
    fingerprint: str = ""
    """The policy's, worked out once."""
    session_ends_ns: tuple[int, ...] = ()
    """Ends of the symbol's sessions, oldest first; empty where none are known."""
    weekend_ns: tuple[int, ...] = ()
    """Those of them before a weekend."""
    session_opens_ns: tuple[int, ...] = ()
    """Beginnings of the symbol's sessions, oldest first."""
    rearm_after_ns: int = 0
    """How long after an open exits that died with their day are armed again; negative: before it."""
    wants_bars: bool = False
    """Whether its brackets must be told of closed bars."""
    rules: bool = False
    """Whether the policy does more than guard a stop and one target: see `exit_rules`."""

    @classmethod
    def of(
        cls,
        policy: Policy,
        instrument: Instrument,
        capabilities: Capabilities,
        sessions: tuple[tuple[int, ...], ...] = ((), (), ()),
    ) -> "Terms":
        """Work out once what every fact of a bracket would ask for again; `sessions`: ends, weekends, beginnings."""
        protection = policy.protection
        return cls(
            policy=policy,
            instrument=instrument,
            capabilities=capabilities,
            requery_ns=seconds_ns(protection.cancel_requery_s),
            stop_retry_ns=seconds_ns(protection.stop_retry_delay_s),
            exit_retry_ns=seconds_ns(protection.exit_retry_delay_s),
            local_stop_ns=seconds_ns(protection.local_stop_s),
            naked_alarm_ns=seconds_ns(protection.naked_alarm_s),
            read_lag_ns=seconds_ns(protection.read_lag_s + protection.clock_skew_s),
            late_ns=seconds_ns(capabilities.late_bound_s),
            fingerprint=policy.fingerprint,
            session_ends_ns=sessions[0],
            weekend_ns=sessions[1],
            session_opens_ns=sessions[2],
            rearm_after_ns=protection.rearm_at_open_s * NS_PER_S,
            wants_bars=policy.wants_bars,
            rules=policy.has_rules,
            base_fee_rate=instrument.fee_rate if instrument.fee_asset is FeeAsset.BASE else ZERO,
        )


class Step:
    """One fact's sheet: the time it is, the commands it led to, the decisions to tell."""

    __slots__ = ("bracket_id", "commands", "notes", "now_ns")

    def __init__(self, now_ns: int, bracket_id: str = "") -> None:
        """Begin an empty sheet at `now_ns`."""
        self.now_ns = now_ns
        self.bracket_id = bracket_id
        self.commands: list[Command] = []
        self.notes: list[Note] = []

    def tell(self, kind: NoteKind, severity: Severity = Severity.INFO, /, **data: str | int | Decimal | None) -> None:
        """Write a note down; numbers become plain text, None is left out."""
        texts = {
            key: value if type(value) is str else plain(value) if isinstance(value, Decimal) else str(value)
            for key, value in data.items()
            if value is not None
        }
        self.notes.append(Note(kind, self.bracket_id, self.now_ns, texts, severity))
