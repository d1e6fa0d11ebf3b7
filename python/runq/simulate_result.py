"""What a simulation tells: times by name, where every nanosecond went, processes, faults, forks and memory."""

from typing import Any

import msgspec

from runq import _core
from runq.events import Events
from runq.kernel import Process
from runq.machine import Machine
from runq.scenario import Scenario
from runq.simulate_parts import (
    Channel,
    DependencyCalls,
    Fork,
    Latency,
    Load,
    Lock,
    LogLine,
    Measure,
    Memory,
    Misses,
    Races,
    Runtime,
    Scheduling,
    Stuck,
    TaskPlace,
    Waits,
)
from runq.threads import Threads

__all__ = ["SimulateResult", "options_json", "processes_at", "processes_text", "result_of", "tasks_at", "tasks_text"]

# Threads up to which `to_dict` lists all of them.
_THREADS_LISTED = 1_000


class _Tree(msgspec.Struct, frozen=True, kw_only=True):
    """What the core hands back."""

    makespan_ns: float
    ledger: dict[str, float]
    ledger_by_cpu: list[dict[str, float]]
    measures: dict[str, Measure]
    waits: dict[str, Waits] = {}
    processes: list[Process]
    scheduling: Scheduling
    variables: dict[str, int] = {}
    line_transfers: dict[str, int] = {}
    deadlock: list[Stuck]
    locks: dict[str, Lock] = {}
    channels: dict[str, Channel] = {}
    faults: dict[str, int]
    memory: Memory
    forks: list[Fork]
    misses: Misses | None = None
    races: Races | None = None
    tasks: Latency | None = None
    loads: list[Load] = []
    dependencies: dict[str, DependencyCalls] = {}
    runtime: Runtime | None = None
    log: list[LogLine]
    digest: str


# Made once, here: msgspec learns a type when it is first used, and two threads that do so at a time crash.
_DECODER = msgspec.json.Decoder(_Tree)


class SimulateResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a simulation tells. `r["fork"]` is a measure by its name; `print(r)` is a table.

    Attributes:
        makespan_ns: when the last process was done.
        measures: durations of the `measure` ops, by name.
        waits: what `io` and `block` ops waited for, by their name.
        ledger: where the time of all cpus went, by account; it sums to cpus times makespan.
        ledger_by_cpu: the same by cpu.
        processes: all processes by pid, those that have ended included.
        threads: all threads, as columns.
        scheduling: switches, migrations, ticks, fairness, latencies.
        misses: why caches missed; None where memory was not simulated.
        variables: what shared variables hold at the end, by name.
        line_transfers: how often their lines moved between cpus, by name.
        races: races on shared variables; None where they were not looked for.
        tasks: of all `task` ops and requests: from when each was made, or arrived, to its end.
        loads: requests of each `serve` op.
        dependencies: calls of each dependency, by name.
        runtime: what the runtime of the tasks did, if the model has one.
        events: what happened to tasks and workers, as columns; None where events were not kept.
        deadlock: threads that wait for ever, up to 20 of them: those in a cycle of locks, and all once nothing happens.
        locks: what is told of each lock, by name.
        channels: what is told of each channel, by name.
        faults: page faults by kind.
        forks: every fork in order of time.
        memory: frames.
        log: what the kernel reported: segmentation faults, processes that it ended.
        outcome: what a scenario that comes with runq is about; empty for others.
        digest: 16 hexadecimal digits over all of it; equal for equal inputs.
        seed: the seed of everything random.
        scenario: what was run.
        config: on which machine.
        version: that of runq.
        simulate_seconds: time in the simulator.
    """

    makespan_ns: float
    measures: dict[str, Measure]
    waits: dict[str, Waits]
    ledger: dict[str, float]
    ledger_by_cpu: tuple[dict[str, float], ...]
    processes: tuple[Process, ...]
    threads: Threads
    scheduling: Scheduling
    misses: Misses | None
    variables: dict[str, int]
    line_transfers: dict[str, int]
    races: Races | None
    tasks: Latency | None
    loads: tuple[Load, ...]
    dependencies: dict[str, DependencyCalls]
    runtime: Runtime | None
    events: Events | None
    deadlock: tuple[Stuck, ...]
    locks: dict[str, Lock]
    channels: dict[str, Channel]
    faults: dict[str, int]
    forks: tuple[Fork, ...]
    memory: Memory
    log: tuple[LogLine, ...]
    outcome: dict[str, Any]
    digest: str
    seed: int
    scenario: Scenario
    config: Machine
    version: str
    simulate_seconds: float

    def __getitem__(self, name: str) -> Measure:
        """The measure of that name."""
        if name in self.measures:
            return self.measures[name]
        raise KeyError(f"{name!r}: the scenario measures {', '.join(self.measures) or 'nothing'}")

    @property
    def notes(self) -> list[str]:
        """What stands out, in words: calls that stop a loop, starvation, overload, more memory than there is.

        >>> import runq
        >>> runq.simulate("blocking-syscalls", model="event-loop", tasks=20).notes
        ['20 blocking calls stopped everybody: there is one thread for all tasks']
        """
        from runq._simulate_notes import notes_of, rates_of

        return notes_of(self, rates_of(self.scenario))

    def ps(self, at_ns: float) -> list[Process]:
        """All processes as they are at a time, by pid. Simulates again up to there.

        >>> import runq
        >>> r = runq.simulate("address-space")
        >>> [process.state for process in r.ps(r.forks[0].at_ns + r.forks[0].time_ns)]
        ['waiting', 'ready', 'running']
        """
        return processes_at(self.config, self.scenario, self.seed, at_ns)

    def tasks_at(self, at_ns: float) -> list[TaskPlace]:
        """All tasks that exist at a time, and on which worker, thread and cpu each is. Simulates again up to there."""
        return tasks_at(self.config, self.scenario, self.seed, at_ns)

    def where(self, task: int, at_ns: float) -> TaskPlace | None:
        """Where a task is at a time; None if it has not been made by then. Simulates again up to there.

        Tasks are numbered as they are made, from 0.

        >>> import runq
        >>> r = runq.simulate("sleepers", model="go", tasks=3)
        >>> place = r.where(2, at_ns=50e6)
        >>> place.state, place.waits_for
        ('waiting', 'a time')
        """
        found = tasks_at(self.config, self.scenario, self.seed, at_ns, task)
        return found[0] if found else None

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers: what `--json` prints."""
        tree: dict[str, Any] = {
            "scenario": self.scenario.name,
            "machine": self.config.name,
            "makespan_ns": self.makespan_ns,
            "simulate_seconds": self.simulate_seconds,
            "ledger": self.ledger,
            "digest": self.digest,
        }
        if self.outcome:
            tree["outcome"] = self.outcome
        if notes := self.notes:
            tree["notes"] = notes
        if self.misses is not None:
            tree["misses"] = msgspec.to_builtins(self.misses)
        if self.variables:
            tree |= {"variables": self.variables, "line_transfers": self.line_transfers}
        if self.races is not None:
            tree["races"] = msgspec.to_builtins(self.races)
        for name in ("tasks", "loads", "dependencies", "runtime"):
            if value := getattr(self, name):
                tree[name] = msgspec.to_builtins(value)
        if self.events is not None:
            tree["events"] = self.events.to_dict()
        if len(self.threads) <= _THREADS_LISTED:
            tree["threads"] = self.threads.to_dict()
        return tree | {
            "scheduling": msgspec.to_builtins(self.scheduling),
            "deadlock": msgspec.to_builtins(self.deadlock),
            "locks": msgspec.to_builtins(self.locks),
            "channels": msgspec.to_builtins(self.channels),
            "ledger_by_cpu": list(self.ledger_by_cpu),
            "measures": msgspec.to_builtins(self.measures),
            "waits": msgspec.to_builtins(self.waits),
            "processes": msgspec.to_builtins(self.processes),
            "faults": self.faults,
            "forks": msgspec.to_builtins(self.forks),
            "memory": msgspec.to_builtins(self.memory),
            "log": msgspec.to_builtins(self.log),
            "seed": self.seed,
            "version": self.version,
            "config": msgspec.to_builtins(self.config),
        }

    def to_json(self) -> str:
        """`to_dict` as one line of JSON."""
        return msgspec.json.encode(self.to_dict()).decode()

    def __str__(self) -> str:
        from runq._simulate_table import simulate_table

        return simulate_table(self)

    def __repr__(self) -> str:
        return (
            f"<SimulateResult of {self.scenario.name} on {self.config.name}: {self.makespan_ns:.0f} ns, "
            f"digest {self.digest}>"
        )


