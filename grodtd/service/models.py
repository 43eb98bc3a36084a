"""What goes over the wire. Decimal numbers are text, exact; times are nanoseconds since the epoch, ages seconds.

The answers mirror `monitoring/status_values.py`: the wire is a contract of its own, so it is written down here.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

DecimalText = Annotated[str, Field(description="a decimal number, exact", examples=["187.2"])]


def _number(value: object) -> object:
    """Take a number as it was written; JSON's own numbers would have been rounded on their way."""
    return repr(value) if isinstance(value, float) else value


def _above_zero(value: Decimal) -> Decimal:
    if not value.is_finite() or value <= 0:
        raise ValueError("must be above 0")
    if value.adjusted() > 18 or int(value.as_tuple().exponent) < -18:
        raise ValueError("has too many digits")
    return value


Positive = Annotated[Decimal, BeforeValidator(_number), AfterValidator(_above_zero)]
SideText = Literal["buy", "sell"]
Reason = Annotated[str, Field(max_length=500)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,24}$", description="1 to 24 letters, digits, '_' or '-'")]
OrderId = Annotated[str, Field(min_length=1, max_length=64)]
Symbol = Annotated[str, Field(min_length=1, max_length=32)]


class Asked(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


Settings = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=100)]],
    Field(
        max_length=50,
        description="keys of trade_exit this bracket has of its own, values as text",
        examples=[{"trailing.method": "percent", "trailing.amount": "0.02"}],
    ),
]


class ProtectRequest(Asked):
    """Look after a position: one that is held (`price` is what it was filled at), or an entry order's to come."""

    symbol: Symbol
    side: SideText = Field(description="the entry's: buy is a long")
    quantity: Positive
    price: Positive | None = Field(None, description="average price of the fill; not with entry_order")
    bracket_id: Name | None = Field(None, description="when absent it follows from the entry, the fill, or the facts")
    fill_id: OrderId | None = Field(None, description="your broker's id of the fill: names the bracket")
    stop_price: Positive | None = None
    target_price: Positive | None = None
    strategy: str = "default"
    condition: str | None = Field(None, description="market condition for ratios that follow it")
    entry_order: OrderId | None = Field(None, description="client id of an entry order in the account")
    settings: Settings = {}


class OpenRequest(Asked):
    """Open a trade: at market, at `limit_price` or better, or once the market has reached `trigger_price`."""

    symbol: Symbol
    side: SideText = Field(description="buy is a long")
    quantity: Positive | None = Field(None, description="when absent it follows from the risk and the stop's distance")
    risk: Positive | None = Field(None, description="fraction of equity to lose at the stop; not with quantity")
    limit_price: Positive | None = None
    trigger_price: Positive | None = None
    stop_price: Positive | None = Field(None, description="when absent it follows from ATR and policy")
    target_price: Positive | None = None
    bracket_id: Name | None = Field(None, description="asked twice under one name it is opened once; else a new name")
    strategy: str = "default"
    condition: str | None = Field(None, description="market condition for ratios that follow it")
    settings: Settings = {}


class WhyRequest(Asked):
    """A reason, kept in the journal."""

    reason: Reason = ""


class ReleaseRequest(Asked):
    """Stop looking after a bracket."""

    reason: Reason = Field(min_length=1)
    keep_orders: bool = Field(default=False, description="leave our exits resting at the venue")


class PaperOrderRequest(Asked):
    """An order by another hand, in the paper account: at market, or at `limit_price` or better."""

    symbol: Symbol
    side: SideText
    quantity: Positive
    limit_price: Positive | None = None
    order_id: OrderId | None = None


class Answer(BaseModel):
    """An answer holds what it says it holds, no less and no more."""

    model_config = ConfigDict(extra="forbid")


