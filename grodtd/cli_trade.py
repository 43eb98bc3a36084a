"""Verbs that act: protect, open, flatten, release, pause and resume entries, trade in the paper account by hand."""

from typing import Annotated, Any

import typer

from grodtd.cli_ask import BracketId, Socket, asking, present
from grodtd.cli_say import AsJson, said_plainly
from grodtd.cli_state import State
from grodtd.domain.errors import DataError

SymbolName = Annotated[str, typer.Argument(metavar="SYMBOL", help="As instruments.yaml names it.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the journal.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A key of trade_exit for this bracket alone; may be given several times."
    ),
]


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
    with asking(state, socket, as_json=json) as daemon:
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
    with asking(state, socket, as_json=json) as daemon:
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
    with asking(state, socket, as_json=json) as daemon:
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
    with asking(state, socket, as_json=json) as daemon:
        _show_acted(daemon.release(bracket_id, reason, keep_orders=keep_orders), json)


def pause_entries(reason: Reason = "", state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Take no new brackets for entries to come. Stops keep working; what is held is still protected."""
    with asking(state, socket, as_json=json) as daemon:
        _show_entries(daemon.pause(reason), json)


def resume(reason: Reason = "", state: State = None, socket: Socket = None, json: AsJson = False) -> None:
    """Take new brackets again."""
    with asking(state, socket, as_json=json) as daemon:
        _show_entries(daemon.resume(reason), json)


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
    with asking(state, socket, as_json=json) as daemon:
        found = daemon.paper_order(symbol=symbol, side=side, quantity=quantity, limit_price=limit, order_id=order_id)
        at = f" at {found['avg_px']}" if found["avg_px"] is not None else ""
        why = f" ({found['reason']})" if found["reason"] else ""
        words = f"{found['client_order_id']}: {found['status']}, {found['filled_qty']} filled{at}{why}"
        present(found, json, [words])


def _show_acted(found: dict[str, Any], as_json: bool) -> None:
    from grodtd.service.tables import acted_lines  # noqa: PLC0415 - starts sooner without

    present(found, as_json, acted_lines(found))


def _show_entries(found: dict[str, Any], as_json: bool) -> None:
    words = f"entries are paused: {found['paused']}; stops keep working" if found["paused"] else "entries are taken"
    present(found, as_json, [words])


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
