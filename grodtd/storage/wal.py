"""Reads SQLite's write-ahead log before SQLite does, because SQLite drops what it cannot use without a word.

A frame (one page of a transaction) is good when its salts are the log's and its running checksum fits. A transaction
that was being written when the process died leaves frames without a good end: it was never acknowledged, so SQLite may
drop it and we only say so. But a transaction is written only after the one before it was synced. So bad frames *with
another transaction behind them* are damage to something acknowledged, and that must not be dropped.

Source: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import mmap
import struct
from pathlib import Path

import msgspec

_HEADER = 32
_FRAME_HEADER = 24
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_NO_COMMIT = bytes(4)

Sums = tuple[int, int]


class Leftover(msgspec.Struct, frozen=True):
    """What SQLite will not use of a log: `frames` pages of an unfinished transaction, or damage in words."""

    good_frames: int
    frames: int = 0
    damage: str = ""


def leftover(wal: Path) -> Leftover | None:
    """Tell what of a log SQLite will drop; None when there is no log to speak of. Reads only.

    Only a start after a crash finds a log at all; 4 MiB of it take about 0.1 s.
    """
    if not wal.exists() or wal.stat().st_size == 0:
        return None
    with wal.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _inspect(data)


def _inspect(data: mmap.mmap) -> Leftover:
    if len(data) < _HEADER:
        return Leftover(0, frames=1)
    magic, _version, page_size = struct.unpack_from(">III", data)
    order = {_LITTLE: "<II", _BIG: ">II"}.get(magic)
    header_sums = struct.unpack_from(">II", data, 24)
    if order is None or _add(data[:24], (0, 0), order) != header_sums:
        # The header is synced before the first frame is written: frames behind a bad one were acknowledged.
        return Leftover(0, frames=1) if len(data) == _HEADER else Leftover(0, damage="its header is damaged")
    salts, size = data[16:24], _FRAME_HEADER + page_size
    sums: Sums = header_sums
    good, good_sums, at = 0, sums, _HEADER
    while at + size <= len(data) and data[at + 8 : at + 16] == salts:
        frame = _frame(data, at, size)
        sums = frame.after(sums, order)
        if sums != frame.stored:
            break
        at += size
        if frame.commits:
            good, good_sums = (at - _HEADER) // size, sums
    return _beyond(data, good, good_sums, salts, size, order)


def _beyond(data: mmap.mmap, good: int, sums: Sums, salts: bytes, size: int, order: str) -> Leftover:
    """Judge what follows the last good transaction, up to the last frame of this round.

    Frames with other salts are remains of an earlier round of the file, long since in the database. Frames of this
    round may be remains too, of a commit that failed and was written again, shorter. Remains do not continue each
    other's checksum. Transactions that were acknowledged do, across a damaged frame as well: from the checksum it holds
    when the rest of it was hit, from the one it should hold when that was.
    """
    starts = range(_HEADER + good * size, len(data), size)
    ours = [at + size > len(data) or data[at + 8 : at + 16] == salts for at in starts]
    count = len(ours) - ours[::-1].index(True) if True in ours else 0
    runs = [_Run(sums, [])]
    for number, at in enumerate(starts[:count], good + 1):
        if at + size > len(data):
            break
        frame = _frame(data, at, size)
        after = [(frame.after(run.sums, order), run) for run in runs]
        going_on = next((run for computed, run in after if computed == frame.stored), None)
        if going_on is None:
            across = [_Run(computed, [*run.frames, frame], damaged=True) for computed, run in after if not run.damaged]
            runs = [*across, _Run(frame.stored, [frame])]
            continue
        if going_on.ended_before(frame):
            return Leftover(
                good, count, damage=f"a frame before the {number}th is damaged, and acknowledged ones follow"
            )
        runs = [_Run(frame.stored, [*going_on.frames, frame])]
    return Leftover(good, count)


class _Frame(msgspec.Struct, frozen=True):
    head: bytes
    page: bytes
    commits: bool
    stored: Sums
    content: bytes

    def after(self, sums: Sums, order: str) -> Sums:
        return _add(self.content, _add(self.head, sums, order), order)


class _Run(msgspec.Struct, frozen=True):
    """Frames that continue each other's checksum, and what the next one should start from."""

    sums: Sums
    frames: list[_Frame]
    damaged: bool = False

    def ended_before(self, frame: _Frame) -> bool:
        """Whether a transaction ended in here: by its mark, or because one transaction has a page only once."""
        return bool(self.frames) and (
            self.frames[-1].commits or any(before.page == frame.page for before in self.frames)
        )


def _frame(data: mmap.mmap, at: int, size: int) -> _Frame:
    stored: Sums = struct.unpack_from(">II", data, at + 16)
    content = data[at + _FRAME_HEADER : at + size]
    return _Frame(data[at : at + 8], data[at : at + 4], data[at + 4 : at + 8] != _NO_COMMIT, stored, content)


def _add(words: bytes, sums: Sums, order: str) -> Sums:
    """Return SQLite's running checksum: s0 += x0 + s1; s1 += x1 + s0 over pairs of 32-bit words, modulo 2^32."""
    s0, s1 = sums
    for x0, x1 in struct.iter_unpack(order, words):
        s0 = (s0 + x0 + s1) & 0xFFFFFFFF
        s1 = (s1 + x1 + s0) & 0xFFFFFFFF
    return s0, s1
