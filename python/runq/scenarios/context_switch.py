"""What a context switch costs: directly, and afterwards, when caches and TLBs are cold (Li, Ding & Shen, ExpCS 2007).

Tasks on one cpu pass a token round. Who has it goes through its array and passes it on, so that between two turns of a
task all others have been through theirs. The cost of a switch is the time of a turn beyond that of one pass through the
array that nobody disturbs. With small arrays it is the direct cost alone; humps stand where the arrays of all tasks no
longer fit a cache together though one of them does. Tasks that share one array pay almost the direct cost alone. From
seven processes on a cpu on, Linux' six address space identifiers no longer suffice and every switch loses translations.
"""

from typing import Any, Literal

import msgspec

from runq._size import parse_size
from runq.errors import ConfigError
from runq.scenario import ProcessSpec, Scenario
from runq.simulate_result import SimulateResult

__all__ = ["Parameters", "build", "outcome"]

_TASKS_MAX = 4096
_STACK_BYTES = 16 << 10
# Passes until a cache that is nearly full has found its balance.
_WARM_PASSES = 8


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What can be changed.

    Attributes:
        tasks: how many take turns.
        kind: `processes`, or `threads` of one process.
        array: what each goes through between switches; 0 for nothing.
        sharing: an array for each (`own`), or one for all threads (`shared`).
        pattern: in order (`sequential`), or each access by what the one before has read (`chase`).
        unit: bytes from one access to the next.
        via: what passes the token: a pipe, a futex, or sched_yield, which lets any other go on.
        rounds: turns of each task that are measured.
        passes: passes through the array that nobody disturbs, measured before.
        memory: how exactly memory is simulated.
    """

    tasks: int = 2
    kind: Literal["processes", "threads"] = "processes"
    array: str | int = "256KiB"
    sharing: Literal["own", "shared"] = "own"
    pattern: Literal["sequential", "chase"] = "sequential"
    unit: int = 64
    via: Literal["pipe", "futex", "yield"] = "pipe"
    rounds: int = 20
    passes: int = 5
    memory: Literal["none", "addresses", "footprint"] = "addresses"


def build(parameters: Parameters) -> Scenario:
    """Tasks that take turns, the first of which measures."""
    if not 1 <= parameters.tasks <= _TASKS_MAX:
        raise ConfigError("scenario.tasks", f"must be 1 to {_TASKS_MAX}", str(parameters.tasks))
    for field in ("rounds", "passes", "unit"):
        if getattr(parameters, field) < 1:
            raise ConfigError(f"scenario.{field}", "must be at least 1", str(getattr(parameters, field)))
    if parameters.kind == "processes" and parameters.sharing == "shared":
        raise ConfigError("scenario.sharing", "must be own: processes share no array", "shared")
    tasks = range(parameters.tasks)
    if parameters.kind == "processes":
        processes = [ProcessSpec(f"task {task}", _program(parameters, task), affinity=(0,)) for task in tasks]
        return Scenario(name="context-switch", processes=processes, memory=parameters.memory)
    is_shared = parameters.sharing == "shared"
    program = _mapped(parameters, 0) if is_shared else []
    program += [{"op": "thread", "child": _program(parameters, task)} for task in tasks[1:]]
    program += [*_program(parameters, 0), {"op": "join"}]
    process = ProcessSpec("task 0", program, affinity=(0,))
    return Scenario(name="context-switch", processes=[process], memory=parameters.memory)


def outcome(parameters: Parameters, result: SimulateResult) -> dict[str, Any]:
    """Costs of a switch: all of it, and a pass through the array alone, in ns."""
    turns = max(1, parameters.rounds * parameters.tasks)
    total = result["turns"].total_ns / turns
    alone = result["pass"].min_ns if "pass" in result.measures else 0.0
    alone = alone or 0.0
    return {
        "total_per_switch_ns": total,
        "pass_alone_ns": alone,
        "cost_per_switch_ns": total - alone,
        "switches": result.scheduling.switches,
        "tlb_flushes": result.scheduling.tlb_flushes,
    }


def _size(parameters: Parameters) -> int:
    size = parse_size("scenario.array", parameters.array)
    if 0 < size < parameters.unit:
        raise ConfigError("scenario.array", "must be 0 or at least one unit", str(parameters.array))
    return size


def _array(parameters: Parameters, task: int) -> str:
    return "array" if parameters.sharing == "shared" else f"array {task}"


def _mapped(parameters: Parameters, task: int) -> list[dict[str, Any]]:
    """The array of a task, written once so that its pages are there."""
    size = _size(parameters)
    if not size:
        return []
    region = _array(parameters, task)
    return [{"op": "mmap", "region": region, "size": size}, {"op": "touch", "region": region}]


def _pass(parameters: Parameters, task: int) -> list[dict[str, Any]]:
    if not _size(parameters):
        return []
    region = _array(parameters, task)
    # Whoever goes through an array does so in the same order.
    chase = {"pattern": "chase", "dependent": True, "stream": region}
    pattern: dict[str, Any] = chase if parameters.pattern == "chase" else {}
    return [{"op": "touch", "region": region, "access": "read", "unit": parameters.unit, **pattern}]


def _own(parameters: Parameters, task: int) -> list[dict[str, Any]]:
    """What a program needs for a turn beside its array: code, variables, the top of its stack."""
    is_first = parameters.kind == "processes" or task == 0
    top = _STACK_BYTES if is_first else 8 << 20
    return [
        {"op": "touch", "region": "text", "access": "execute", "count": 3, "unit": 4160},
        {"op": "touch", "region": "data", "access": "read", "count": 2, "unit": 4160},
        {"op": "touch", "region": "stack", "offset": top - 4096, "count": 4, "unit": 64},
    ]


def _program(parameters: Parameters, task: int) -> list[dict[str, Any]]:
    """Set up, say so, and take turns; the first one waits for all others and measures."""
    own = _own(parameters, task)
    mapped = [] if parameters.sharing == "shared" else _mapped(parameters, task)
    ready = f"ready {task}"
    if task:
        take, give = _token(parameters, task)
        turn = [*take, *_pass(parameters, task), *own, *give]
        # One round more: the first one takes what each misses for the first time. Nobody ends before all is measured.
        turns = _repeat(parameters.rounds + 1, turn)
        return [*mapped, *own, {"op": "release", "semaphore": ready}, turns, {"op": "acquire", "semaphore": "measured"}]
    take, give = _token(parameters, task)
    alone = _pass(parameters, task)
    measured = [{"op": "measure", "name": "pass", "body": alone}] if alone else []
    turn = [*alone, *own, *give, *take]
    waits = [{"op": "acquire", "semaphore": f"ready {other}"} for other in range(1, parameters.tasks)]
    frees = [{"op": "release", "semaphore": "measured"} for _ in range(1, parameters.tasks)]
    return [
        *mapped,
        *own,
        *waits,
        *([_repeat(_WARM_PASSES, alone), _repeat(parameters.passes, measured)] if alone else []),
        _repeat(1, turn),
        {"op": "measure", "name": "turns", "body": [_repeat(parameters.rounds, turn)]},
        *frees,
    ]


def _repeat(times: int, body: list[dict[str, Any]]) -> dict[str, Any]:
    return {"op": "repeat", "times": times, "body": body}


def _token(parameters: Parameters, task: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """How a task takes the token, and how it gives it to the next one."""
    following = (task + 1) % parameters.tasks
    if parameters.via == "yield":
        return [], [{"op": "yield_now"}]
    if parameters.via == "futex":
        return [{"op": "acquire", "semaphore": f"turn {task}"}], [{"op": "release", "semaphore": f"turn {following}"}]
    return [{"op": "recv", "channel": f"turn {task}"}], [{"op": "send", "channel": f"turn {following}"}]
