"""What the door refuses: in words a person can act on, with a code a program can, before anything happened."""

from decimal import Decimal

import pytest

from grodtd.domain.errors import Refused
from grodtd.domain.orders import Side
from grodtd.storage.memory import MemoryJournal
from grodtd.venue.profiles import NO_STOPS
from tests.unit.door_kit import buy, in_a_world, protected, resting

D = Decimal

NAN, INFINITE = D("NaN"), D("Infinity")


def refusal(story, **account):
    """Play a story that ends in a refusal; see that it left neither a record nor an order, and return it."""
    journal = MemoryJournal()

    async def traces(world):
        await world.settle()
        await journal.commit()
        return len(journal.disk.records), await resting(world), world.service.brackets(ended=True)

    async def life(world):
        before = None

        async def refused(call):
            nonlocal before
            before = await traces(world)
            with pytest.raises(Refused) as caught:
                await call
            return caught.value

        error = await story(world, refused)
        assert await traces(world) == before
        return error

    return in_a_world(life, journal=journal, **account)


# what is wrong, code, words
BAD_FILLS = {
    "no quantity": ({"quantity": D(0)}, "bad_quantity", "quantity is 0"),
    "a negative quantity": ({"quantity": D(-5)}, "bad_quantity", "quantity is -5"),
    "a quantity that is no number": ({"quantity": NAN}, "bad_quantity", "quantity is NaN"),
    "endless quantity": ({"quantity": INFINITE}, "bad_quantity", "quantity is Infinity"),
    "a float for a quantity": ({"quantity": 100.0}, "bad_quantity", "of type float: give a Decimal"),
    "a price of zero": ({"px": D(0)}, "bad_price", "px is 0"),
    "a negative price": ({"px": D("-187.20")}, "bad_price", "px is -187.20"),
    "a price that is no number": ({"px": NAN}, "bad_price", "px is NaN"),
    "no price at all": ({"px": None}, "bad_price", "px is None"),
    "a stop that is no number": ({"stop_px": NAN}, "bad_price", "stop_px is NaN"),
    "a negative stop": ({"stop_px": D(-1)}, "bad_price", "stop_px is -1"),
    "a target that is no number": ({"target_px": D("sNaN")}, "bad_price", "target_px is sNaN"),
    "a float for a target": ({"target_px": 190.0}, "bad_price", "target_px 190.0 is of type float"),
    "a last price that is no number": ({"last_px": NAN}, "bad_price", "last_px is NaN"),
    "a fee that is no number": ({"fee": NAN}, "bad_price", "fee is NaN"),
    "a position that is no number": ({"account_qty": NAN}, "bad_quantity", "account_qty is NaN"),
    "a word for a side": ({"side": "buy"}, "bad_side", "give Side.BUY for a long"),
    "an unknown symbol": ({"symbol": "XYZ"}, "unknown_symbol", "add it to instruments.yaml"),
    "an unknown strategy": ({"strategy": "scalp"}, "unknown_strategy", "known: default"),
    "no name": ({"bracket_id": None}, "no_id", "give bracket_id or fill_id"),
    "a name with a blank": ({"bracket_id": "B 1"}, "bad_id", "use 1 to 24 letters"),
    "an empty name": ({"bracket_id": ""}, "bad_id", "use 1 to 24 letters"),
}


@pytest.mark.parametrize("wrong", BAD_FILLS)
def test_a_fill_told_wrongly(wrong):
    change, code, words = BAD_FILLS[wrong]
    told = {"symbol": "AAPL", "side": Side.BUY, "quantity": D(100), "px": D("187.20"), "bracket_id": "B1", **change}

    async def story(world, refused):
        return await refused(world.service.protect_fill(**told))

    error = refusal(story)
    assert error.code == code
    assert words in str(error)


BAD_ENTRIES = {
    "a long's stop above its entry": ({"stop_px": D(190)}, "bad_stop", "must be a price below its entry 187.2"),
    "a long's target below its entry": ({"target_px": D(180)}, "bad_target", "must be a price above its entry 187.2"),
    "a short's stop below its entry": ({"side": Side.SELL, "stop_px": D(180)}, "bad_stop", "above its entry 187.2"),
    "a stop at the entry": ({"stop_px": D("187.20")}, "bad_stop", "below its entry 187.2"),
    "no market to compare with, levels crossed": (
        {"entry_px": None, "stop_px": D(190), "target_px": D(180)},
        "bad_levels",
        "the wrong way round for a buy",
    ),
    "an expected price that is no number": ({"entry_px": NAN}, "bad_price", "entry_px is NaN"),
    "a negative quantity": ({"quantity": D(-1)}, "bad_quantity", "quantity is -1"),
    "a stop that is no number": ({"entry_px": None, "stop_px": NAN}, "bad_price", "stop_px is NaN"),
    "an entry without an id": ({"entry_client_order_id": ""}, "no_id", "give bracket_id or entry_client_order_id"),
    "an unknown symbol": ({"symbol": "XYZ"}, "unknown_symbol", "XYZ is not configured"),
    "an unknown strategy": ({"strategy": "scalp"}, "unknown_strategy", "no strategy named 'scalp'"),
}


@pytest.mark.parametrize("wrong", BAD_ENTRIES)
def test_an_entry_told_wrongly(wrong):
    change, code, words = BAD_ENTRIES[wrong]
    told = {
        "entry_client_order_id": "e1",
        "symbol": "AAPL",
        "side": Side.BUY,
        "quantity": D(100),
        "entry_px": D("187.20"),
        **change,
    }

    async def story(world, refused):
        return await refused(world.service.protect_entry(**told))

    error = refusal(story)
    assert error.code == code
    assert words in str(error)


