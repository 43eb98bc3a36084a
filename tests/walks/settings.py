"""What is walked: for each plan the growing of a position, everything that can go wrong once, and corners of their own.

Every setting is small, so that all of them together take seconds. `deep()` adds what a night is for.
"""

from dataclasses import replace
from decimal import Decimal
from functools import cache

from grodtd.domain.capabilities import (
    Amend,
    Capabilities,
    ClientIdScope,
    ReduceOnly,
    SiblingOnPartial,
    StopOrders,
)
from grodtd.domain.instrument import Instrument
from grodtd.domain.orders import Side
from grodtd.domain.policy import (
    BreakEvenPolicy,
    Plan,
    Policy,
    ProtectionPolicy,
    RatchetOn,
    RatchetPolicy,
    ScaleOutPolicy,
    ScaleStep,
)
from tests.walks.walk import Setting, Walk, Walker

STOP, PAIR, OCO, SYN = Plan.STOP_RESTING, Plan.PAIR_REDUCE_ONLY, Plan.NATIVE_OCO, Plan.SYNTHETIC
WHILE_OPEN = ClientIdScope.WHILE_OPEN

plain = Capabilities(name="plain")
amends = Capabilities(name="amends", amend=Amend.REPLACE)
reused_ids = Capabilities(name="reused_ids", client_id_scope=WHILE_OPEN)
expiring = Capabilities(name="expiring", client_id_scope=WHILE_OPEN, supports_valid_until=True)
stop_limits = Capabilities(name="stop_limits", stop_orders=StopOrders.LIMIT)
perp = Capabilities(name="perp", reduce_only=ReduceOnly.PER_ORDER, amend=Amend.REPLACE)
stiff_perp = Capabilities(name="stiff_perp", reduce_only=ReduceOnly.PER_ORDER)
linked = Capabilities(name="linked", native_oco=True, sibling_on_partial=SiblingOnPartial.CANCEL)
resizing = Capabilities(name="resizing", native_oco=True, sibling_on_partial=SiblingOnPartial.RESIZE)
careless = Capabilities(name="careless", native_oco=True, sibling_on_partial=SiblingOnPartial.NONE)
no_stops = Capabilities(name="no_stops", stop_orders=StopOrders.NONE)

# One unit is worth too little to be sold by itself, two are not.
DUSTY = Instrument("X", tick_size=Decimal(1), min_notional=Decimal(150))
IMPATIENT = Policy(protection=ProtectionPolicy(stop_retry_attempts=1, local_stop_s=Decimal(1)))

HALVES = Policy(
    protection=ProtectionPolicy(allow_synthetic=True),
    scale_out=ScaleOutPolicy((ScaleStep(Decimal("0.5"), px=Decimal(108)),)),
)
"""Half at 108, half at 110."""
NEARER = Policy(
    protection=ProtectionPolicy(allow_synthetic=True),
    ratchet=RatchetPolicy(on=RatchetOn.QUOTE),
    break_even=BreakEvenPolicy(at_r=Decimal(1)),
)
"""The stop moves to the entry with the very quote that touches the target."""

NETWORK = ("twice", "unknown", "stale", "late", "silence", "not_sent", "timer", "overtake")
VENUE = ("refuse", "refuse_cancel", "thin", "yank", "half", "entry_ends")
ANY = NETWORK + VENUE

