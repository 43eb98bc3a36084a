"""The page of state machines is what the code runs on."""

from grodtd import tables


def test_the_committed_page_is_current():
    assert tables.PAGE.read_text(encoding="utf-8") == tables.page(), "run `make tables`"


def test_every_machine_is_on_it_with_all_of_its_rows():
    for title, _, table in tables.MACHINES:
        assert f"## {title}" in tables.page()
        assert len(list(tables.rows(table))) == len(table) > 15
