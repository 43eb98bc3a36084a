"""Draws how cost grows, from the curves of one run, into docs/performance/*.svg."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.printing import Row

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "performance"


@dataclass(frozen=True)
class Plot:
    """One picture: all series whose name begins with `figure`."""

    figure: str
    title: str
    x: str
    y: str
    per_unit: bool
    """Whether figures are rates, drawn as microseconds a unit; else they are drawn as they are."""


PLOTS = (
    Plot("quotes", "One quote, N brackets open", "brackets open", "us a quote", per_unit=True),
    Plot("holds", "One entry's exit, by how long it is held", "mean hold, bars", "us an entry", per_unit=True),
    Plot("combinations", "One setting of one entry in a sweep", "settings", "us an entry-combo", per_unit=True),
    Plot("memory", "Memory an open bracket", "brackets open", "bytes a bracket", per_unit=False),
    Plot("restart", "From a dead process to a compared account", "brackets open", "s", per_unit=False),
)


def draw(curves: Mapping[str, Sequence[Row]], folder: Path = FOLDER) -> list[Path]:
    """Draw every picture that has a curve; return the files. Logarithmic both ways; none at zero is drawn at 1."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second nobody else needs

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "grodtd", "svg.fonttype": "none", "font.size": 9, "axes.grid": True})
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for plot in PLOTS:
        lines = {name.partition("/")[2]: rows for name, rows in curves.items() if name.startswith(f"{plot.figure}/")}
        if not lines:
            continue
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for label, rows in lines.items():
            xs = [max(row.x or 0, 1) for row in rows]
            ys = [1e6 / row.value if plot.per_unit else row.value for row in rows]
            axes.plot(xs, ys, marker="o", label=label)
        axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y, xscale="log", yscale="log")
        axes.legend(fontsize=7)
        path = folder / f"{plot.figure}.svg"
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
        drawn.append(path)
    return drawn
