"""The peer of `trigger_book`: nautilus_trader's quotes a second with N brackets open. CPU seconds of its process.

Plain: orders rest at its venue and no quote reaches any. Trailing: each quote moves all N stops, emulated.
"""

from benchmarks import peers
from benchmarks.printing import Row, show


def main() -> None:
    """Run and print."""
    rows = []
    for (kind, count), script in peers.NAUTILUS_QUOTES.items():
        found = peers.figure(script)
        what = f"{found.said}, {kind}, N={count:,}"
        rows.append(Row(what, found.per_s, "quotes/s", series=f"quotes/{kind} nautilus", x=count))
    show("quotes with N brackets open, the peer", rows)


if __name__ == "__main__":
    main()
