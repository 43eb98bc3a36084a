"""Arrays that may be larger than memory: beyond a size they lie in a file without a name, in the folder TMPDIR names.

The system keeps of them in memory what is used and there is room for; when the process ends they are gone.
"""

import mmap
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGE_BYTES = 1 << 27
"""Arrays above this are kept in a file: 16 million prices."""
BLOCK = 1 << 18
"""Items worked on at a time, where a large array is worked on as a whole."""


class Spilled:
    """A column that grows at its end. Always in a file, so that its memory is that of what is added last."""

    def __init__(self, dtype: DTypeLike = np.int64) -> None:
        """Begin empty."""
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the arrays made of it
        self.count = 0

    def add(self, values: NDArray[Any]) -> None:
        """Put values at the end."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)
        self.count += len(values)

    def array(self) -> NDArray[Any]:
        """Return everything added, one dimension, writable; nothing more can be added."""
        self._file.flush()
        array = _mapped(self._file.fileno(), self.count, self._dtype)
        self.close()  # the array holds on to what is in it
        return array

    def close(self) -> None:
        """Let go of what was added, unless it has become an array."""
        self._file.close()


def empty(count: int, dtype: DTypeLike = np.int64) -> NDArray[Any]:
    """Return an array for `count` items, in a file when that is large; a new one in a file is all zero."""
    size = count * np.dtype(dtype).itemsize
    if size <= LARGE_BYTES:
        return np.empty(count, dtype=dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return _mapped(file.fileno(), count, np.dtype(dtype))


def blocks(count: int) -> Iterator[slice]:
    """Yield slices that cover `count` items, `BLOCK` at a time."""
    for first in range(0, count, BLOCK):
        yield slice(first, min(first + BLOCK, count))


def _mapped(descriptor: int, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not count:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(mmap.mmap(descriptor, count * dtype.itemsize), dtype=dtype, count=count)