# change -> code, words; the bracket is long from 187.20, stop 183.20, target 194.40
BAD_CHANGES = {
    "nothing": ({}, "bad_levels", "nothing to change"),
    "a stop that is no number": ({"stop_px": NAN}, "bad_price", "stop_px is NaN"),
    "a negative target": ({"target_px": D(-1)}, "bad_price", "target_px is -1"),
    "a looser stop": ({"stop_px": D("183.00")}, "looser", "never loosened"),
    "a looser stop with a reason alone": ({"stop_px": D("183.00"), "reason": "noise"}, "looser", "allow_loosen"),
    "a looser stop without a reason": ({"stop_px": D("183.00"), "allow_loosen": True}, "no_reason", "a reason"),
    "a target below the stop": ({"target_px": D("183.00")}, "bad_levels", "the wrong way round"),
    "another's bracket": ({"bracket_id": "B9", "stop_px": D(185)}, "unknown_bracket", "there is no bracket B9"),
}


@pytest.mark.parametrize("wrong", BAD_CHANGES)
def test_levels_changed_wrongly(wrong):
    change, code, words = BAD_CHANGES[wrong]

    async def story(world, refused):
        await protected(world)
        return await refused(world.service.change_levels(**{"bracket_id": "B1", **change}))

    error = refusal(story)
    assert error.code == code
    assert words in str(error)


def test_levels_before_the_first_fill():
    async def story(world, refused):
        await world.service.protect_entry("e1", "AAPL", Side.BUY, D(10))
        return await refused(world.service.change_levels("e1", stop_px=D(180)))

    assert refusal(story).code == "not_open"


@pytest.mark.parametrize("verb", ["change_levels", "release", "flatten"])
@pytest.mark.parametrize(("name", "code"), [("B9", "unknown_bracket"), ("B1", "ended")])
def test_a_bracket_that_is_not_there_any_more(verb, name, code):
    async def story(world, refused):
        await protected(world)
        await world.service.release("B1", "mine")
        await world.settle()
        more = {"stop_px": D(185)} if verb == "change_levels" else {"reason": "now"}
        return await refused(getattr(world.service, verb)(name, **more))

    assert refusal(story).code == code


def test_looking_for_a_bracket_that_never_was():
    async def story(world):
        with pytest.raises(Refused, match="there is no bracket B9"):
            world.service.bracket("B9")

    in_a_world(story)


class TestAskingTwice:
    """A caller whose answer was lost asks again; he must tell 'done' from 'not done, the name is another's'."""

    @pytest.mark.parametrize("named", [{"bracket_id": "B1"}, {"fill_id": "exec/1"}])
    def test_the_same_fill(self, named):
        async def story(world, refused):
            px = await buy(world)
            fill = ("AAPL", Side.BUY, D(100), px)
            await world.service.protect_fill(*fill, **named)
            await world.settle()
            return await refused(world.service.protect_fill(*fill, **named))

        error = refusal(story)
        assert error.code == "duplicate_id"
        assert "looks after this already (open)" in str(error)

    def test_the_same_entry(self):
        async def story(world, refused):
            await world.service.protect_entry("e1", "AAPL", Side.BUY, D(100))
            return await refused(world.service.protect_entry("e1", "AAPL", Side.BUY, D(100)))

        assert refusal(story).code == "duplicate_id"

    def test_the_same_entry_under_another_name(self):
        async def story(world, refused):
            await world.service.protect_entry("e1", "AAPL", Side.BUY, D(100))
            return await refused(world.service.protect_entry("e1", "AAPL", Side.BUY, D(100), bracket_id="B2"))

        assert refusal(story).code == "duplicate_id"

    @pytest.mark.parametrize(
        "other",
        [
            ("AAPL", Side.BUY, D(99), D("187.20")),
            ("AAPL", Side.SELL, D(100), D("187.20")),
            ("AAPL", Side.BUY, D(100), D("187.21")),
            ("TSLA", Side.BUY, D(100), D("187.20")),
        ],
    )
    def test_another_fill_under_a_name_that_is_taken(self, other):
        async def story(world, refused):
            await protected(world)
            return await refused(world.service.protect_fill(*other, bracket_id="B1"))

        error = refusal(story)
        assert error.code == "id_taken"
        assert "this one is NOT looked after" in str(error)


class TestEntriesTurnedAway:
    def test_while_paused(self):
        async def story(world, refused):
            await world.service.pause_entries("lunch")
            return await refused(world.service.protect_entry("e1", "AAPL", Side.BUY, D(1)))

        error = refusal(story)
        assert (error.code, str(error)) == ("entries_paused", "new entries are paused: lunch")

    def test_when_enough_brackets_are_active(self):
        async def story(world, refused):
            await protected(world)
            return await refused(world.service.protect_entry("e1", "AAPL", Side.BUY, D(1)))

        error = refusal(story, settings={"GRODTD_TRADE_EXIT__BRACKET_ORDERS__MAX_ACTIVE_BRACKETS": "1"})
        assert error.code == "too_many"
        assert str(error).startswith("bracket_orders.max_active_brackets: 1 brackets are active; allowed: 1;")

    def test_where_nothing_would_rest(self):
        async def story(world, refused):
            return await refused(world.service.protect_entry("e1", "AAPL", Side.BUY, D(1)))

        error = refusal(story, capabilities=NO_STOPS)
        assert error.code == "unprotected"
        assert "protection.allow_synthetic" in str(error)
