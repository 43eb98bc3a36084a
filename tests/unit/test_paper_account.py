"""A paper account comes back as it was, however its process ended."""

import resource
import signal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.connectors.paper_account import PaperAccount
from grodtd.domain.commands import CancelOrder, ReplaceOrder, SubmitOrder
from grodtd.domain.errors import ConfigError, Refused
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import NewOrder, OrderType, Side
from grodtd.venue.profiles import MARGIN, PERP, SPOT_LOCKED, SPOT_OCO

RULES = [Instrument("X"), Instrument("Y")]


def account(path, profile=MARGIN, cash=1000):
    return PaperAccount(path, profile, RULES, cash=Decimal(cash))


def quote(px, symbol="X", **sizes):
    return Quote(symbol, Decimal(px), Decimal(px) + 1, 1, **{k: Decimal(v) for k, v in sizes.items()})


def order(name, side, kind, quantity, px=None, symbol="X"):
    stop_px = Decimal(px) if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None
    limit_px = Decimal(px) if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    return SubmitOrder("", NewOrder(name, symbol, side, kind, Decimal(quantity), stop_px=stop_px, limit_px=limit_px))


def truth(venue):
    """All that anybody could ask the account, as values."""
    return (
        venue.history(),
        venue.open_orders(),
        venue.fills(0),
        [venue.position(symbol) for symbol in ("X", "Y")],
    )


def test_a_stop_set_before_the_restart_is_hit_after_it(tmp_path):
    path = tmp_path / "account"
    before = account(path)
    before.bring("X", Side.BUY, Decimal(100), Decimal(50), 1)
    before.apply(order("B1.stop1", Side.SELL, OrderType.STOP, 100, 45), 2)
    before.on_quote(quote(48), 3)
    before.close()

    after = account(path, cash=777)  # the cash is the account's own by now
    assert not after.created
    assert after.position("X") == 100
    [report] = after.on_quote(quote(44), 4)
    assert (report.client_order_id, report.last_px, report.cum_qty) == ("B1.stop1", 44, 100)
    assert after.equity() == 1000 - 100 * 50 + 100 * 44


def test_a_market_order_after_the_restart_meets_the_last_price_that_mattered(tmp_path):
    path = tmp_path / "account"
    before = account(path)
    before.on_quote(quote(48), 1)
    before.apply(order("hand-1", Side.BUY, OrderType.MARKET, 1), 2)
    before.close()
    [fill] = account(path).fills(0)
    assert fill.px == 49


def test_a_command_torn_by_a_crash_never_arrived(tmp_path):
    path = tmp_path / "account"
    venue = account(path)
    venue.apply(order("one", Side.BUY, OrderType.LIMIT, 1, 40), 1)
    whole = path.read_bytes()
    venue.apply(order("two", Side.BUY, OrderType.LIMIT, 1, 40), 2)
    for length in range(len(whole), len(path.read_bytes())):
        torn = tmp_path / f"torn-{length}"
        torn.write_bytes(path.read_bytes()[:length])
        assert [report.client_order_id for report in account(torn).open_orders()] == ["one"]
        assert torn.read_bytes() == whole


def test_what_was_refused_leaves_no_trace(tmp_path):
    path = tmp_path / "account"
    venue = account(path)
    before = path.read_bytes()
    with pytest.raises(Refused):
        venue.apply(CancelOrder("", "nobody"), 1)
    assert path.read_bytes() == before


def test_the_place_in_each_feed_is_kept(tmp_path):
    path = tmp_path / "account"
    venue = account(path)
    venue.keep_place("day1", 10)
    venue.keep_place("day1", 25)
    venue.close()
    again = account(path)
    assert (again.place("day1"), again.place("day2")) == (25, 0)


def test_only_its_owner_may_read_it(tmp_path):
    account(tmp_path / "account")
    assert (tmp_path / "account").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text.replace('"margin"', '"perp"'), "is a perp account, and brokers.paper.profile is margin"),
        (lambda text: "nonsense\n" + text, ":1: is no line of a paper account"),
        (lambda text: text.partition("\n")[2], ":1: does not say what account this is"),
        (lambda text: text.replace('"X"', '"GONE"'), ":2: cannot be repeated"),
    ],
)
def test_a_file_that_cannot_be_trusted_says_so(tmp_path, damage, words):
    path = tmp_path / "account"
    account(path).apply(order("one", Side.BUY, OrderType.LIMIT, 1, 40), 1)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ConfigError, match=words):
        account(path)


# ---------------------------------------------------------------- whatever happens

sides, kinds = st.sampled_from(Side), st.sampled_from(OrderType)
symbols, sizes, prices = st.sampled_from(["X", "Y"]), st.integers(1, 9), st.integers(40, 60)
offered = st.none() | st.integers(0, 12)
acts = st.one_of(
    st.tuples(st.just("order"), sides, kinds, sizes, prices, symbols),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("replace"), st.integers(0, 20), sizes, prices),
    st.tuples(st.just("quote"), prices, symbols, offered, offered),
    st.tuples(st.just("bring"), symbols, sides, sizes, prices),
)


def play(venue, story, names, begun):
    for now_ns, act in enumerate(story, begun):
        try:
            match act:
                case "order", side, kind, size, px, symbol:
                    names.append(f"o{now_ns}")
                    venue.apply(order(names[-1], side, kind, size, px, symbol), now_ns)
                case "cancel", which if names:
                    venue.apply(CancelOrder("", names[which % len(names)]), now_ns)
                case "replace", which, size, px if names:
                    old = venue.order(names[which % len(names)])
                    if old is None or old.order is None:
                        continue
                    names.append(f"r{now_ns}")
                    new = order(names[-1], old.order.side, old.order.order_type, size, px, old.order.symbol).order
                    venue.apply(ReplaceOrder("", old.client_order_id, new), now_ns)
                case "quote", px, symbol, bid_qty, ask_qty:
                    sizes = {"bid_qty": bid_qty, "ask_qty": ask_qty}
                    venue.on_quote(quote(px, symbol, **{k: v for k, v in sizes.items() if v is not None}), now_ns)
                case "bring", symbol, side, size, px:
                    venue.bring(symbol, side, Decimal(size), Decimal(px), now_ns)
        except Refused:
            pass


def test_half_a_line_that_found_no_room_is_taken_back(tmp_path):
    """What a limit of file size lets through is written, and an error follows: the file is as it was before."""
    path = tmp_path / "account"
    venue = account(path)
    venue.apply(order("one", Side.BUY, OrderType.LIMIT, 1, 40), 1)
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
        with pytest.raises(OSError, match="too large"):
            venue.apply(order("two", Side.BUY, OrderType.LIMIT, 1, 40), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("profile", [MARGIN, PERP, SPOT_LOCKED, SPOT_OCO], ids=lambda profile: profile.name)
@given(before=st.lists(acts, max_size=20), after=st.lists(acts, max_size=8))
def test_the_account_comes_back_and_lives_on_as_if_nothing_had_happened(tmp_path_factory, profile, before, after):
    path = tmp_path_factory.mktemp("paper") / "account"
    first, names = account(path, profile), []
    play(first, before, names, 1)
    first.close()
    second = account(path, profile)
    assert truth(second) == truth(first)

    first._fd = second._fd  # both go on; what they write is of no interest any more
    for symbol in ("X", "Y"):  # the market speaks before anybody trades, as it does after a restart
        play(first, [("quote", 50, symbol, None, None)], [], 90)
        play(second, [("quote", 50, symbol, None, None)], [], 90)
    play(first, after, list(names), 100)
    play(second, after, list(names), 100)
    assert truth(second) == truth(first)
    second.close()
