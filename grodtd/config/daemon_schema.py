"""`daemon.yaml`: what the daemon watches itself by, and how much it keeps. No key here changes how a bracket trades."""

from decimal import Decimal

import msgspec

from grodtd.config.block import Block
from grodtd.config.fields import Number, key


class DaemonSettings(msgspec.Struct, frozen=True):
    """What `daemon.yaml` says, checked. Ranges and meanings stand with the keys below."""

    orders_silent_s: Decimal = Decimal(30)
    prices_silent_s: Decimal = Decimal(60)
    clock_warn_s: Decimal = Decimal(1)
    clock_refuse_s: Decimal = Decimal(10)
    snapshot_every: int = 10_000
    ended_kept_days: int = 30
    ended_kept: int = 10_000


BUILT_IN = DaemonSettings()


class Silence(Block):
    """How long a stream that should speak may be silent before somebody is told."""

    orders_s: Number = key(
        BUILT_IN.orders_silent_s,
        "How long the order stream may leave out what a comparison with the venue found, or comparisons may fail while "
        "it says nothing, before that is an alarm. A calm account, where nothing happens, is none.",
        "seconds",
        ge=1,
        le=3_600,
    )
    prices_s: Number = key(
        BUILT_IN.prices_silent_s,
        "How old the last quote of a symbol with an open bracket may be, while its market is open, before that is an "
        "alarm: levels watched here cannot trigger.",
        "seconds",
        ge=1,
        le=86_400,
    )


class ClockLimits(Block):
    """How far this computer's clock may be from the venue's. Orders are timed by the venue's where it tells one."""

    warn_beyond_s: Number = key(BUILT_IN.clock_warn_s, "Farther off than this is a warning.", "seconds", gt=0, le=3_600)
    refuse_beyond_s: Number = key(
        BUILT_IN.clock_refuse_s,
        "Farther off than this no new entry is taken: the venue would refuse what is signed with such a clock.",
        "seconds",
        gt=0,
        le=3_600,
    )


class Kept(Block):
    """What is kept where. The journal keeps everything, whatever stands here."""

    snapshot_every: int = key(
        BUILT_IN.snapshot_every,
        "Journal records from one snapshot of the state to the next; a restart folds at most about as many.",
        "records",
        ge=100,
        le=10_000_000,
    )
    ended_days: int = key(
        BUILT_IN.ended_kept_days,
        "How long an ended bracket stays in memory (show, brackets --ended); explain tells it from the journal for "
        "ever.",
        "days",
        ge=1,
        le=3_650,
    )
    ended_most: int = key(
        BUILT_IN.ended_kept,
        "How many ended brackets stay in memory, the latest ones; what ended within the last hour stays in any case.",
        "brackets",
        ge=0,
        le=1_000_000,
    )


class DaemonBlock(Block):
    """What the daemon watches itself by, and how much it keeps."""

    silence: Silence = Silence()
    clock: ClockLimits = ClockLimits()
    kept: Kept = Kept()


def to_daemon(block: DaemonBlock) -> DaemonSettings:
    """Turn the checked block into plain values."""
    return DaemonSettings(
        orders_silent_s=block.silence.orders_s,
        prices_silent_s=block.silence.prices_s,
        clock_warn_s=block.clock.warn_beyond_s,
        clock_refuse_s=block.clock.refuse_beyond_s,
        snapshot_every=block.kept.snapshot_every,
        ended_kept_days=block.kept.ended_days,
        ended_kept=block.kept.ended_most,
    )
