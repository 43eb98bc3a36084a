"""What a sweep keeps while it runs: a line for every answer, so that an interrupted one goes on where it was."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

import grodtd
from grodtd.domain.errors import DataError
from grodtd.replay.sweep_tasks import Answer, Job, Part

KEPT = "sweep.part"
"""The file's name; it goes when the sweep is complete."""


class _Head(msgspec.Struct):
    of: str


class _Done(msgspec.Struct):
    part: int
    answers: list[tuple[int, str, list[float]]]


def fingerprint(job: Job) -> str:
    """Return what makes two sweeps the same: prices, entries, options, configuration, grid and version."""
    inputs, grid = job.inputs, job.grid
    axes = [(axis.name, [str(value) for value in axis.values]) for axis in grid.axes]
    common = sorted((".".join(path), str(leaf.value)) for path, leaf in grid.common.items())
    of = (
        *(inputs.prices.sha256, inputs.entries_sha256, inputs.options.as_text(), len(inputs.entries)),
        *(job.base.configuration.fingerprint, axes, common, grodtd.__version__),
    )
    return hashlib.sha256(msgspec.json.encode(of)).hexdigest()[:16]


class Kept:
    """The answers of a sweep as they come in, on disk."""

    def __init__(self, folder: Path, job: Job, parts: list[Part]) -> None:
        """Read what an interrupted run of the same sweep left. Raises: DataError - another sweep's is there."""
        self.path, self.parts = folder / KEPT, parts
        self.done: dict[int, list[Answer]] = {}
        head = msgspec.json.encode(_Head(fingerprint(job)))
        if self.path.exists():
            self._read(self.path.read_bytes(), head)
        lines = [head, *(self._line(at, answers) for at, answers in self.done.items())]
        self.path.write_bytes(b"".join(line + b"\n" for line in lines))  # without a line a crash cut short
        self._file = self.path.open("ab")

    def _read(self, data: bytes, head: bytes) -> None:
        first, *lines = data.split(b"\n")
        if first != head:
            raise DataError(
                f"{self.path}: an unfinished sweep of other prices, entries, settings or grid is there: "
                "finish it, delete the file, or name another folder with --out"
            )
        for line in lines[:-1]:  # what follows the last line's end was cut short
            try:
                found = msgspec.json.decode(line, type=_Done)
            except msgspec.DecodeError:
                continue
            self.done[found.part] = [Answer(*answer) for answer in found.answers]

    @staticmethod
    def _line(at: int, answers: Iterable[Answer]) -> bytes:
        return msgspec.json.encode(_Done(at, [(answer.setting, answer.how, answer.row) for answer in answers]))

    def add(self, at: int, answers: list[Answer]) -> None:
        """Keep the answers of one part."""
        self.done[at] = answers
        self._file.write(self._line(at, answers) + b"\n")
        self._file.flush()

    @property
    def left(self) -> list[int]:
        """Places of the parts that are not done."""
        return [at for at in range(len(self.parts)) if at not in self.done]

    @property
    def answers(self) -> list[Answer]:
        """Every answer so far, in order of setting."""
        return sorted(answer for answers in self.done.values() for answer in answers)

    def close(self, *, complete: bool) -> None:
        """Close the file; remove it where nothing is left to do."""
        self._file.close()
        if complete:
            self.path.unlink()
