"""YAML to exact values, each with the line it stands on: the only place that knows YAML.

Numbers never pass through binary floating point: 0.02 becomes Decimal("0.02"). Only plain YAML 1.2 values are
understood: `true` and `false` (so a symbol may be called NO or ON, and `yes` is text), decimal numbers (`010`,
`1_000` and `17:00` are text, not 8, 1000 and 1020), `null`, and text. Aliases, tags and merge keys are refused:
strategies inherit already, and what a file sets must be readable where it stands.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import yaml

Scalar = str | int | bool | Decimal | None
Path = tuple[str, ...]
"""A place in the configuration: ("trade_exit", "atr", "period"), written trade_exit.atr.period."""

LONGEST_NUMBER = 40
"""Characters; anything longer is text, so that nobody makes us compute with a million digits."""
DEEPEST = 20
"""Levels of blocks in a file; ours needs five."""

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_NULL = ("", "~", "null", "Null", "NULL")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Problem(NamedTuple):
    """One thing that is wrong, and where. `line` counts from 1; 0 means the file as a whole."""

    line: int
    path: Path
    words: str


class Leaf(NamedTuple):
    """One value of a file: a scalar, or a list as it was written."""

    value: Scalar | list[Any]
    line: int


class Document(NamedTuple):
    """What a file says. A block of keys is in `blocks` (path to line), everything else in `leaves`."""

    leaves: dict[Path, Leaf]
    blocks: dict[Path, int]
    problems: list[Problem]

    def line_of(self, path: Path) -> int:
        """Return the line of a key, or of the nearest block around it."""
        while path:
            if path in self.leaves:
                return self.leaves[path].line
            if path in self.blocks:
                return self.blocks[path]
            path = path[:-1]
        return 1


def nested(leaves: Mapping[Path, Any], blocks: Mapping[Path, Any] = {}) -> Any:
    """Fold paths back into nested dicts; `blocks` may be empty ones.

    >>> nested({("atr", "period"): 14, ("atr", "method"): "sma"})
    {'atr': {'period': 14, 'method': 'sma'}}
    """
    if () in leaves:
        return leaves[()]
    root: dict[str, Any] = {}
    for path in blocks:
        here = root
        for segment in path:
            here = here.setdefault(segment, {})
    for path, value in leaves.items():
        here = root
        for segment in path[:-1]:
            here = here.setdefault(segment, {})
        here[path[-1]] = value
    return root


def scalar(text: str) -> Scalar:
    """Return what an unquoted word means, here and in the environment.

    >>> scalar("21"), scalar("0.020"), scalar("true"), scalar("null"), scalar("1h"), scalar("yes")
    (21, Decimal('0.020'), True, None, '1h', 'yes')
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if len(text) <= LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return Decimal(text)
    return text


class _Loader(yaml.SafeLoader):
    """Composes nodes only; `scalar` decides what a plain word means, so no implicit tag is needed."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML looks it up on the class

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse aliases before they can multiply what a file says, and tags before they can change it."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        words = ""
        if isinstance(event, yaml.AliasEvent):
            words = f"the alias *{event.anchor} is not understood here: write the values out"
        elif event.tag is not None:
            words = f"the tag {event.tag} is not understood here: write the value without it"
        if words:
            raise yaml.composer.ComposerError(None, None, words, event.start_mark)
        return super().compose_node(parent, index)


def parse(data: bytes) -> Document:
    r"""Read one YAML file. Never raises for what is in it: `problems` says what is wrong, the rest is still there.

    >>> parse(b"atr:\n  period: 14\n  multiplier: 2.50\n").leaves
    {('atr', 'period'): Leaf(value=14, line=2), ('atr', 'multiplier'): Leaf(value=Decimal('2.50'), line=3)}
    """
    document = Document({}, {}, [])
    try:
        text = data.decode()  # PyYAML itself drops a byte order mark
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        document.problems.append(Problem(line, (), "is not UTF-8 text: save the file as UTF-8"))
        return document
    try:
        root = _Loader(text).get_single_node()
    except RecursionError:
        document.problems.append(Problem(0, (), "blocks are nested too deeply to be a configuration"))
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error, text))
    else:
        if root is not None:
            _walk(root, (), document)
    return document


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        words = "; ".join(part for part in (error.context, error.problem) if part)
        return Problem(mark.line + 1 if mark else 0, (), f"not valid YAML: {words}")
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        return Problem(line, (), f"not valid YAML: a control character (#x{int(error.character):04x}) is not allowed")
    return Problem(0, (), f"not valid YAML: {error}")


def _walk(node: yaml.Node, path: Path, into: Document, line: int | None = None) -> None:
    line = node.start_mark.line + 1 if line is None else line
    if len(path) > DEEPEST:
        into.problems.append(Problem(line, path, "blocks are nested too deeply to be a configuration"))
    elif isinstance(node, yaml.MappingNode):
        into.blocks[path] = line
        for key, value in node.value:
            _walk_key(key, value, path, into)
    elif isinstance(node, yaml.SequenceNode):
        into.leaves[path] = Leaf([item.value for item in node.value], line)
    elif isinstance(node, yaml.ScalarNode):
        plain = node.style is None  # quoted and block scalars are text, whatever they look like
        into.leaves[path] = Leaf(scalar(node.value) if plain else node.value, line)


def _walk_key(key: yaml.Node, value: yaml.Node, path: Path, into: Document) -> None:
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode) or not key.value:
        into.problems.append(Problem(line, path, "a key must be a plain word"))
        return
    here = (*path, key.value)
    if here in into.leaves or here in into.blocks:
        words = f"set twice in this file, first on line {into.line_of(here)}: keep one of the two"
        into.problems.append(Problem(line, here, words))
        return
    _walk(value, here, into, line)
