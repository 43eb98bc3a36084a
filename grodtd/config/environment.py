"""GRODTD_ variables as the highest layer: GRODTD_TRADE_EXIT__ATR__PERIOD=21 sets trade_exit.atr.period.

Levels are parted by two underscores; upper and lower case are one. A symbol is spelt as a file spells it, else in
upper case; characters a variable cannot have stand as one underscore (BRK_B is BRK.B where a file lists that).
A variable that names no key is a problem, never ignored: it was meant to change something.
"""

import re
from collections import defaultdict
from collections.abc import Iterable

from grodtd.config.layers import Layer, Origin, Setting, accepted, check, complaint, dotted, unknown_key
from grodtd.config.registry import FILE_OF, OTHER_VARIABLES, ROOT, Each, Key, Keys, Node, find
from grodtd.config.sources import PREFIX
from grodtd.config.text import Leaf, Path, scalar


def read_environment(variables: Iterable[tuple[str, str]], files: Iterable[Layer]) -> Layer:
    """Check every GRODTD_ variable; `files` says which symbols, conditions and strategies there are."""
    names = _names(files)
    settings: dict[Path, Setting] = {}
    bad: set[Path] = set()
    problems: list[str] = []
    for variable, text in variables:
        if variable.upper() in OTHER_VARIABLES:
            continue
        path, words = _locate(variable, names)
        if not words and path in settings:
            words = f"set twice, also by {settings[path].origin.variable}: unset one of the two"
        if not words:
            words = _take(variable, path, text, settings)
        if words:
            bad.add(path)
            problems.append(complaint(variable, path, words))
    return Layer(settings, {}, frozenset(bad), problems)


def variable_of(path: Path) -> str:
    """Name the variable of a key.

    >>> variable_of(("trade_exit", "atr", "period"))
    'GRODTD_TRADE_EXIT__ATR__PERIOD'
    """
    return PREFIX + "__".join(_spelling(segment) for segment in path)


def _take(variable: str, path: Path, text: str, settings: dict[Path, Setting]) -> str:
    """Put one value among the settings, or say what is wrong with it."""
    key = find(path)
    if not isinstance(key, Key):
        inside = ", ".join(key.keys) if isinstance(key, Keys) else key.placeholder if isinstance(key, Each) else ""
        return f"is a block, not a value: add __ and one of its keys ({inside})"
    if not text:
        return f"is empty: unset it, or give a value; allowed: {key.allowed}"
    value = scalar(text)
    if key.is_text and value is not None:
        value = text
    leaf = {path: Leaf(value, 0)}
    refused = check(FILE_OF[path[0]], leaf, {})
    settings |= accepted(leaf, refused, lambda here: Origin(dotted(here), variable=variable))
    return next(iter(refused.values()), "")


def _locate(variable: str, names: dict[str, set[str]]) -> tuple[Path, str]:
    """Return the path a variable means, and what is wrong with it if anything is."""
    segments = variable[len(PREFIX) :].split("__")
    here: Node = ROOT
    path: Path = ()
    for segment in segments:
        words = ""
        name = segment.lower()
        if isinstance(here, Keys) and name in here.keys:
            here = here.keys[name]
        elif isinstance(here, Each) and segment:
            name, words = _free_name(here, segment, names[here.placeholder])
            here = here.each
        else:
            words = unknown_key((*path, name)) if segment else "names no key: two levels are parted by one __"
        if words:
            return (*path, name) if name else path, words
        path = (*path, name)
    return path, ""


def _free_name(each: Each, segment: str, known: set[str]) -> tuple[str, str]:
    """Return how a symbol, condition or strategy is spelt, and what is wrong with it if anything is."""
    same = sorted(name for name in known if _spelling(name) == _spelling(segment))
    if len(same) > 1:
        return segment, f"could mean any of {', '.join(same)}: set it in a file"
    if same:
        return same[0], ""
    if each.placeholder == "<strategy>":
        there = ", ".join(sorted(known)) or "none"
        return segment.lower(), f"unknown strategy: list it in trade_exit.yaml first; known strategies: {there}"
    return each.of_variable(segment), ""


def _names(files: Iterable[Layer]) -> dict[str, set[str]]:
    """Collect the names files give to symbols, conditions and strategies, wherever they use them."""
    names: dict[str, set[str]] = defaultdict(set)
    for layer in files:
        for path in (*layer.settings, *layer.blocks):
            here: Node = ROOT
            for segment in path:
                if isinstance(here, Each):
                    names[here.placeholder].add(segment)
                    here = here.each
                elif isinstance(here, Keys):
                    here = here.keys[segment]
    return names


def _spelling(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
