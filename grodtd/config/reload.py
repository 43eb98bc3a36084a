"""Notice changed files and take them over, or keep what is in force and say why.

No clock, no threads: the daemon calls `poll` with its own time. Open brackets keep the policy they began with; what
is handed on here is for new ones.
"""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from grodtd.config.fields import word
from grodtd.config.layers import Origin
from grodtd.config.loading import Configuration, load_sources
from grodtd.config.sources import Sources, read_sources
from grodtd.domain.errors import ConfigError
from grodtd.domain.money import ONE
from grodtd.domain.policy import seconds_ns


class Change(msgspec.Struct, frozen=True):
    """One key that differs: its values as YAML writes them, None where it is in one of the two only."""

    path: str
    old: str | None
    new: str | None
    origin: Origin | None
    """Where the new value comes from; None where there is none any more."""

    def __str__(self) -> str:
        """Write it for a person: trade_exit.atr.period: 14 -> 21 (configs/trade_exit.yaml:12)."""
        old, new = ("absent" if value is None else value for value in (self.old, self.new))
        return f"{self.path}: {old} -> {new}" + (f" ({self.origin})" if self.origin else "")


class Reloaded(NamedTuple):
    """New content is in force. `changes` is empty when only comments or spellings differ."""

    old: Configuration
    new: Configuration
    changes: tuple[Change, ...]
    ts_ns: int


class Failed(NamedTuple):
    """New content was refused: what was in force stays."""

    problems: tuple[str, ...]
    in_force: Configuration
    ts_ns: int


def diff(old: Configuration, new: Configuration) -> list[Change]:
    """Return what is different in `new`, in its order; keys that are gone come last."""
    paths = dict.fromkeys((*new.values, *old.values))
    return [
        Change(path, _word(old, path), _word(new, path), new.origins.get(path))
        for path in paths
        if _word(old, path) != _word(new, path)
    ]


def _word(configuration: Configuration, path: str) -> str | None:
    return word(configuration.values[path]) if path in configuration.values else None


class Reloader:
    """Holds the configuration in force (`current`) and watches its directory by content."""

    def __init__(
        self,
        directory: Path | str,
        env: str | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        settle_s: Decimal = ONE,
    ) -> None:
        """Load once. Raises ConfigError like `load`.

        Content is taken over when it has not changed for `settle_s` seconds: an editor may write a file in two
        steps, and half a file is a valid one whose other half is built-in defaults.
        """
        self._directory = directory
        self._env = env
        self._environ = dict(os.environ if environ is None else environ)
        self._settle_ns = seconds_ns(settle_s)
        sources = read_sources(directory, env, self._environ)
        self.current = load_sources(sources)
        self._seen = sources.digest
        self._fresh: tuple[str, int] | None = None

    def poll(self, now_ns: int) -> Reloaded | Failed | None:
        """Look at the files. None: nothing new, or not settled yet. A refusal is told once for each content."""
        found = self._look()
        digest = found.digest if isinstance(found, Sources) else "\n".join(found)
        if digest == self._seen:
            self._fresh = None
            return None
        if self._fresh is None or self._fresh[0] != digest:
            self._fresh = (digest, now_ns)
        if now_ns - self._fresh[1] < self._settle_ns:
            return None
        return self._take(found, digest, now_ns)

    def reload(self, now_ns: int) -> Reloaded | Failed:
        """Take the files as they are now, because somebody asked for it."""
        found = self._look()
        return self._take(found, found.digest if isinstance(found, Sources) else "\n".join(found), now_ns)

    def _look(self) -> Sources | tuple[str, ...]:
        try:
            return read_sources(self._directory, self._env, self._environ)
        except ConfigError as error:
            return tuple(error.problems)

    def _take(self, found: Sources | tuple[str, ...], digest: str, now_ns: int) -> Reloaded | Failed:
        self._seen, self._fresh = digest, None
        if not isinstance(found, Sources):
            return Failed(found, self.current, now_ns)
        try:
            new = load_sources(found)
        except ConfigError as error:
            return Failed(tuple(error.problems), self.current, now_ns)
        old, self.current = self.current, new
        return Reloaded(old, new, tuple(diff(old, new)), now_ns)
