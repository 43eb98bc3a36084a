"""Checksums: whatever is changed, removed, added or moved in a stored journal is found, and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.ports import Record
from grodtd.storage.chain import GENESIS, Chain, checksum, verified
from grodtd.storage.errors import JournalCorrupt, OutOfSequence

JOURNAL = [
    Record(1, 10, "fact", "", b'{"up":true}'),
    Record(2, 10, "note", "B7", b'{"kind":"opened"}'),
    Record(3, 20, "fact", "B7", b'{"qty":"100"}'),
    Record(4, 20, "command", "B7", b'{"id":"B7.stop1"}'),
]
ROWS = Chain(epoch=3).seal(JOURNAL)


def test_an_untouched_journal_reads_back():
    assert list(verified(ROWS, "here")) == JOURNAL


def test_a_tail_is_proven_from_the_checksum_before_it():
    assert list(verified(ROWS[2:], "here", 2, ROWS[1][5])) == JOURNAL[2:]


def test_a_chain_goes_on_where_another_ended():
    first = Chain(epoch=3)
    rows = first.seal(JOURNAL[:2])
    assert rows + Chain(first.seq, first.last, 3).seal(JOURNAL[2:]) == ROWS


FIELDS = {"ts_ns": 1, "kind": 2, "bracket_id": 3, "payload": 4, "checksum": 5, "epoch": 6}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("row", range(4))
def test_a_changed_field_is_found_at_its_record(field, row):
    old = ROWS[row][FIELDS[field]]
    new = {int: lambda: old + 1, str: lambda: old + "x", bytes: lambda: old[:-1] + bytes([old[-1] ^ 1])}[type(old)]()
    damaged = list(ROWS)
    damaged[row] = (*ROWS[row][: FIELDS[field]], new, *ROWS[row][FIELDS[field] + 1 :])
    with pytest.raises(JournalCorrupt) as told:
        list(verified(damaged, "here"))
    assert told.value.seq == row + 1


@pytest.mark.parametrize("wrong", [None, "text", 7, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("column", [1, 2, 3, 4, 5, 6])
def test_a_value_of_another_type_is_damage_too(column, wrong):
    damaged = [(*ROWS[0][:column], wrong, *ROWS[0][column + 1 :]), *ROWS[1:]]
    with pytest.raises(JournalCorrupt):
        list(verified(damaged, "here"))


DAMAGES = {
    "a record taken out": [ROWS[0], ROWS[2], ROWS[3]],
    "the first taken out": ROWS[1:],
    "two swapped": [ROWS[0], ROWS[2], ROWS[1], ROWS[3]],
    "one twice": [ROWS[0], ROWS[0], *ROWS[1:]],
    "one renumbered into a gap": [ROWS[0], (2, *ROWS[2][1:]), (3, *ROWS[3][1:])],
    "a record of another journal": [ROWS[0], Chain(1, GENESIS, 3).seal(JOURNAL[1:2])[0], *ROWS[2:]],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_rearranged_journal_is_found_out(damage):
    with pytest.raises(JournalCorrupt):
        list(verified(DAMAGES[damage], "here"))


@given(st.data())
def test_two_different_records_never_share_a_checksum(data):
    texts = st.text(st.characters(codec="utf-8"), max_size=4)
    kinds = st.sampled_from(["fact", "note", "command"])
    record = st.builds(Record, st.integers(1, 99), st.integers(0, 99), kinds, texts, st.binary(max_size=4))
    one, two = data.draw(record), data.draw(record)
    if one != two:
        assert checksum(GENESIS, one, 1) != checksum(GENESIS, two, 1)


def test_a_boundary_moved_between_two_fields_is_a_different_record():
    one, two = Record(1, 1, "fact", "B", b"7 {}"), Record(1, 1, "fact", "B 7", b"{}")
    assert checksum(GENESIS, one, 1) != checksum(GENESIS, two, 1)


REFUSED = {
    "a gap": [Record(6, 0, "fact", "", b"{}")],
    "a repeat": [Record(4, 0, "fact", "", b"{}")],
    "a gap further on": [Record(5, 0, "fact", "", b"{}"), Record(7, 0, "fact", "", b"{}")],
    "an unknown kind": [Record(5, 0, "gossip", "", b"{}")],
}


@pytest.mark.parametrize("case", REFUSED)
def test_records_out_of_sequence_are_refused_and_none_is_taken(case):
    chain = Chain(4, ROWS[3][5], 3)
    with pytest.raises(OutOfSequence):
        chain.seal(REFUSED[case])
    assert (chain.seq, chain.last) == (4, ROWS[3][5])
