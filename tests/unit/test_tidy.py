"""The house rules that a machine can check. Each finding says what to write instead.

A rule is a function from source text to findings, so that the tests at the end can show that it can fail.
"""

import ast
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "grodtd"

# Pure: decides from what it is handed. The door is the one file in execution/ that may wait.
PURE_FOLDERS = ("domain", "execution", "venue")
DOOR = PACKAGE / "execution" / "trade_exit_service.py"

LOOK_AT_LINES = 350  # longer files may hold two topics: worth a look
TOO_MANY_LINES = 600

# What a pure file must not name, and what it does instead. A name bans everything below it.
TAKE_TIME = "time is a field of the event (ts_event_ns, ts_received_ns) or an argument (now_ns)"
SAY_WHEN = "answer with commands and next_deadline_ns; runtime/ does the waiting"
GET_SEED = "decide from facts alone; chance belongs to simulation/, drawn from its seed"
GET_ID = "ids follow from facts: f'{bracket_id}.{leg}{generation}'; a connector maps them to uuid5 if it must"
GET_VALUE = "take the content as a value; config/, storage/ and replay/ read and write files"
GET_SETTING = "take the setting as an argument or from the bracket's policy; config/ reads the environment"
GET_EVENT = "take an event, return a command; connectors/ talk to the world"
LET_THROUGH = "name the error, or let it freeze the bracket with its stop in place"
GIVE_NOTE = "put a note into the Outcome; runtime/ and monitoring/ log it"

INSTEAD = {
    "asyncio": SAY_WHEN,
    "anyio": SAY_WHEN,
    "concurrent": SAY_WHEN,
    "multiprocessing": SAY_WHEN,
    "queue": SAY_WHEN,
    "sched": SAY_WHEN,
    "signal": SAY_WHEN,
    "threading": SAY_WHEN,
    "time": TAKE_TIME,
    "datetime.date.today": TAKE_TIME,
    "datetime.datetime.now": TAKE_TIME,
    "datetime.datetime.today": TAKE_TIME,
    "datetime.datetime.utcnow": TAKE_TIME,
    "random": GET_SEED,
    "secrets": GET_SEED,
    "numpy.random": GET_SEED,
    "uuid.uuid1": GET_ID,
    "uuid.uuid4": GET_ID,
    "os.environ": GET_SETTING,
    "os.getenv": GET_SETTING,
    "os.urandom": GET_SEED,
    "os": GET_VALUE,
    "glob": GET_VALUE,
    "io": GET_VALUE,
    "pathlib": GET_VALUE,
    "shutil": GET_VALUE,
    "sqlite3": GET_VALUE,
    "tempfile": GET_VALUE,
    "open": GET_VALUE,
    "input": GET_VALUE,
    "aiohttp": GET_EVENT,
    "http": GET_EVENT,
    "httpx": GET_EVENT,
    "requests": GET_EVENT,
    "select": GET_EVENT,
    "selectors": GET_EVENT,
    "socket": GET_EVENT,
    "ssl": GET_EVENT,
    "subprocess": GET_EVENT,
    "urllib": GET_EVENT,
    "logging": GIVE_NOTE,
    "structlog": GIVE_NOTE,
    "print": GIVE_NOTE,
    "warnings": GIVE_NOTE,
}

BUILTINS = frozenset({"input", "open", "print"})

LOCK_INSTEAD = {
    "http:": "a lock names versions and hashes, no host: run `make lock`",
    "https:": "a lock names versions and hashes, no host: run `make lock`",
    "--index-url": "which index to use is the machine's own setting: run `make lock`",
    "--extra-index-url": "which index to use is the machine's own setting: run `make lock`",
    "--find-links": "which index to use is the machine's own setting: run `make lock`",
    "--trusted-host": "which index to use is the machine's own setting: run `make lock`",
}


# ---------------------------------------------------------------- the rules


def impure_names(source: str) -> list[str]:
    """Find clocks, chance, files, sockets, logging, threads and environment in a pure file."""
    tree = ast.parse(source)
    origins = dict(imported_names(tree))
    found: dict[tuple[int, str], str] = {}
    for node in ast.walk(tree):
        for dotted in names_at(node, origins):
            banned = banned_part(dotted)
            if banned:
                found[node.lineno, banned] = INSTEAD[banned]
    return [f"line {line}: `{banned}` in a pure file: {found[line, banned]}" for line, banned in sorted(found)]


