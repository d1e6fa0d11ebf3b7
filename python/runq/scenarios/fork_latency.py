"""How long fork takes: by resident memory, page size, and what was written since the last fork.

The parent pays for every entry of its page tables: little if it was not written since the last fork (clean), more if it
was (dirtied), most if the frames of neighbouring pages lie apart (scattered). A huge page is one entry. On-demand fork
shares the tables instead and copies each when one side changes it.
"""

from typing import Any, Literal

import msgspec

from runq._size import parse_size
from runq.errors import ConfigError
from runq.scenario import KernelChoices, ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        resident: memory that the parent has written.
        page_size: of that memory.
        state: `clean` (not written since the last fork), `dirtied`, or `scattered` (dirtied, first touched in random
            order, so that neighbours lie apart).
        repeats: forks that are measured, each after one that is not.
        on_demand: whether fork shares tables until one of the two changes them.
    """

    resident: str | int = "1GiB"
    page_size: Literal["4KiB", "2MiB"] = "4KiB"
    state: Literal["clean", "dirtied", "scattered"] = "dirtied"
    repeats: int = 5
    on_demand: bool = False


def build(parameters: Parameters) -> Scenario:
    """A server that fills its heap and forks again and again."""
    size = parse_size("scenario.resident", parameters.resident)
    if size == 0:
        raise ConfigError("scenario.resident", "must be at least 1 B", "0")
    if parameters.repeats < 1:
        raise ConfigError("scenario.repeats", "must be at least 1", str(parameters.repeats))
    # Every 4 KiB, also of huge pages: what does not fill one, or finds none free, has small ones.
    write: dict[str, Any] = {"op": "touch", "region": "heap"}
    first = write | ({"pattern": "chase"} if parameters.state == "scattered" else {})
    fork: list[dict[str, Any]] = [{"op": "fork", "child": [{"op": "exit"}]}, {"op": "wait_child"}]
    again: list[dict[str, Any]] = [] if parameters.state == "clean" else [write]
    program: list[dict[str, Any]] = [
        {"op": "mmap", "region": "heap", "size": size, "page_size": parameters.page_size},
        first,
        *fork,
        {"op": "repeat", "times": parameters.repeats, "body": [*again, *fork]},
    ]
    choices = KernelChoices(fork_policy="on-demand") if parameters.on_demand else KernelChoices()
    return Scenario(name="fork-latency", processes=[ProcessSpec("server", program)], kernel=choices)


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """The time of the measured forks, and what a page of 4 KiB adds to it."""
    times = sorted(fork.time_ns for fork in result.forks[1:])
    pages = max(1, parse_size("scenario.resident", parameters.resident) // 4096)
    last = result.forks[-1] if result.forks else None
    return {
        "fork_ns_min": times[0] if times else None,
        "fork_ns_median": times[len(times) // 2] if times else None,
        "first_fork_ns": result.forks[0].time_ns if result.forks else None,
        "fork_ns_per_page": times[0] / pages if times else None,
        "tables_copied": last.tables if last else 0,
        "tables_shared": last.shared_tables if last else 0,
    }
