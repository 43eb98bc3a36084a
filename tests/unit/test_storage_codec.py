"""Payloads: every fact, command and note comes back as it went in, as the same bytes on any Python."""

import types
import typing
from decimal import Decimal
from enum import Enum

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grodtd.domain.commands import CancelOrder, Command, SubmitOrder
from grodtd.domain.events import Event, InstrumentsLoaded, LinkStatus, PoliciesLoaded
from grodtd.domain.notes import Note, NoteKind
from grodtd.domain.orders import ExecutionReport, NewOrder, OrderStatus, OrderType, Side
from grodtd.domain.policy import Policy, RiskRewardPolicy
from grodtd.ports import Record
from grodtd.storage import codec
from grodtd.storage.errors import RecordUnreadable

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e18"), max_value=Decimal("1e18"))
NANOSECONDS = st.integers(min_value=0, max_value=2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


def any_of(kind: object) -> st.SearchStrategy[object]:
    """A strategy for any annotation the domain uses."""
    if kind is Decimal:
        return DECIMALS
    if kind is int:
        return NANOSECONDS
    if kind is str:
        return TEXTS
    if kind is bool:
        return st.booleans()
    if kind is type(None):
        return st.none()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: any_of(field.type) for field in msgspec.structs.fields(kind)}
        return st.builds(kind, **fields)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([any_of(one) for one in arguments])
    if origin is dict:
        return st.dictionaries(any_of(arguments[0]), any_of(arguments[1]), max_size=2)
    if origin is tuple:
        return st.lists(any_of(arguments[0]), max_size=2).map(tuple)
    raise AssertionError(f"a new kind of field, teach this test about it: {kind!r}")


LARGE = (PoliciesLoaded, InstrumentsLoaded)  # dozens of fields each: slow to draw


@pytest.mark.parametrize("kind", typing.get_args(Event), ids=lambda kind: kind.__name__)
def test_every_fact_comes_back_as_it_went_in(kind):
    @settings(max_examples=8 if kind in LARGE else 25)
    @given(any_of(kind))
    def round_trip(fact):
        payload = codec.encode_fact(fact)
        assert codec.decode_fact(payload) == fact
        assert codec.encode_fact(codec.decode_fact(payload)) == payload

    round_trip()


@settings(max_examples=25)
@given(any_of(Command))
def test_every_command_comes_back_as_it_went_in(command):
    assert codec.decode_command(codec.encode_command(command)) == command


@settings(max_examples=25)
@given(any_of(Note))
def test_every_note_comes_back_as_it_went_in(note):
    assert codec.decode_note(codec.encode_note(note)) == note


@pytest.mark.parametrize("digits", ["1E+2", "100", "0.10", "0.1", "-0", "1E-9", "123456789012345678901234567890.5"])
def test_a_price_keeps_every_digit_and_zero_it_was_written_with(digits):
    back = codec.decode_fact(
        codec.encode_fact(ExecutionReport("B7.stop1", OrderStatus.FILLED, last_px=Decimal(digits)))
    )
    assert str(back.last_px) == digits


def test_the_order_in_which_a_file_names_symbols_does_not_change_the_bytes():
    one = Policy(risk_reward=RiskRewardPolicy(symbol_specific_ratios={"AAPL": Decimal(2), "TSLA": Decimal(3)}))
    two = Policy(risk_reward=RiskRewardPolicy(symbol_specific_ratios={"TSLA": Decimal(3), "AAPL": Decimal(2)}))
    assert codec.encode(PoliciesLoaded({"a": one, "b": one})) == codec.encode(PoliciesLoaded({"b": two, "a": two}))


def test_the_bytes_are_the_same_on_every_python():
    """A journal written under 3.11 must have the same checksums when a later Python replays it."""
    stop = NewOrder("B7.stop1", "AAPL", Side.SELL, OrderType.STOP, Decimal(100), stop_px=Decimal("184.10"))
    assert codec.encode(SubmitOrder("B7", stop)) == (
        b'{"type":"SubmitOrder","bracket_id":"B7","order":{"client_order_id":"B7.stop1","symbol":"AAPL","side":"sell",'
        b'"order_type":"stop","quantity":"100","stop_px":"184.10","limit_px":null,"time_in_force":"gtc",'
        b'"reduce_only":false,"valid_until_ns":null}}'
    )
    assert codec.encode(Note(NoteKind.STOP_PLACED, "B7", 2, {"stop_px": "184.10", "atr_px": "1.55"})) == (
        b'{"type":"Note","kind":"stop_placed","bracket_id":"B7","ts_ns":2,'
        b'"data":{"atr_px":"1.55","stop_px":"184.10"},"severity":"info"}'
    )


def test_a_record_is_decoded_by_its_kind():
    cancel = CancelOrder("B7", "B7.target1")
    note = Note(NoteKind.CANCEL_ASKED, "B7", 3)
    assert codec.decode(Record(1, 0, codec.FACT, "", codec.encode(LinkStatus(up=True)))) == LinkStatus(up=True)
    assert codec.decode(Record(2, 0, codec.COMMAND, "B7", codec.encode(cancel))) == cancel
    assert codec.decode(Record(3, 0, codec.NOTE, "B7", codec.encode(note))) == note


def test_a_fact_that_cannot_be_read_names_its_record():
    up = LinkStatus(up=True)
    assert codec.fact_of(Record(1, 0, codec.FACT, "", codec.encode(up))) == up
    with pytest.raises(RecordUnreadable, match=r"record 7: .*MoonPhase"):
        codec.fact_of(Record(7, 0, codec.FACT, "", b'{"type":"MoonPhase"}'))


UNREADABLE = [
    # kind            payload                                     the message names
    (codec.FACT, b'{"type":"MoonPhase","full":true}', "MoonPhase"),
    (codec.FACT, b'{"type":"LinkStatus"}', "up"),
    (codec.FACT, b'{"type":"Quote","symbol":"A","bid":"x","ask":"2"}', "bid"),
    (codec.COMMAND, b"", "truncated"),
    (codec.NOTE, b"\xff\xfe", "record 9"),
    ("gossip", b"{}", "gossip"),
]


@pytest.mark.parametrize(("kind", "payload", "named"), UNREADABLE)
def test_an_intact_record_this_program_cannot_decode_is_named(kind, payload, named):
    with pytest.raises(RecordUnreadable) as told:
        codec.decode(Record(9, 0, kind, "B7", payload))
    assert "record 9" in str(told.value)
    assert named in str(told.value)


def test_a_field_that_an_older_program_did_not_write_takes_its_default():
    assert codec.decode_fact(b'{"type":"LinkStatus","up":true}') == LinkStatus(up=True)