def broad_excepts(source: str) -> list[str]:
    """Find handlers that would swallow a surprise."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {ast.unparse(kind).split(".")[-1] if kind else "" for kind in kinds}
        if names & {"", "BaseException", "Exception"}:
            found.append(f"line {node.lineno}: a broad except hides a surprise: {LET_THROUGH}")
    return found


def missing_docstrings(source: str) -> list[str]:
    """Find public modules, classes, functions and methods that do not say what they are for."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["line 1: the module has no docstring: say what it is for"]
    found += [
        f"line {node.lineno}: `{name}` has no docstring: say what it is for, with units"
        for name, node in public_definitions(tree.body)
        if not ast.get_docstring(node)
    ]
    return found


def length(source: str) -> int:
    """Count the lines of a file."""
    return len(source.splitlines())


def named_hosts(lock: str) -> list[str]:
    """Find an index or a host in a lock file."""
    return [
        f"line {number}: `{phrase}`: {instead}"
        for number, line in enumerate(lock.splitlines(), start=1)
        for phrase, instead in LOCK_INSTEAD.items()
        if phrase in line
    ]


# ---------------------------------------------------------------- how the rules look


def imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each imported local name with the dotted name it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def names_at(node: ast.AST, origins: dict[str, str]) -> list[str]:
    """Return the dotted names that this one node imports or uses."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names] if not node.level else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILTINS:
        return [node.func.id]  # only as a call: a bar has an `open` of its own
    if isinstance(node, ast.Name):
        return [origins[node.id]] if node.id in origins else []
    if isinstance(node, ast.Attribute):
        parts = ast.unparse(node).split(".")
        return [".".join([origins[parts[0]], *parts[1:]])] if parts[0] in origins else []
    return []


def banned_part(dotted: str) -> str | None:
    """Return the longest banned name that `dotted` is or lies below."""
    parts = dotted.split(".")
    candidates = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in candidates if name in INSTEAD), None)


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield public classes, functions and methods, not what is nested in a function."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from public_definitions([*node.body, *node.orelse], prefix)
        if not isinstance(node, Definition) or node.name.startswith("_") or says_it_elsewhere(node):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body, f"{prefix}{node.name}.")


def says_it_elsewhere(node: Definition) -> bool:
    """Tell whether the docstring is that of a getter, an overloaded function or an overridden method."""
    last_words = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return bool(last_words & {"deleter", "overload", "override", "setter"})


def files(*folders: str) -> list[Path]:
    """List the package's Python files, of all of it or of some of its folders."""
    roots = [PACKAGE / folder for folder in folders] or [PACKAGE]
    return sorted(path for root in roots for path in root.rglob("*.py"))


def pure_files() -> list[Path]:
    """List the files that only decide."""
    return [path for path in files(*PURE_FOLDERS) if path != DOOR]


def findings(paths: list[Path], rule: Callable[[str], list[str]]) -> str:
    """Apply a rule to files; return one line a finding, empty when all is well."""
    return "\n".join(
        f"{path.relative_to(REPO)}, {finding}" for path in paths for finding in rule(path.read_text("utf-8"))
    )


# ---------------------------------------------------------------- the house


def test_pure_packages_know_no_clock_chance_files_or_logging():
    assert not (found := findings(pure_files(), impure_names)), found


def test_pure_packages_let_surprises_through():
    assert not (found := findings(pure_files(), broad_excepts)), found


def test_everything_public_says_what_it_is_for():
    public = [path for path in files() if not path.stem.startswith("_") or path.stem == "__init__"]
    assert not (found := findings(public, missing_docstrings)), found


def test_files_have_one_topic():
    lengths = {str(path.relative_to(REPO)): length(path.read_text("utf-8")) for path in files()}
    for path, lines in lengths.items():
        if LOOK_AT_LINES < lines <= TOO_MANY_LINES:
            warnings.warn(f"{path} has {lines} lines: does it hold two topics?", stacklevel=1)
    too_long = {path: lines for path, lines in lengths.items() if lines > TOO_MANY_LINES}
    assert not too_long, f"over {TOO_MANY_LINES} lines; split by noun: {too_long}"


def test_the_lock_names_no_host():
    assert not (found := findings([REPO / "requirements.lock"], named_hosts)), found


# ---------------------------------------------------------------- the rules can fail


