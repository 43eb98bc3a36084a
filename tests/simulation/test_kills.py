"""kill -9, for real: the worker dies at random instants while its venue, another process, trades on."""

import sys

import pytest

from tests.kills.episode import play

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets, fork and SIGKILL")


def test_ten_kills_leave_no_order_unrecorded_none_doubled_no_position_bare_and_no_orphan(tmp_path):
    episode = play(seed=1, kills=10, folder=tmp_path)
    assert episode.violations == []
    assert episode.kills == 10
    assert episode.protected >= 3, f"hardly anything happened: {episode}"
    assert episode.exits_filled >= 3, f"nothing was ever got out of: {episode}"
