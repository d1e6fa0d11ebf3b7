"""Sweeps of short simulations: a point over the bare simulation, what a second cpu brings, how they resume."""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import runq
from runq.sweeps._native import NativeJob

POINTS = 10_000
OVERHEAD_GOAL_US = 50.0
SPEED_UP_GOAL = 1.9
SHARE_GOAL = 0.95
RESUME_GOAL_S = 2.0

# Memory that takes no time to set up, so that points are short: a quarter of a millisecond.
MACHINE = runq.machines.load("granite-rapids-vm").with_set("memory_size=64MiB")
SCENARIO = runq.scenarios.load("fork-latency", resident="64KiB")


def sweeps(*, short: bool) -> list[dict[str, Any]]:
    """Prints the figures beside their goals, and returns them."""
    points = POINTS // 5 if short else POINTS
    print(f"sweeps of {points:,} simulations")
    bare, one, both = zip(*(_round(points) for _ in range(3)), strict=True)
    overhead = 1e6 * (statistics.median(cpu for _, cpu in one) - statistics.median(cpu for _, cpu in bare)) / points
    rows = [
        _row("a point over the bare simulation, by cpu", overhead, OVERHEAD_GOAL_US, "us", overhead <= OVERHEAD_GOAL_US)
    ]
    if len(os.sched_getaffinity(0)) > 1:
        speed_up = statistics.median(clock for clock, _ in one) / statistics.median(clock for clock, _ in both)
        rows.append(_row("two cpus over one", speed_up, SPEED_UP_GOAL, "times", speed_up >= SPEED_UP_GOAL))
        most = statistics.median(_processes_speed_up(points) for _ in range(3))
        share = speed_up / most
        print(f"  two processes that share nothing, over one {most:8.2f} times  what the machine gives")
        rows.append(_row("of that", share, SHARE_GOAL, "", share >= SHARE_GOAL))
    seconds = _resume(points)
    rows.append(_row("resume of a finished sweep", seconds, RESUME_GOAL_S, "s", seconds <= RESUME_GOAL_S))
    return rows


def _round(points: int) -> list[tuple[float, float]]:
    """Seconds by the clock and of the cpu: bare, as a sweep on one cpu, as a sweep on two."""
    cpus = os.sched_getaffinity(0)
    some = sorted(cpus)[:2]
    try:
        os.sched_setaffinity(0, some[:1])
        bare = _bare(points)
        one = _timed(lambda: _sweep(points).run(jobs=1).close())
        os.sched_setaffinity(0, some)
        both = _timed(lambda: _sweep(points).run(jobs=len(some)).close())
    finally:
        os.sched_setaffinity(0, cpus)
    return [bare, one, both]


def _bare(points: int) -> tuple[float, float]:
    """The simulations alone: all points at once to one thread of the core."""
    sweep = _sweep(points)
    pool = cast(NativeJob, sweep.target.job()).pool(1)
    chunk = sweep.target.chunk(list(sweep.points()))

    def work() -> None:
        pool.submit(0, chunk)
        while pool.wait(1.0) is None:
            pass

    return _timed(work)


def _processes_speed_up(points: int) -> float:
    """What two processes that share nothing do in the time of one, each on a cpu of its own."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    alone = statistics.mean(max(_together([cpu], points)) for cpu in cpus)
    return 2 * alone / max(_together(cpus, points))


def _together(cpus: list[int], points: int) -> list[float]:
    context = multiprocessing.get_context("spawn")
    start, seconds = context.Barrier(len(cpus)), context.SimpleQueue()
    processes = [context.Process(target=_process, args=(cpu, points, start, seconds)) for cpu in cpus]
    for process in processes:
        process.start()
    found = [float(seconds.get()) for _ in processes]
    for process in processes:
        process.join()
    return found


def _process(cpu: int, points: int, start: Any, seconds: Any) -> None:
    os.sched_setaffinity(0, [cpu])
    start.wait()
    seconds.put(_bare(points)[0])


def _sweep(points: int) -> runq.Sweep:
    over = {"machine.kernel.fork.pte_dirtied_ns": runq.sweeps.linear(1, 100, points // 10), "seed": range(10)}
    return runq.Sweep(runq.simulate, SCENARIO, MACHINE, over=over)


def _resume(points: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "s.db")
        _sweep(points).run(store).close()
        return _timed(lambda: _sweep(points).run(store).close())[0]


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def _row(what: str, value: float, goal: float, unit: str, is_met: bool) -> dict[str, Any]:
    print(f"  {what:42} {value:8.2f} {unit:5}  goal {goal:g}  {'met' if is_met else 'MISSED'}", flush=True)
    return {"what": what, "value": value, "goal": goal, "unit": unit}


if __name__ == "__main__":
    sweeps(short=False)
