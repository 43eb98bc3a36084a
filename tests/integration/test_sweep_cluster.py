"""A sweep on a real cluster of worker processes gives the same, also when one of them is killed in the middle."""

import os
import signal

import polars as pl
import pytest

from grodtd.domain.errors import DataError
from grodtd.replay.sweep import sweep
from grodtd.replay.sweep_tasks import parts
from tests.integration.test_sweep import covered, job_in
from tests.twin.scenarios import bars_scenario

distributed = pytest.importorskip("distributed", reason="the cluster extra: pip install 'grodtd[cluster]'")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
GRID = """
atr.multiplier: [1, 2]
risk_reward: {min_ratio: 0.1, max_ratio: 10, strategy: fixed_ratio, base_ratio: [1, 1.5, 2]}
time_exit.after_bars: {from: 1, to: 24, step: 1}
"""


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as running:
        yield running


def test_a_killed_worker_loses_nothing(tmp_path, cluster):
    from grodtd.replay.sweep_cluster import on_cluster

    job = job_in(tmp_path / "a", covered(bars_scenario(3)), GRID)
    sweep(job, tmp_path / "here")
    killed = []

    def runner(job, left):
        for count, answered in enumerate(on_cluster(cluster.scheduler_address)(job, left)):
            if count == 3:
                pid = next(iter(cluster.workers.values())).pid
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            yield answered

    sweep(job, tmp_path / "there", runner=runner)
    assert killed
    assert len(parts(job.grid, len(job.entries))) == 24
    here, there = (pl.read_parquet(tmp_path / name / "sweep.parquet") for name in ("here", "there"))
    assert here.equals(there)


def test_an_address_where_nobody_answers_is_told(tmp_path):
    from grodtd.replay import sweep_cluster

    job = job_in(tmp_path / "a", covered(bars_scenario(3)), GRID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_cluster, "CONNECT_S", 0.5)
        with pytest.raises(DataError, match="no Dask scheduler answers there"):
            sweep(job, tmp_path / "out", runner=sweep_cluster.on_cluster("tcp://127.0.0.1:1"))
