"""The daemon's answers for a person: what matters first, tables after it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Data = dict[str, Any]
STYLES = {"ok": "green", "warning": "yellow", "alarm": "bold white on red", "info": ""}
ENDED = frozenset({"closed", "residue", "released", "externally_closed"})
ORDERS_SHOWN = 12
WIDE = 130
RULER = "stop <- price -> target"


def status_lines(status: Data, width: int) -> Iterator[RenderableType]:
    """Show how things stand, on a screen `width` characters wide."""
    daemon = status["daemon"]
    yield Text(f"{daemon['mode'].upper()}  {status['verdict']}", style=STYLES[status["level"]])
    totals = status["totals"]
    yield Text(
        f"protected {totals['protected_qty']}   exposed {totals['exposed_qty']}   unknown {totals['unknown_qty']}   "
        f"naked now {seconds(status['seconds_naked'])}   last quote {ago(status['last_quote_age_s'])}   "
        f"last report {ago(status['last_report_age_s'])}   unresolved orders {len(status['unresolved'])}"
    )
    if status["entries_paused"]:
        yield Text(f"entries paused: {status['entries_paused']}", style="yellow")
    for problem in status["problems"]:
        yield Text(f"! {problem}", style="yellow")
    for order in status["unresolved"]:
        yield Text(f"? {order['client_order_id']} {order['state']} for {seconds(order['age_s'])}", style="yellow")
    if status["brackets"]:
        yield from brackets_lines(status["brackets"], width)
    yield from _symbols(status["symbols"])
    for alarm in status["alarms"][-5:]:
        yield Text(f"{clock(alarm['ts_ns'])} {alarm['bracket_id']} {alarm['words']}", style="dim")
    feed = status["feed"]
    if feed is not None:
        at = clock(feed["market_ns"]) if feed["market_ns"] is not None else "not begun"
        over = ", over" if feed["ended"] else ""
        share = f"{feed['played']:,} of {feed['total']:,}"
        yield Text(f"feed {feed['source']}: {share} quotes, market time {at}, speed {feed['speed']}{over}", style="dim")
    off = "" if status["clock_off_s"] is None else f", the venue's clock {status['clock_off_s']:+g} s from ours"
    yield Text(
        f"grodtd {daemon['version']}, account {daemon['account']}, process {daemon['pid']}, up "
        f"{seconds(daemon['uptime_s'])}, journal {daemon['journal']} at {daemon['last_seq']}, configuration "
        f"{daemon['config_fingerprint']}{off}",
        style="dim",
    )


def brackets_lines(brackets: Sequence[Data], width: int) -> Iterator[RenderableType]:
    """Show brackets, one a row, each with its ruler from the stop to the target; a narrow screen has it below."""
    if not brackets:
        yield Text("no brackets")
        return
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("bracket", "symbol", "side"):
        table.add_column(name, no_wrap=True)
    for name in ("open", "protected", "exposed", "unknown", "naked", "R"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column(RULER, no_wrap=True)
    rulers = Table(box=None, pad_edge=False, header_style="dim")
    rulers.add_column("bracket", no_wrap=True)
    rulers.add_column(RULER, no_wrap=True)
    for bracket in brackets:
        style = STYLES[bracket["level"]] if bracket["level"] != "ok" else ""
        over = bracket["phase"] in ENDED
        picture = bracket["verdict"] if over else bracket["ruler"]
        cells = [
            bracket["bracket_id"],
            bracket["symbol"],
            "long" if bracket["side"] == "buy" else "short",
            bracket["open_qty"],
            bracket["protected_qty"],
            bracket["exposed_qty"],
            bracket["unknown_qty"],
            seconds(bracket["seconds_naked"]),
            bracket["r_now"] if bracket["r_now"] is not None and not over else "",
        ]
        table.add_row(*cells, *([picture] if wide else []), style="dim" if over else style)
        rulers.add_row(bracket["bracket_id"], picture, style="dim" if over else style)
    yield table
    if not wide:
        yield rulers


def bracket_lines(bracket: Data) -> Iterator[RenderableType]:
    """Show one bracket, whole."""
    side = "long" if bracket["side"] == "buy" else "short"
    yield Text(f"{bracket['bracket_id']}  {side} {bracket['symbol']}  {bracket['phase']}", style="bold")
    yield Text(bracket["verdict"], style=STYLES[bracket["level"]])
    if bracket["ruler"]:
        yield Text(f"  {bracket['ruler']}")
    parts = (
        f"open {bracket['open_qty']}, protected {bracket['protected_qty']}, exposed {bracket['exposed_qty']}, "
        f"unknown {bracket['unknown_qty']}"
    )
    residue = f", too little to sell {bracket['residue_qty']}" if bracket["residue_qty"] != "0" else ""
    yield Text(f"  {parts}{residue}")
    if bracket["entry_px"] is not None:
        how = "fallback percentage" if bracket["fallback"] else _how(bracket)
        r_now = f", now {bracket['last_px']} = {bracket['r_now']} R" if bracket["r_now"] is not None else ""
        yield Text(
            f"  entry {bracket['entry_px']}, stop {bracket['stop_px']} ({how}), target {bracket['target_px'] or 'none'}"
            f"{r_now}"
        )
    yield Text(f"  plan {bracket['plan']}: {bracket['plan_reason']}")
    naked = f"naked now {seconds(bracket['seconds_naked'])}, in all {seconds(bracket['naked_total_s'])}"
    yield Text(f"  strategy {bracket['strategy']} ({bracket['policy']}), since {clock(bracket['opened_ns'])}, {naked}")
    yield orders_table(bracket["orders"][-ORDERS_SHOWN:])
    if len(bracket["orders"]) > ORDERS_SHOWN:
        yield Text(f"  the last {ORDERS_SHOWN} of {len(bracket['orders'])} orders; --json has them all", style="dim")


def acted_lines(found: Data) -> Iterator[RenderableType]:
    """Show what became of the brackets something was asked of."""
    for bracket in found["brackets"]:
        yield from bracket_lines(bracket)
    if not found["brackets"]:
        yield Text("no open brackets")
    for remark in found["remarks"]:
        yield Text(f"- {remark}", style="yellow")


def _how(bracket: Data) -> str:
    return f"ATR {bracket['atr_px']}" if bracket["atr_px"] is not None else "as given"


def orders_table(orders: Sequence[Data]) -> Table:
    """Show a bracket's orders."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("  order", "state", "side", "type"):
        table.add_column(name, no_wrap=True)
    for name in ("quantity", "filled", "stop", "limit", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for order in orders:
        table.add_row(
            f"  {order['client_order_id']}",
            order["state"],
            order["side"],
            order["order_type"],
            order["quantity"],
            order["filled_qty"],
            order["stop_px"] or "",
            order["limit_px"] or "",
            seconds(order["age_s"]),
            order["reason"],
        )
    return table


def compared_lines(found: Data) -> Iterator[RenderableType]:
    """Show what a comparison with the venue came to."""
    if found["complete"]:
        facts = "1 fact" if found["facts"] == 1 else f"{found['facts']} facts"
        yield Text(f"compared: {facts}, {found['corrections']} of them news", style="green")
    else:
        yield Text(f"not compared: {found['why']}", style=STYLES["alarm"])
    yield from orphan_lines(found)


def orphan_lines(found: Data) -> Iterator[RenderableType]:
    """Show orders of ours without a bracket, and positions that nobody looks after."""
    for order in found["orphans"]:
        px = order["stop_px"] or order["limit_px"] or "market"
        yield Text(
            f"orphan {order['client_order_id']}: {order['side']} {order['leaves_qty']} {order['symbol']} "
            f"{order['order_type']} {px}: an id of ours, and no bracket. Cancel it at the venue.",
            style="yellow",
        )
    for position in found["positions"]:
        if position["unprotected_qty"] != "0":
            yield Text(
                f"position {position['symbol']}: the account holds {position['account_qty']}, brackets look after "
                f"{position['brackets_qty']}: {position['unprotected_qty']} are nobody's (grodtd protect adopts them)",
                style="yellow",
            )
    if not found["orphans"] and all(position["unprotected_qty"] == "0" for position in found["positions"]):
        yield Text("no orphans; every position in the account is looked after")


def _symbols(symbols: Sequence[Data]) -> Iterator[RenderableType]:
    for symbol in symbols:
        age = "recorded" if symbol["quote_age_s"] is None else ago(symbol["quote_age_s"])
        quote = f"{symbol['bid']} / {symbol['ask']}, {age}" if symbol["bid"] else "no quote yet"
        warm = "; ".join(
            f"{warmth['strategy']}: "
            + (f"ATR {warmth['atr_px']}" if not warmth["why_no_atr"] else f"fallback ({warmth['why_no_atr']})")
            for warmth in symbol["warmth"]
        )
        yield Text(f"{symbol['symbol']}  {quote}{'  ' if warm else ''}{warm}", style="dim")


def seconds(value: float) -> str:
    """Write a span of time, short.

    >>> seconds(0), seconds(0.25), seconds(75), seconds(7300)
    ('0 s', '0.25 s', '1 min 15 s', '2 h 1 min')
    """
    if value < 60:
        return f"{value:.3g} s"
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"


def ago(value: float | None) -> str:
    """Write an age; never is one, too.

    >>> ago(2.0), ago(None)
    ('2 s ago', 'never')
    """
    return "never" if value is None else f"{seconds(value)} ago"


def clock(ts_ns: int) -> str:
    """Write a time as date and time of day, UTC, to the second.

    >>> clock(1_402_315_200_000_000_000)
    '2014-06-09 12:00:00'
    """
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
