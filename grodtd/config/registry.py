"""Every file we read and every key in them: look-up by path, and the nearest known key for a misspelt one.

A new file is one model and one row in `FILES`; its keys then have environment variables, error messages, a place in
the table of `docs/CONFIGURATION.md` and, once somebody uses it, an origin for each value.
"""

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher, get_close_matches
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from grodtd.config.block import Block
from grodtd.config.broker_schema import Brokers
from grodtd.config.daemon_schema import DaemonBlock
from grodtd.config.entry_schema import RiskReward
from grodtd.config.fields import Kind, Named, Value, allowed, shown, word
from grodtd.config.instrument_schema import Instruments
from grodtd.config.risk_schema import RiskLimitsBlock
from grodtd.config.schema import TradeExit
from grodtd.config.text import Path


class RiskRewardFile(Block):
    """`risk_reward.yaml`."""

    risk_reward: RiskReward = RiskReward()


class TradeExitFile(Block):
    """`trade_exit.yaml`."""

    trade_exit: TradeExit = TradeExit()


class RiskLimitsFile(Block):
    """`risk_limits.yaml`."""

    risk_limits: RiskLimitsBlock = RiskLimitsBlock()


class InstrumentsFile(Block):
    """`instruments.yaml`."""

    instruments: Instruments = Instruments()


class BrokersFile(Block):
    """`brokers.yaml`."""

    brokers: Brokers = Brokers()


class DaemonFile(Block):
    """`daemon.yaml`."""

    daemon: DaemonBlock = DaemonBlock()


FILES: dict[str, type[Block]] = {
    "risk_reward.yaml": RiskRewardFile,
    "trade_exit.yaml": TradeExitFile,
    "risk_limits.yaml": RiskLimitsFile,
    "instruments.yaml": InstrumentsFile,
    "brokers.yaml": BrokersFile,
    "daemon.yaml": DaemonFile,
}
"""Every file we read, lowest precedence first. Each has one top block, named like no other file's."""


class Key(NamedTuple):
    """One key that holds a value."""

    allowed: str
    unit: str
    default: str
    """As YAML writes it; empty where there is none."""
    why: str
    is_text: bool
    """The environment's words are taken as they are (1h, 00:00, XNYS), not read as numbers."""
    choices: tuple[str, ...]
    show: Callable[[Any], Value]
    """Writes a checked value again, as YAML would have it."""


class Keys(NamedTuple):
    """A block with known keys."""

    keys: "dict[str, Node]"
    why: str


class Each(NamedTuple):
    """A block whose names are free: one entry a symbol, a condition, a strategy."""

    placeholder: str
    allowed: str
    each: "Node"
    why: str
    of_variable: Callable[[str], str] = str.lower


Node = Key | Keys | Each


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """Take `| None` off a type, and say whether it was there."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        return rest[0], len(rest) < len(get_args(annotation))
    return annotation, False


def _node(field: FieldInfo) -> Node:
    base, optional = _unwrap(field.annotation)
    metadata = list(field.metadata)
    if get_origin(base) is Annotated:  # `Calendar | None` keeps its marks inside the union
        inner = FieldInfo.from_annotation(base)
        base, metadata = inner.annotation, metadata + inner.metadata
    why = field.description or ""
    if isinstance(base, type) and issubclass(base, Block):
        return _keys(base, why)
    extra = field.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    if get_origin(base) is dict:
        name, value = get_args(base)
        named = next(mark for mark in get_args(name) if isinstance(mark, Named))
        child = FieldInfo.from_annotation(value)
        child.description, child.json_schema_extra = why, {"unit": unit}
        return Each(named.placeholder, named.allowed, _node(child), why, named.of_variable)
    choices = tuple(base) if isinstance(base, type) and issubclass(base, StrEnum) else ()
    kind = next((mark for mark in metadata if isinstance(mark, Kind)), None)
    show = kind.show if kind else shown
    default = "" if field.is_required() else word(shown(field.default))
    is_text = base is str or bool(choices) or kind is not None
    return Key(allowed(base, metadata, optional=optional), unit, default, why, is_text, choices, show)


def _keys(model: type[Block], why: str = "") -> Keys:
    fields = {name: _node(field) for name, field in model.model_fields.items()}
    return Keys(fields, why or (model.__doc__ or "").strip().splitlines()[0])


ROOT = Keys({name: node for model in FILES.values() for name, node in _keys(model).keys.items()}, "")
"""Every key of every file."""
FILE_OF = {name: file for file, model in FILES.items() for name in model.model_fields}
"""Which file a top block belongs in."""
OTHER_VARIABLES: frozenset[str] = frozenset({"GRODTD_STATE"})
"""GRODTD_ variables that are no configuration keys, in upper case: what other parts of the program read."""


def find(path: Path) -> Node | None:
    """Return what stands at a path, or None where the schema knows nothing.

    >>> find(("trade_exit", "atr", "period")).allowed
    'a whole number from 1 to 1000'
    """
    here: Node = ROOT
    for segment in path:
        if isinstance(here, Each):
            here = here.each
        elif isinstance(here, Keys) and segment in here.keys:
            here = here.keys[segment]
        else:
            return None
    return here


def every_key(node: Node = ROOT, path: Path = (), like: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Yield every key and block below a node in the order of the schema; free names as <symbol>, or as in `like`."""
    if path:
        yield path, node
    if isinstance(node, Keys):
        for name, child in node.keys.items():
            yield from every_key(child, (*path, name), like)
    elif isinstance(node, Each):
        depth = len(path)
        name = like[depth] if len(like) > depth + 1 and like[:depth] == path else node.placeholder
        yield from every_key(node.each, (*path, name), like)


def nearest(path: Path) -> Path | None:
    """Return the known key somebody most likely meant, or None.

    A key beside it that reads alike comes first, then a key of that name elsewhere.

    >>> nearest(("trade_exit", "atr", "periodd")), nearest(("trade_exit", "period"))
    (('trade_exit', 'atr', 'period'), ('trade_exit', 'atr', 'period'))
    """
    if isinstance(find(path[:-1]), Key):
        return path[:-1]
    known = [candidate for candidate, _ in every_key(like=path)]
    beside = {candidate[-1]: candidate for candidate in known if candidate[:-1] == path[:-1]}
    alike = get_close_matches(path[-1].lower(), beside, 1, 0.6)
    if alike:
        return beside[alike[0]]

    def likeness(candidate: Path) -> tuple[float, float, int]:
        last = SequenceMatcher(None, path[-1].lower(), candidate[-1]).ratio()
        whole = SequenceMatcher(None, ".".join(path).lower(), ".".join(candidate)).ratio()
        return last, whole, -len(candidate)

    best = max(known, key=likeness)
    return best if likeness(best)[0] >= 0.8 else None
