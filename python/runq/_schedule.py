"""Jobs on cpus under a scheduling policy: who runs where and when, and what that is like for each job."""

import csv
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from runq import _core
from runq.errors import ConfigError
from runq.sched import BUILTIN, BuiltinPolicy, Job, Open, Policy, load

__all__ = ["ScheduleResult", "jobs_from_csv", "schedule", "schedule_zoo"]

Jobs = Open | Sequence[Job | tuple[float, float]] | Mapping[str, Any] | str | PathLike[str]

_COLUMNS = ("arrival_us", "service_us", "nice", "weight", "tickets", "priority", "io_every_us", "io_us")
_PICOS = 1e6


class ScheduleResult:
    """What came of jobs. Columns are NumPy arrays with a row a job, in the order of the jobs; times are in us.

    Attributes:
        policy: the policy, as it was given.
        cpus: how many cpus there were.
        arrival_us, service_us: what the jobs were.
        first_run_us, end_us: when each began to run first, and when it was over; NaN if it has not.
        run_us: how much each has run.
        blocked_us: how long each waited for I/O.
        switches_voluntary, switches_involuntary: how often each left a cpu for I/O, and for another job while it could
            have run on.
        migrations: how often each began on another cpu than it had run on.
        busy_us, switching_us, idle_us: by cpu: time in jobs, in switches and in nothing. They add up to `elapsed_us`.
        switches: by cpu: how often another job was put on it than the last.
        timeline: a structured array with `start_us`, `end_us`, `cpu` and `job`; empty unless it was asked for.
        elapsed_us: when the last job was over, or when the run was stopped.
        events: scheduling events: arrivals, wakes, ends of bursts and slices, preemptions.
        digest: a checksum over all columns but the timeline.
        schedule_seconds: seconds spent in the simulator.
    """

    def __init__(
        self, columns: Mapping[str, Any], rest: Mapping[str, Any], policy: "BuiltinPolicy | Policy", cpus: int
    ) -> None:
        self.policy = policy
        self.cpus = cpus
        self.arrival_us: NDArray[np.float64] = columns["arrival_us"]
        self.service_us: NDArray[np.float64] = columns["service_us"]
        self.first_run_us = _times(columns["first_run"])
        self.end_us = _times(columns["end"])
        self.run_us = _times(columns["run"])
        self.blocked_us = _times(columns["blocked"])
        self.switches_voluntary = _words(columns["switches_voluntary"])
        self.switches_involuntary = _words(columns["switches_involuntary"])
        self.migrations = _words(columns["migrations"])
        self.busy_us = _times(columns["busy"])
        self.switching_us = _times(columns["switching"])
        self.idle_us = _times(columns["idle"])
        self.switches = np.array(rest["switches"], dtype=np.int64)
        self.timeline = _timeline(columns)
        self.elapsed_us: float = rest["elapsed_us"]
        self.events: int = rest["events"]
        self.digest: str = rest["digest"]
        self.schedule_seconds: float = rest["schedule_seconds"]

    @property
    def name(self) -> str:
        """What tables call the policy."""
        return self.policy.name if isinstance(self.policy, BuiltinPolicy) else type(self.policy).__name__

    @property
    def response_us(self) -> NDArray[np.float64]:
        """From the arrival to the first run."""
        return self.first_run_us - self.arrival_us

    @property
    def turnaround_us(self) -> NDArray[np.float64]:
        """From the arrival to the end."""
        return self.end_us - self.arrival_us

    @property
    def wait_us(self) -> NDArray[np.float64]:
        """Of the turnaround what was neither running nor I/O."""
        return self.turnaround_us - self.run_us - self.blocked_us

    @property
    def share(self) -> NDArray[np.float64]:
        """What part of the busy time of all cpus each job had."""
        return self.run_us / max(float(self.busy_us.sum()), 1e-6)

    @property
    def fairness(self) -> float:
        """Jain's index of the rates at which jobs ran while they could: 1 if all are equal, 1/n if one has all."""
        until = np.where(np.isnan(self.end_us), self.elapsed_us, self.end_us)
        could = np.maximum(until - self.arrival_us - self.blocked_us, self.run_us)
        rate = self.run_us[could > 0] / could[could > 0]
        squares = float((rate * rate).sum())
        return float(rate.sum()) ** 2 / (len(rate) * squares) if squares else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; NaN is None."""
        names = [*_PER_JOB, "busy_us", "switching_us", "idle_us", "switches"]
        tree: dict[str, Any] = {
            "policy": self.name,
            "cpus": self.cpus,
            "elapsed_us": self.elapsed_us,
            "events": self.events,
            "fairness": self.fairness,
            "mean": {name: _mean(getattr(self, name)) for name in ("response_us", "turnaround_us", "wait_us")},
            "digest": self.digest,
            "schedule_seconds": self.schedule_seconds,
        }
        tree |= {name: _plain(getattr(self, name)) for name in names}
        if len(self.timeline):
            tree["timeline"] = {name: _plain(self.timeline[name]) for name in ("start_us", "end_us", "cpu", "job")}
        return tree

    def to_json(self) -> str:
        """Everything as one line of JSON."""
        return json.dumps(self.to_dict())

    def __str__(self) -> str:
        from runq._schedule_table import schedule_table

        return schedule_table(self)

    def __repr__(self) -> str:
        return f"<ScheduleResult of {len(self.arrival_us)} jobs under {self.name}, digest {self.digest}>"


_PER_JOB = (
    "arrival_us",
    "service_us",
    "response_us",
    "turnaround_us",
    "wait_us",
    "run_us",
    "blocked_us",
    "switches_voluntary",
    "switches_involuntary",
    "migrations",
)


def schedule(
    jobs: Jobs,
    policy: BuiltinPolicy | Policy | str = "fifo",
    *,
    cpus: int = 1,
    queues: Literal["auto", "shared", "per-cpu"] = "auto",
    steal: bool = True,
    context_switch_us: float = 0,
    until_us: float | None = None,
    timeline: bool = False,
    seed: int = 0,
) -> ScheduleResult:
    """Runs jobs under a policy.

    Args:
        jobs: a list of `runq.sched.Job` or of pairs (arrival, service); columns by name (`arrival_us`, `service_us`,
            and optionally `nice` or `weight`, `tickets`, `priority`, `io_every_us`, `io_us`); the path of a CSV file
            with such a header; or `runq.sched.Open`, which draws them.
        policy: one of `runq.sched`, its name, or a `runq.sched.Policy` of your own.
        cpus: how many jobs run at a time.
        queues: whether cpus share a queue. `auto` is per cpu for CFS and EEVDF, else shared.
        steal: whether an idle cpu takes a job from the longest queue of another.
        context_switch_us: what it costs a cpu to run another job than the last.
        until_us: when the run ends, if not with the last job.
        timeline: whether to keep who ran where and when.
        seed: seed of everything random.

    Raises:
        ConfigError: jobs, policy or options break a rule.
        SimulationError: a policy of your own lets nobody run, or whom it may not.

    >>> import runq
    >>> r = runq.schedule([(0, 10), (0, 20), (0, 5)], runq.sched.RoundRobin(time_slice_us=5))
    >>> r.turnaround_us.tolist(), r.response_us.tolist()
    ([20.0, 35.0, 15.0], [0.0, 5.0, 10.0])
    """
    chosen = load(policy) if isinstance(policy, str) else policy
    if not isinstance(chosen, (BuiltinPolicy, Policy)):
        raise TypeError(f"policy: must be a policy of runq.sched or its name, got {type(policy).__name__}")
    if isinstance(chosen, Policy) and queues == "per-cpu":
        raise ConfigError("queues", "must be shared for a policy written in Python", repr(queues))
    given = chosen.to_json() if isinstance(chosen, BuiltinPolicy) else chosen
    options = {
        "cpus": operator.index(cpus),
        "queues": queues,
        "steal": bool(steal),
        "context_switch_us": float(context_switch_us),
        "until_us": None if until_us is None else float(until_us),
        "timeline": bool(timeline),
        "seed": operator.index(seed),
    }
    if isinstance(jobs, Open):
        raw, rest = _core.schedule_open(jobs.to_json(), given, json.dumps(options))
        times = {"arrival_us": _times(raw["arrival"]), "service_us": _times(raw["service"])}
    else:
        table = _table(jobs)
        raw, rest = _core.schedule(
            {name: column.tobytes() for name, column in table.items()}, given, json.dumps(options)
        )
        times = {name: table[name] for name in ("arrival_us", "service_us")}
    return ScheduleResult({**raw, **times}, json.loads(rest), chosen, cpus)


def schedule_zoo(
    jobs: Jobs, *, policies: Iterable[BuiltinPolicy | str] | None = None, **options: Any
) -> dict[str, ScheduleResult]:
    """Runs the same jobs under many policies, by default all with their defaults; `options` are those of `schedule`.

    >>> import runq
    >>> zoo = runq.schedule_zoo([(0, 100), (0, 10), (0, 10)], policies=["fifo", "sjf"])
    >>> {name: r.turnaround_us.mean().item() for name, r in zoo.items()}
    {'fifo': 110.0, 'sjf': 50.0}
    """
    chosen = [load(policy) if isinstance(policy, str) else policy for policy in policies or BUILTIN]
    if isinstance(jobs, (str, PathLike)):
        jobs = jobs_from_csv(jobs)
    return {policy.name: schedule(jobs, policy, **options) for policy in chosen}


def jobs_from_csv(path: str | PathLike[str]) -> dict[str, NDArray[np.float64]]:
    """The columns of a CSV file whose header names some of those that `schedule` takes."""
    where = Path(path)
    try:
        with where.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, skipinitialspace=True) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("jobs", f"must be a CSV file that can be read ({error})", repr(str(where))) from None
    if not rows:
        raise ConfigError("jobs", "must have a header", repr(str(where)))
    header, *body = rows
    columns: dict[str, NDArray[np.float64]] = {}
    for place, name in enumerate(header):
        values = []
        for number, row in enumerate(body):
            text = row[place].strip() if place < len(row) else ""
            try:
                values.append(float(text) if text else np.nan)
            except ValueError:
                raise ConfigError(f"jobs[{number}].{name}", "must be a number", repr(text)) from None
        columns[name.strip()] = np.array(values, dtype=np.float64)
    return columns


def _table(jobs: Any) -> dict[str, NDArray[np.float64]]:
    """Columns of doubles of equal length."""
    if isinstance(jobs, (str, PathLike)):
        jobs = jobs_from_csv(jobs)
    if isinstance(jobs, Mapping):
        columns = dict(jobs)
    else:
        rows = list(jobs)
        if all(isinstance(row, Job) for row in rows):
            columns = {name: [getattr(row, name) for row in rows] for name in Job.__struct_fields__}
            columns["io_every_us"] = [np.nan if value is None else value for value in columns["io_every_us"]]
        elif all(isinstance(row, tuple) and len(row) == 2 for row in rows):
            columns = {"arrival_us": [row[0] for row in rows], "service_us": [row[1] for row in rows]}
        else:
            raise TypeError("jobs: must be Jobs, pairs (arrival, service), columns, a path or Open")
    return _checked(columns)


def _checked(columns: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    for name in columns:
        if name not in _COLUMNS:
            raise ConfigError(f"jobs.{name}", f"unknown column, expected one of {', '.join(_COLUMNS)}", repr(name))
    if "service_us" not in columns:
        raise ConfigError("jobs.service_us", "must be given", "nothing")
    if "nice" in columns and "weight" in columns:
        raise ConfigError("jobs.weight", "must not be given beside nice", "both")
    table: dict[str, NDArray[np.float64]] = {}
    for name, column in columns.items():
        try:
            table[name] = np.ascontiguousarray(column, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"jobs.{name}", f"must be numbers ({error})", repr(column)[:60]) from None
    count = table["service_us"].size
    table.setdefault("arrival_us", np.zeros(count))
    for name, values in table.items():
        if values.shape != (count,):
            raise ConfigError(f"jobs.{name}", f"must have a row a job ({count})", str(values.shape))
    return table


def _words(column: bytes) -> NDArray[np.int64]:
    return np.frombuffer(column, dtype=np.int64)


def _times(column: bytes) -> NDArray[np.float64]:
    picos = _words(column)
    return np.where(picos < 0, np.nan, picos / _PICOS)


def _timeline(columns: Mapping[str, Any]) -> NDArray[Any]:
    cpu, job = _words(columns["timeline_cpu"]), _words(columns["timeline_job"])
    kinds = [("start_us", np.float64), ("end_us", np.float64), ("cpu", np.uint32), ("job", np.uint32)]
    timeline = np.zeros(len(cpu), dtype=kinds)
    timeline["start_us"], timeline["end_us"] = _times(columns["timeline_start"]), _times(columns["timeline_end"])
    timeline["cpu"], timeline["job"] = cpu, job
    return timeline


def _mean(column: NDArray[np.float64]) -> float | None:
    done = column[~np.isnan(column)]
    return float(done.mean()) if done.size else None


def _plain(column: NDArray[Any]) -> list[Any]:
    return [None if value != value else value for value in column.tolist()]
