"""What the commands over recorded prices are given alike: `replay`, `compare` and `sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from grodtd.venue.bar_matching import FillModel

Prices = Annotated[
    Path,
    typer.Argument(metavar="BARS", help="Bars or quotes: CSV (plain or .gz), Parquet or Arrow, told by content."),
]
Entries = Annotated[str, typer.Option(metavar="ENTRIES", help="Entries CSV, or every:N[:side], or ema-cross:F,S.")]
OutDir = Annotated[Path, typer.Option(metavar="DIR", help="Where to write; created when it is not there.")]
Symbol = Annotated[str | None, typer.Option(help="Symbol; default: the file name up to the first '-' or '.'.")]
Model = Annotated[FillModel, typer.Option(help="What a bar did first when it reached both levels.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Drop and count bad rows instead of stopping.")]
Splits = Annotated[Path | None, typer.Option(metavar="FILE", help="Adjust bars for splits: CSV date,ratio[,symbol].")]
BarInterval = Annotated[str, typer.Option(help="Length of the mid bars made from quotes.")]
Quantity = Annotated[str, typer.Option(help="Quantity of a rule's entries, units.")]
