"""The daemon's verbs: `run` starts one, the others speak to it over its socket. They parse, call and print."""

import typer

from grodtd.cli_look import brackets, explain, orphans, reconcile, show, status
from grodtd.cli_run import run
from grodtd.cli_trade import flatten, open_trade, paper_order, pause_entries, protect, release, resume


def add_to(app: typer.Typer) -> None:
    """Give the application the daemon's verbs."""
    for verb in (run, status, brackets, show, explain, protect, flatten, release, reconcile, orphans, resume):
        app.command()(verb)
    app.command("open")(open_trade)
    app.command("pause-entries")(pause_entries)
    app.command("paper-order")(paper_order)
