"""Who runs the chunks of a sweep: a narrow protocol, and the engine of this process.

An engine takes chunks, gives back rows in any order, and knows nothing of axes, stores or tables. What a row says
depends on its point alone, so every engine gives the same rows.
"""

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol

from runq import _core
from runq.errors import ConfigError
from runq.sweeps._native import NativeJob, rows_of
from runq.sweeps._target import Job, Rows

__all__ = ["Chunk", "Engine", "Finished", "LocalEngine", "cpu_count"]


# Of the threads of the core: a hundred short points.
_POOL_CHUNK_S = 0.05


class Chunk(NamedTuple):
    """Points as the job takes them: a number, all of them at once, and how many there are."""

    number: int
    content: bytes
    points: int


class Finished(NamedTuple):
    """What became of a chunk: its rows, or why it was lost with what ran it."""

    number: int
    rows: Rows | None
    lost: str = ""


class Engine(Protocol):
    """Runs chunks. `start` comes first, `stop` last, also after an error."""

    # What `status` calls it.
    name: str
    # How many points run at a time.
    slots: int
    # How many chunks are under way at most: what runs and what waits, and is run again if the driver is killed.
    ahead: int
    # How long a chunk should keep one slot busy: the more it costs to hand one out, the longer.
    chunk_s: float

    def start(self, job: Job) -> None:
        """Takes what all chunks share."""

    def submit(self, chunk: Chunk) -> None:
        """Queues a chunk; never waits."""

    def wait(self, timeout_s: float) -> Finished | None:
        """A chunk that is done or lost, or None after a while. Lets signals through."""

    def stop(self) -> None:
        """Drops what is queued and ends what runs, within a second."""


def cpu_count() -> int:
    """The cpus that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalEngine:
    """Threads of this process without the GIL, one a cpu unless `jobs` says otherwise.

    >>> import runq
    >>> runq.sweeps.LocalEngine(jobs=2).slots
    2
    """

    name = "local"

    def __init__(self, jobs: int | None = None) -> None:
        if jobs is not None and (not isinstance(jobs, int) or not 1 <= jobs <= 1024):
            raise ConfigError("jobs", "must be between 1 and 1024", repr(jobs))
        self.slots = cpu_count() if jobs is None else jobs
        self.ahead = 2 * self.slots + 1
        self.chunk_s = 1.0
        self._pool: _core.SweepPool | None = None
        self._others: _Threads | None = None

    def start(self, job: Job) -> None:
        """Starts the threads."""
        if isinstance(job, NativeJob):
            self._pool = job.pool(self.slots)
            # All threads share the points of a chunk, and wait for the rows of the last one alone.
            self.chunk_s = _POOL_CHUNK_S
        else:
            self._others = _Threads(job, self.slots)

    def submit(self, chunk: Chunk) -> None:
        """Queues a chunk."""
        if self._pool is not None:
            self._pool.submit(chunk.number, chunk.content)
        else:
            self._threads().submit(chunk)

    def wait(self, timeout_s: float) -> Finished | None:
        """A chunk that is done."""
        if self._pool is None:
            return self._threads().wait(timeout_s)
        done = self._pool.wait(timeout_s)
        if done is None:
            return None
        number, schemas, rows = done
        return Finished(number, rows_of(schemas, rows))

    def stop(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.stop()
        if self._others is not None:
            self._others.stop()
        self._pool = self._others = None

    def _threads(self) -> "_Threads":
        assert self._others is not None, "an engine is started before it is used"
        return self._others


class _Threads:
    """Threads of Python, for jobs that are not the core's."""

    def __init__(self, job: Job, slots: int) -> None:
        self._job = job
        self._executor = ThreadPoolExecutor(slots, thread_name_prefix="runq-sweep")
        self._futures: dict[Future[Rows], int] = {}

    def submit(self, chunk: Chunk) -> None:
        self._futures[self._executor.submit(self._job.run, chunk.content)] = chunk.number

    def wait(self, timeout_s: float) -> Finished | None:
        done, _ = wait(self._futures, timeout_s, FIRST_COMPLETED)
        for future in done:
            number = self._futures.pop(future)
            error = future.exception()
            if error is None:
                return Finished(number, future.result())
            return Finished(number, None, f"{type(error).__name__}: {error}")
        return None

    def stop(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
