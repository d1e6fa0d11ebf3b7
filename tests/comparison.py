"""Outcomes of the simulator and of the reference, made comparable."""

import re
from collections.abc import Iterator
from typing import Any

from reference import replay
from reference.placement import OutOfMemoryError
from reference.replay import NothingCountedError
from runq.errors import ReplayError
from simulator import simulate
from strategies import Case

Outcome = dict[str, Any]


def expected_outcome(case: Case) -> Outcome:
    """What the reference says."""
    try:
        return replay(case.accesses, case.machine, **case.options)
    except NothingCountedError:
        return {"error": "nothing counted"}
    except OutOfMemoryError as error:
        return {"error": f"out of memory at access {error.args[0]}"}


def actual_outcome(case: Case, *, engine: str, chunk: int = 0) -> Outcome:
    """What the simulator says, its digest included."""
    try:
        return simulate(case.accesses, case.machine, **case.options, engine=engine, chunk=chunk)
    except ReplayError as error:
        if memory := re.search(r"out of physical memory.* at access (\d+)", str(error)):
            return {"error": f"out of memory at access {memory[1]}"}
        if "no access is left to count" in str(error):
            return {"error": "nothing counted"}
        raise


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Every value that differs, one a line, by its path."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in expected.keys() | actual.keys():
            yield from differences(expected.get(key, "nothing"), actual.get(key, "nothing"), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for place, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differences(*pair, f"{path}[{place}]")
    elif expected != actual:
        yield f"{path.lstrip('.')}: expected {expected}, got {actual}"


def assert_equal_outcomes(expected: Outcome, actual: Outcome, *, but: tuple[str, ...] = (), note: str = "") -> None:
    """Compares all counters, except for the keys in `but`; `note` goes to the message."""
    kept = [{key: value for key, value in outcome.items() if key not in but} for outcome in (expected, actual)]
    found = sorted(differences(*kept))
    assert not found, "\n".join([note, *found])
