"""Identifiers that follow from facts, so that a restart derives the same id for the same intent."""

import re

from grodtd.domain.errors import Refused

BRACKET_ID = re.compile(r"[A-Za-z0-9_-]{1,24}")
CLIENT_ORDER_ID = re.compile(r"([A-Za-z0-9_-]{1,24})\.(entry|stop|target|exit|remedy)(\d+)")


def check_bracket_id(bracket_id: str) -> str:
    """Return `bracket_id` when it is a legal name: 1 to 24 letters, digits, '_' or '-'.

    Raises: Refused - the caller chose another name; nothing happened.

    >>> check_bracket_id("B7")
    'B7'
    """
    if not BRACKET_ID.fullmatch(bracket_id):
        raise Refused(
            f"bracket id {bracket_id!r} is not allowed: use 1 to 24 letters, digits, '_' or '-'", code="bad_id"
        )
    return bracket_id


def client_order_id(bracket_id: str, leg: str, generation: int) -> str:
    """Name the `generation`-th order of one leg of a bracket.

    >>> client_order_id("B7", "stop", 3)
    'B7.stop3'
    """
    return f"{bracket_id}.{leg}{generation}"


def parse_client_order_id(client_id: str) -> tuple[str, str, int] | None:
    """Split an id of ours into (bracket id, leg, generation); None for a foreign order's id.

    >>> parse_client_order_id("B7.stop3"), parse_client_order_id("manual-1")
    (('B7', 'stop', 3), None)
    """
    match = CLIENT_ORDER_ID.fullmatch(client_id)
    return (match[1], match[2], int(match[3])) if match else None


def bracket_id_of_entry(entry_client_order_id: str) -> str:
    """Derive a legal bracket id from the id of the entry order it protects.

    Characters that are not allowed become '-', and a long id keeps its end, where ids differ.

    >>> bracket_id_of_entry("strategy:42/AAPL")
    'strategy-42-AAPL'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", entry_client_order_id)[-24:]
