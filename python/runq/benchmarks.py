"""Speed of the simulator on standard problems.

>>> import runq.benchmarks
>>> r = runq.benchmarks.mmc(servers=4, utilization=0.8, jobs=200_000, seed=1)
>>> abs(r["mean_wait"] - 0.7455) < 4 * r["mean_wait_error"]
True
"""

import json
from statistics import stdev
from typing import Any

from runq import _core
from runq.errors import ConfigError
from runq.sched import Open

__all__ = ["mmc"]


def mmc(*, servers: int = 4, utilization: float = 0.8, jobs: int = 4_000_000, seed: int = 1) -> dict[str, Any]:
    """Serves jobs of a Poisson process with exponential service times, first come first served, on equal servers.

    Returns:
        `jobs_per_second` (of the host's time), `seconds`, `jobs`; `mean_wait` and `mean_response`, in service times;
        `mean_wait_error`, the standard error of `mean_wait` by batch means; `wait_probability`; and the `utilization`
        that came of it.

    Raises:
        ConfigError: there are no servers or no jobs, or more come than the servers can serve in the long run.
    """
    for name, value, least, most in (
        ("servers", servers, 1, 4096),
        ("jobs", jobs, 1, (1 << 32) - 1),
        ("seed", seed, 0, (1 << 64) - 1),
    ):
        if not least <= value <= most:
            raise ConfigError(name, f"must be {least} to {most}", str(value))
    if not 0 < utilization < 1:
        raise ConfigError("utilization", "must be above 0 and below 1", str(utilization))
    service = 1_000.0
    queue = Open(jobs=jobs, utilization=utilization, service_us=service)
    done = json.loads(_core.queue_fcfs(queue.to_json(), servers, seed))
    count = max(done["jobs"], 1)
    batches = done["batches_us"]
    size = max(count // len(batches), 1) * service
    error = stdev(total / size for total in batches) / len(batches) ** 0.5
    return {
        "jobs": done["jobs"],
        "seconds": done["seconds"],
        "jobs_per_second": done["jobs"] / max(done["seconds"], 1e-9),
        "mean_wait": done["wait_us"] / count / service,
        "mean_wait_error": error,
        "mean_response": (done["wait_us"] + done["service_us"]) / count / service,
        "wait_probability": 1 - done["served_at_once"] / count,
        "utilization": done["service_us"] / max(done["elapsed_us"] * servers, 1e-9),
    }
