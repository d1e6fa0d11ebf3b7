"""The simulator as the tests of the memory model drive it: accesses in, the result as a dict out."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from runq import _core
from runq.errors import ConfigError, ReplayError

Access = tuple[int, int, str, int, int]  # address, size, kind, thread, ip

WRITE = 1 << 63


def columns_of(accesses: Sequence[Access]) -> dict[str, np.ndarray]:
    """The columns of a trace. One in which every access has the default is left out."""
    words = [address | (WRITE if kind == "write" else 0) for address, _, kind, _, _ in accesses]
    columns = {"words": np.array(words, dtype=np.uint64)}
    optional = [
        ("sizes", np.uint32, [size for _, size, _, _, _ in accesses], 1),
        ("fetches", np.bool_, [kind == "fetch" for _, _, kind, _, _ in accesses], False),
        ("threads", np.uint32, [thread for _, _, _, thread, _ in accesses], 0),
        ("ips", np.uint64, [ip for _, _, _, _, ip in accesses], 0),
    ]
    for name, dtype, values, default in optional:
        if any(value != default for value in values):
            columns[name] = np.array(values, dtype=dtype)
    return columns


def simulate_columns(
    columns: dict[str, np.ndarray], machine: dict[str, Any], *, engine: str = "auto", chunk: int = 0, **options: Any
) -> dict[str, Any]:
    """Replays columns and reads the result."""
    options = {name: value for name, value in options.items() if value is not None} | {"engine": engine}
    return json.loads(_core.replay_json(json.dumps(machine), json.dumps(options), columns, chunk))


def simulate(accesses: Sequence[Access], machine: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Replays accesses and reads the result."""
    return simulate_columns(columns_of(accesses), machine, **options)


def batch_refuses(machine: dict[str, Any], options: dict[str, Any]) -> bool:
    """Whether the batch engine says that it cannot do what is asked for. A broken machine is an error all the same."""
    try:
        simulate([(0, 1, "read", 0, 0)], machine, **options | {"engine": "batch"})
    except ReplayError:
        return False
    except ConfigError as error:
        if "engine" not in error.path:
            raise
        return True
    return False


def level(result: dict[str, Any], name: str) -> dict[str, int]:
    """The counters of the cache called `name`."""
    return dict(result["levels"])[name]
