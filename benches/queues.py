"""M/M/4 at 80 % in other simulators, each as its own documentation models a queue, and in runq, in the same run.

A server takes the next job from a queue, serves it and takes the next. Rates are jobs a second of the clock; compiling
a model is not timed. Mean waits, in service times, tell whether all simulate the same thing: 0.7455 (Erlang). The
peers are general and keep an agenda; what is measured of runq is made for first come, first served and keeps none.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SERVERS = 4
UTILIZATION = 0.8

# Jobs a second, and the mean wait.
Measured = tuple[float, float]


def with_simpy(jobs: int) -> Measured:
    """SimPy: a resource of four, a process a job."""
    import simpy

    rng = random.Random(1)
    environment = simpy.Environment()
    servers = simpy.Resource(environment, capacity=SERVERS)
    waits = 0.0

    def job() -> Any:
        nonlocal waits
        came = environment.now
        with servers.request() as request:
            yield request
            waits += environment.now - came
            yield environment.timeout(rng.expovariate(1.0))

    def arrivals() -> Any:
        for _ in range(jobs):
            yield environment.timeout(rng.expovariate(SERVERS * UTILIZATION))
            environment.process(job())

    environment.process(arrivals())
    start = time.perf_counter()
    environment.run()
    return jobs / (time.perf_counter() - start), waits / jobs


def with_cimba(jobs: int) -> Measured:
    """cimba: arrivals fill a container, four processes empty it; the mean wait by Little's law."""
    import cimba as cb
    from cimba import inputs

    class Queue(cb.Model):  # type: ignore[misc, name-defined]
        interarrival: cb.Input[float] = inputs.dist.exponential(mean=1 / (SERVERS * UTILIZATION))
        service_time: cb.Input[float] = inputs.dist.exponential(mean=1)
        queue: cb.Container
        mean_queue: cb.Output[float]

        @cb.process
        def arrivals(self) -> None:
            while True:
                cb.hold(self.interarrival.next())
                self.queue.put(1)

        @cb.process(copies=SERVERS)
        def server(self) -> None:
            while True:
                self.queue.get(1)
                cb.hold(self.service_time.next())

        @cb.on_end
        def measure(self) -> None:
            self.mean_queue = self.queue.mean_level()

    def run(duration: float) -> tuple[float, float]:
        model = Queue()
        window = cb.Window(warmup=0, duration=duration)
        experiment = cb.Experiment(model, replications=1, window=window, seed=1)
        start = time.perf_counter()
        results = experiment.run()
        return time.perf_counter() - start, float(np.ravel(np.asarray(results[model].mean_queue))[0])

    run(10)
    duration = jobs / (SERVERS * UTILIZATION)
    seconds, queue = run(duration)
    return jobs / seconds, queue / (SERVERS * UTILIZATION)


def with_runq(jobs: int) -> Measured:
    """runq, first come, first served."""
    import runq.benchmarks

    done = runq.benchmarks.mmc(servers=SERVERS, utilization=UTILIZATION, jobs=jobs, seed=1)
    return done["jobs_per_second"], done["mean_wait"]


PEERS: dict[str, tuple[Callable[[int], Measured], int]] = {
    "SimPy": (with_simpy, 400_000),
    "cimba": (with_cimba, 2_000_000),
}


def _median(simulate: Callable[[int], Measured], jobs: int) -> Measured:
    """The median rate of three runs, for peers as for runq."""
    return sorted(simulate(jobs) for _ in range(3))[1]


def beside_us(*, short: bool) -> list[dict[str, Any]]:
    """Each peer that can be imported, and how many times faster runq is."""
    ours, wait = _median(with_runq, 4_000_000)
    print(f"M/M/4 at 80 %, jobs a second: runq {ours / 1e6:.2f} million, mean wait {wait:.4f}")
    rows: list[dict[str, Any]] = []
    for name, (simulate, jobs) in PEERS.items():
        try:
            rate, wait = _median(simulate, jobs // 4 if short else jobs)
        except ImportError as error:
            print(f"  {name}: skipped, it cannot be imported ({error}); the extra `bench` installs it")
            continue
        print(f"  {name:8} {rate / 1e6:8.3f} million, mean wait {wait:.4f}; runq {ours / rate:,.1f} times", flush=True)
        rows.append({"peer": name, "rate": rate, "runq": ours, "ratio": ours / rate, "mean_wait": wait})
    return rows


if __name__ == "__main__":
    beside_us(short=False)
