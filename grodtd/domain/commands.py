"""Intentions: what the shell must do at the venue. Each is durable in the journal before it is sent."""

import msgspec

from grodtd.domain.orders import NewOrder


class SubmitOrder(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Send one order."""

    bracket_id: str
    order: NewOrder


class SubmitOco(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Send a stop and a target that the venue links: one cancels the other."""

    bracket_id: str
    stop: NewOrder
    target: NewOrder


class CancelOrder(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Ask for an order's end. Only a terminal report is final."""

    bracket_id: str
    client_order_id: str


class ReplaceOrder(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Change an order in one step; `order` carries the next generation's id and the chain's total quantity."""

    bracket_id: str
    client_order_id: str
    order: NewOrder


class QueryOrder(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Ask what became of an order: by its id, and among the account's fills."""

    bracket_id: str
    client_order_id: str


class Reconcile(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Compare everything known about a bracket with the venue: something happened that has no row."""

    bracket_id: str


Command = SubmitOrder | SubmitOco | CancelOrder | ReplaceOrder | QueryOrder | Reconcile
