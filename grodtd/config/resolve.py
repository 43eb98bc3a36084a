"""Layers put on top of each other: what is in force for each policy and symbol, and where each value comes from.

Lowest first: built-in defaults, risk_reward.yaml, trade_exit.yaml, the same two of the environment folder,
trade_exit.strategies.<name>, trade_exit.symbols.<symbol>, GRODTD_ variables (those of the strategy, then those of the
symbol last). Laying is done key by key, and before anything is looked up: a variable for base_ratio changes
base_ratio, and a symbol with a ratio of its own keeps it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import time
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from grodtd.config.broker_schema import Brokers, BrokerSettings, to_settings, unknown_strategies
from grodtd.config.daemon_schema import DaemonBlock, DaemonSettings, to_daemon
from grodtd.config.fields import Value
from grodtd.config.instrument_schema import InstrumentRules, to_instrument
from grodtd.config.layers import Layer, Origin, Setting, complaint
from grodtd.config.registry import Each, Key, Keys, Node, find
from grodtd.config.risk_schema import RiskLimitsBlock, RiskSettings, to_risk
from grodtd.config.rules import RATIOS, Placed, policy_problems, precision_problem
from grodtd.config.schema import PolicyBlock, TradeExit, to_policy
from grodtd.config.text import Path, nested
from grodtd.domain.instrument import Instrument
from grodtd.domain.policy import Policy

RISK_REWARD: Path = ("risk_reward",)
TRADE_EXIT: Path = ("trade_exit",)
STRATEGIES: Path = ("trade_exit", "strategies")
OF_SYMBOL: Path = ("trade_exit", "symbols")
BASE_RATIO: Path = ("risk_reward", "base_ratio")
DEFAULTS: Path = ("instruments", "defaults")
SYMBOLS: Path = ("instruments", "symbols")
BROKERS: Path = ("brokers",)
RISK_LIMITS: Path = ("risk_limits",)
DAEMON: Path = ("daemon",)


class Resolved(NamedTuple):
    """What is in force, and what stands in its way. `values` and `origins` have one entry a key, in schema order."""

    policies: dict[str, Policy]
    """By strategy, and as `strategy@symbol` for each symbol with keys of its own."""
    instruments: dict[str, Instrument]
    day_rolls_at: time
    values: dict[str, Value]
    origins: dict[str, Origin]
    problems: list[str]
    brokers: BrokerSettings = BrokerSettings()
    risk: RiskSettings = RiskSettings()
    daemon: DaemonSettings = DaemonSettings()


def resolve(files: Sequence[Layer], environment: Layer) -> Resolved:
    """Lay the files (lowest first) and the environment on the built-in defaults, and check what belongs together."""
    layers = [*files, environment]
    placed = _laid(_below(layer, TRADE_EXIT) for layer in layers)
    kept: dict[Path, Setting] = {
        path: setting for path, setting in placed.settings.items() if path == ("day_rolls_at",)
    }
    day_rolls_at = TradeExit.model_validate(_tree(kept)).day_rolls_at
    into = Resolved({}, {}, day_rolls_at, {}, {}, [])
    strategies = ("default", *_names(layers, STRATEGIES))
    for name in strategies:
        _policy(into, name, files, environment)
        if name == "default":
            into.values["trade_exit.day_rolls_at"] = day_rolls_at.strftime("%H:%M")
            into.origins["trade_exit.day_rolls_at"] = placed.origin(("day_rolls_at",))
    for symbol in _names(layers, OF_SYMBOL):
        for name in strategies:
            _policy(into, name, files, environment, symbol)
    risk = _risk(into, layers)
    for symbol in _names(layers, SYMBOLS):
        _instrument(into, symbol, layers)
    return into._replace(brokers=_brokers(into, layers), risk=risk, daemon=_daemon(into, layers))


def _policy(
    into: Resolved, strategy: str, files: Sequence[Layer], environment: Layer, symbol: str | None = None
) -> None:
    """Lay one strategy's policy, or what it is for one symbol: of that, only the symbol's own keys are recorded."""
    at = TRADE_EXIT if strategy == "default" else (*STRATEGIES, strategy)
    own = [] if strategy == "default" else [at]
    stack = [_below(layer, RISK_REWARD, TRADE_EXIT) for layer in files]
    stack += [_below(layer, *own) for layer in files]
    variables = [_below(environment, RISK_REWARD, TRADE_EXIT), _below(environment, *own)]
    if symbol is None:
        name, only = strategy, None
        whole = _laid([*stack, *variables])
    else:
        name = f"{strategy}@{symbol}"
        at = (*OF_SYMBOL, symbol) if strategy == "default" else (*STRATEGIES, name)
        mine = [_below(layer, (*OF_SYMBOL, symbol)) for layer in (*files, environment)]
        only = set(_laid(mine).settings)
        whole = _of_symbol(symbol, [*stack, *mine[:-1], *variables, mine[-1]])
    # Neighbours of the policy's blocks (strategies, day_rolls_at) are no keys of the policy.
    placed = Placed({path: s for path, s in whole.settings.items() if path[0] in PolicyBlock.model_fields}, whole.bad)
    block = PolicyBlock.model_validate(_tree(placed.settings))
    into.policies[name] = to_policy(name, block)
    _record(into, at, block, placed, only)
    into.problems.extend(policy_problems(name, block, placed, already=into.problems))


def _of_symbol(symbol: str, stack: Iterable[Placed]) -> Placed:
    """Lay a symbol's policy: where its own block has a base_ratio, that one counts, not one listed for it below."""
    whole = Placed({}, set())
    for placed in stack:
        if BASE_RATIO in placed.settings and placed.settings[BASE_RATIO].origin.path.startswith("trade_exit.symbols."):
            whole.settings.pop((*RATIOS, symbol), None)
        whole.settings.update(placed.settings)
        whole.bad.update(placed.bad)
    return whole


