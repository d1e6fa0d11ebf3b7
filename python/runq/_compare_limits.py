"""What work meets beside cpus: memory, threads, dependencies and locks; and how far its numbers can be trusted."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from runq._compare import ModelRow
    from runq.simulate_result import SimulateResult

__all__ = ["Limit", "doubt", "limits_of", "limits_text", "listed"]

# From this part on it is what holds the work up, and not the cpus.
_BINDS = 0.9

# Requests that have to lie beyond a quantile for it to say something.
_BEYOND = 10

_BEYOND_OF = {"p50": 0.5, "p90": 0.1, "p99": 0.01, "p999": 0.001}
_LABELS = {"p999": "p99.9"}

_OF_RUNTIME = re.compile(r"the runtime may not make another thread: it has (\d+)")

# A page frame.
_FRAME_BYTES = 4096


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Something that there is only so much of, beside cpus.

    Attributes:
        kind: `memory`, `threads`, `processes`, `dependency` or `lock`.
        name: of a dependency or a lock.
        amount: bytes, threads, processes; 1 of a dependency or a lock.
        used: the part of it that was in use: of memory, threads and processes at most, else on average.
        refused: how often there was none left: threads and processes that were not made, pages that went to swap,
            requests that a dependency had no room for.
    """

    kind: str
    name: str
    amount: int
    used: float
    refused: int

    @property
    def binds(self) -> bool:
        """Whether it holds the work up."""
        if self.kind in ("threads", "processes"):
            return self.refused > 0 or self.used >= 1
        return self.used >= _BINDS or (self.kind == "memory" and self.refused > 0)

    @property
    def label(self) -> str:
        """As sentences name it."""
        return {"dependency": self.name, "lock": f"the lock {self.name}"}.get(self.kind, self.kind)


def limits_of(results: "Sequence[SimulateResult]") -> tuple[Limit, ...]:
    """What the runs of a model met, the worst of them."""
    worst: dict[tuple[str, str], Limit] = {}
    for result in results:
        for limit in _met(result):
            key = (limit.kind, limit.name)
            if key not in worst or (limit.refused, limit.used) > (worst[key].refused, worst[key].used):
                worst[key] = limit
    return tuple(worst.values())


def _met(result: "SimulateResult") -> list[Limit]:
    memory, scheduling, kernel = result.memory, result.scheduling, result.config.kernel
    total = memory.frames_total * _FRAME_BYTES
    refused, most = scheduling.threads_refused, kernel.threads_max
    limits = [
        Limit(kind="memory", name="", amount=total, used=memory.peak_bytes / total, refused=memory.swap_outs),
        Limit(kind="threads", name="", amount=most, used=scheduling.threads_peak / most, refused=refused),
    ]
    if of_runtime := [found for line in result.log if (found := _OF_RUNTIME.search(line.text))]:
        limits.append(Limit(kind="threads", name="", amount=int(of_runtime[0][1]), used=1.0, refused=0))
    if not_forked := sum("processes is reached" in line.text for line in result.log):
        limits.append(Limit(kind="processes", name="", amount=kernel.processes_max, used=1.0, refused=not_forked))
    if result.makespan_ns <= 0:
        return limits
    for name, row in result.dependencies.items():
        limits.append(Limit(kind="dependency", name=name, amount=1, used=row.utilization, refused=row.refused))
    for name, lock in result.locks.items():
        held = lock.hold.count * lock.hold.mean_ns / result.makespan_ns
        # What readers have at the same time, and what nobody waits for, holds nobody up.
        if lock.contended and held <= 1:
            limits.append(Limit(kind="lock", name=name, amount=1, used=held, refused=0))
    return limits


def limits_text(rows: "Sequence[ModelRow]") -> list[str]:
    """A sentence for each limit that holds models up."""
    met: dict[tuple[str, str], list[tuple[ModelRow, Limit]]] = {}
    for row in rows:
        for limit in row.limits:
            if limit.binds:
                met.setdefault((limit.kind, limit.name), []).append((row, limit))
    return [_sentence(found) for found in met.values()]


def _sentence(found: "Sequence[tuple[ModelRow, Limit]]") -> str:
    _, limit = found[0]
    models = listed([row.model for row, _ in found])
    used = max(limit.used for _, limit in found)
    refused = max(limit.refused for _, limit in found)
    verb = "meets" if len(found) == 1 else "meet"
    match limit.kind:
        case "memory":
            swapped = f", and {refused:,} pages went to swap" if refused else ""
            total = f"{limit.amount / 2**30:,.1f} GiB"
            return f"Memory is short under {models}: {100 * used:.0f} % of {total} are in use at a time{swapped}."
        case "threads" | "processes":
            missing = f", and at least {refused:,} could not be made" if refused else ""
            return f"{models} {verb} the limit of {limit.amount:,} {limit.kind}{missing}."
        case "dependency":
            rate = max(row.throughput_per_s / limit.used for row, limit in found)
            turned = f" and refuses {refused:,} requests of a run" if refused else ""
            return (
                f"{limit.name} is busy for {100 * used:.0f} % of the time under {models}{turned}: "
                f"with the capacity that it has it is full at about {rate:,.0f}/s, whatever calls it."
            )
        case _:
            rate = max(row.throughput_per_s / limit.used for row, limit in found)
            return (
                f"The lock {limit.name} is held for {100 * used:.0f} % of the time under {models}: "
                f"it lets at most about {rate:,.0f}/s through."
            )


def doubt(name: str, counts: Mapping[str, int]) -> str:
    """What is to be said of a quantile that rests on too few answers, if it does: by model, how many a run had."""
    beyond = _BEYOND_OF.get(name)
    if beyond is None:
        return ""
    needed = round(_BEYOND / beyond)
    few = {model: count for model, count in counts.items() if count < needed}
    if not few:
        return ""
    least = min(few.values())
    label = _LABELS.get(name, name)
    whom = "" if len(few) == len(counts) else f" under {listed(list(few))}"
    answers = "1 answer" if least == 1 else f"{least:,} answers"
    return (
        f"The {label} rests on {answers}{whom}, and fewer than {needed:,} leave fewer than {_BEYOND} beyond it: "
        "it may well be another with more requests or another seed."
    )


def listed(names: list[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
