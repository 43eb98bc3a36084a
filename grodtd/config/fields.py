"""Kinds of values a key can hold: how each is read, what is allowed, and how it is shown again.

What a validator raises says why a value is refused; it is empty where the words of `allowed` say it all.
"""

import re
from collections.abc import Callable, Sequence
from datetime import time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BeforeValidator, Field

from grodtd.config.calendars import calendar_code
from grodtd.domain.money import plain

MOST_DECIMALS = 18

Value = str | int | bool | None
"""A value as it is shown and kept: numbers with decimals are text, so that nothing rounds them."""

SECONDS_PER = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LENGTH = re.compile(r"([1-9][0-9]{0,6})([smhd])")
_PLAIN_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Kind(NamedTuple):
    """Marks a type whose values are written as text: what may be written, and how a value is written again."""

    allowed: str
    show: Callable[[Any], str]


class Named(NamedTuple):
    """Marks the names of a block whose keys are free, such as symbols."""

    placeholder: str
    allowed: str
    of_variable: Callable[[str], str] = str.lower
    """How a name no file uses is spelt, from what stands in a variable."""


def exact(value: Any) -> Decimal:
    """Take a number as it was written; 2 and 2.0 are one value. Text and true/false are no numbers.

    >>> exact(Decimal("1.50")), exact(2)
    (Decimal('1.5'), Decimal('2'))
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("")  # noqa: TRY004 - pydantic collects ValueError only
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() > MOST_DECIMALS:
        raise ValueError("")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MOST_DECIMALS:
        raise ValueError(f"more than {MOST_DECIMALS} decimals")
    return Decimal(plain(number))


def shown(value: Any) -> Value:
    """Return a checked value as it is shown and kept.

    >>> shown(Decimal("2.50")), shown(14), shown(None)
    ('2.5', 14, None)
    """
    if isinstance(value, Decimal):
        return plain(value)
    return str(value) if isinstance(value, str) else value


def word(value: Value) -> str:
    """Write a shown value as YAML writes it.

    >>> word(True), word(None), word("2.5")
    ('true', 'null', '2.5')
    """
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def parse_duration(value: Any) -> int:
    """Return the seconds of a length of time written with its unit: 30s, 5m, 1h, 1d.

    >>> parse_duration("90m"), parse_duration("1d")
    (5400, 86400)
    """
    match = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("")
    return int(match[1]) * SECONDS_PER[match[2]]


def format_duration(seconds: int) -> str:
    """Write whole seconds with the largest unit that fits.

    >>> format_duration(5400), format_duration(86400)
    ('90m', '1d')
    """
    unit = next(unit for unit, size in SECONDS_PER.items() if seconds % size == 0)
    return f"{seconds // SECONDS_PER[unit]}{unit}"


def parse_time_of_day(value: Any) -> time:
    """Return a time of day written as HH:MM."""
    match = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("")
    return time(int(match[1]), int(match[2]))


def parse_r(name: str) -> Decimal:
    """Return the initial risks a name says, above 0 and at most 100: 2, 1.5.

    >>> parse_r("1.5")
    Decimal('1.5')
    """
    if not _PLAIN_NUMBER.fullmatch(name) or not 0 < Decimal(name) <= 100:
        raise ValueError("")
    return Decimal(name)


class Place(NamedTuple):
    """Where a scale-out step stands: so many initial risks in profit, or at a price. One of the two is set."""

    at_r: Decimal | None = None
    px: Decimal | None = None


def parse_place(name: str) -> Place:
    """Return the place a name says: 2R, 1.5R, or px 105.20.

    >>> parse_place("1.5R"), parse_place("px 105.20")
    (Place(at_r=Decimal('1.5'), px=None), Place(at_r=None, px=Decimal('105.20')))
    """
    word, _, price = name.rpartition(" ")
    if word == "px" and _PLAIN_NUMBER.fullmatch(price) and Decimal(price) > 0:
        return Place(px=Decimal(price))
    if not name.endswith("R"):
        raise ValueError("")
    return Place(at_r=parse_r(name[:-1]))


def _checked(parse: Callable[[str], object]) -> AfterValidator:
    """Keep a name as it is written, once `parse` understands it."""

    def check(name: str) -> str:
        parse(name)
        return name

    return AfterValidator(check)


def _r_of_variable(segment: str) -> str:
    return segment.replace("_", ".", 1)


def _place_of_variable(segment: str) -> str:
    word, _, price = segment.upper().partition("_")
    return f"px {_r_of_variable(price)}" if word == "PX" else _r_of_variable(segment.upper())


def _strategy_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value) or value.lower() == "default":
        raise ValueError("")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[^\s\x00-\x1f\x7f]{1,32}", value) or "__" in value:
        raise ValueError("")
    return value


Number = Annotated[Decimal, BeforeValidator(exact)]
Ratio = Annotated[Number, Field(gt=0, le=100)]
Factor = Annotated[Number, Field(gt=0, le=10)]
Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(ge=1, le=7 * 86_400),
    Kind("a length of time with its unit (30s, 5m, 1h, 1d), from 1s to 7d", format_duration),
]
Deadline = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(ge=1, le=365 * 86_400),
    Kind("a length of time with its unit (30s, 5m, 4h, 10d), from 1s to 365d", format_duration),
]
TimeOfDay = Annotated[
    time,
    BeforeValidator(parse_time_of_day),
    Kind("a time of day as HH:MM, from 00:00 to 23:59", lambda value: value.strftime("%H:%M")),
]
Calendar = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9/_]{1,16}$"),
    AfterValidator(calendar_code),
    Kind("a calendar's code such as XNYS", str),
]
_FREE_NAME = "1 to 32 characters without blanks and without __"
Symbol = Annotated[str, AfterValidator(_name), Named("<symbol>", f"a symbol of {_FREE_NAME}", str.upper)]
Condition = Annotated[str, AfterValidator(_name), Named("<condition>", f"a condition's name of {_FREE_NAME}")]
RiskMultiple = Annotated[
    str, _checked(parse_r), Named("<r>", "initial risks in profit, above 0 and at most 100, such as 2", _r_of_variable)
]
StepPlace = Annotated[
    str,
    _checked(parse_place),
    Named("<place>", "initial risks in profit such as 1.5R, or a price such as px 105.20", _place_of_variable),
]
StrategyName = Annotated[
    str,
    AfterValidator(_strategy_name),
    Named(
        "<strategy>",
        "a name of 1 to 32 letters, digits, _ and - (default is the policy at trade_exit itself)",
    ),
]


def key(default: Any, why: str, unit: str = "", **bounds: Any) -> Any:
    """Declare one key: its built-in default, why it is there, its unit, and its bounds (gt, ge, lt, le)."""
    return Field(default, description=why, json_schema_extra={"unit": unit}, **bounds)


def allowed(base: Any, metadata: Sequence[Any], *, optional: bool) -> str:
    """Say in words which values a key takes; `base` is its type without `| None`, `metadata` its marks and bounds."""
    kinds = [mark.allowed for mark in metadata if isinstance(mark, Kind)]
    if kinds:
        words = kinds[0]
    elif isinstance(base, type) and issubclass(base, StrEnum):
        words = "one of " + ", ".join(base)
    elif base is bool:
        words = "true or false"
    elif base is str:
        words = "text"
    else:
        words = ("a whole number" if base is int else "a number") + _bounds(metadata)
    return f"{words}, or null" if optional else words


def _bounds(metadata: Sequence[Any]) -> str:
    low = high = ""
    inclusive = False
    for mark in metadata:
        match mark:
            case Ge():
                low, inclusive = f"{mark.ge}", True
            case Gt():
                low = f"above {mark.gt}"
            case Le():
                high = f"{mark.le}"
            case Lt():
                high = f"below {mark.lt}"
            case _:
                pass
    if inclusive and high and not high.startswith("below"):
        return f" from {low} to {high}"
    parts = [f"{low} or more" if inclusive else low, high if high.startswith("below") else f"at most {high}"]
    return " " + " and ".join(part for part in parts if part and part != "at most ")