class Problem(Answer):
    """An error (RFC 9457): `code` is stable, for programs; `detail` says what to do, for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str


class Order(Answer):
    """One order of a bracket."""

    client_order_id: str
    leg: str
    state: str
    side: str
    order_type: str
    quantity: DecimalText
    filled_qty: DecimalText
    leaves_qty: DecimalText
    stop_px: DecimalText | None
    limit_px: DecimalText | None
    age_s: float
    reason: str


class Bracket(Answer):
    """One bracket: sellable = protected + unknown + exposed."""

    bracket_id: str
    symbol: str
    side: str
    strategy: str
    phase: str
    level: Literal["ok", "warning", "alarm"]
    verdict: str
    open_qty: DecimalText
    protected_qty: DecimalText
    unknown_qty: DecimalText
    exposed_qty: DecimalText
    residue_qty: DecimalText
    seconds_naked: float
    naked_total_s: float
    entry_px: DecimalText | None
    stop_px: DecimalText | None
    target_px: DecimalText | None
    last_px: DecimalText | None
    r_now: DecimalText | None
    plan: str
    plan_reason: str
    fallback: bool
    atr_px: DecimalText | None
    ratio: DecimalText | None
    policy: str
    frozen_reason: str
    exit_reason: str
    opened_ns: int
    closed_ns: int | None
    orders: list[Order]
    ruler: str


class Brackets(Answer):
    """Some brackets, and what else there is to say."""

    brackets: list[Bracket]
    remarks: list[str] = []


class Unresolved(Answer):
    """A request the venue has not answered for good."""

    bracket_id: str
    client_order_id: str
    state: str
    age_s: float


class Warmth(Answer):
    """Whether a new bracket would have an ATR; if not, why."""

    symbol: str
    strategy: str
    interval_s: int
    bars: int
    needed: int
    atr_px: DecimalText | None
    why_no_atr: str
    condition: str | None = None
    why_no_condition: str = ""


class SymbolStatus(Answer):
    """One symbol."""

    symbol: str
    brackets: int
    open_qty: DecimalText
    protected_qty: DecimalText
    unknown_qty: DecimalText
    exposed_qty: DecimalText
    bid: DecimalText | None
    ask: DecimalText | None
    quote_age_s: float | None
    warmth: list[Warmth]


class Totals(Answer):
    """Over all brackets."""

    open_brackets: int
    exposed_brackets: int
    unknown_brackets: int
    open_qty: DecimalText
    protected_qty: DecimalText
    unknown_qty: DecimalText
    exposed_qty: DecimalText


class Alarm(Answer):
    """A warning or an alarm of the recent past."""

    ts_ns: int
    bracket_id: str
    severity: str
    words: str


class Feed(Answer):
    """The recording that is played."""

    source: str
    played: int
    total: int
    market_ns: int | None
    speed: str
    ended: bool


class Daemon(Answer):
    """The process."""

    version: str
    mode: str
    account: str
    pid: int
    uptime_s: float
    config_fingerprint: str
    journal: str
    last_seq: int
    lease_epoch: int
    lease_s: float


class Status(Answer):
    """How things stand, the most important first."""

    level: Literal["ok", "warning", "alarm"]
    verdict: str
    totals: Totals
    seconds_naked: float
    last_quote_age_s: float | None
    last_report_age_s: float | None
    unresolved: list[Unresolved]
    problems: list[str]
    brackets: list[Bracket]
    symbols: list[SymbolStatus]
    entries_paused: str
    link_up: bool
    compared: bool
    orphans: list[str]
    alarms: list[Alarm]
    feed: Feed | None
    silent: list[str]
    snapshot_error: str
    clock_off_s: float | None
    daemon: Daemon


class Entries(Answer):
    """Whether new brackets are taken; `paused` says why not, and is empty when they are."""

    paused: str


class Position(Answer):
    """What the account holds of a symbol, and how much of it brackets look after; both signed."""

    symbol: str
    account_qty: DecimalText
    brackets_qty: DecimalText
    unprotected_qty: DecimalText


class OpenOrder(Answer):
    """An open order at the venue."""

    client_order_id: str
    symbol: str
    side: str
    order_type: str
    leaves_qty: DecimalText
    stop_px: DecimalText | None
    limit_px: DecimalText | None


class Compared(Answer):
    """What a comparison with the venue came to."""

    complete: bool
    why: str
    facts: int
    corrections: int
    orphans: list[OpenOrder]
    positions: list[Position]


class Story(Answer):
    """A bracket's life in words, line by line."""

    bracket_id: str
    lines: list[str]


class PaperOrder(Answer):
    """What became of an order at once."""

    client_order_id: str
    status: str
    filled_qty: DecimalText
    avg_px: DecimalText | None
    reason: str
