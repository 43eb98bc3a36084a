"""The files of a configuration directory as bytes: read once, so that what is hashed is what is loaded."""

import hashlib
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import msgspec

from grodtd.config.registry import FILES
from grodtd.domain.errors import ConfigError

PREFIX = "GRODTD_"


class Source(NamedTuple):
    """One file: its name among the known ones, its path as the operator wrote it, its bytes."""

    name: str
    shown: str
    data: bytes


class Sources(NamedTuple):
    """Everything a configuration is made of, before anybody looks into it. Files stand lowest precedence first."""

    directory: str
    env: str | None
    files: tuple[Source, ...]
    variables: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all content, hex: it changes when any file or GRODTD_ variable does."""
        content = [
            (str(Path(file.shown).relative_to(self.directory)), hashlib.sha256(file.data).hexdigest())
            for file in self.files
        ]
        whole = msgspec.json.encode([self.env, content, self.variables, self.problems])
        return hashlib.sha256(whole).hexdigest()


def one_line(text: str) -> str:
    r"""Keep a message on one line, whatever a file or a variable holds.

    >>> one_line("two" + chr(10) + "lines")
    'two\\nlines'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def read_sources(directory: Path | str, env: str | None, environ: Mapping[str, str]) -> Sources:
    """Read every known file of `directory`, then of `directory/env`, and the GRODTD_ variables.

    Raises ConfigError when a directory is not there or holds none of the files: built-in defaults alone are
    never what somebody meant who named a directory. A file that cannot be read is among `problems`.
    """
    base = Path(directory)
    if not base.is_dir():
        raise ConfigError([one_line(f"{base}: is not a directory: name the one that holds {', '.join(FILES)}")])
    files, problems = _read_folder(base)
    if not files and not problems:
        raise ConfigError([one_line(f"{base}: holds none of {', '.join(FILES)}: at least one must be there")])
    if env is not None:
        more, trouble = _read_folder(_environment_folder(base, env))
        files, problems = files + more, problems + trouble
    variables = tuple(sorted((k, v) for k, v in environ.items() if k.upper().startswith(PREFIX)))
    return Sources(str(base), env, tuple(files), variables, tuple(problems))


def _environment_folder(base: Path, env: str) -> Path:
    folder = base / env
    known = sorted(
        inner.name for inner in base.iterdir() if inner.is_dir() and any((inner / f).is_file() for f in FILES)
    )
    there = f"environments there: {', '.join(known)}" if known else "no environment is there"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", env):
        raise ConfigError([one_line(f"{base}: {env!r} is no name of an environment; {there}")])
    if not folder.is_dir():
        raise ConfigError([one_line(f"{folder}: is not a directory; {there}")])
    if env not in known:
        raise ConfigError([one_line(f"{folder}: holds none of {', '.join(FILES)}: at least one must be there")])
    return folder


def _read_folder(folder: Path) -> tuple[list[Source], list[str]]:
    files, problems = [], []
    for name in FILES:
        path = folder / name
        if not path.exists() and not path.is_symlink():
            continue
        try:
            files.append(Source(name, str(path), path.read_bytes()))
        except OSError as error:
            problems.append(one_line(f"{path}: cannot be read: {error.strerror or error}"))
    for path in sorted(folder.iterdir()):
        # A misnamed file would be left out without a word, and its defaults would trade.
        if path.name not in FILES and path.suffix.lower() in (".yaml", ".yml"):
            meant = get_close_matches(path.stem.lower() + ".yaml", FILES, 1, 0.8)
            if meant:
                problems.append(one_line(f"{path}: is not read under this name; nearest known file: {meant[0]}"))
    return files, problems
