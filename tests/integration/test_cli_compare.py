"""`grodtd compare` as typed: files written, words said, exit status, and no traceback whatever is wrong."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.compare_kit import TWO, entries_of, shaken_market

REPO = Path(__file__).resolve().parents[2]


def grodtd(*words):
    return subprocess.run(
        [sys.executable, "-m", "grodtd", *map(str, words)], capture_output=True, text=True, cwd=REPO, check=False
    )


@pytest.fixture
def folder(tmp_path):
    shaken_market(tmp_path / "XYZ-1h.csv", 20)
    entries_of(tmp_path / "entries.csv", 20)
    (tmp_path / "policies.yaml").write_text(TWO)
    return tmp_path


def compare(folder, *more, policies="policies.yaml", entries="entries.csv"):
    found = folder / entries if entries.endswith(".csv") else entries
    named = ["--entries", found, "--policies", folder / policies, "--out", folder / "out"]
    return grodtd("compare", folder / "XYZ-1h.csv", *named, *more)


def test_a_comparison_writes_what_it_says_and_says_what_it_found(folder):
    done = compare(folder)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (folder / "out").iterdir()} == {"compare.csv", "compare.json", "compare.html"}
    told = " ".join(done.stdout.split())
    assert "wide: With the same quantity: better than \u201ctight\u201d by +4.75 R a trade" in told
    assert "Comparison: " in told
    assert "compare.html" in told
    with (folder / "out" / "compare.csv").open() as file:
        assert [row["exit_reason"] for row in csv.DictReader(file)] == ["stop"] * 20 + ["target"] * 20


def test_the_same_input_gives_the_same_bytes(folder):
    assert compare(folder, "--jobs", 2).returncode == 0
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    assert compare(folder).returncode == 0
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == first


def test_json_is_for_programs_and_nothing_else_is_printed(folder):
    done = compare(folder, "--json", "--fill-model", "path")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["fill_model"] == "path"
    assert found == json.loads((folder / "out" / "compare.json").read_text())


def test_entries_by_rule_are_the_same_for_every_policy(folder):
    (folder / "slow.yaml").write_text("quick:\n  atr: {period: 5}\nslow:\n  atr: {period: 60}\n")
    done = compare(folder, policies="slow.yaml", entries="every:40")
    assert done.returncode == 0, done.stderr
    assert "every:40 begins after the longest ATR period of the policies, 60 bars" in " ".join(done.stdout.split())
    with (folder / "out" / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    times = {name: {row["entry_time"] for row in rows if row["policy"] == name} for name in ("quick", "slow")}
    assert times["quick"] == times["slow"]


@pytest.mark.parametrize(
    ("what", "text", "words"),
    [
        ("nothing in it", "", "names no policy"),
        ("one policy", "alone: {}\n", "names one policy only, alone: add what to compare it with"),
        ("a name twice", "a: {}\na: {}\n", "policies.yaml:2: a: set twice in this file, first on line 1"),
        ("a misspelt key", "a: {}\nb: {atr: {perod: 3}}\n", ":2: b.atr.perod: unknown key; nearest known key: b.atr.p"),
        ("broken YAML", "a: {}\nb: [\n", "policies.yaml:3: not valid YAML"),
        ("no file", None, "policies.yaml: no such file or directory"),
    ],
)  # fmt: skip
def test_a_policies_file_that_cannot_be_used_is_said_and_nothing_is_written(folder, what, text, words):
    (folder / "policies.yaml").unlink()
    if text is not None:
        (folder / "policies.yaml").write_text(text)
    done = compare(folder)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--jobs", "0"), "--jobs"),
        (("--fill-model", "hopeful"), "--fill-model"),
        (("--quantity", "-1"), "--quantity -1 must be above 0"),
        (("--bar-interval", "soon"), "--bar-interval 'soon' is not a length of time"),
        (("--config", "/nowhere"), "/nowhere"),
    ],
)
def test_an_option_that_cannot_be_is_named(folder, more, words):
    done = compare(folder, *more)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_bad_entries_are_named_with_file_and_line(folder):
    with (folder / "entries.csv").open("a") as file:
        file.write("2031-01-01T00:00:00Z,XYZ,buy,10\n")
    done = compare(folder)
    assert done.returncode == 2
    assert "entries.csv:22: " in done.stderr
    assert not (folder / "out").exists()
    assert compare(folder, "--skip-bad").returncode == 0


def test_the_demo_ends_with_a_comparison_of_four_policies(tmp_path):
    done = grodtd("demo", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "demo" / "compare.json").read_text())
    assert len(found["policies"]) == 4
    assert {policy["brackets"] for policy in found["policies"]} == {found["entries"]["count"]}
    assert "compare.html" in done.stdout
