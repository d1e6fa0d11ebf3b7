"""Scheduling policies and jobs as values, for `runq.schedule`. `docs/scheduling.md` says what each policy does.

All times are in microseconds. Rules live in Rust and are held when a policy is used, or by `check`.

>>> import runq
>>> runq.sched.RoundRobin(time_slice_us=0).check()
Traceback (most recent call last):
runq.errors.ConfigError: round-robin.time_slice_us: must be at least 1e-6 us, got 0
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import msgspec

from runq import _core
from runq.errors import ConfigError

__all__ = [
    "BUILTIN",
    "CFS",
    "EEVDF",
    "FIFO",
    "MLFQ",
    "SJF",
    "STCF",
    "BuiltinPolicy",
    "Job",
    "Lottery",
    "Open",
    "Policy",
    "Priority",
    "RoundRobin",
    "Stride",
    "Task",
    "load",
]


class BuiltinPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all policies of runq have in common."""

    name: ClassVar[str] = ""

    def to_json(self) -> str:
        """The policy as the simulator reads it: `{"round-robin": {"time_slice_us": 10000.0}}`."""
        return json.dumps({self.name: msgspec.to_builtins(self, enc_hook=_plain)})

    def check(self) -> Self:
        """Returns the policy if it breaks no rule.

        Raises:
            ConfigError: the first rule that is broken.
        """
        _core.policy_check(self.to_json())
        return self


class FIFO(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First in, first out."""

    name: ClassVar[str] = "fifo"


class SJF(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shortest job (or burst) first, without preemption."""

    name: ClassVar[str] = "sjf"


class STCF(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shortest time to completion first, with preemption; also called SRPT."""

    name: ClassVar[str] = "stcf"


class RoundRobin(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Turns of a time slice."""

    name: ClassVar[str] = "round-robin"
    time_slice_us: float = 10_000


class MLFQ(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A multi-level feedback queue, from the top.

    Attributes:
        time_slices_us: the slice of each level.
        allotments: how many slices a job has in each level before it sinks.
        boost_us: after how long all rise to the top; never, if None.
        io_renews: whether a job that blocks gets its allotment anew.
    """

    name: ClassVar[str] = "mlfq"
    time_slices_us: tuple[float, ...] = (10_000, 20_000, 40_000)
    allotments: tuple[int, ...] = (1, 1, 1)
    boost_us: float | None = 1_000_000
    io_renews: bool = False


class Lottery(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draw for each time slice, by tickets."""

    name: ClassVar[str] = "lottery"
    time_slice_us: float = 10_000


class Stride(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares by tickets without luck."""

    name: ClassVar[str] = "stride"
    time_slice_us: float = 10_000


class Priority(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The smallest priority first, one better for each `aging_us` of waiting; turns among equals."""

    name: ClassVar[str] = "priority"
    time_slice_us: float | None = 10_000
    aging_us: float | None = 100_000


class CFS(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Linux up to 6.5. Times are those of one cpu; they grow with `machine_cpus`, by default the cpus of the run."""

    name: ClassVar[str] = "cfs"
    latency_us: float = 6_000
    min_granularity_us: float = 750
    wakeup_granularity_us: float = 1_000
    tick_us: float = 4_000
    machine_cpus: int | None = None


class EEVDF(BuiltinPolicy, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Linux since 6.6. The slice is that of one cpu; it grows with `machine_cpus`, by default the cpus of the run."""

    name: ClassVar[str] = "eevdf"
    base_slice_us: float = 700
    tick_us: float = 4_000
    machine_cpus: int | None = None


def _plain(value: Any) -> Any:
    """A scalar of NumPy as one of Python."""
    return value.item()


# By name, in the order in which tables show them.
BUILTIN: Mapping[str, type[BuiltinPolicy]] = {
    policy.name: policy for policy in (FIFO, SJF, STCF, RoundRobin, MLFQ, Lottery, Stride, Priority, CFS, EEVDF)
}


def load(name: str, **values: Any) -> BuiltinPolicy:
    """The policy of that name, with some values changed.

    >>> load("round-robin", time_slice_us=5)
    RoundRobin(time_slice_us=5.0)
    """
    if name not in BUILTIN:
        raise ConfigError("policy", f"must be one of {', '.join(BUILTIN)}", repr(name))
    kind = BUILTIN[name]
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(name, f"must be of the right type ({error})", json.dumps(values, default=repr)) from None


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job.

    Attributes:
        service_us: how much it runs in all.
        arrival_us: when it comes.
        nice: its share under CFS and EEVDF, from -20 to 19.
        tickets: its share under lottery and stride.
        priority: its urgency; smaller goes first.
        io_every_us: after how much running it waits for I/O; never, if None.
        io_us: how long an I/O takes.
    """

    service_us: float
    arrival_us: float = 0
    nice: int = 0
    tickets: int = 100
    priority: int = 0
    io_every_us: float | None = None
    io_us: float = 0


class Open(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Jobs as queueing theory has them: independent times between arrivals, independent service times.

    Attributes:
        jobs: how many.
        utilization: what part of the time cpus are busy.
        service_us: the mean service time.
        service_scv: squared coefficient of variation of service times: 0 is constant, 1/k Erlang, 1 exponential, above
            1 hyperexponential.
        arrival_scv: the same of times between arrivals; 1 makes them a Poisson process.
    """

    jobs: int = 10_000
    utilization: float = 0.8
    service_us: float = 1_000
    service_scv: float = 1
    arrival_scv: float = 1

    def to_json(self) -> str:
        """The jobs as the simulator reads them."""
        return msgspec.json.encode(self, enc_hook=_plain).decode()


class Task(NamedTuple):
    """What a policy may know of a job that could run."""

    id: int
    burst_us: float
    weight: int
    tickets: int
    priority: int


class Policy:
    """A policy written in Python: subclass it, and pass an instance to `runq.schedule`.

    The simulator asks, the policy answers; times are in us. A job that was picked runs until it is enqueued again or
    leaves. What it has run is charged before either, and before `victim`. All cpus share the one queue. An instance
    keeps its state: make a new one for each run.
    """

    def enqueue(
        self, task: Task, reason: Literal["new", "wake", "preempted", "yielded", "slice-used"], now_us: float
    ) -> None:
        """A job could run from now on."""
        raise NotImplementedError

    def pick(self, now_us: float) -> int | None:
        """Chooses who runs and takes it out of the queue: the `id` of its task."""
        raise NotImplementedError

    def time_slice(self, task_id: int, now_us: float) -> float | None:
        """For how long the job that just began, or goes on, may run; None is without a limit."""
        return None

    def charge(self, task_id: int, ran_us: float, now_us: float) -> None:
        """A running job has run for some time since it was picked or charged last."""

    def must_yield(self, task_id: int, now_us: float) -> bool:
        """Whether a running job has to make room at the end of its time slice."""
        return True

    def leave(self, task_id: int, reason: Literal["blocked", "ended"], now_us: float) -> None:
        """A running job waits for I/O or is over."""

    def victim(self, woken: int, running: Sequence[int], now_us: float) -> int | None:
        """Which of the running jobs makes room for one that has just come and waits in the queue."""
        return None

    def remove(self, task_id: int, now_us: float) -> None:
        """A queued job goes away. `runq.schedule` never asks for that."""
        raise NotImplementedError

    def _enqueue(self, task: tuple[int, float, int, int, int], reason: Any, now_us: float) -> None:
        self.enqueue(Task(*task), reason, now_us)