def result_of(done: "_core.Simulated", scenario: Scenario, machine: Machine, seed: int) -> SimulateResult:
    """The value of what the core hands back."""
    tree = _DECODER.decode(done.result)
    return SimulateResult(
        makespan_ns=tree.makespan_ns,
        measures=tree.measures,
        waits=tree.waits,
        ledger=tree.ledger,
        ledger_by_cpu=tuple(tree.ledger_by_cpu),
        processes=tuple(tree.processes),
        threads=Threads(done.threads),
        scheduling=tree.scheduling,
        misses=tree.misses,
        variables=tree.variables,
        line_transfers=tree.line_transfers,
        races=tree.races,
        tasks=tree.tasks,
        loads=tuple(tree.loads),
        dependencies=tree.dependencies,
        runtime=tree.runtime,
        events=None if done.events is None else Events(done.events),
        deadlock=tuple(tree.deadlock),
        locks=tree.locks,
        channels=tree.channels,
        faults=tree.faults,
        forks=tuple(tree.forks),
        memory=tree.memory,
        log=tuple(tree.log),
        outcome={},
        digest=tree.digest,
        seed=seed,
        scenario=scenario,
        config=machine,
        version=_core.__version__,
        simulate_seconds=done.simulate_seconds,
    )


def tasks_at(machine: Machine, scenario: Scenario, seed: int, at_ns: float, task: int | None = None) -> list[TaskPlace]:
    """The tasks of a scenario at a time, or the one of that number."""
    rows = _core.tasks_at(machine.to_json(), scenario.to_json(), options_json(seed), at_ns, task)
    return msgspec.json.decode(rows, type=list[TaskPlace])


def processes_at(machine: Machine, scenario: Scenario, seed: int, at_ns: float) -> list[Process]:
    """All processes of a scenario at a time."""
    rows = _core.processes_at(machine.to_json(), scenario.to_json(), options_json(seed), at_ns)
    return msgspec.json.decode(rows, type=list[Process])


def options_json(seed: int, *, races: bool = False, events: int = 0) -> str:
    """The options of a run."""
    return msgspec.json.encode({"seed": seed, "races": races, "event_log_max": events}).decode()


def tasks_text(places: "list[TaskPlace]") -> str:
    """A table of tasks and where they are."""
    from runq._table import table

    def some(value: object) -> str:
        return "-" if value is None else str(value)

    header = ("task", "name", "state", "worker", "thread", "cpu", "since", "waits for")
    rows = [
        (
            str(place.task),
            place.name or "",
            place.state,
            some(place.worker),
            some(place.thread),
            some(place.cpu),
            f"{place.created_ns / 1e6:,.3f} ms",
            place.waits_for or "",
        )
        for place in places
    ]
    return table(header, rows) if rows else "no tasks"


def processes_text(processes: "list[Process]") -> str:
    """A table of processes, each under its parent."""
    from runq._simulate_table import process_table

    return process_table(processes)
