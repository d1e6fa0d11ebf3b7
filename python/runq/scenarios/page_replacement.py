"""Which page makes room: faults of every policy by the number of frames, and Belady's anomaly.

The reference string is replayed under each policy; a policy shows Belady's anomaly where more frames lead to more
faults. The simulated process makes the same references with memory enough, so that its faults are the first touches
that no policy avoids.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["POLICIES", "Parameters", "build", "outcome"]

Policy = Literal["fifo", "lru", "clock", "random", "opt"]

POLICIES: tuple[Policy, ...] = ("fifo", "lru", "clock", "random", "opt")

_PAGES_MAX = 1 << 32


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        pages: the reference string; if empty, `pattern` makes one. The default is Belady's own.
        pattern: how references are made: `uniform`, `zipf`, `hot` (80 % to a fifth of the pages), `loop`.
        references: how many are made.
        distinct: how many pages there are for those.
        frames: the numbers of frames to try.
        policies: which policies to try.
    """

    pages: Sequence[int] = (1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5)
    pattern: Literal["uniform", "zipf", "hot", "loop"] = "uniform"
    references: int = 10_000
    distinct: int = 100
    frames: Sequence[int] = (1, 2, 3, 4, 5)
    policies: Sequence[Policy] = POLICIES


def reference_string(parameters: Parameters, seed: int) -> list[int]:
    """The pages in order, as listed or drawn."""
    if parameters.pages:
        return list(parameters.pages)
    import numpy as np

    if parameters.references < 1 or parameters.distinct < 1:
        raise ConfigError("scenario.references", "must be at least 1, and distinct too", str(parameters.references))
    draws = np.random.Generator(np.random.PCG64(seed))
    pages, count = parameters.distinct, parameters.references
    if parameters.pattern == "loop":
        return [index % pages for index in range(count)]
    weights = np.ones(pages)
    if parameters.pattern == "zipf":
        weights = 1.0 / np.arange(1, pages + 1)
    elif parameters.pattern == "hot":
        hot = max(1, pages // 5)
        weights[:hot] = 4.0 * max(1, pages - hot) / hot
    drawn: list[int] = draws.choice(pages, size=count, p=weights / weights.sum()).tolist()
    return drawn


def build(parameters: Parameters) -> Scenario:
    """A process that makes the references with memory enough."""
    for field in ("frames", "policies"):
        if not getattr(parameters, field):
            raise ConfigError(f"scenario.{field}", "must hold at least one", "[]")
    if any(not 0 <= page < _PAGES_MAX for page in parameters.pages):
        raise ConfigError("scenario.pages", f"must be 0 to {_PAGES_MAX - 1}", str(list(parameters.pages)))
    pages = reference_string(parameters, 0)
    numbers = {page: index for index, page in enumerate(sorted(set(pages)))}
    program: list[dict[str, Any]] = [
        {"op": "mmap", "region": "memory", "size": 4096 * len(numbers)},
        {"op": "touch", "region": "memory", "pattern": "list", "indices": [numbers[page] for page in pages]},
    ]
    return Scenario(name="page-replacement", processes=[ProcessSpec("program", program)])


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Faults by policy and frames, and where more frames lead to more of them."""
    from runq.simulate import page_replacement

    pages = reference_string(parameters, 0)
    frames = sorted(set(parameters.frames))
    faults: dict[str, dict[str, int]] = {}
    anomalies = []
    for policy in parameters.policies:
        rows = page_replacement(pages, frames=frames, policy=policy, seed=result.seed)
        faults[policy] = {str(row.frames): row.faults for row in rows}
        for fewer, more in pairwise(rows):
            if more.faults > fewer.faults:
                anomalies.append({"policy": policy, "frames": [fewer.frames, more.frames]})
    return {"references": len(pages), "distinct": len(set(pages)), "faults": faults, "anomalies": anomalies}
