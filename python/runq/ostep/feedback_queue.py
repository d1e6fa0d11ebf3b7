"""The queues of OSTEP's `mlfq.py`, one unit of time after the other.

Queues are in turn, the highest one that is not empty runs, a job goes down once its allotment is used up, and any
number of jobs do I/O at once. A switch costs nothing. Source: cpu-sched-mlfq/mlfq.py of
remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

import msgspec

__all__ = ["Event", "FeedbackQueue", "Job", "Level"]

_BEGINS = "JOB BEGINS"
_IO_DONE = "IO_DONE"


class Job(msgspec.Struct, frozen=True):
    """Arrives at `start`, runs for `run_time` in all, and does I/O after every `io_every` of it (0: none)."""

    start: int
    run_time: int
    io_every: int


class Level(msgspec.Struct, frozen=True):
    """A queue: how long a turn is, and after how many of them a job goes down; in the lowest, 0 or less is never."""

    quantum: int
    allotment: int


class Event(msgspec.Struct, frozen=True):
    """What happens at `time`: `JOB BEGINS`, `IO_DONE`, `IO_START`, `FINISHED`, `RUN`, and of no job `BOOST`, `IDLE`.

    A `RUN` is of one unit of time and has what is left after it: of the turn, of the allotment, and to run.
    """

    time: int
    kind: str
    job: int = -1
    priority: int = -1
    ticks: int = 0
    allotment: int = 0
    left: int = 0


class _State:
    """Where a job stands."""

    __slots__ = ("allotment", "left", "priority", "ticks")

    def __init__(self, left: int) -> None:
        self.left = left

    def enter(self, priority: int, level: Level) -> None:
        """Gives the job a queue, a whole turn, and a whole allotment."""
        self.priority = priority
        self.renew(level)

    def renew(self, level: Level) -> None:
        """Gives the job a whole turn and a whole allotment."""
        self.ticks = level.quantum
        self.allotment = level.allotment


class FeedbackQueue:
    """The jobs and their queues; the last level is the highest."""

    def __init__(
        self,
        jobs: Sequence[Job],
        levels: Sequence[Level],
        *,
        boost_every: int,
        io_time: int,
        stay: bool,
        bump: bool,
        compat: bool,
    ) -> None:
        self.jobs = jobs
        self.levels = levels
        self._boost_every = boost_every
        self._io_time = io_time
        self._stay = stay
        self._bump = bump
        self._compat = compat
        self._top = len(levels) - 1
        # invariant: a job that is here, not done and not at I/O is in the queue of its priority, and nowhere else
        self._queues: list[deque[int]] = [deque() for _ in levels]
        self._states = [_State(job.run_time) for job in jobs]
        # What begins or comes back when.
        self._arrivals: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for number, job in enumerate(jobs):
            self._states[number].enter(self._top, levels[self._top])
            self._arrivals[job.start].append((number, _BEGINS))

    def play(self) -> Iterator[Event]:
        """Runs every job to its end, once; what comes out need not be kept."""
        time = 0
        unfinished = len(self.jobs)
        while unfinished:
            if self._boost_every and time and time % self._boost_every == 0:
                self._boost()
                yield Event(time, "BOOST")
            for job, kind in self._arrivals.pop(time, ()):
                self._arrive(job, is_first=self._bump and kind == _IO_DONE)
                yield Event(time, kind, job)
            priority = next((level for level in range(self._top, -1, -1) if self._queues[level]), None)
            if priority is None:
                yield Event(time, "IDLE")
                time += 1
                continue
            job = self._queues[priority][0]
            state = self._states[job]
            state.left -= 1
            state.ticks -= 1
            yield Event(time, "RUN", job, priority, state.ticks, state.allotment, state.left)
            time += 1
            if state.left == 0:
                self._queues[priority].popleft()
                unfinished -= 1
                yield Event(time, "FINISHED", job)
            elif self._leave(job, priority, time):
                yield Event(time, "IO_START", job)

    def _boost(self) -> None:
        """Moves every job to the top, also those that are at I/O, and gives each a whole turn and allotment."""
        for queue in self._queues[: self._top]:
            self._queues[self._top] += queue
            queue.clear()
        for state in self._states:
            state.enter(self._top, self.levels[self._top])

    def _arrive(self, job: int, *, is_first: bool) -> None:
        queue = self._queues[self._states[job].priority]
        if is_first:
            queue.appendleft(job)
        else:
            queue.append(job)

    def _leave(self, job: int, priority: int, time: int) -> bool:
        """Takes a job that has just run and goes on off the CPU, if it has to; tells whether it starts I/O."""
        state, level = self._states[job], self.levels[priority]
        turn_is_over = state.ticks == 0
        every = self.jobs[job].io_every
        starts_io = every > 0 and (self.jobs[job].run_time - state.left) % every == 0
        if starts_io or turn_is_over:
            self._queues[priority].popleft()
        if starts_io:
            self._arrivals[time + self._io_time].append((job, _IO_DONE))
            if self._stay:
                state.renew(level)
                # The tool goes on to charge the turn, and so moves a job down that was to stay.
                turn_is_over &= self._compat
        if turn_is_over:
            state.allotment -= 1
            state.ticks = level.quantum
            if state.allotment == 0:
                below = max(priority - 1, 0)
                state.enter(below, self.levels[below])
            if not starts_io:
                self._arrive(job, is_first=False)
        return starts_io
