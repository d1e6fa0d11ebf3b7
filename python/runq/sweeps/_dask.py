"""The engine `dask`: chunks as tasks of any Dask cluster, so on SSH, Kubernetes or Slurm as well as on this machine.

The job, with its trace, is scattered to every worker once. A worker that dies takes its chunks with it: Dask runs
them elsewhere, and after some deaths gives them up; then the driver runs their points one by one until it knows which
it was.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import uuid
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

from runq import _core
from runq.errors import ConfigError, SweepError
from runq.sweeps._engine import Chunk, Finished, cpu_count
from runq.sweeps._target import Job, Rows

try:
    import dask
    import distributed
except ImportError:
    raise SweepError("the engine dask needs dask and distributed: pip install 'runq[dask]'") from None

__all__ = ["DaskEngine"]

# Deaths of workers after which a cluster of our own gives a chunk up. On others their own setting holds.
_DEATHS_ALLOWED = 0

# How long a scheduler may take to answer.
_CONNECT_S = 10

# How long the first worker may take to come.
_WORKERS_S = 30

# How often a chunk is given out again when the job was lost with all workers that had it.
_TRIES_MAX = 5


class _Task(NamedTuple):
    """A chunk under way."""

    chunk: Chunk
    tries: int
    future: Any


class DaskEngine:
    """Tasks of a Dask client; without one, of a cluster of processes on this machine, one a cpu.

    Args:
        client: a `distributed.Client`. It stays open.
        scheduler: instead, the address of a scheduler.
        jobs: instead of both, how many processes.
    """

    name = "dask"

    def __init__(self, client: Any = None, *, scheduler: str | None = None, jobs: int | None = None) -> None:
        if (client is not None or scheduler is not None) and jobs is not None:
            raise ConfigError("jobs", "must be left out where the cluster says how many workers there are", repr(jobs))
        self._client, self._scheduler, self._jobs = client, scheduler, jobs
        self._own: list[Any] = []
        # Known once it is started.
        self.slots = 1
        self.ahead = 3
        self.chunk_s = 1.0
        self._futures: dict[int, _Task] = {}
        self._done: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        # The job, and where the workers have it.
        self._whole: Job | None = None
        self._job: Any = None
        self._prefix = ""

    def start(self, job: Job) -> None:
        """Connects, gives the job to every worker, and sees that all simulate the same."""
        if self._client is None:
            self._client = self._connect(self._scheduler, self._jobs)
        self.slots = self._count_slots()
        self.ahead = 2 * self.slots + 1
        # Keys of tasks are for ever: those of two sweeps must not meet.
        self._prefix = f"runq-sweep-{uuid.uuid4().hex[:12]}"
        try:
            versions = self._client.run(_model_version)
        except Exception as error:
            raise SweepError(f"a worker cannot import runq ({error}): install the same version there") from error
        for worker, version in versions.items():
            if version != _core.model_version:
                raise SweepError(
                    f"{worker}: simulates model version {version}, and the driver {_core.model_version}: "
                    "install one version"
                )
        self._whole = job
        self._scatter()

    def submit(self, chunk: Chunk) -> None:
        """Makes a task of a chunk."""
        self._put(chunk, 0)

    def _put(self, chunk: Chunk, tries: int) -> None:
        key = f"{self._prefix}-{chunk.number}-{tries}"
        future = self._client.submit(_run, self._job, chunk.content, key=key, pure=False)
        self._futures[chunk.number] = _Task(chunk, tries, future)
        future.add_done_callback(lambda done, number=chunk.number: self._done.put((number, done)))

    def wait(self, timeout_s: float) -> Finished | None:
        """A task that is done; one whose workers died is a lost chunk."""
        try:
            number, future = self._done.get(timeout=timeout_s)
        except queue.Empty:
            if self._client.status not in ("running", "connecting"):
                raise SweepError("the connection to the Dask scheduler is lost: start it again, then resume") from None
            return None
        task = self._futures.get(number)
        if task is None or task.future is not future:
            return None
        del self._futures[number]
        if future.status == "finished":
            # The worker that has the rows may end before they are here.
            with contextlib.suppress(CancelledError, OSError):
                return Finished(number, future.result())
        if future.status == "error":
            error = future.exception()
            if isinstance(error, distributed.scheduler.KilledWorker):
                return Finished(number, None, "its worker died")
            raise SweepError(f"a Dask task failed ({type(error).__name__}: {error}): put that right, then resume")
        # All workers that had the job died, and the task or its rows with it: both are given out again.
        if self._client.status != "running" or task.tries >= _TRIES_MAX:
            raise SweepError(f"the Dask scheduler dropped a task ({future.status}): start it again, then resume")
        self._scatter()
        self._put(task.chunk, task.tries + 1)
        return None

    def stop(self) -> None:
        """Cancels what is queued; a cluster of our own ends."""
        futures, self._futures = [task.future for task in self._futures.values()], {}
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.cancel(futures, force=True)
        self._job = self._whole = None
        if self._own:
            self._client = None
        self._close()

    def _count_slots(self) -> int:
        """Threads of all workers; waits for the first worker for a while."""
        with contextlib.suppress(TimeoutError, OSError):
            self._client.wait_for_workers(1, timeout=_WORKERS_S)
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            address = self._client.scheduler.address
            raise SweepError(f"{address}: the scheduler has no workers: start some, then resume")
        return sum(worker["nthreads"] for worker in workers.values())

    def _scatter(self) -> None:
        try:
            self._job = self._client.scatter([self._whole], broadcast=True, hash=False, timeout=60)[0]
        except (CancelledError, OSError, TimeoutError, ValueError) as error:
            raise SweepError(f"the job does not reach the Dask workers ({error}): start them, then resume") from error

    def _connect(self, scheduler: str | None, jobs: int | None) -> Any:
        if scheduler is not None:
            try:
                # A client with an address that is none takes long to give up, and says so a second time.
                if not scheduler.startswith("inproc://"):
                    distributed.comm.get_address_host_port(scheduler)
                client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                raise SweepError(f"{scheduler}: no Dask scheduler answers there ({error})") from None
        else:
            settings = {
                "distributed.scheduler.allowed-failures": _DEATHS_ALLOWED,
                "distributed.worker.daemon": True,
                "distributed.admin.system-monitor.interval": "5s",
            }
            with dask.config.set(settings):
                cluster = distributed.LocalCluster(
                    n_workers=jobs or cpu_count(),
                    threads_per_worker=1,
                    # At any port: another cluster may have the usual one.
                    dashboard_address=":0",
                    memory_limit=0,
                    silence_logs=logging.CRITICAL + 1,
                )
            self._own.append(cluster)
            client = distributed.Client(cluster, set_as_default=False)
            # A terminal sends Ctrl-C to all; the driver ends its workers by itself.
            client.run(_ignore_interrupts)
        self._own.insert(0, client)
        return client

    def _close(self) -> None:
        for one in self._own:
            _kill_workers(one)
            with contextlib.suppress(Exception):
                one.close(timeout=5)
        self._own = []


def _kill_workers(cluster: Any) -> None:
    """Ends the workers of a cluster of our own, which else finish their chunks first; a client has none."""
    # It tells of each connection that ends with them.
    logging.getLogger("distributed.batched").setLevel(logging.WARNING)
    for nanny in getattr(cluster, "workers", {}).values():
        nanny.auto_restart = False
        with contextlib.suppress(OSError):
            if nanny.pid:
                os.kill(nanny.pid, signal.SIGKILL)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(job: Job, chunk: bytes) -> Rows:
    """What a task does."""
    return job.run(chunk)


def _model_version() -> int:
    return _core.model_version
