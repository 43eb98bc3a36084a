"""The commands of the README do what they are printed for: each line as it stands, in a clone's folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grodtd.config import default_config_dir, load
from grodtd.replay.demo import demo_inputs
from grodtd.replay.reading import read_prices

REPO = Path(__file__).parents[2]
RUNS = ("python ", "GRODTD_", "grodtd replay", "grodtd explain", "grodtd compare", "grodtd sweep")
"""Beginnings of the lines that end by themselves; `make` targets and the daemon's verbs are tried elsewhere."""
WRITES = {
    "replay": ("exits.csv", "summary.json", "report.html", "journal.db"),
    "compare": ("compare.html", "compare.json", "compare.csv"),
    "sweep": ("sweep.html",),
}


def commands():
    """The README's commands, in order: indented by four, without the remark at their end."""
    lines = (REPO / "README.md").read_text(encoding="utf-8").splitlines()
    shown = (re.sub(r"\s+# .*", "", line.strip()) for line in lines if line.startswith("    "))
    return [line for line in shown if line.startswith(RUNS)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with what a clone has and the tour needs."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "configs"):
        (folder / name).symlink_to(REPO / name)
    return folder


def test_the_tour_protects_trails_and_compares():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    tour = text.split("## A short tour")[1].split("\n## ")[0]
    for word in ("python examples/protect_a_fill.py", "TRAILING__METHOD", "grodtd explain", "grodtd compare"):
        assert f"{word}" in tour
    assert all(line in commands() for line in (line.strip() for line in tour.splitlines() if line.startswith("    ")))


@pytest.mark.slow
def test_every_line_runs_as_it_is_printed(clone):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GRODTD_")}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    for line in commands():
        done = subprocess.run(line, shell=True, cwd=clone, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-2000:])
        assert "Traceback" not in done.stderr
        verb = next((verb for verb in WRITES if f"grodtd {verb}" in line), None)
        if verb is not None:
            out = clone / line.split("--out ")[1].split()[0]
            assert all((out / name).stat().st_size for name in WRITES[verb]), line


def test_the_examples_prices_are_the_demos():
    ours = read_prices(REPO / "examples" / "AAPL-1d.csv.gz", "AAPL").prices
    demos = demo_inputs(load(default_config_dir(), environ={})).prices
    assert len(ours) == len(demos)
    for name in ("open", "high", "low", "close"):
        assert all(
            ours.px(int(one)) == demos.px(int(other))
            for one, other in zip(getattr(ours.mid, name), getattr(demos.mid, name), strict=True)
        )
