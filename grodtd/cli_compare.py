"""`grodtd compare`: the same entries under several exit policies, side by side, and whether the difference is noise."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grodtd.cli_prices import BarInterval, Entries, Model, OutDir, Prices, Quantity, SkipBad, Splits, Symbol
from grodtd.cli_say import (
    AsJson,
    ConfigDir,
    Env,
    console,
    positive,
    print_json,
    progress_bar,
    said_plainly,
    say,
    seconds,
)
from grodtd.venue.bar_matching import FillModel

if TYPE_CHECKING:
    from grodtd.replay.compare import Comparison

NS = 1_000_000_000


def compare(
    prices: Prices,
    entries: Entries,
    policies: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Policies by name, each with the keys of trade_exit that differ; the first "
            "is what the others are compared with. Example: configs/policies.yaml.",
        ),
    ],
    out: OutDir,
    config: ConfigDir = None,
    env: Env = None,
    symbol: Symbol = None,
    fill_model: Model = FillModel.PESSIMISTIC,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use; the result is the same.")] = 1,
    skip_bad: SkipBad = False,
    splits: Splits = None,
    bar_interval: BarInterval = "1m",
    quantity: Quantity = "1",
    json: AsJson = False,
) -> None:
    """Compare exit policies: the same entries under each, side by side, and what is only noise.

    Writes compare.html, compare.json and compare.csv into DIR.
    """
    with said_plainly(out):
        from grodtd.bootstrap import compare_to  # noqa: PLC0415 - only this command needs it
        from grodtd.config.loading import default_config_dir  # noqa: PLC0415 - only this command needs it
        from grodtd.config.policy_file import read_policies  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.compare_file import comparison_json  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.inputs import ReplayOptions  # noqa: PLC0415 - only this command needs it

        directory = default_config_dir() if config is None else config
        chosen = read_policies(policies, directory, env, os.environ)
        options = ReplayOptions(
            prices=prices,
            entries=entries,
            symbol=symbol,
            model=fill_model,
            skip_bad=skip_bad,
            splits=splits,
            bar_interval_ns=seconds(bar_interval, "--bar-interval") * NS,
            quantity=positive(quantity, "--quantity"),
        )
        with progress_bar() as bar:
            compared = compare_to(out, options, chosen, jobs=jobs, progress=bar)
        if json:
            print_json(comparison_json(compared))
        else:
            print_compared(compared, out)


def print_compared(compared: "Comparison", out: Path, already: Collection[str] = ()) -> None:
    """Print a finished comparison, but for remarks `already` printed, and where its page is."""
    from grodtd.replay.compare_table import comparison_table  # noqa: PLC0415 - only a comparison needs it

    for line in comparison_table(compared, already):
        console.print(line)
    say(f"Comparison: {out / 'compare.html'}")
