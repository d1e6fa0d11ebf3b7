"""A tour of an address space: its segments, a fork, a copied page, and a segmentation fault.

The parent executes its text, writes data, heap, a mapping and its stack. It forks: the child writes one page, which is
copied, and reads another, which stays shared. A second child writes to text, which ends it alone.
"""

from typing import Any

import msgspec

from runq._size import parse_size
from runq.scenario import KernelChoices, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        heap: size of the heap.
        mapping: size of the mapping.
        aslr: whether addresses are drawn from the seed.
    """

    heap: str | int = "1MiB"
    mapping: str | int = "4MiB"
    aslr: bool = True


def build(parameters: Parameters) -> Scenario:
    """A parent and its two children."""
    page: dict[str, Any] = {"count": 1}

    def measure(name: str, *body: dict[str, Any]) -> dict[str, Any]:
        return {"op": "measure", "name": name, "body": list(body)}

    copies = [
        measure("write a shared page", {"op": "touch", "region": "heap", **page}),
        measure("read a shared page", {"op": "touch", "region": "mapping", "access": "read", **page}),
        {"op": "exit"},
    ]
    faults = [{"op": "touch", "region": "text", "access": "write", **page}, {"op": "exit"}]
    program = [
        measure("text", {"op": "touch", "region": "text", "access": "execute"}),
        measure("data", {"op": "touch", "region": "data"}),
        {"op": "brk", "size": parse_size("scenario.heap", parameters.heap)},
        measure("heap", {"op": "touch", "region": "heap"}),
        {"op": "mmap", "region": "mapping", "size": parse_size("scenario.mapping", parameters.mapping)},
        measure("mapping", {"op": "touch", "region": "mapping"}),
        measure("stack", {"op": "touch", "region": "stack", "count": 2}),
        measure("fork", {"op": "fork", "child": copies}),
        {"op": "wait_child"},
        measure("write a page of its own again", {"op": "touch", "region": "mapping", **page}),
        {"op": "fork", "child": faults},
        {"op": "wait_child"},
    ]
    choices = KernelChoices(aslr=parameters.aslr)
    return Scenario(name="address-space", processes=[ProcessSpec("parent", program)], kernel=choices)


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """How each process ended."""
    return {"ends": {f"{row.name} {row.pid}": row.end for row in result.processes if row.end}}
