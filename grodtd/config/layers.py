"""One file or variable, checked against the schema: its good values with their origins, its problems in words."""

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from grodtd.config.registry import FILE_OF, FILES, Each, Key, Keys, find, nearest
from grodtd.config.sources import Source, one_line
from grodtd.config.text import Leaf, Path, nested, parse, scalar

LONGEST_SHOWN = 60


class Origin(msgspec.Struct, frozen=True):
    """Where a value comes from: a line of a file, a variable, or the built-in default."""

    path: str = ""
    """The key as it is written there: a strategy inherits trade_exit.atr.period."""
    file: str = ""
    line: int = 0
    variable: str = ""

    def __str__(self) -> str:
        """Write it as the operator would look for it: configs/trade_exit.yaml:12."""
        if self.file:
            return f"{self.file}:{self.line}" if self.line else self.file
        return self.variable or "built-in default"


DEFAULT = Origin()


class Setting(NamedTuple):
    """One value as it was written, and where."""

    value: Any
    origin: Origin


class Layer(NamedTuple):
    """What one source sets. `bad` are paths whose value was refused, so that nothing is concluded from them."""

    settings: dict[Path, Setting]
    blocks: dict[Path, Origin]
    bad: frozenset[Path]
    problems: list[str]


def dotted(path: Iterable[str]) -> str:
    """Write a path: trade_exit.atr.period."""
    return ".".join(path)


def complaint(where: object, path: Path, words: str) -> str:
    """Write one problem on one line: where, which key, what is wrong and what is allowed."""
    return one_line(": ".join(part for part in (str(where), dotted(path), words) if part))


def quoted(value: Any) -> str:
    """Write a value as it was given, short, so that text and numbers can be told apart."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def read_layer(source: Source) -> Layer:
    """Parse and check one file; its problems stand in the order of its lines."""
    document = parse(source.data)

    def origin(path: Path) -> Origin:
        return Origin(dotted(path), source.shown, document.line_of(path))

    top = tuple(FILES[source.name].model_fields)  # a file that cannot be read leaves its whole block in doubt
    refused = check(source.name, document.leaves, document.blocks)
    spoken = [(line, path, words) for line, path, words in document.problems]
    spoken += [(document.line_of(path), path, words) for path, words in refused.items()]
    return Layer(
        settings=accepted(document.leaves, refused, origin),
        blocks={
            path: origin(path)
            for path in (*document.blocks, *document.leaves)  # a block without keys looks like a leaf
            if isinstance(find(path), Keys | Each) and not _below_any(path, refused)
        },
        bad=frozenset(path or top for _, path, _ in spoken),
        problems=[
            complaint(Origin("", source.shown, line), path, words)
            for line, path, words in sorted(spoken, key=lambda entry: entry[0])
        ],
    )


def check(name: str, leaves: Mapping[Path, Leaf], blocks: Mapping[Path, Any]) -> dict[Path, str]:
    """Return what is wrong with values for the file `name`, in words, by path. A key left out is not wrong here."""
    tree = nested({path: leaf.value for path, leaf in leaves.items()}, blocks)
    refused: dict[Path, str] = {}
    try:
        FILES[name].model_validate(tree)
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            loc = tuple(str(segment) for segment in error["loc"])
            each = find(loc[:-2])
            if error["type"] == "missing":
                continue
            if error["type"] == "extra_forbidden":
                refused[loc] = unknown_key(loc)
            elif loc[-1:] == ("[key]",) and isinstance(each, Each):
                refused[loc[:-1]] = f"{quoted(loc[-2])} is not allowed as a name; allowed: {each.allowed}"
            else:
                value = leaves[loc].value if loc in leaves else error["input"]
                reason = str(error.get("ctx", {}).get("error", ""))
                refused.setdefault(loc, not_allowed(loc, value, reason or _hint(loc, value), file=name))
    return refused


def accepted(
    leaves: Mapping[Path, Leaf], refused: Collection[Path], origin: Callable[[Path], Origin]
) -> dict[Path, Setting]:
    """Return the values that stand: keys of the schema, not below anything refused."""
    return {
        path: Setting(leaf.value, origin(path))
        for path, leaf in leaves.items()
        if isinstance(find(path), Key) and not _below_any(path, refused)
    }


def _below_any(path: Path, refused: Collection[Path]) -> bool:
    return any(path[:depth] in refused for depth in range(len(path) + 1))


def _hint(path: Path, value: Any) -> str:
    """Say why a number in quotes is none."""
    key = find(path)
    wants_number = isinstance(key, Key) and not key.is_text
    quotes = wants_number and isinstance(value, str) and isinstance(scalar(value), int | Decimal)
    return "text in quotes: write it without them" if quotes else ""


def unknown_key(path: Path) -> str:
    """Say that a key does not exist, and which one was probably meant."""
    if len(path) == 1 and path[0] in FILE_OF:
        return f"unknown key in this file: it belongs in {FILE_OF[path[0]]}"
    apart = tuple(dotted(path).split("."))
    if apart != path and isinstance(find(apart), Key):
        first = next(place for place, name in enumerate(path) if "." in name)
        *blocks, last = apart[first:]
        opened = "".join(f"{name}: {{" for name in blocks)
        return f"no dots in keys here; write it in blocks, {opened}{last}: ...{'}' * len(blocks)}"
    near = nearest(path) or nearest(apart)
    if near:
        return f"unknown key; nearest known key: {dotted(near)}"
    around = find(path[:-1])
    beside = f"; known keys here: {', '.join(around.keys)}" if isinstance(around, Keys) else ""
    return f"unknown key{beside}"


def not_allowed(path: Path, value: Any, reason: str = "", *, file: str) -> str:
    """Say that a value is refused, what is allowed, and which word was probably meant."""
    meant = ""
    match find(path):
        case Key(choices=choices, allowed=allowed):
            alike = get_close_matches(value, choices, 1, 0.6) if isinstance(value, str) else []
            meant = f"; nearest: {alike[0]}" if alike else ""
        case Each(placeholder=placeholder):
            allowed = f"a block with one key for each {placeholder}"
        case block:
            keys = block.keys if block and path else FILES[file].model_fields
            allowed = f"a block of keys ({', '.join(keys)})"
    why = f" ({reason})" if reason else ""
    return f"{quoted(value)} is not allowed{why}; allowed: {allowed}{meant}"
