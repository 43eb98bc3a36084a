"""kill -9 in the middle of group commits: what was acknowledged is there, and the next instance starts at once."""

import random
import signal
import subprocess
import sys

import pytest

from grodtd.storage import upkeep
from grodtd.storage.journal import SqlJournal
from tests.integration.journal_kit import fact, run, seqs

# Twenty turns at a time append one to three records each, and say so on stdout once they are durable.
DAEMON = """
import asyncio, os, sys
from grodtd.storage.journal import SqlJournal
from tests.integration.journal_kit import fact

async def life():
    journal = SqlJournal(sys.argv[1], account="ACC1", holder="the killed one", now_ns=0)

    async def turns(number):
        while True:
            seq = journal.last_seq + 1
            journal.append([fact(seq + more) for more in range(number % 3 + 1)])
            last = journal.last_seq
            await journal.commit()
            os.write(1, b"%d\\n" % last)

    await asyncio.gather(*(turns(number) for number in range(20)))

asyncio.run(life())
"""


@pytest.mark.parametrize("seed", range(4))
def test_every_acknowledged_record_survives_a_kill(tmp_path, seed):
    journal = tmp_path / "journal.db"
    acknowledged = 0
    for _life in range(2):  # and once more on the journal the first kill left behind
        process = subprocess.Popen([sys.executable, "-c", DAEMON, str(journal)], stdout=subprocess.PIPE)
        for _ in range(random.Random(seed).randrange(1, 400)):
            acknowledged = max(acknowledged, int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().split(b"\n")[:-1])])
        process.wait()
        process.stdout.close()
        there = seqs(journal)
        assert there == list(range(1, len(there) + 1))
        assert len(there) >= acknowledged > 0

    async def restart():
        """The dead one's lease has 30 s to run; the kernel knows better."""
        reborn = SqlJournal(journal, account="ACC1", holder="the next one", now_ns=1)
        assert reborn.lease.epoch == 3
        assert "the killed one ended without releasing its lease" in reborn.opening.remarks[-1]
        reborn.append([fact(reborn.last_seq + 1)])
        await reborn.commit()
        await reborn.close()

    run(restart())
    assert upkeep.verify(journal).records == len(there) + 1


def test_a_kill_while_the_journal_is_being_made_leaves_nothing_half_made(tmp_path):
    """Whatever `<journal>.new` a dead process left, the next start makes its journal afresh."""
    journal = tmp_path / "journal.db"
    (tmp_path / "journal.db.new").write_bytes(b"SQLite format 3\0 and then the process died")
    (tmp_path / "journal.db.new-wal").write_bytes(b"half a log")
    made = SqlJournal(journal, account="ACC1", holder="one", now_ns=0)
    assert made.opening.created
    run(made.close())
    assert not (tmp_path / "journal.db.new").exists()
