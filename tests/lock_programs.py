"""Random programs of threads that take locks, in any order, and give back what they hold."""

from typing import Any

from hypothesis import strategies as st
from thread_programs import TIMES, Program

NAMES = ("A", "B", "C")
MUTEXES = ("barging", "fair", "adaptive", "go")
KINDS = (*MUTEXES, "tas", "ttas", "ticket", "mcs", "rwlock")


def kinds(of: tuple[str, ...] = KINDS) -> st.SearchStrategy[dict[str, tuple[str, str]]]:
    """Of each lock its kind, and whom it prefers."""
    kind = st.tuples(st.sampled_from(of), st.sampled_from(["readers", "writers", "fifo"]))
    return st.fixed_dictionaries(dict.fromkeys(NAMES, kind))


@st.composite
def lock_program(draw: st.DrawFn, kinds: dict[str, tuple[str, str]], length: int = 12) -> Program:
    """A program that never gives back what it does not hold. It may take what it holds."""
    program: Program = []
    held: list[str] = []
    for choice in draw(st.lists(st.integers(0, 99), max_size=length)):
        name = draw(st.sampled_from(NAMES))
        if choice < 30 and (name not in held or choice < 2):
            kind = kinds[name][0]
            shared = "read_lock" if choice % 2 else "write_lock"
            program.append({"op": shared if kind == "rwlock" else "lock", "lock": name})
            held.append(name)
        elif choice < 60 and held:
            name = held.pop(draw(st.integers(0, len(held) - 1)))
            program.append({"op": "unlock", "lock": name})
        elif choice < 65 and name in held and held.count(name) == 1 and kinds[name][0] in MUTEXES:
            program.append({"op": "wait", "condition": "c", "lock": name})
        elif choice < 72:
            program.append({"op": "signal" if choice % 2 else "broadcast", "condition": "c"})
        elif choice < 74:
            program.append({"op": "barrier", "barrier": "b", "parties": 2})
        elif choice < 76:
            program.append({"op": "yield_now"})
        elif choice < 80:
            program.append({"op": "sleep", "ns": draw(TIMES)})
        else:
            program.append({"op": "compute", "ns": draw(TIMES)})
    if draw(st.integers(0, 9)):
        program += [{"op": "unlock", "lock": name} for name in reversed(held)]
    return program


@st.composite
def lock_programs(draw: st.DrawFn, kinds: dict[str, tuple[str, str]], threads: int = 4) -> Program:
    """A program of a process that makes threads, and sometimes takes locks itself."""
    made: list[dict[str, Any]] = [
        {"op": "thread", "child": draw(lock_program(kinds))} for _ in range(draw(st.integers(1, threads)))
    ]
    own = draw(lock_program(kinds, 4))
    return [*made, *own, {"op": "join"}]
