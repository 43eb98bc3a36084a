"""The command line. It parses, calls and prints; what it calls lives elsewhere.

The daemon's verbs are put together in `cli_live`; what all share, exit statuses among it, is in `cli_say`.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import grodtd
from grodtd import cli_live
from grodtd.cli_compare import compare, print_compared
from grodtd.cli_journal import journal_app
from grodtd.cli_prices import BarInterval, Entries, Model, OutDir, Quantity, SkipBad, Splits, Symbol
from grodtd.cli_say import AsJson, ConfigDir, Env, console, positive, progress_bar, said_plainly, seconds
from grodtd.cli_simulate import simulate
from grodtd.cli_sweep import sweep
from grodtd.venue.bar_matching import FillModel

NS = 1_000_000_000

app = typer.Typer(
    name="grodtd",
    help="Looks after trades from their entry fill to their exit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.command()(compare)
app.command()(simulate)
app.command()(sweep)
app.add_typer(config_app, name="config")
app.add_typer(journal_app, name="journal")
cli_live.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"grodtd {grodtd.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Looks after trades from their entry fill to their exit."""


@app.command()
def replay(
    prices: Annotated[
        Path,
        typer.Argument(
            metavar="BARS",
            help="Bars or quotes: CSV (plain or .gz), Parquet or Arrow, told by content; or a folder of such files, "
            "one a symbol.",
        ),
    ],
    entries: Entries,
    out: OutDir,
    config: ConfigDir = None,
    env: Env = None,
    symbol: Symbol = None,
    fill_model: Model = FillModel.PESSIMISTIC,
    skip_bad: SkipBad = False,
    splits: Splits = None,
    bar_interval: BarInterval = "1m",
    quantity: Quantity = "1",
    limits: Annotated[
        bool, typer.Option("--limits", help="Hold entries to risk_limits.yaml; those it refuses go to refused.csv.")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Without the engine: the same rows by compiled loops, and no journal.")
    ] = False,
) -> None:
    """Replay entries over recorded prices through the live engine; see what each exit did and why.

    Writes exits.csv, summary.json, report.html and journal.db into DIR.
    """
    with said_plainly(out):
        from grodtd.bootstrap import replay_to  # noqa: PLC0415 - only this command needs it
        from grodtd.config.loading import default_config_dir, load  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.inputs import ReplayOptions  # noqa: PLC0415 - only this command needs it

        options = ReplayOptions(
            prices=prices,
            entries=entries,
            symbol=symbol,
            model=fill_model,
            skip_bad=skip_bad,
            splits=splits,
            bar_interval_ns=seconds(bar_interval, "--bar-interval") * NS,
            quantity=positive(quantity, "--quantity"),
            limits=limits,
        )
        configuration = load(default_config_dir() if config is None else config, env, os.environ)
        with progress_bar() as bar:
            if fast:
                from grodtd.replay.kernels_replay import replay_fast_to  # noqa: PLC0415 - only with --fast

                replayed = replay_fast_to(out, options, configuration, bar)
            else:
                replayed = replay_to(out, options, configuration, bar)
        _print_replayed(replayed, out)
        if fast:
            words = "By compiled loops, without a journal: `grodtd explain` needs a replay without --fast."
            console.print(words, markup=False, highlight=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")] = Path("demo-out"),
) -> None:
    """Replay real daily AAPL prices, offline, then compare four exit policies on them; say where the reports are."""
    with said_plainly(out):
        from grodtd.bootstrap import compare_to, replay_to  # noqa: PLC0415 - only this command needs it
        from grodtd.config.loading import default_config_dir, load  # noqa: PLC0415 - only this command needs it
        from grodtd.replay.demo import demo_inputs, demo_policies  # noqa: PLC0415 - only this command needs it

        configuration = load(default_config_dir(), environ={})
        inputs = demo_inputs(configuration)
        for remark in inputs.remarks:
            console.print(f"- {remark}", markup=False, highlight=False)
        with progress_bar() as bar:
            replayed = replay_to(out, inputs.options, configuration, bar, inputs)
        _print_replayed(replayed, out)
        first = next((row.bracket_id for row in replayed.rows), None)
        if first is not None:
            console.print(f"Next: grodtd explain {first} --run {out}", markup=False, highlight=False)
        console.print()
        with progress_bar() as bar:
            compared = compare_to(out, inputs.options, demo_policies(), progress=bar, read=inputs.as_read)
        print_compared(compared, out, inputs.remarks)


@config_app.command("check")
def config_check(
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: the shipped one.")] = None,
    env: Env = None,
    json: AsJson = False,
) -> None:
    """Print the effective configuration with the origin of each value, or every problem, one line each."""
    from grodtd.config.show import run_check  # noqa: PLC0415 - only this command needs it

    text, status = run_check(directory, env, os.environ, as_json=json)
    stream = sys.stdout if status == 0 or json else sys.stderr
    print(text, file=stream)
    raise typer.Exit(status)


def _print_replayed(replayed: object, out: Path) -> None:
    from grodtd.replay.run import Replayed  # noqa: PLC0415 - only this command needs it
    from grodtd.replay.table import summary_table  # noqa: PLC0415 - only this command needs it

    assert isinstance(replayed, Replayed)
    for line in summary_table(replayed):
        console.print(line)
    console.print(f"Report: {out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line."""
    app()
