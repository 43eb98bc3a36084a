"""The report of the long simulations: parts are run by themselves, and what it says of the others stays."""

from benchmarks.simulate_all import PARTS, write, written


def test_a_part_that_is_run_again_leaves_the_others_as_they_were(tmp_path):
    report = tmp_path / "SIMULATION.md"
    first = {part.title: f"first run\n\n```\n{part.title}: a line, and # no heading\n```" for part in PARTS.values()}
    write(report, first)
    assert written(report) == first

    again = first | {"Real kills": "second run"}
    write(report, again)
    assert written(report) == again
    assert report.read_text().count("first run") == len(PARTS) - 1


def test_what_never_ran_is_said_not_to_have(tmp_path):
    report = tmp_path / "SIMULATION.md"
    assert written(report) == {}
    write(report, {"Histories": "as they were"})
    assert written(report) | {"Histories": ""} == {part.title: "Not run yet." for part in PARTS.values()} | {
        "Histories": ""
    }
