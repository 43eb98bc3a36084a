"""The daemon's verbs: `run` starts one, the others speak to it over its socket. They parse, call and print."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from grodtd.cli_say import AsJson, ConfigDir, Env, Exit, fail, print_json, said_plainly, say, screen_width
from grodtd.cli_state import State, state_dir
from grodtd.domain.errors import ConfigError, DataError

if TYPE_CHECKING:
    from grodtd.service.client import Client

Socket = Annotated[
    Path | None, typer.Option("--socket", metavar="PATH", help="The daemon's socket. Default: grodtd.sock in --state")
]
BracketId = Annotated[str, typer.Argument(metavar="ID", help="Name of the bracket, as `brackets` lists it.")]
SymbolName = Annotated[str, typer.Argument(metavar="SYMBOL", help="As instruments.yaml names it.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the journal.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A key of trade_exit for this bracket alone; may be given several times."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Give the application the daemon's verbs."""
    for verb in (run, status, brackets, show, explain, protect, flatten, release, reconcile, orphans, resume):
        app.command()(verb)
    app.command("open")(open_trade)
    app.command("pause-entries")(pause_entries)
    app.command("paper-order")(paper_order)


# ---------------------------------------------------------------- the daemon


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


# ---------------------------------------------------------------- looking


def status(state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Say what is protected, exposed or unknown. Exit status 5 when anything is exposed or unknown."""
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.status()
        from grodtd.service.tables import status_lines  # noqa: PLC0415 - starts sooner without

        _show(found, json, status_lines(found, screen_width()))
        if found["level"] == "alarm":
            raise typer.Exit(Exit.EXPOSED)


def brackets(
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over, too.")] = False,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """List the brackets."""
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.brackets(ended=ended)["brackets"]
        from grodtd.service.tables import brackets_lines  # noqa: PLC0415 - starts sooner without

        _show(found, json, brackets_lines(found, screen_width()))


def show(bracket_id: BracketId, state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Show one bracket, its plan and its orders."""
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.bracket(bracket_id)
        from grodtd.service.tables import bracket_lines  # noqa: PLC0415 - starts sooner without

        _show(found, json, bracket_lines(found))


def explain(
    bracket_id: BracketId,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="Folder of a run, or a journal file; default: the daemon."),
    ] = None,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Tell one bracket's life in order: the fact, the rule that applied, the numbers, what followed."""
    if run is not None:
        with said_plainly():
            _print_story({"bracket_id": bracket_id, "lines": list(_story_of_run(run, bracket_id))}, json)
        return
    with _asking(state, socket, as_json=json) as daemon:
        _print_story(daemon.story(bracket_id), json)


def _story_of_run(run: Path, bracket_id: str) -> Iterator[str]:
    from grodtd.bootstrap import journal_records  # noqa: PLC0415 - starts sooner without
    from grodtd.monitoring.explain import explain as tell_life  # noqa: PLC0415 - starts sooner without

    journal = run / "journal.db" if run.is_dir() else run
    if not journal.exists():
        raise DataError(
            f"{journal}: no journal there; --run takes the --out folder of a replay without --fast, which keeps none"
        )
    told = False
    for line in tell_life(journal_records(journal), bracket_id):
        told = True
        yield line
    if not told:
        raise DataError(f"{journal}: there is no bracket {bracket_id} in it")


