"""`grodtd run`: read the configuration, then be the daemon until told to stop."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from grodtd.cli_ask import Socket
from grodtd.cli_say import ConfigDir, Env, said_plainly, say
from grodtd.cli_state import State, state_dir
from grodtd.domain.errors import ConfigError, DataError


def run(
    config: ConfigDir = None,
    env: Env = None,
    broker: Annotated[str | None, typer.Option(help="Account to trade; default: brokers.use of brokers.yaml.")] = None,
    state: State = None,
    socket: Socket = None,
    journal: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="SQLite file or PostgreSQL URL; default: journal.db in --state"),
    ] = None,
    feed: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Quotes or bars to play into the paper account; may be given several times."),
    ] = None,
    speed: Annotated[
        str | None, typer.Option(help="Times faster than recorded, or max; default: brokers.paper.speed.")
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="What was recorded before (UTC) is history: bars know it."),
    ] = None,
    log: Annotated[str | None, typer.Option(help="json or console; default: console on a terminal.")] = None,
) -> None:
    """Look after the brackets of one account until SIGTERM or Ctrl-C; stops stay at the venue."""
    with said_plainly(state_dir(state)):
        _run(config, env, broker, state_dir(state), socket, journal, tuple(feed or ()), speed, begin, log)


def _run(
    config: Path | None,
    env: str | None,
    broker: str | None,
    state: Path,
    socket: Path | None,
    journal: str | None,
    feeds: tuple[Path, ...],
    speed: str | None,
    begin: str | None,
    log: str | None,
) -> None:
    # What a daemon needs, and nobody who only asks one.
    import sys  # noqa: PLC0415

    from grodtd.bootstrap import run_daemon  # noqa: PLC0415
    from grodtd.config.loading import default_config_dir, load  # noqa: PLC0415
    from grodtd.daemon import DaemonOptions  # noqa: PLC0415
    from grodtd.monitoring.logs import capture_libraries, make_logger, style_for  # noqa: PLC0415
    from grodtd.monitoring.redaction import secrets_of  # noqa: PLC0415

    if log not in (None, "json", "console"):
        raise DataError(f"--log {log!r} is not allowed: json or console")
    environ = dict(os.environ)
    if broker is not None:
        environ["GRODTD_BROKERS__USE"] = broker
    try:
        configuration = load(default_config_dir() if config is None else config, env, environ)
    except ConfigError as error:
        said = "GRODTD_BROKERS__USE" if broker is None else "--broker"
        raise ConfigError([words.replace("GRODTD_BROKERS__USE", said) for words in error.problems]) from None
    paper = configuration.brokers.paper
    if not feeds and paper.feed is not None:
        feeds = (Path(configuration.directory) / paper.feed,)
    secrets = secrets_of(os.environ, [journal or ""])
    style = style_for(sys.stderr, log)
    capture_libraries(sys.stderr, style, secrets)
    options = DaemonOptions(
        state=state,
        socket=socket or state / "grodtd.sock",
        journal=(journal if "://" in journal else Path(journal)) if journal else state / "journal.db",
        feeds=feeds,
        speed=paper.speed if speed is None else _speed(speed),
        begin_ns=None if begin is None else _time(begin),
    )
    for line in banner(configuration.brokers.use, options.socket, str(options.journal), feeds, str(paper.profile)):
        say(secrets.strike(line))
    run_daemon(configuration, options, make_logger(sys.stderr, style, secrets), lambda: say("ready"))


def banner(use: str, socket: Path, journal: str, feeds: Iterable[Path], profile: str) -> Iterator[str]:
    """Say loudly what is traded here, before anything is."""
    mode = "PAPER" if use == "paper" else "LIVE"
    what = f"simulated account ({profile}): no money moves" if mode == "PAPER" else f"account {use}: REAL MONEY"
    yield f"{'=' * 24}  {mode}  {'=' * 24}"
    yield what
    yield f"socket  {socket}"
    yield f"journal {journal}"
    if mode == "PAPER":
        yield f"feed    {', '.join(map(str, feeds)) or 'none: no prices move (--feed FILE)'}"
    yield "=" * (52 + len(mode))


def _speed(text: str) -> Decimal:
    from grodtd.config.broker_schema import parse_speed  # noqa: PLC0415 - only `run` needs it

    try:
        return parse_speed(text)
    except ValueError:
        raise DataError(f"--speed {text!r} is not allowed: a number above 0 and at most 1000000, or max") from None


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"--from {text!r} is no time: write it as 2014-05-08T12:30 (UTC)") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000) * 1000
