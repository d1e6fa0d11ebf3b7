"""The verdict of a comparison: sentences that are made from its numbers alone."""

from typing import TYPE_CHECKING

from runq._compare_limits import doubt, limits_text, listed
from runq._compare_table import duration_text

if TYPE_CHECKING:
    from runq._compare import Comparison, ModelRow

__all__ = ["verdict"]

# What every model works with.
_CPUS = "the cpus"

# Rates that differ by less are equal.
_EQUAL = 0.02

# Parts of the time that a task takes which are worth telling.
_TOLD = 0.002

# Accounts as sentences name them.
_NAMES = {
    "user": "computing",
    "stall": "waiting for memory",
    "walk": "page walks",
    "fault": "page faults",
    "copy": "copying pages",
    "syscall": "system calls",
    "switch": "context switches",
    "interrupt": "interrupts",
    "sched": "the scheduler",
    "runtime": "the runtime",
    "spin": "spinning",
}


def verdict(comparison: "Comparison") -> list[str]:
    """Who wins and by how much, why, and from which load on another would."""
    rows = [row for row in comparison.models if row.completed and row.throughput_per_s > 0]
    if not rows:
        return ["Under no model does anything come to its end."]
    best = max(row.throughput_per_s for row in rows)
    able = [row for row in rows if row.throughput_per_s >= (1 - _EQUAL) * best]
    # Who keeps up: the lowest tail; if that is equal, the least time of cpus.
    tail = min(row.latency_ns["p99"] for row in able)
    near = [row for row in able if row.latency_ns["p99"] <= (1 + _EQUAL) * tail]
    winner = min(near, key=lambda row: (row.cpu_ns_per_task, row.latency_ns["p99"]))
    sentences = [_who(comparison, rows, able, near, winner)]
    if reason := _why(rows, winner):
        sentences.append(reason)
    sentences += limits_text(comparison.models)
    if len(rows) > 1:
        sentences.append(_what_if(comparison, able, winner))
    if few := doubt("p99", {row.model: row.completed // comparison.repeat for row in rows}):
        sentences.append(few)
    return sentences


def _who(
    comparison: "Comparison",
    rows: "list[ModelRow]",
    able: "list[ModelRow]",
    near: "list[ModelRow]",
    winner: "ModelRow",
) -> str:
    rate, tail = f"{winner.throughput_per_s:,.0f}/s", duration_text(winner.latency_ns["p99"])
    text = f"{winner.model} wins with {rate} and a p99 of {tail}"
    others = [row for row in rows if row is not winner]
    if not others:
        return f"{winner.model} reaches {rate} with a p99 of {tail}."
    equal = [row.model for row in near if row is not winner]
    if equal:
        text += f"; {listed(equal)} {'is' if len(equal) == 1 else 'are'} as fast within 2 % and {_take(winner, near)}"
    else:
        second = min(others, key=lambda row: (row not in able, row.latency_ns["p99"]))
        more = second.latency_ns["p99"] / winner.latency_ns["p99"]
        lower = f"{_times(more)} lower than" if more >= 1.005 else "as low as"
        text += f", {lower} {second.model}'s"
    behind = [row for row in rows if row not in able]
    if behind:
        worst = min(behind, key=lambda row: row.throughput_per_s)
        share = 100 * worst.throughput_per_s / winner.throughput_per_s
        names = listed([row.model for row in behind])
        verb = "does" if len(behind) == 1 else "do"
        text += f". {names} {verb} not keep up: {worst.model} answers {share:.0f} % as many"
    return text + "."


def _take(winner: "ModelRow", near: "list[ModelRow]") -> str:
    most = max(near, key=lambda row: row.cpu_ns_per_task)
    more = round(100 * (most.cpu_ns_per_task / winner.cpu_ns_per_task - 1))
    alone = len(near) == 2  # the winner and one other
    if more < 1:
        return f"{'takes' if alone else 'take'} as much time of cpus"
    if alone:
        return f"needs {more} % more time of cpus"
    return f"need up to {more} % more time of cpus ({most.model})"


def _why(rows: "list[ModelRow]", winner: "ModelRow") -> str:
    """What the model pays for that needs most time of cpus a task."""
    other = max(rows, key=lambda row: row.cpu_ns_per_task)
    if other is winner or other.cpu_ns_per_task <= 1.005 * winner.cpu_ns_per_task:
        return ""
    own, theirs = _per_task(winner), _per_task(other)
    excess = sorted(((theirs.get(name, 0.0) - own.get(name, 0.0), name) for name in theirs), reverse=True)
    parts = [
        f"{duration_text(time)} of {_NAMES[name]}"
        for time, name in excess[:2]
        if time >= _TOLD * other.cpu_ns_per_task and name in _NAMES
    ]
    if not parts:
        return ""
    ratio = other.cpu_ns_per_task / winner.cpu_ns_per_task
    return (
        f"A task takes {duration_text(winner.cpu_ns_per_task)} of cpu time under {winner.model} and "
        f"{_times(ratio)} that under {other.model}, which adds {' and '.join(parts)}."
    )


def _per_task(row: "ModelRow") -> dict[str, float]:
    """Nanoseconds a task by account, without idling and spinning."""
    useful = {name: share for name, share in row.ledger.items() if name not in ("idle", "spin")}
    total = sum(useful.values())
    return {name: row.cpu_ns_per_task * share / total for name, share in useful.items()} if total else {}


def _what_if(comparison: "Comparison", able: "list[ModelRow]", winner: "ModelRow") -> str:
    """From which load on another model would win: when what the winner works with is full."""
    capacities = {row.model: _capacities(comparison, row) for row in able}
    first = {model: min(found, key=lambda what: found[what]) for model, found in capacities.items()}
    capacity = {model: capacities[model][what] for model, what in first.items()}
    most = max(able, key=lambda row: capacity[row.model])
    full = capacity[winner.model]
    if any(first[model] != _CPUS for model in (winner.model, most.model)):
        return _what_else(capacities, first, winner.model, most.model)
    if capacity[most.model] <= 1.005 * full:
        return (
            f"As far as cpus go, no other overtakes it: they are full at about {full:,.0f}/s under it, the most of all."
        )
    return (
        f"As far as cpus go, from about {full:,.0f}/s on {most.model} would win: they are full there under "
        f"{winner.model}, and at about {capacity[most.model]:,.0f}/s under {most.model}."
    )


def _what_else(capacities: dict[str, dict[str, float]], first: dict[str, str], winner: str, most: str) -> str:
    """The same where something else than cpus is full first, under one of the two at least."""
    full, further = capacities[winner][first[winner]], capacities[most][first[most]]
    what = f"{first[winner]} {_is(first[winner])} full"
    if further > 1.005 * full:
        return (
            f"From about {full:,.0f}/s on {most} would win: there {what} under {winner}, "
            f"and {first[most]} at about {further:,.0f}/s under {most}."
        )
    cpus = capacities[winner][_CPUS]
    if first[winner] != _CPUS:
        return f"No other overtakes it: {what} at about {full:,.0f}/s, and its cpus would be at about {cpus:,.0f}/s."
    return f"No other overtakes it: {what} at about {full:,.0f}/s under it, the most of all."


def _is(what: str) -> str:
    return "are" if what == _CPUS else "is"


def _capacities(comparison: "Comparison", row: "ModelRow") -> dict[str, float]:
    """Tasks a second at which each thing that a model works with is full, if a task takes as much of it as here."""
    cpus = 1 if row.model.startswith("event-loop") and row.threads == 1 else comparison.cpus
    found = {_CPUS: cpus * 1e9 / row.cpu_ns_per_task}
    for limit in row.limits:
        if limit.kind in ("dependency", "lock") and limit.used > 0:
            found[limit.label] = row.throughput_per_s / limit.used
        elif limit.binds:
            found[limit.label] = row.throughput_per_s
    return found


def _times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 10 else f"{ratio:.0f} times"