def _print_story(story: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(story)
        return
    for line in story["lines"]:
        say(line)


# ---------------------------------------------------------------- acting


def protect(
    symbol: SymbolName,
    side: Annotated[str, typer.Option(help="The entry's: buy is a long, sell a short.")],
    quantity: Annotated[str, typer.Option(help="Units.")],
    price: Annotated[str | None, typer.Option(help="What it was filled at, on average.")] = None,
    bracket_id: Annotated[
        str | None, typer.Option("--id", help="Name of the bracket; default: one that follows from the facts.")
    ] = None,
    fill_id: Annotated[str | None, typer.Option("--fill-id", help="Your broker's id of the fill.")] = None,
    stop: Annotated[str | None, typer.Option(help="Stop price; default: from ATR and policy.")] = None,
    target: Annotated[str | None, typer.Option(help="Target price; default: from the ratio.")] = None,
    strategy: Annotated[str, typer.Option(help="Policy of trade_exit.yaml.")] = "default",
    condition: Annotated[str | None, typer.Option(help="Market condition, for ratios that follow it.")] = None,
    entry_order: Annotated[
        str | None, typer.Option("--entry-order", metavar="ID", help="Watch this entry order instead of a fill.")
    ] = None,
    settings: Set = None,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Look after a position: one that is held (--price), or an entry order's to come (--entry-order)."""
    with said_plainly():
        if (price is None) == (entry_order is None):
            raise DataError(
                "give either --price (what is held was filled at) or --entry-order (an order in the account)"
            )
        own = _settings(settings)
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.protect(
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            bracket_id=bracket_id,
            fill_id=fill_id,
            stop_price=stop,
            target_price=target,
            strategy=strategy,
            condition=condition,
            entry_order=entry_order,
            settings=own,
        )
        _show_acted(found, json)


def open_trade(
    symbol: SymbolName,
    side: Annotated[str, typer.Option(help="buy opens a long, sell a short.")],
    quantity: Annotated[str | None, typer.Option(help="Units; default: what the risk allows.")] = None,
    risk: Annotated[
        str | None, typer.Option(help="Fraction of equity to lose at the stop; default: sizing of trade_exit.yaml.")
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Enter at this price or better; default: at market.")] = None,
    trigger: Annotated[
        str | None, typer.Option(help="Enter once the market has risen (for a short: fallen) to this price.")
    ] = None,
    stop: Annotated[str | None, typer.Option(help="Stop price; default: from ATR and policy.")] = None,
    target: Annotated[str | None, typer.Option(help="Target price; default: from the ratio.")] = None,
    strategy: Annotated[str, typer.Option(help="Policy of trade_exit.yaml.")] = "default",
    condition: Annotated[str | None, typer.Option(help="Market condition, for ratios that follow it.")] = None,
    bracket_id: Annotated[
        str | None,
        typer.Option("--id", help="Name of the bracket: asked twice, it opens once; default: a new one."),
    ] = None,
    settings: Set = None,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Open a trade: sized by its risk, held to the account's limits, protected from its first fill."""
    with said_plainly():
        own = _settings(settings)
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.open(
            symbol=symbol,
            side=side,
            quantity=quantity,
            risk=risk,
            limit_price=limit,
            trigger_price=trigger,
            stop_price=stop,
            target_price=target,
            strategy=strategy,
            condition=condition,
            bracket_id=bracket_id,
            settings=own,
        )
        _show_acted(found, json)


def flatten(
    bracket_id: Annotated[str, typer.Argument(metavar="ID|all", help="Name of the bracket, or all.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Kept in the journal; signal:WHICH makes it an exit by signal.")
    ] = "",
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Get out of a bracket now, or of all of them."""
    signal, by_signal, which = reason.partition(":")
    with _asking(state, socket, as_json=json) as daemon:
        if bracket_id == "all":
            found = daemon.flatten_all(reason)
        elif by_signal and signal == "signal":
            found = daemon.exit_now(bracket_id, which.strip())
        else:
            found = daemon.flatten(bracket_id, reason)
        _show_acted(found, json)


def release(
    bracket_id: BracketId,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the journal.")],
    keep_orders: Annotated[bool, typer.Option("--keep-orders", help="Leave our exits at the venue.")] = False,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Stop looking after a bracket: the position stays, our exits are cancelled unless they are to stay."""
    with _asking(state, socket, as_json=json) as daemon:
        _show_acted(daemon.release(bracket_id, reason, keep_orders=keep_orders), json)


def pause_entries(reason: Reason = "", state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Take no new brackets for entries to come. Stops keep working; what is held is still protected."""
    with _asking(state, socket, as_json=json) as daemon:
        _show_entries(daemon.pause(reason), json)


def resume(reason: Reason = "", state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Take new brackets again."""
    with _asking(state, socket, as_json=json) as daemon:
        _show_entries(daemon.resume(reason), json)


def reconcile(state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Compare everything with the venue now."""
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.reconcile()
        from grodtd.service.tables import compared_lines  # noqa: PLC0415 - starts sooner without

        _show(found, json, compared_lines(found))
        if not found["complete"]:
            raise typer.Exit(Exit.FAILED)


def orphans(state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """List orders of ours without a bracket, and positions that nobody looks after."""
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.reconcile()
        from grodtd.service.tables import compared_lines, orphan_lines  # noqa: PLC0415 - starts sooner without

        data = {name: found[name] for name in ("complete", "why", "orphans", "positions")}
        _show(data, json, orphan_lines(found) if found["complete"] else compared_lines(found))
        if not found["complete"]:
            raise typer.Exit(Exit.FAILED)


def paper_order(
    symbol: SymbolName,
    side: Annotated[str, typer.Option(help="buy or sell.")],
    quantity: Annotated[str, typer.Option(help="Units.")],
    limit: Annotated[str | None, typer.Option(help="Limit price; default: at market.")] = None,
    order_id: Annotated[str | None, typer.Option("--id", help="Client id of the order.")] = None,
    state: State = None,
    socket: Socket = None,
    json: AsJson = False,
) -> None:
    """Trade in the paper account by hand, as another program would: to see a watched fill protected."""
    with _asking(state, socket, as_json=json) as daemon:
        found = daemon.paper_order(symbol=symbol, side=side, quantity=quantity, limit_price=limit, order_id=order_id)
        at = f" at {found['avg_px']}" if found["avg_px"] is not None else ""
        why = f" ({found['reason']})" if found["reason"] else ""
        words = f"{found['client_order_id']}: {found['status']}, {found['filled_qty']} filled{at}{why}"
        _show(found, json, [words])


# ---------------------------------------------------------------- how


@contextmanager
def _asking(state: Path | None, socket: Path | None, *, as_json: bool) -> Iterator["Client"]:
    """Speak to the daemon; put what goes wrong into words and an exit status."""
    with said_plainly():
        from grodtd.service.client import Client, NoDaemon, Problem  # noqa: PLC0415 - an optional part

        path = socket or state_dir(state) / "grodtd.sock"
        try:
            with Client(path) as client:
                yield client
        except NoDaemon as error:
            _told(as_json, "no_daemon", str(error))
            fail(Exit.NO_DAEMON, str(error))
        except Problem as error:
            _told(as_json, error.code, str(error))
            fail(_exit_of(error), str(error))


def _told(as_json: bool, code: str, detail: str) -> None:
    if as_json:
        print_json({"error": {"code": code, "detail": detail}})


def _exit_of(problem: Any) -> Exit:
    if problem.status == 422:
        return Exit.BAD_INPUT
    if problem.status in (404, 409) or problem.code in ("stopping", "no_journal"):
        return Exit.REFUSED
    return Exit.FAILED


def _show(data: Any, as_json: bool, lines: Iterable[RenderableType]) -> None:
    if as_json:
        print_json(data)
        return
    screen = Console(width=screen_width())
    for line in lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))


def _show_acted(found: dict[str, Any], as_json: bool) -> None:
    from grodtd.service.tables import acted_lines  # noqa: PLC0415 - starts sooner without

    _show(found, as_json, acted_lines(found))


def _show_entries(found: dict[str, Any], as_json: bool) -> None:
    words = f"entries are paused: {found['paused']}; stops keep working" if found["paused"] else "entries are taken"
    _show(found, as_json, [words])


def _settings(given: list[str] | None) -> dict[str, str]:
    """Take --set apart. Raises: DataError."""
    found: dict[str, str] = {}
    for text in given or ():
        key, sign, value = text.partition("=")
        key = key.strip()
        if not sign or not key:
            raise DataError(f"--set {text!r}: write KEY=VALUE, such as trailing.method=percent")
        if key in found:
            raise DataError(f"--set {key}: set twice: keep one of the two")
        found[key] = value.strip()
    return found


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
