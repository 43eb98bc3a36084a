"""`brokers.yaml`: which account the daemon trades, what the paper account is like, and whose fills it protects.

One block a kind of broker, so that each has exactly the keys it understands; `use` names the one in force.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field

from grodtd.config.block import Block, Unset
from grodtd.config.fields import Kind, Named, Number, Symbol, exact, key
from grodtd.domain.money import plain


class BrokerKind(StrEnum):
    """The brokers there are."""

    PAPER = "paper"


class PaperProfile(StrEnum):
    """What the paper venue is able to do: the profiles of `venue/profiles.py`."""

    SPOT_LOCKED = "spot_locked"
    SPOT_OCO = "spot_oco"
    PERP = "perp"
    MARGIN = "margin"
    NO_STOPS = "no_stops"


class PaperSettings(msgspec.Struct, frozen=True):
    """The simulated account. An infinite `speed` plays the feed as fast as it is taken in."""

    profile: str = "margin"
    cash: Decimal = Decimal(100_000)
    latency_ms: int = 0
    feed: str | None = None
    speed: Decimal = Decimal(1)


class WatchSettings(msgspec.Struct, frozen=True):
    """Whose fills are protected without being asked: a strategy by symbol, or by the beginning of the order id."""

    symbols: dict[str, str] = {}
    client_id_prefixes: dict[str, str] = {}


class BrokerSettings(msgspec.Struct, frozen=True):
    """What `brokers.yaml` says, checked."""

    use: str = "paper"
    paper: PaperSettings = PaperSettings()
    watch: WatchSettings = WatchSettings()


PAPER = PaperSettings()
MAX_SPEED = Decimal("Infinity")


def parse_speed(value: Any) -> Decimal:
    """Return how many times faster than it was recorded a feed is played; `max` is infinitely.

    >>> parse_speed("60"), parse_speed("max")
    (Decimal('60'), Decimal('Infinity'))
    """
    if value == "max":
        return MAX_SPEED
    try:
        speed = exact(Decimal(value) if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError("") from None
    if not 0 < speed <= 1_000_000:
        raise ValueError("")
    return speed


def show_speed(speed: Decimal) -> str:
    """Write a speed as the file does.

    >>> show_speed(parse_speed("max")), show_speed(Decimal("60.0"))
    ('max', '60')
    """
    return plain(speed) if speed.is_finite() else "max"


def _prefix(value: str) -> str:
    if not 1 <= len(value) <= 32 or not value.isprintable() or "__" in value or " " in value:
        raise ValueError("")
    return value


Prefix = Annotated[
    str, AfterValidator(_prefix), Named("<prefix>", "the beginning of an order's client id, 1 to 32 characters")
]
Speed = Annotated[
    Decimal,
    Field(allow_inf_nan=True),
    BeforeValidator(parse_speed),
    Kind("a number above 0 and at most 1000000, or max", show_speed),
]
WatchedStrategy = Annotated[str, Kind("the name of a strategy of trade_exit.yaml, or default", str)]
FeedPath = Annotated[str, Kind("the path of a file", str), Field(min_length=1, max_length=4096)]


class Paper(Block):
    """The simulated account: it trades the prices of a file, at no risk."""

    profile: PaperProfile = key(
        PaperProfile(PAPER.profile),
        "What the simulated venue can do, and so which placement plan brackets get: a coin exchange without or with "
        "linked pairs, perpetuals, a stock broker, or a venue without stop orders.",
        strict=False,
    )
    cash: Number = key(PAPER.cash, "Money in the account when it is made.", "quote currency", ge=0, le=10**12)
    latency_ms: int = key(
        PAPER.latency_ms,
        "How long a request and its answer each travel; 0 answers at once.",
        "milliseconds",
        ge=0,
        le=60_000,
    )
    feed: FeedPath | None = key(
        PAPER.feed,
        "Quotes or bars played into the account, a path from this folder on; --feed takes its place. null: none.",
    )
    speed: Speed = key(
        PAPER.speed,
        "How many times faster than recorded the feed is played; max waits for nothing but the program itself.",
        "times",
    )


class Watch(Block):
    """Fills of other hands in the account that are protected without being asked."""

    symbols: Annotated[dict[Symbol, WatchedStrategy], Unset] = key(
        {}, "Symbols in which every fill that opens a position is protected, each with the strategy to use."
    )
    client_id_prefixes: Annotated[dict[Prefix, WatchedStrategy], Unset] = key(
        {}, "Beginnings of client order ids whose fills are protected, each with the strategy to use."
    )


class Brokers(Block):
    """The account the daemon trades."""

    use: BrokerKind = key(
        BrokerKind.PAPER, "Which of the brokers below is traded; --broker takes its place.", strict=False
    )
    paper: Paper = Paper()
    watch: Watch = Watch()


def to_settings(block: Brokers) -> BrokerSettings:
    """Turn the checked file into plain values."""
    return BrokerSettings(
        use=str(block.use),
        paper=PaperSettings(**{**block.paper.model_dump(), "profile": str(block.paper.profile)}),
        watch=WatchSettings(**block.watch.model_dump()),
    )


def unknown_strategies(block: Brokers, known: set[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path and name of every watched strategy that is not configured."""
    for group in ("symbols", "client_id_prefixes"):
        for name, strategy in getattr(block.watch, group).items():
            if strategy not in known:
                yield ("watch", group, name), strategy


__all__ = [
    "BrokerKind",
    "BrokerSettings",
    "Brokers",
    "PaperSettings",
    "WatchSettings",
    "parse_speed",
    "to_settings",
    "unknown_strategies",
]
