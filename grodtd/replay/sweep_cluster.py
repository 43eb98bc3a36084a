"""A sweep's parts on a Dask cluster: the same work elsewhere, and nothing lost when a worker dies.

The job travels once to every worker; a worker that joins later fetches it from another. What a dead worker was doing
is done again by another one; when the job itself was lost with its last holder, it is sent anew and what is left is
asked for again. A part is the same wherever and however often it runs, so the result is, too.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, as_completed
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from grodtd.domain.errors import DataError
from grodtd.replay.sweep import Runner
from grodtd.replay.sweep_tasks import Answer, Job, Part, run_part

CONNECT_S = 10
LOST = 5
"""Times in a row the cluster may lose what it was asked, with nothing done in between, before we give up."""


def on_cluster(address: str) -> Runner:
    """Return what answers parts on the cluster at `address`, such as tcp://HOST:8786.

    Raises, when it runs: DataError - nobody answers there, or the workers keep dying (the operator looks at them).
    """

    def runner(job: Job, left: Sequence[tuple[int, Part]]) -> Iterator[tuple[int, list[Answer]]]:
        try:
            client = Client(address, timeout=CONNECT_S)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise DataError(f"--cluster {address}: no Dask scheduler answers there ({error})") from None
        with client:
            yield from _answers(client, address, job, left)

    return runner


def _answers(
    client: Client, address: str, job: Job, left: Sequence[tuple[int, Part]]
) -> Iterator[tuple[int, list[Answer]]]:
    waiting = dict(left)
    lost = 0
    while waiting:
        before = len(waiting)
        held = client.scatter(job, broadcast=True, hash=False)  # type: ignore[no-untyped-call]
        asked: dict[Any, int] = {
            client.submit(run_part, held, part, pure=False, retries=LOST): at for at, part in waiting.items()
        }
        for future in as_completed(list(asked)):  # type: ignore[no-untyped-call]
            try:
                answers = future.result()
            except (KilledWorker, FutureCancelledError):
                continue  # asked for again below
            del waiting[asked[future]]
            yield asked[future], answers
        lost = lost + 1 if len(waiting) == before else 0
        if lost >= LOST:
            raise DataError(f"--cluster {address}: its workers die of this work; look at their logs")
