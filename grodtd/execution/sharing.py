"""One object for equal values: the names and figures of a state read from bytes stand in it many times, each anew.

In an engine that lived a name went from fact to bracket to index to deadline and is one object. Sharing brings the
memory of one that was read back to that, or below.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar, get_args

import msgspec
from msgspec.structs import fields, force_setattr

S = TypeVar("S", bound=msgspec.Struct)


def share_values(state: S) -> S:
    """Let equal texts, and decimals of the same digits, in a freshly decoded `state` be one object; return it.

    It is worked on in place, frozen values too: nobody else may hold it or a part of it yet. Decimals are shared by
    their digits and not by their value: 1 stays 1 and 1.0 stays 1.0, since that is how they are written again.
    """
    _Sharing().of(state)
    return state


class _Sharing:
    """What was met so far."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.decimals: dict[str, Decimal] = {}

    def of(self, value: Any) -> Any:
        """Return `value`, or the equal one met before it; what it is made of is shared, too."""
        kind = type(value)
        if kind is str:
            return self.texts.setdefault(value, value)
        if kind is Decimal:
            return self.decimals.setdefault(str(value), value)
        if kind is tuple:
            return tuple([self.of(item) for item in value]) if value else value
        if kind is dict:
            return {self.of(key): self.of(item) for key, item in value.items()}
        if isinstance(value, msgspec.Struct):
            self._in_struct(value)
        return value

    def _in_struct(self, value: msgspec.Struct) -> None:
        """As `of`, field by field; texts and decimals are looked up here, since they are nearly all there is."""
        texts, decimals = self.texts, self.decimals
        names, values_of = _parts(type(value))
        for name, held in zip(names, values_of(value), strict=True):
            kind = type(held)
            if kind is str:
                shared = texts.setdefault(held, held) if held else held
            elif kind is Decimal:
                shared = decimals.setdefault(str(held), held)
            elif held:  # not None, nor an empty tuple
                shared = self.of(held)
            else:
                continue
            if shared is not held:
                force_setattr(value, name, shared)


@cache
def _parts(kind: type[msgspec.Struct]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Names of the fields whose values can be shared, and what gets these: a bracket's whole numbers are most of it."""
    names = tuple(field.name for field in fields(kind) if not _is_plain(field.type))
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)


def _is_plain(annotation: Any) -> bool:
    """Whether a field holds numbers, switches and names out of a list alone: these are one object already."""
    return all(
        kind in (int, bool, NoneType) or (isinstance(kind, type) and issubclass(kind, StrEnum))
        for kind in get_args(annotation) or (annotation,)
    )
