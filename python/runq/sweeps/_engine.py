"""Who runs the chunks of a sweep: a narrow protocol, and the engine of this process.

An engine takes chunks, gives back rows in any order, and knows nothing of axes, stores or tables. What a row says
depends on its point alone, so every engine gives the same rows. One whose workers share the driver's process has
`submit_alone` for chunks that may end a process, and `ahead_alone`, how many of them may be under way.
"""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runq import _core
from runq.errors import ConfigError, SweepError
from runq.sweeps._native import NativeJob, rows_of
from runq.sweeps._target import Job, Rows

if TYPE_CHECKING:
    from runq.sweeps._alone import Alone

__all__ = ["Chunk", "Engine", "Finished", "LocalEngine", "cpu_count"]


# Of the threads of the core: some hundred short points.
_POOL_CHUNK_S = 0.1

# How often the process of its own is looked at while threads are at work too.
_ALONE_EVERY_S = 0.01


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
        self.ahead_alone = 32
        self.chunk_s = 1.0
        self._job: Job | None = None
        self._alone: Alone | None = None
        # Chunks that the threads have.
        self._under_way = 0
        self._pool: _core.SweepPool | None = None
        self._others: _Threads | None = None

    def start(self, job: Job) -> None:
        """Starts the threads."""
        self._job = job
        if isinstance(job, NativeJob):
            try:
                self._pool = job.pool(self.slots)
            except OSError as error:
                raise SweepError(f"{self.slots} threads cannot be started ({error}): ask for fewer jobs") from error
            # All threads share the points of a chunk, and wait for the rows of the last one alone.
            self.chunk_s = _POOL_CHUNK_S
        else:
            self._others = _Threads(job, self.slots)

    def submit(self, chunk: Chunk) -> None:
        """Queues a chunk."""
        self._under_way += 1
        if self._pool is not None:
            self._pool.submit(chunk.number, chunk.content)
        else:
            self._threads().submit(chunk)

    def submit_alone(self, chunk: Chunk) -> None:
        """Queues a chunk for a process of its own."""
        from runq.sweeps._alone import Alone

        if self._alone is None:
            assert self._job is not None, "an engine is started before it is used"
            self._alone = Alone(self._job)
        self._alone.submit(chunk)

    def wait(self, timeout_s: float) -> Finished | None:
        """A chunk that is done."""
        if self._alone is not None and self._alone.is_busy:
            finished = self._alone.wait(0 if self._under_way else timeout_s)
            if finished is not None or not self._under_way:
                return finished
            timeout_s = min(timeout_s, _ALONE_EVERY_S)
        finished = self._threads().wait(timeout_s) if self._pool is None else _wait(self._pool, timeout_s)
        self._under_way -= finished is not None
        return finished

    def stop(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.stop()
        if self._others is not None:
            self._others.stop()
        if self._alone is not None:
            self._alone.stop()
        self._pool = self._others = self._alone = None
        self._under_way = 0

    def _threads(self) -> _Threads:
        assert self._others is not None, "an engine is started before it is used"
        return self._others


def _wait(pool: _core.SweepPool, timeout_s: float) -> Finished | None:
    done = pool.wait(timeout_s)
    if done is None:
        return None
    number, schemas, rows = done
    return Finished(number, rows_of(schemas, rows))


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
