"""A policies file: names, each with the keys of `trade_exit` that differ under it. What `grodtd compare` compares.

    as configured: {}
    wider stop:
      atr: {multiplier: 3}

A policy is laid on top of everything else, strategies and GRODTD_ variables included: two policies that differ in the
file must differ in the comparison. For the same reason a policy that sets `risk_reward.base_ratio` means it: symbols
keep a ratio of their own only where the policy itself gives them one.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import NamedTuple

import msgspec

from grodtd.config.environment import read_environment
from grodtd.config.fields import Value
from grodtd.config.layers import Layer, Origin, accepted, check, complaint, dotted, quoted, read_layer
from grodtd.config.loading import Configuration, load_sources
from grodtd.config.resolve import BASE_RATIO, OF_SYMBOL, STRATEGIES, TRADE_EXIT, resolve
from grodtd.config.sources import one_line, read_sources
from grodtd.config.text import Document, Leaf, Path, parse
from grodtd.domain.errors import ConfigError

FEWEST, MOST = 2, 8
"""Policies in one comparison: a reference and another; more than eight nobody can tell apart in one picture."""

LONGEST_NAME = 32
RATIOS_OF_SYMBOLS = "symbol_specific_ratios"


class NamedPolicy(NamedTuple):
    """One policy of the file, ready to replay under."""

    name: str
    changes: dict[str, Value]
    """What it sets: key below `trade_exit` and value, in the order of the file."""
    configuration: Configuration
    """The directory's configuration with the policy on top of it."""


def read_policies(
    path: FilePath | str, config_dir: FilePath | str, env: str | None, environ: Mapping[str, str]
) -> list[NamedPolicy]:
    """Read the policies of a file in its order, the first being the one the others are compared with.

    Raises: ConfigError with every problem there is, one line each (whoever wrote the file mends it). OSError - the
    file cannot be read.
    """
    shown = str(path)
    document = parse(FilePath(path).read_bytes())
    problems = [(line, complaint(Origin("", shown, line), where, words)) for line, where, words in document.problems]
    names = list(dict.fromkeys(where[0] for where in (*document.blocks, *document.leaves) if where))
    names.sort(key=lambda name: document.line_of((name,)))
    layers = []
    for name in names:
        layer, found = _layer(name, document, shown)
        layers.append(layer)
        problems += found
    if not problems:
        problems += [(0, words) for words in _count_problems(shown, names, document)]
    if problems:
        raise ConfigError([words for _, words in sorted(problems, key=lambda problem: problem[0])])
    base = read_base(config_dir, env, environ)
    return [_laid(name, layer, *base) for name, layer in zip(names, layers, strict=True)]


class Base(NamedTuple):
    """A configuration directory as policies are laid on it."""

    files: list[Layer]
    environment: Layer
    configuration: Configuration


def read_base(config_dir: FilePath | str, env: str | None, environ: Mapping[str, str]) -> Base:
    """Read a configuration directory to lay policies on. Raises: ConfigError; OSError."""
    sources = read_sources(config_dir, env, environ)
    configuration = load_sources(sources)
    files = [read_layer(source) for source in sources.files]
    return Base(files, read_environment(sources.variables, files), configuration)


def lay(name: str, leaves: Mapping[Path, Leaf], shown: str, base: Base) -> NamedPolicy:
    """Lay one policy on a configuration: keys below `trade_exit` with the lines of the file `shown` they stand on.

    Raises: ConfigError - a value is not allowed, or does not go with the others (whoever wrote the file mends it).
    """
    blocks = {(name, *path[:depth]): leaf.line for path, leaf in leaves.items() for depth in range(len(path))}
    document = Document({(name, *path): leaf for path, leaf in leaves.items()}, blocks, [])
    layer, problems = _layer(name, document, shown)
    if problems:
        raise ConfigError([words for _, words in sorted(problems)])
    return _laid(name, layer, *base)


def _count_problems(shown: str, names: list[str], document: Document) -> list[str]:
    if () in document.leaves:
        return [f"{shown}: {quoted(document.leaves[()].value)} is not allowed; allowed: a block with one key a policy"]
    if not names:
        return [f"{shown}: names no policy: write at least {FEWEST}, the first being what the others are compared with"]
    if len(names) < FEWEST:
        return [f"{shown}: names one policy only, {names[0]}: add what to compare it with"]
    if len(names) > MOST:
        return [f"{shown}: names {len(names)} policies; allowed: {FEWEST} to {MOST} in one comparison"]
    return []


def _layer(name: str, document: Document, shown: str) -> tuple[Layer, list[tuple[int, str]]]:
    """Check one policy as what it is, a strategy without a place in trade_exit.yaml; problems come with their line."""
    line = document.line_of((name,))
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        words = f"{quoted(name)} is not allowed as a name; allowed: 1 to {LONGEST_NAME} printable characters"
        return Layer({}, {}, frozenset(), []), [(line, complaint(Origin("", shown, line), (), one_line(words)))]
    at = (*STRATEGIES, "policy")
    leaves: dict[Path, Leaf] = {
        (*at, *path[1:]): leaf
        for path, leaf in document.leaves.items()
        if path[:1] == (name,) and not (path == (name,) and leaf.value is None)  # a name with nothing below it
    }
    blocks = {(*at, *path[1:]): here for path, here in document.blocks.items() if path[:1] == (name,)}
    refused = check("trade_exit.yaml", leaves, blocks)

    def origin(path: Path) -> Origin:
        written = (name, *path[len(at) :])
        return Origin(dotted(written), shown, document.line_of(written))

    said = [
        (
            origin(path).line,
            complaint(
                Origin("", shown, origin(path).line),
                (name, *path[len(at) :]),
                words.replace(f"{dotted(at)}.", f"{name}."),
            ),
        )
        for path, words in refused.items()
    ]
    settings = accepted(leaves, refused, origin)
    below = {(*TRADE_EXIT, *path[len(at) :]): setting for path, setting in settings.items()}
    return Layer(below, {}, frozenset(), []), said


def _laid(name: str, policy: Layer, files: list[Layer], environment: Layer, base: Configuration) -> NamedPolicy:
    """Put one policy on top of everything, for the default policy, every strategy and every symbol."""
    own = {path[len(TRADE_EXIT) :]: setting for path, setting in policy.settings.items()}
    if BASE_RATIO in own:
        files, environment = [_without_symbols(layer) for layer in files], _without_symbols(environment)
    on_top = dict(policy.settings)
    for of in base.policies:
        strategy, _, symbol = of.partition("@")
        at = (*OF_SYMBOL, symbol) if symbol else (*STRATEGIES, strategy)
        if of != "default":
            on_top |= {(*at, *path): setting for path, setting in own.items()}
    resolved = resolve(files, environment._replace(settings=environment.settings | on_top))
    if resolved.problems:
        raise ConfigError(list(dict.fromkeys(resolved.problems)))
    return NamedPolicy(
        name,
        {dotted(path): resolved.values[dotted((*TRADE_EXIT, *path))] for path in own},
        msgspec.structs.replace(
            base,
            policies=resolved.policies,
            instruments=resolved.instruments,
            values=resolved.values,
            origins=resolved.origins,
        ),
    )


def _without_symbols(layer: Layer) -> Layer:
    kept = {path: setting for path, setting in layer.settings.items() if RATIOS_OF_SYMBOLS not in path}
    return layer._replace(settings=kept)
