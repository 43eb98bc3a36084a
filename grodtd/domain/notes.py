"""Notes: decisions in a form a person can follow. The journal keeps them, `explain` puts them in words."""

from enum import StrEnum

import msgspec


class NoteKind(StrEnum):
    """What a note tells. The words of `explain` are keyed on these."""

    BRACKET_OPENED = "bracket_opened"
    PLAN_CHOSEN = "plan_chosen"
    LEVELS_SET = "levels_set"
    ENTRY_FILLED = "entry_filled"
    ENTRY_ENDED = "entry_ended"
    ENTRY_TIMED_OUT = "entry_timed_out"
    STOP_PLACED = "stop_placed"
    STOP_GROWN = "stop_grown"
    STOP_RESTING = "stop_resting"
    TARGET_PLACED = "target_placed"
    TARGET_RESTING = "target_resting"
    TARGET_TOUCHED = "target_touched"
    TARGET_MISSED = "target_missed"
    TARGET_LOST = "target_lost"
    EXITS_SHRUNK = "exits_shrunk"
    EXIT_FILLED = "exit_filled"
    STOP_REFUSED = "stop_refused"
    STOP_LOST = "stop_lost"
    LOCAL_STOP = "local_stop"
    STOP_CROSSED = "stop_crossed"
    LEAVING = "leaving"
    EXIT_SENT = "exit_sent"
    EXIT_REFUSED = "exit_refused"
    STOP_RESTORED = "stop_restored"
    CANCEL_ASKED = "cancel_asked"
    MARKET_CLOSED = "market_closed"
    """A position is held over a close without its exits: exposed by design."""
    MARKET_OPENS = "market_opens"
    """They are armed again."""
    NAKED = "naked"
    COVERED = "covered"
    OVERSOLD = "oversold"
    RESIDUE = "residue"
    CLOSED = "closed"
    REOPENED = "reopened"
    FROZEN = "frozen"
    THAWED = "thawed"
    UNKNOWN_OUTCOME = "unknown_outcome"
    PROVEN_DEAD = "proven_dead"
    LEVELS_CHANGED = "levels_changed"
    STOP_MOVED = "stop_moved"
    """Its own rules brought it nearer: trailing, break-even, a lock."""
    TARGETS_SET = "targets_set"
    TARGET_TAKEN = "target_taken"
    """One of several targets is sold out."""
    CHANGE_REFUSED = "change_refused"
    RELEASED = "released"
    DEMOTED = "demoted"
    STOPS_DENIED = "stops_denied"
    REDUCED_ELSEWHERE = "reduced_elsewhere"
    ADDED_ELSEWHERE = "added_elsewhere"
    FLIPPED_ELSEWHERE = "flipped_elsewhere"
    EXTERNALLY_CLOSED = "externally_closed"
    EXIT_AFTER_HAND = "exit_after_hand"
    UNEXPLAINED_FILL = "unexplained_fill"
    """A fill of a bracket that ended long ago and was dropped from memory."""
    ENTRY_SENT = "entry_sent"
    ENTRY_REFUSED = "entry_refused"
    ENTRIES_PAUSED = "entries_paused"
    ENTRIES_RESUMED = "entries_resumed"
    ORPHAN = "orphan"
    IGNORED = "ignored"


class Severity(StrEnum):
    """How loudly a note is told."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


class Note(msgspec.Struct, frozen=True, tag=True, gc=False):
    """One decision: which bracket, when, what kind, and the numbers it rests on (already as text)."""

    kind: NoteKind
    bracket_id: str
    ts_ns: int
    data: dict[str, str] = {}
    severity: Severity = Severity.INFO
