"""`grodtd sweep`: the same entries under every setting of a grid, and whether the best of them is more than luck."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grodtd.cli_prices import BarInterval, Entries, Model, OutDir, Prices, Quantity, SkipBad, Splits, Symbol
from grodtd.cli_say import ConfigDir, Env, Exit, console, fail, positive, progress_bar, said_plainly, say, seconds
from grodtd.venue.bar_matching import FillModel

if TYPE_CHECKING:
    from grodtd.replay.sweep import Swept

NS = 1_000_000_000


def sweep(
    prices: Prices,
    entries: Entries,
    grid: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Keys of trade_exit as axes: a list, or {from, to, step}, or {from, to, count[, log: true]}. "
            "Example: configs/grid.yaml.",
        ),
    ],
    out: OutDir,
    config: ConfigDir = None,
    env: Env = None,
    symbol: Symbol = None,
    fill_model: Model = FillModel.PESSIMISTIC,
    jobs: Annotated[int, typer.Option(min=1, help="Cores to use; the result is the same.")] = os.cpu_count() or 1,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster instead: tcp://HOST:8786.")
    ] = None,
    skip_bad: SkipBad = False,
    splits: Splits = None,
    bar_interval: BarInterval = "1m",
    quantity: Quantity = "1",
) -> None:
    """Replay entries under every setting of a grid; see the best ones, and whether they would have held.

    Writes sweep.parquet and sweep.html into DIR. Ctrl-C keeps what is done: the same command goes on with it.
    """
    with said_plainly(out):
        from grodtd.config.loading import default_config_dir  # noqa: PLC0415 - only this command needs it
        from grodtd.config.policy_file import read_base  # noqa: PLC0415 - only this command needs it
        from grodtd.replay import sweep as work  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.inputs import ReplayOptions  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.sweep_grid import read_grid  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.sweep_report import write_page  # noqa: PLC0415 - only this command needs it

        base = read_base(default_config_dir() if config is None else config, env, os.environ)
        axes = read_grid(grid, base)
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
        runner = None
        if cluster is not None:
            from grodtd.replay.sweep_cluster import on_cluster  # noqa: PLC0415 - needs dask[distributed]

            runner = on_cluster(cluster)
        with progress_bar() as bar:
            job = work.job_of(options, axes, base, bar)
        say(work.estimate(job, jobs))
        with progress_bar() as bar:
            swept = work.sweep(job, out, jobs=jobs, progress=bar, runner=runner)
        if isinstance(swept, work.Interrupted):
            fail(Exit.FAILED, f"stopped, settings done: {swept.done:,} of {swept.settings:,}; run it again to go on")
        assert isinstance(swept, work.Swept)
        write_page(out / "sweep.html", swept)
        _print(swept)
        say(f"Sweep: {out / 'sweep.html'}")


def _print(swept: "Swept") -> None:
    """Print what came of a sweep."""
    from grodtd.replay.sweep_words import best_table, verdict  # noqa: PLC0415 - only a sweep needs it

    for remark in swept.remarks:
        say(f"- {remark}")
    console.print(best_table(swept))
    say(verdict(swept))
