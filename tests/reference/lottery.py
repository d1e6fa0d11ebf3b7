"""A lottery for the CPU written down as plainly as it can be: every ticket is an element of a list."""

from random import Random


def winners(jobs: list[tuple[int, int]], *, quantum: int, seed: int) -> list[int]:
    """The job that wins each draw, of (run time, tickets)."""
    rng = Random(seed)
    ran = [0] * len(jobs)
    drawn = []
    while True:
        owners = [job for job, (length, tickets) in enumerate(jobs) if ran[job] < length for _ in range(tickets)]
        if not owners:
            return drawn
        drawn.append(owners[int(rng.random() * 1_000_001) % len(owners)])
        ran[drawn[-1]] += quantum
