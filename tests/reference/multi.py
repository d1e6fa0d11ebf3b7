"""CPUs with caches written down as plainly as it can be. Jobs are (name, run time, working set, cpus or none)."""

from random import Random

Job = tuple[str, int, int, list[int]]


def multi(
    jobs: list[Job],
    *,
    num_cpus: int,
    per_cpu_queues: bool,
    quantum: int,
    peek_interval: int,
    warmup_time: int,
    warm_rate: int,
    cache_size: int,
    seed: int,
) -> list[list[tuple[str, bool] | None]]:
    """For each tick and CPU the job that ran and whether it was warm; without the bugs of the tool."""
    rng = Random(seed)
    cpus = range(num_cpus)
    size = {name: working_set for name, _, working_set, _ in jobs}
    allowed = {name: pinned or list(cpus) for name, _, _, pinned in jobs}
    left = {name: run_time for name, run_time, _, _ in jobs}
    # Whose queue a job waits in, in order of arrival; all wait in that of CPU 0 if there is one alone.
    waiting: list[tuple[int, str]] = []
    dealt = [name for name, *_ in jobs]
    while dealt:
        for cpu in cpus:
            mine = [name for name in dealt if cpu in allowed[name]][:1] if per_cpu_queues else dealt[:1]
            waiting += [(cpu if per_cpu_queues else 0, name) for name in mine]
            dealt = [name for name in dealt if name not in mine]
    running: dict[int, str] = {}
    # For each CPU: warm jobs, oldest first, and how long every other one has run there.
    warm: list[list[str]] = [[] for _ in cpus]
    heat: list[dict[str, int]] = [{} for _ in cpus]

    def make_warm(cpu: int, name: str) -> None:
        warm[cpu].append(name)
        while sum(size[other] for other in warm[cpu]) > cache_size:
            heat[cpu][warm[cpu].pop(0)] = 0

    rows: list[list[tuple[str, bool] | None]] = []
    while waiting or running:
        now = len(rows)
        if now % quantum == 0:
            waiting += [(cpu if per_cpu_queues else 0, running[cpu]) for cpu in sorted(running)]
            running.clear()
        if per_cpu_queues and peek_interval and now and now % peek_interval == 0 and num_cpus > 1:
            for cpu in cpus:
                if cpu not in [queue for queue, _ in waiting]:
                    victim = rng.choice([other for other in cpus if other != cpu])
                    for entry in waiting:
                        if entry[0] == victim and cpu in allowed[entry[1]]:
                            waiting.remove(entry)
                            waiting.append((cpu, entry[1]))
                            break
        for cpu in cpus:
            queue = cpu if per_cpu_queues else 0
            mine = [entry for entry in waiting if entry[0] == queue and cpu in allowed[entry[1]]]
            if cpu not in running and mine:
                waiting.remove(mine[0])
                name = running[cpu] = mine[0][1]
                if name not in heat[cpu]:
                    heat[cpu][name] = 0
                    if warmup_time == 0:
                        make_warm(cpu, name)
        row: list[tuple[str, bool] | None] = [None] * num_cpus
        for cpu, name in sorted(running.items()):
            row[cpu] = (name, name in warm[cpu])
            left[name] -= warm_rate if name in warm[cpu] else 1
            if name not in warm[cpu]:
                heat[cpu][name] += 1
                if heat[cpu][name] >= warmup_time:
                    make_warm(cpu, name)
            if left[name] <= 0:
                del running[cpu]
        rows.append(row)
    return rows