def _instrument(into: Resolved, symbol: str, layers: Sequence[Layer]) -> None:
    at = (*SYMBOLS, symbol)
    placed = _laid([_below(layer, DEFAULTS) for layer in layers] + [_below(layer, at) for layer in layers])
    try:
        rules = InstrumentRules.model_validate(_tree(placed.settings))
    except ValidationError as errors:
        where = next((layer.blocks[at] for layer in layers if at in layer.blocks), None)
        where = where or next(setting.origin for setting in placed.settings.values())
        for error in errors.errors():
            key = str(error["loc"][0])
            if not placed.doubtful((key,)):
                words = "is not set, and has no built-in default: give it here or in instruments.defaults"
                into.problems.append(complaint(where, (*at, key), words))
        return
    into.instruments[symbol] = to_instrument(symbol, rules)
    _record(into, at, rules, placed)
    into.problems.extend(precision_problem(symbol, rules, placed))


def _risk(into: Resolved, layers: Sequence[Layer]) -> RiskSettings:
    placed = _laid(_below(layer, RISK_LIMITS) for layer in layers)
    block = RiskLimitsBlock.model_validate(_tree(placed.settings))
    _record(into, RISK_LIMITS, block, placed)
    return to_risk(block, into.day_rolls_at)


def _brokers(into: Resolved, layers: Sequence[Layer]) -> BrokerSettings:
    placed = _laid(_below(layer, BROKERS) for layer in layers)
    block = Brokers.model_validate(_tree(placed.settings))
    _record(into, BROKERS, block, placed)
    strategies = {name for name in into.policies if "@" not in name}
    for path, strategy in unknown_strategies(block, strategies):
        if not placed.doubtful(path) and not any(_refused(layer, STRATEGIES) for layer in layers):
            words = f"no strategy is named {strategy!r}; known: {', '.join(sorted(strategies))}"
            into.problems.append(complaint(placed.origin(path), (*BROKERS, *path), words))
    return to_settings(block)


def _daemon(into: Resolved, layers: Sequence[Layer]) -> DaemonSettings:
    placed = _laid(_below(layer, DAEMON) for layer in layers)
    block = DaemonBlock.model_validate(_tree(placed.settings))
    _record(into, DAEMON, block, placed)
    return to_daemon(block)


def _below(layer: Layer, *prefixes: Path) -> Placed:
    """Return what a layer says below `prefixes`, later ones on top, with paths relative to a policy or a symbol."""
    placed = Placed({}, set())
    for prefix in prefixes:
        depth = 0 if prefix == RISK_REWARD else len(prefix)  # risk_reward.yaml is one block of a policy
        for path, setting in layer.settings.items():
            if path[: len(prefix)] == prefix:
                placed.settings[path[depth:]] = setting
        for path in layer.bad:
            if path[: len(prefix)] == prefix[: len(path)]:
                placed.bad.add(path[depth:])
    return placed


def _laid(stack: Iterable[Placed]) -> Placed:
    """Put one on top of the other, the last one uppermost."""
    whole = Placed({}, set())
    for placed in stack:
        whole.settings.update(placed.settings)
        whole.bad.update(placed.bad)
    return whole


def _names(layers: Iterable[Layer], at: Path) -> list[str]:
    """Return the names used below a block with free names, in the order they first appear."""
    depth = len(at)
    names = {
        path[depth]: None
        for layer in layers
        for path in (*layer.blocks, *layer.settings)
        if path[:depth] == at and len(path) > depth and not _refused(layer, path[: depth + 1])
    }
    return list(names)


def _refused(layer: Layer, path: Path) -> bool:
    return any(path[:depth] in layer.bad for depth in range(len(path) + 1))


def _tree(settings: dict[Path, Setting]) -> Any:
    return nested({path: setting.value for path, setting in settings.items()})


def _record(into: Resolved, at: Path, block: BaseModel, placed: Placed, only: Collection[Path] | None = None) -> None:
    """Write down every key of a block below `at`, or `only` some, with its origin."""
    node = find(at)
    assert isinstance(node, Keys)
    for path, value in _flat(node, block):
        if only is not None and path not in only:
            continue
        name = ".".join((*at, *path))
        into.values[name] = value
        into.origins[name] = placed.origin(path)


def _flat(node: Node, value: Any, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    match node:
        case Key() as key:
            yield path, None if value is None else key.show(value)
        case Each(each=each):
            for name in sorted(value):
                yield from _flat(each, value[name], (*path, name))
        case Keys(keys=keys):
            for name, child in keys.items():
                if name in type(value).model_fields:
                    yield from _flat(child, getattr(value, name), (*path, name))