SETTINGS = (
    Setting("stop: grows", plain, STOP, mischief=0),
    Setting("stop: anything once", plain, STOP, filled_qty=2, evils=ANY),
    Setting("stop: a one-unit entry, anything once", plain, STOP, entry_qty=1, evils=ANY),
    Setting("stop: by hand", plain, STOP, filled_qty=2, mischief=0, by_hand=1),
    Setting("stop: ids are reused", reused_ids, STOP, filled_qty=2, mischief=2, moves=0, evils=("late", "stale", "unknown")),
    Setting("stop: orders expire", expiring, STOP, filled_qty=2, mischief=2, moves=0, evils=("late", "stale", "unknown")),
    Setting("stop: amended by hand", amends, STOP, filled_qty=2, moves=0, by_hand=1, evils=ANY),
    Setting("stop: limits only", stop_limits, STOP, filled_qty=2, moves=2, mischief=0),
    Setting("stop: refused again and again", plain, STOP, filled_qty=2, mischief=4, evils=("refuse",), policy=IMPATIENT),
    Setting("stop: exits are refused", plain, STOP, filled_qty=2, by_hand=1, mischief=2, moves=0, evils=("refuse",)),
    Setting("stop: busts", plain, STOP, filled_qty=1, mischief=2, moves=0, strict=False, evils=("bust", "refuse")),
    Setting("stop: fills after the end", plain, STOP, filled_qty=1, strict=False, lawless=True, evils=("ghost",)),
    Setting("stop: the dead arrive", plain, STOP, filled_qty=2, strict=False, lawless=True, evils=("undead",)),
    Setting("stop: an unpriced fill", plain, STOP, moves=0, evils=("overtake",)),
    Setting("stop: dust", plain, STOP, mischief=0, instrument=DUSTY),
    Setting("stop: dust, anything once", plain, STOP, filled_qty=2, strict=False, instrument=DUSTY, evils=("thin", "yank", "bust")),
    Setting("stop: dust after the end", plain, STOP, filled_qty=2, strict=False, lawless=True, instrument=DUSTY, evils=("ghost", "undead")),
    Setting("stop: dust of three", plain, STOP, entry_qty=3, filled_qty=3, instrument=DUSTY, evils=("thin",)),
    Setting("pair: grows", perp, PAIR, mischief=0),
    Setting("pair: anything once", perp, PAIR, filled_qty=2, moves=0, evils=ANY),
    Setting("pair: whipsaw", perp, PAIR, filled_qty=2, moves=2, mischief=0),
    Setting("pair: by hand", perp, PAIR, filled_qty=2, mischief=0, by_hand=1),
    Setting("pair: nothing can be amended", stiff_perp, PAIR, filled_qty=2, moves=2, mischief=0),
    Setting("pair: busts", perp, PAIR, moves=0, strict=False, evils=("bust",)),
    Setting("pair: dust", perp, PAIR, mischief=0, instrument=DUSTY),
    Setting("pair: dust, thin", perp, PAIR, filled_qty=2, strict=False, instrument=DUSTY, evils=("thin", "bust")),
    Setting("oco: grows", linked, OCO, mischief=0),
    Setting("oco: the network fails once", linked, OCO, filled_qty=2, evils=("half", *NETWORK)),
    Setting("oco: the venue fails once", linked, OCO, filled_qty=2, evils=VENUE),
    Setting("oco: by hand", linked, OCO, filled_qty=2, moves=0, mischief=0, by_hand=1),
    Setting("oco: the link fails", linked, OCO, filled_qty=2, moves=2, strict=False, evils=("leak",)),
    Setting("oco: siblings are resized", resizing, OCO, filled_qty=2, moves=2, mischief=0),
    Setting("oco: siblings are left alone", careless, OCO, filled_qty=2, moves=2, mischief=0, strict=False),
    Setting("oco: busts", linked, OCO, filled_qty=2, strict=False, evils=("bust",)),
    Setting("oco: fills after the end", linked, OCO, filled_qty=2, strict=False, lawless=True, evils=("ghost",)),
    Setting("oco: dust", linked, OCO, mischief=0, instrument=DUSTY),
    Setting("syn: grows", no_stops, SYN, mischief=0, moves=2),
    Setting("syn: anything once", no_stops, SYN, filled_qty=2, evils=ANY),
    Setting("syn: busts", no_stops, SYN, strict=False, evils=("bust",)),
    Setting("stop: in halves", plain, STOP, filled_qty=2, evils=ANY, policy=HALVES),
    Setting("stop: in halves, growing", plain, STOP, mischief=0, policy=HALVES),
    Setting("stop: in halves, amended", amends, STOP, filled_qty=2, evils=ANY, policy=HALVES),
    Setting("pair: in halves", perp, PAIR, filled_qty=2, evils=("twice", "unknown", "refuse", "thin"), policy=HALVES),
    Setting("pair: in halves, growing", perp, PAIR, mischief=0, policy=HALVES),
    Setting("oco: in halves", linked, OCO, filled_qty=2, evils=("refuse",), policy=HALVES),
    Setting("syn: in halves", no_stops, SYN, filled_qty=2, evils=ANY, policy=HALVES),
    Setting("stop: comes nearer", plain, STOP, filled_qty=2, evils=("refuse", "late"), policy=NEARER),
    Setting("stop: comes nearer, amended", amends, STOP, filled_qty=2, moves=2, mischief=0, policy=NEARER),
    Setting("pair: comes nearer", perp, PAIR, filled_qty=2, moves=2, mischief=0, policy=NEARER),
    Setting("oco: comes nearer", linked, OCO, filled_qty=2, moves=2, mischief=0, policy=NEARER),
    Setting("syn: comes nearer", no_stops, SYN, filled_qty=2, moves=2, evils=("thin",), policy=NEARER),
    Setting("syn: dust of three", no_stops, SYN, entry_qty=3, filled_qty=3, instrument=DUSTY, evils=("thin",)),
)  # fmt: skip

BY_NAME = {setting.name: setting for setting in SETTINGS}

MIRRORED = tuple(
    replace(BY_NAME[name], name=f"{name} (short)", side=Side.SELL)
    for name in ("stop: anything once", "pair: whipsaw", "oco: by hand", "syn: anything once")
)
"""The same walks, short: as many states, step for step."""


@cache
def walked(setting: Setting) -> Walk:
    """Walk a setting, once a process. Raises Broken where something does not hold."""
    return Walker(setting).run()


def deep() -> list[Setting]:
    """Return larger settings: everything may go wrong twice, or while the position grows."""
    found = []
    for setting in SETTINGS:
        if setting.name.endswith("anything once") or "fails once" in setting.name:
            found.append(replace(setting, name=f"{setting.name}, twice over", mischief=2, moves=1))
            found.append(replace(setting, name=f"{setting.name}, growing", filled_qty=0))
    return found
