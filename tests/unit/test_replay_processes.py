"""Ctrl-C and worker processes: the command answers, at once, and no worker writes a traceback over its answer."""

import os
import signal
from pathlib import Path

import pytest

from grodtd.replay.processes import deaf_children, mortal_pool


def hit_by_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    return "heard nothing"


def test_a_worker_does_not_hear_ctrl_c():
    with mortal_pool(1) as pool:
        with deaf_children():
            work = pool.submit(hit_by_ctrl_c)
        assert work.result() == "heard nothing"


def without_end(begun):
    Path(begun).write_text("begun")
    signal.pause()


def stopped_in_the_middle(begun):
    os.mkfifo(begun)
    with mortal_pool(1) as pool:
        with deaf_children():
            pool.submit(without_end, str(begun))
        assert begun.read_text() == "begun"  # waits for the worker
        raise KeyboardInterrupt


@pytest.mark.timeout(60)
def test_when_the_command_stops_its_workers_stop_in_the_middle_of_their_work(tmp_path, capfd):
    with pytest.raises(KeyboardInterrupt):
        stopped_in_the_middle(tmp_path / "begun")
    assert capfd.readouterr().err == ""


def test_the_command_itself_hears_ctrl_c_again():
    before = signal.getsignal(signal.SIGINT)
    with deaf_children():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == before
