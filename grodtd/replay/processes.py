"""Worker processes and Ctrl-C. A terminal sends it to all of them at once; only the command itself answers it."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context


@contextmanager
def deaf_children() -> Iterator[None]:
    """Let processes that begin meanwhile never hear Ctrl-C, not even while they load: it is the parent's to answer."""
    if threading.current_thread() is not threading.main_thread():
        yield  # nobody sends Ctrl-C there
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def mortal_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """Give `count` processes that are ended at once, work and all, when the block is left by an error or Ctrl-C.

    Hand in their first work under `deaf_children`. Spawned, not forked: libraries run threads of their own.
    """
    others = set(active_children())
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    try:
        yield pool
    except BaseException:
        for child in set(active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
