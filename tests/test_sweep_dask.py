"""The engine `dask`: the same table as here, whoever dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

from sweep_jobs import PoisonTarget  # noqa: E402

pytestmark = [
    # Dask's own, on its way down and under load.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

MACHINE = runq.machines.load("granite-rapids-vm").with_set("memory_size=64MiB")


def forks() -> runq.Sweep:
    over = {"scenario.resident": ["16KiB", "64KiB"], "seed": range(20)}
    return runq.Sweep("simulate", "fork-latency", MACHINE, over=over, metrics=["makespan_ns", "ledger", "outcome"])


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": "20s"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=60
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as made,
    ):
        yield made


def test_the_table_is_that_of_the_local_engine(client: Any, tmp_path: Path) -> None:
    expected = forks().run(jobs=1).digest()
    assert forks().run(tmp_path / "s.db", engine=client).digest() == expected
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as alone,
    ):
        assert forks().run(engine=alone).digest() == expected


def test_a_trace_goes_to_the_workers(client: Any) -> None:
    trace = {"address": np.arange(0, 1 << 16, 8), "size": np.full(1 << 13, 4), "thread": np.arange(1 << 13) % 3}
    sweep = runq.Sweep("replay", trace, "golden", over={"machine.caches.L1D.ways": [1, 2, 4, 8]})
    assert sweep.run(engine=client).digest() == sweep.run(jobs=2).digest()


def test_models_are_compared_alike_by_workers_elsewhere(client: Any) -> None:
    over = {"scenario.tasks": [20, 40], "model": ["thread-per-task", "thread-pool:4", {"go": {"workers": 2}}]}
    sweep = runq.Sweep("compare", MACHINE, "sleepers", over=over, repeat=2)
    assert sweep.run(engine=client).digest() == sweep.run(jobs=2).digest()


def test_a_worker_that_is_killed_costs_nothing_but_time(client: Any, tmp_path: Path) -> None:
    over = {"seed": range(600)}
    sweep = runq.Sweep("simulate", "fork-latency", MACHINE, over=over, resident="256KiB")
    expected = sweep.run(jobs=2).digest()
    workers = list(client.run(os.getpid).values())

    def kill(done: int, total: int | None, failed: int) -> None:
        if done > 10 and workers:
            os.kill(workers.pop(), signal.SIGKILL)
            workers.clear()

    table = sweep.run(tmp_path / "s.db", engine=client, progress=kill)
    assert not workers
    assert table.count("failed") == 0
    assert table.digest() == expected


def test_a_point_that_kills_its_worker_twice_is_quarantined(client: Any) -> None:
    sys.path.append(str(Path(__file__).parent))
    client.run(sys.path.append, str(Path(__file__).parent))
    client.run(lambda: __import__("sweep_jobs"))
    sweep = runq.Sweep("simulate", "fork-latency", over={"seed": range(12)})
    sweep.target = PoisonTarget(5)
    sweep.metrics = ("square",)
    table = sweep.run(engine=client)
    assert [row["seed"] for row in table.failed()] == [5]
    assert table.failed()[0]["error"].startswith("quarantined: it ended what ran it twice")
    assert table.failed()[0]["attempts"] == 2
    assert [row["square"] for row in table if row["status"] == "done"] == [n * n for n in range(12) if n != 5]


def test_a_scheduler_that_goes_away_is_told_and_the_sweep_resumes(tmp_path: Path) -> None:
    sweep = runq.Sweep("simulate", "fork-latency", MACHINE, over={"seed": range(400)}, resident="256KiB")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=60
    )
    client = distributed.Client(cluster, set_as_default=False)
    closer: list[threading.Thread] = []

    def close(done: int, total: int | None, failed: int) -> None:
        if done > 5 and not closer:
            closer.append(threading.Thread(target=cluster.close))
            closer[0].start()

    start = time.monotonic()
    with pytest.raises(runq.SweepError, match="resume"):
        sweep.run(tmp_path / "s.db", engine=client, progress=close)
    assert time.monotonic() - start < 60
    closer[0].join()
    client.close()
    assert sweep.run(tmp_path / "s.db").digest() == sweep.run().digest()


def test_ctrl_c_ends_processes_of_its_own_within_a_second(tmp_path: Path) -> None:
    file, store = tmp_path / "sweep.toml", tmp_path / "s.db"
    file.write_text(
        'target = "simulate"\nscenario = "fork-latency"\nparameters = { resident = "256MiB" }\n'
        "[over]\nseed = { from = 1, to = 2000, steps = 2000 }\n"
    )
    command = [sys.executable, "-m", "runq.cli", "sweep", str(file), "--store", str(store), "--engine", "dask"]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while driver.poll() is None and " 0 done" in _status(store):
        time.sleep(0.05)
    # As a terminal sends it: to the workers too.
    os.killpg(driver.pid, signal.SIGINT)
    start = time.monotonic()
    _, errors = driver.communicate(timeout=30)
    # The second, and what a busy machine takes to end a process.
    assert time.monotonic() - start < 2
    assert driver.returncode == 130
    assert errors == f"runq: stopped; what is done is kept. Go on with: runq sweep resume {store}\nrunq: interrupted\n"


def _status(store: Path) -> str:
    command = [sys.executable, "-m", "runq.cli", "sweep", "status", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout or " 0 done"


def test_no_scheduler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runq.sweeps._dask._CONNECT_S", 0.5)
    with pytest.raises(runq.SweepError, match="no Dask scheduler answers there"):
        forks().run(engine=runq.sweeps.DaskEngine(scheduler="tcp://127.0.0.1:9"))