@pytest.mark.parametrize(
    ("source", "banned", "instead"),
    [
        ("import asyncio", "asyncio", SAY_WHEN),
        ("import threading as t", "threading", SAY_WHEN),
        ("from concurrent.futures import Future", "concurrent", SAY_WHEN),
        ("import time", "time", TAKE_TIME),
        ("from time import time_ns", "time", TAKE_TIME),
        ("import datetime\nx = datetime.datetime.now()", "datetime.datetime.now", TAKE_TIME),
        ("import datetime as d\nx = d.date.today()", "datetime.date.today", TAKE_TIME),
        ("from datetime import datetime as D\nx = D.utcnow()", "datetime.datetime.utcnow", TAKE_TIME),
        ("from datetime import datetime\nclock = datetime.now", "datetime.datetime.now", TAKE_TIME),
        ("def f():\n    import random", "random", GET_SEED),
        ("import numpy as np\nx = np.random.default_rng()", "numpy.random", GET_SEED),
        ("import uuid\nx = uuid.uuid4()", "uuid.uuid4", GET_ID),
        ("from uuid import uuid4", "uuid.uuid4", GET_ID),
        ("import os", "os", GET_VALUE),
        ("from os import environ", "os.environ", GET_SETTING),
        ("import os\nx = os.getenv('A')", "os.getenv", GET_SETTING),
        ("from pathlib import Path", "pathlib", GET_VALUE),
        ("text = open('f').read()", "open", GET_VALUE),
        ("import socket", "socket", GET_EVENT),
        ("import urllib.request", "urllib", GET_EVENT),
        ("import logging", "logging", GIVE_NOTE),
        ("import structlog", "structlog", GIVE_NOTE),
        ("print('filled')", "print", GIVE_NOTE),
    ],
)
def test_an_impure_name_is_found_with_what_to_do_instead(source, banned, instead):
    found = impure_names(source)
    assert any(f"`{banned}`" in finding and instead in finding for finding in found), found


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime\nx = datetime.fromtimestamp(0, tz=UTC)",
        "from uuid import UUID, uuid5",
        "def f(now_ns, time): return time + now_ns",
        "class Book:\n    def open(self): return self.open_qty\nx = Book().open()",
        "class Bar:\n    open: Decimal",
        "from grodtd.domain import time_limits",
        "import numpy as np\nx = np.zeros(3)",
    ],
)
def test_a_pure_file_is_left_alone(source):
    assert impure_names(source) == []


@pytest.mark.parametrize(
    "handler",
    ["except:", "except Exception:", "except BaseException as e:", "except (ValueError, Exception):"],
)
def test_a_broad_except_is_found(handler):
    assert "name the error" in broad_excepts(f"try:\n    x = 1\n{handler}\n    pass")[0]


def test_a_named_except_is_left_alone():
    assert broad_excepts("try:\n    x = 1\nexcept (KeyError, ValueError):\n    pass") == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("x = 1", "module"),
        ('"""M."""\ndef f(): ...', "`f`"),
        ('"""M."""\nasync def f(): ...', "`f`"),
        ('"""M."""\nclass C: ...', "`C`"),
        ('"""M."""\nclass C:\n    """C."""\n    def m(self): ...', "`C.m`"),
        ('"""M."""\nclass C:\n    """C."""\n    @property\n    def p(self): ...', "`C.p`"),
        ('"""M."""\nif True:\n    def f(): ...', "`f`"),
    ],
)
def test_a_missing_docstring_is_found(source, name):
    found = missing_docstrings(source)
    assert len(found) == 1
    assert name in found[0]


@pytest.mark.parametrize(
    "source",
    [
        '"""M."""\ndef _f(): ...',
        '"""M."""\nclass _C:\n    def m(self): ...',
        '"""M."""\nclass C:\n    """C."""\n    def __len__(self): ...',
        '"""M."""\ndef f():\n    """F."""\n    def inner(): ...',
        '"""M."""\n@typing.overload\ndef f(): ...',
        '"""M."""\nclass C:\n    """C."""\n    @p.setter\n    def p(self, v): ...',
    ],
)
def test_what_is_not_public_needs_no_docstring(source):
    assert missing_docstrings(source) == []


def test_lines_are_counted():
    assert length("a\nb\nc") == length("a\nb\nc\n") == 3


@pytest.mark.parametrize("line", ["--index-url x", "--find-links y", "a @ https://example.invalid/a.whl"])
def test_a_host_in_the_lock_is_found(line):
    assert "make lock" in named_hosts(f"httpx==1\n{line}\n")[0]


def test_a_package_whose_name_begins_with_http_is_no_host():
    assert named_hosts("httpx==0.28\n    # via\n    #   httpcore\n") == []
