"""A CPU and its jobs written down as slowly and plainly as it can be: who runs in every unit of time."""


def who_runs(lengths: list[int], *, policy: str, quantum: int) -> list[int]:
    """The job of every unit of time, of jobs of at least one unit."""
    jobs = list(range(len(lengths)))
    if policy == "SJF":
        jobs.sort(key=lambda job: (lengths[job], job))
    if policy in ("SJF", "FIFO"):
        return [job for job in jobs for _ in range(lengths[job])]
    ticks: list[int] = []
    while jobs:
        job = jobs.pop(0)
        left = lengths[job] - ticks.count(job)
        ticks += [job] * min(left, quantum)
        if left > quantum:
            jobs.append(job)
    return ticks
