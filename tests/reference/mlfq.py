"""A multi-level feedback queue without queues, written down as plainly as it can be.

A job remembers its priority and a place. Who runs is who is ready, of highest priority, and of lowest place.
"""

from dataclasses import dataclass


@dataclass
class Job:
    start: int
    run_time: int
    io_every: int
    wakes: int
    ran: int = 0
    priority: int = 0
    place: int = 0
    ticks: int = 0
    turns: int = 0
    response: int = -1
    turnaround: int = -1


def mlfq(
    jobs: list[tuple[int, int, int]],
    levels: list[tuple[int, int]],
    *,
    boost: int = 0,
    iotime: int = 5,
    stay: bool = False,
    iobump: bool = False,
    compat: bool = True,
) -> list[tuple[int, int]]:
    """Response and turnaround of every job; `levels` has quantum and allotment of each queue, from the highest down."""
    top = len(levels) - 1
    quantum, allotment = ({top - place: level[part] for place, level in enumerate(levels)} for part in (0, 1))
    states = [Job(*job, wakes=job[0], priority=top, ticks=quantum[top], turns=allotment[top]) for job in jobs]
    # In order of when they went to sleep.
    asleep = list(states)
    ready: list[Job] = []
    places = iter(range(1, 10**6))
    now = 0
    while any(job.turnaround < 0 for job in states):
        if boost and now and now % boost == 0:
            for job in sorted(ready, key=lambda job: (job.priority, job.place)):
                if job.priority < top:
                    job.place = next(places)
            for job in states:
                job.priority, job.ticks, job.turns = top, quantum[top], allotment[top]
        for job in [job for job in asleep if job.wakes == now]:
            asleep.remove(job)
            job.place = next(places)
            if iobump and job.ran:
                job.place = min((other.place for other in ready), default=0) - 1
            ready.append(job)
        now += 1
        if not ready:
            continue
        job = min(ready, key=lambda job: (-job.priority, job.place))
        if not job.ran:
            job.response = now - 1 - job.start
        job.ran += 1
        job.ticks -= 1
        if job.ran == job.run_time:
            job.turnaround = now - job.start
            ready.remove(job)
            continue
        is_over = job.ticks == 0
        does_io = job.io_every > 0 and job.ran % job.io_every == 0
        if does_io:
            ready.remove(job)
            job.wakes = now + iotime
            asleep.append(job)
            if stay:
                job.ticks, job.turns = quantum[job.priority], allotment[job.priority]
                if not compat:
                    continue
        if is_over:
            job.ticks = quantum[job.priority]
            job.turns -= 1
            job.place = next(places)
            if job.turns == 0:
                job.priority = max(job.priority - 1, 0)
                job.ticks, job.turns = quantum[job.priority], allotment[job.priority]
    return [(job.response, job.turnaround) for job in states]
