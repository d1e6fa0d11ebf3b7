"""What a simulation tells: times by name, where every nanosecond went, processes, faults, forks and memory."""

from typing import Any

import msgspec

from runq import _core
from runq.kernel import Process
from runq.machine import Machine
from runq.scenario import Scenario

__all__ = ["Fork", "LogLine", "Measure", "Memory", "SimulateResult", "processes_text"]


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of a `measure` op, in ns; quantiles are those of the nearest rank."""

    count: int
    total_ns: float = 0.0
    mean_ns: float = 0.0
    min_ns: float | None = None
    median_ns: float | None = None
    p90_ns: float | None = None
    p99_ns: float | None = None
    max_ns: float | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of 4 KiB: how many there are, how many were in use at most, how many went to swap."""

    frames_total: int
    frames_peak: int
    swap_outs: int


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """A fork: when, by whom, how long it took, and the page-table entries of the parent by their state.

    Attributes:
        at_ns: when it was called.
        pid: the parent.
        child: the child.
        time_ns: how long the parent was in it.
        clean: entries not written since the last fork.
        dirtied: entries written since, their frames beside one another.
        scattered: entries written since, their frames apart.
        huge_clean: huge entries not written since the last fork.
        huge_dirtied: huge entries written since.
        zero_pages: of the clean ones, those that show the zero page.
        huge_pages: pages of 4 KiB under huge entries.
        swapped: entries of pages in swap.
        tables: tables made for the child.
        shared_tables: tables that the child shares with the parent.
    """

    at_ns: float
    pid: int
    child: int
    time_ns: float
    clean: int = 0
    dirtied: int = 0
    scattered: int = 0
    huge_clean: int = 0
    huge_dirtied: int = 0
    zero_pages: int = 0
    huge_pages: int = 0
    swapped: int = 0
    tables: int = 0
    shared_tables: int = 0


class LogLine(msgspec.Struct, frozen=True):
    """What the kernel reported, and when."""

    at_ns: float
    text: str


class _Tree(msgspec.Struct, frozen=True, kw_only=True):
    """What the core hands back."""

    makespan_ns: float
    ledger: dict[str, float]
    ledger_by_cpu: list[dict[str, float]]
    measures: dict[str, Measure]
    processes: list[Process]
    faults: dict[str, int]
    memory: Memory
    forks: list[Fork]
    log: list[LogLine]
    digest: str


class SimulateResult(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a simulation tells. `r["fork"]` is a measure by its name; `print(r)` is a table.

    Attributes:
        makespan_ns: when the last process was done.
        measures: durations of the `measure` ops, by name.
        ledger: where the time of all cpus went, by account; it sums to cpus times makespan.
        ledger_by_cpu: the same by cpu.
        processes: all processes by pid, those that have ended included.
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
    ledger: dict[str, float]
    ledger_by_cpu: tuple[dict[str, float], ...]
    processes: tuple[Process, ...]
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

    def ps(self, at_ns: float) -> list[Process]:
        """All processes as they are at a time, by pid. Simulates again up to there.

        >>> import runq
        >>> r = runq.simulate("address-space")
        >>> [process.state for process in r.ps(r.forks[0].at_ns + r.forks[0].time_ns)]
        ['waiting', 'running', 'ready']
        """
        return processes_at(self.config, self.scenario, self.seed, at_ns)

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
        return tree | {
            "ledger_by_cpu": list(self.ledger_by_cpu),
            "measures": msgspec.to_builtins(self.measures),
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
    tree = msgspec.json.decode(done.result, type=_Tree)
    return SimulateResult(
        makespan_ns=tree.makespan_ns,
        measures=tree.measures,
        ledger=tree.ledger,
        ledger_by_cpu=tuple(tree.ledger_by_cpu),
        processes=tuple(tree.processes),
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


def processes_at(machine: Machine, scenario: Scenario, seed: int, at_ns: float) -> list[Process]:
    """All processes of a scenario at a time."""
    rows = _core.processes_at(machine.to_json(), scenario.to_json(), options_json(seed), at_ns)
    return msgspec.json.decode(rows, type=list[Process])


def options_json(seed: int) -> str:
    """The options of a run."""
    return msgspec.json.encode({"seed": seed}).decode()


def processes_text(processes: "list[Process]") -> str:
    """A table of processes, each under its parent."""
    from runq._simulate_table import process_table

    return process_table(processes)
