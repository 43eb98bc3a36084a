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
    sums: Sums = struct.unpack_from(">II", data, 24)
    if order is None or _add(data[:24], (0, 0), order) != sums:
        # The header is synced before the first frame is written: frames behind a bad one were acknowledged.
        return Leftover(0, frames=1) if len(data) == _HEADER else Leftover(0, damage="its header is damaged")
    salts, frame_size = data[16:24], _FRAME_HEADER + page_size
    frames = good = 0
    at = _HEADER
    while at + frame_size <= len(data) and data[at + 8 : at + 16] == salts:
        sums = _add(data[at + _FRAME_HEADER : at + frame_size], _add(data[at : at + 8], sums, order), order)
        if sums != struct.unpack_from(">II", data, at + 16):
            break
        frames += 1
        if data[at + 4 : at + 8] != _NO_COMMIT:
            good = frames
        at += frame_size
    return _beyond(data, good, salts, frame_size)


def _beyond(data: mmap.mmap, good: int, salts: bytes, frame_size: int) -> Leftover:
    """Judge what follows the last good transaction."""
    commits: list[bool] = []
    for at in range(_HEADER + good * frame_size, len(data), frame_size):
        whole = at + frame_size <= len(data)
        # Frames with other salts are remains of an earlier round of this file, long since in the database.
        if not whole or data[at + 8 : at + 16] == salts:
            commits.append(whole and data[at + 4 : at + 8] != _NO_COMMIT)
    if any(commits[:-1]):
        return Leftover(good, len(commits), damage=f"frame {good + 1} is damaged, and acknowledged records follow it")
    return Leftover(good, len(commits))


def _add(words: bytes, sums: Sums, order: str) -> Sums:
    """Return SQLite's running checksum: s0 += x0 + s1; s1 += x1 + s0 over pairs of 32-bit words, modulo 2^32."""
    s0, s1 = sums
    for x0, x1 in struct.iter_unpack(order, words):
        s0 = (s0 + x0 + s1) & 0xFFFFFFFF
        s1 = (s1 + x1 + s0) & 0xFFFFFFFF
    return s0, s1
