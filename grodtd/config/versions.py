"""Every configuration that was ever in force, numbered, on disk: what applied when, who handed it in, and the way back.

The highest number is the one in force. Numbers only grow: going back to version 3 makes a new version with the
content of 3, so a record of "version 7" means one content for ever. Time and person are handed in.
"""

import os
import re
from pathlib import Path

import msgspec

from grodtd.config.loading import Configuration
from grodtd.domain.errors import ConfigError


class Version(msgspec.Struct, frozen=True):
    """One configuration as it came into force. `ts_ns` is nanoseconds since the epoch, handed in by the caller."""

    number: int
    fingerprint: str
    ts_ns: int
    who: str
    configuration: Configuration
    copy_of: int | None = None
    """The version this one goes back to, for a rollback."""
    set_aside_digest: str = ""
    """For a rollback: the file content that was left. The same files are not taken again on the next start."""


class VersionStore:
    """Versions in one directory, a file each (`0001.json`). One process writes; a second one loses the race, loudly."""

    def __init__(self, directory: Path | str) -> None:
        """Use `directory`; it is made with the first version."""
        self._directory = Path(directory)

    def numbers(self) -> list[int]:
        """Return all version numbers, oldest first."""
        if not self._directory.is_dir():
            return []
        names = (re.fullmatch(r"([0-9]{4,})\.json", path.name) for path in self._directory.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def version(self, number: int) -> Version:
        """Read one version. Raises ConfigError when it is not there, or not as it was written."""
        path = self._path(number)
        try:
            version = msgspec.json.decode(path.read_bytes(), type=Version)
        except FileNotFoundError:
            known = ", ".join(str(there) for there in self.numbers()) or "none"
            raise ConfigError([f"{path}: there is no version {number}; known versions: {known}"]) from None
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError([f"{path}: cannot be read as a configuration version: {error}"]) from error
        if version.number != number or version.fingerprint != version.configuration.fingerprint:
            raise ConfigError([f"{path}: was changed after it was written: its fingerprint no longer fits"])
        return version

    def in_force(self) -> Version | None:
        """Return the latest version, or None before the first. Raises ConfigError like `version`."""
        numbers = self.numbers()
        return self.version(numbers[-1]) if numbers else None

    def hand_in(self, configuration: Configuration, ts_ns: int, who: str) -> Version:
        """Put a configuration in force and return its version: a new one, unless nothing would change.

        After a rollback the files that were left do not come back by a restart: while their content is the same,
        the version rolled back to stays in force, and that is what is returned. Change the files, or roll
        forward with `rollback`, to leave it.
        """
        latest = self.in_force()
        if latest is not None:
            same = latest.fingerprint == configuration.fingerprint
            if same or latest.set_aside_digest == configuration.content_digest:
                return latest
        return self._write(Version(self._next(), configuration.fingerprint, ts_ns, who, configuration))

    def rollback(self, to: int, ts_ns: int, who: str, set_aside: Configuration | None = None) -> Version:
        """Put the content of version `to` in force again, as a new version; `set_aside` is what the files say now.

        Raises ConfigError when there is no such version; nothing changed then.
        """
        target = self.version(to)
        latest = self.in_force()
        left = set_aside or (latest.configuration if latest else None)
        version = Version(
            self._next(), target.fingerprint, ts_ns, who, target.configuration, to, left.content_digest if left else ""
        )
        return self._write(version)

    def _next(self) -> int:
        return max(self.numbers(), default=0) + 1

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:04d}.json"

    def _write(self, version: Version) -> Version:
        """Write a version whole or not at all, and never over another one."""
        path = self._path(version.number)
        draft = path.with_suffix(f".draft-{os.getpid()}")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(version), indent=1))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                words = "another process wrote this version just now: look at it and try again"
                raise ConfigError([f"{path}: {words}"]) from None
            finally:
                draft.unlink()
            folder = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise ConfigError([f"{path}: cannot be written: {error.strerror or error}"]) from error
        return version
