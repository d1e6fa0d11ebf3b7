"""Laws of scheduling and queueing, the API of `runq.schedule`, and what bad input says."""

import itertools
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq
import runq.benchmarks
import runq.cli
from hypothesis import given
from hypothesis import strategies as st
from runq import sched

THEORY = json.loads((Path(__file__).parent / "golden" / "queueing.json").read_text())

PREEMPTIVE = [sched.RoundRobin(time_slice_us=1), sched.STCF(), sched.MLFQ(time_slices_us=(1, 2), allotments=(1, 1))]
EVERY = [*PREEMPTIVE, *[kind() for kind in sched.BUILTIN.values()]]

SERVICES = st.lists(st.integers(1, 30), min_size=1, max_size=10)


# ---- laws of every policy


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: policy.name)
@given(services=SERVICES, cpus=st.integers(1, 4), per_cpu=st.booleans())
def test_no_cpu_idles_while_somebody_waits_and_grahams_bound_holds(
    policy: sched.BuiltinPolicy, services: list[int], cpus: int, per_cpu: bool
) -> None:
    r = runq.schedule({"service_us": services}, policy, cpus=cpus, queues="per-cpu" if per_cpu else "auto")
    total, longest = sum(services), max(services)
    assert max(total / cpus, longest) <= r.elapsed_us + 1e-9
    assert r.elapsed_us <= total / cpus + longest * (1 - 1 / cpus) + 1e-9
    assert r.busy_us.sum() == total
    assert np.allclose(r.busy_us + r.switching_us + r.idle_us, r.elapsed_us)


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: policy.name)
@given(jobs=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), min_size=1, max_size=10))
def test_on_one_cpu_all_policies_are_busy_at_the_same_times(
    policy: sched.BuiltinPolicy, jobs: list[tuple[float, float]]
) -> None:
    r = runq.schedule(jobs, policy)
    assert r.elapsed_us == runq.schedule(jobs, "fifo").elapsed_us
    assert (r.run_us == r.service_us).all()
    assert (r.wait_us >= -1e-9).all()


@given(services=SERVICES, time_slice=st.integers(1, 9))
def test_round_robin_answers_within_a_slice_of_each_other_job(services: list[int], time_slice: int) -> None:
    r = runq.schedule({"service_us": services}, sched.RoundRobin(time_slice_us=time_slice))
    assert r.response_us.max() <= (len(services) - 1) * time_slice


@given(services=st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_no_order_of_jobs_beats_the_shortest_first(services: list[int]) -> None:
    best = min(sum(itertools.accumulate(order)) for order in itertools.permutations(services))
    assert runq.schedule({"service_us": services}, "sjf").turnaround_us.sum() == best
    assert runq.schedule({"service_us": services}, "stcf").turnaround_us.sum() == best


def least_turnaround(jobs: list[tuple[int, int]]) -> int:
    """The least sum of turnarounds of all schedules by whole microseconds, by trying each."""
    seen: dict[tuple[int, tuple[int, ...]], int] = {}

    def rest(now: int, left: tuple[int, ...]) -> int:
        if not any(left):
            return 0
        key = (now, left)
        if key not in seen:
            there = [i for i, (arrival, _) in enumerate(jobs) if arrival <= now and left[i]]
            present = sum(1 for i, (arrival, _) in enumerate(jobs) if arrival <= now and left[i])
            choices = [(*left[:i], left[i] - 1, *left[i + 1 :]) for i in there] or [left]
            seen[key] = present + min(rest(now + 1, choice) for choice in choices)
        return seen[key]

    return rest(0, tuple(service for _, service in jobs))


@given(jobs=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=4))
def test_no_schedule_at_all_beats_stcf_on_one_cpu(jobs: list[tuple[int, int]]) -> None:
    assert runq.schedule(list[tuple[float, float]](jobs), "stcf").turnaround_us.sum() == least_turnaround(jobs)


# ---- shares


@pytest.mark.parametrize(
    "policy", [sched.Lottery(time_slice_us=1), sched.Stride(time_slice_us=1)], ids=lambda p: p.name
)
def test_tickets_are_shares(policy: sched.BuiltinPolicy) -> None:
    tickets = np.array([1, 2, 3, 10])
    r = runq.schedule({"service_us": [1e6] * 4, "tickets": tickets}, policy, until_us=100_000)
    wanted = tickets / tickets.sum()
    off = 4 * np.sqrt(wanted * (1 - wanted) / 100_000) if policy.name == "lottery" else 4 / 100_000
    assert (abs(r.share - wanted) <= off).all()


@pytest.mark.parametrize("nice", [0, 1, 5, 10, 19, -5])
@pytest.mark.parametrize("name", ["cfs", "eevdf"])
def test_nice_values_are_shares(name: str, nice: int) -> None:
    r = runq.schedule({"service_us": [1e9] * 2, "nice": [0, nice]}, name, until_us=60e6)
    wanted = THEORY["linux"]["share_nice0_vs"][str(nice)]
    assert abs(r.share[0] - wanted) < 0.005


# Measured: two threads that compute on one cpu of a machine of two, timer at 250 Hz: slices in ms, shares in percent.
@pytest.mark.parametrize(
    ("nice", "slices", "share"),
    [(0, (4, 4), 50.0), (5, (12, 4), 75.3), (10, (36, 4), 90.1)],
    ids=["0/0", "0/5", "0/10"],
)
def test_slices_of_linux_follow_from_tick_and_weights(nice: int, slices: tuple[int, int], share: float) -> None:
    policy = sched.EEVDF(machine_cpus=2)
    r = runq.schedule({"service_us": [1e9] * 2, "nice": [0, nice]}, policy, until_us=20e6, timeline=True)
    lengths = r.timeline["end_us"] - r.timeline["start_us"]
    for job in (0, 1):
        assert np.median(lengths[r.timeline["job"] == job]) == 1000 * slices[job]
    assert abs(100 * r.share[0] - share) < 0.5


WEIGHTS = st.lists(st.sampled_from([1024, 335, 110, 3121]), min_size=2, max_size=6)


def lags_of_eevdf(weights: list[int], base: int, tick: int) -> Iterator[np.ndarray[Any, Any]]:
    """What each of some jobs that compute should have run less what it has, at several times."""
    policy = sched.EEVDF(base_slice_us=base, tick_us=tick)
    for end in range(20_000, 400_000, 77_777):
        r = runq.schedule({"service_us": [1e9] * len(weights), "weight": weights}, policy, until_us=end)
        yield end * np.array(weights) / sum(weights) - r.run_us


@given(weights=WEIGHTS, base=st.sampled_from([1000, 2000, 3000]))
def test_lags_of_eevdf_stay_within_a_slice_that_ends_on_a_tick(weights: list[int], base: int) -> None:
    # The first slices are half as long, and end on a tick too.
    tick = 500
    for lags in lags_of_eevdf(weights, base, tick):
        assert (abs(lags) <= base + 1).all()


@given(weights=WEIGHTS, base=st.sampled_from([700, 1400, 3000, 5000]), tick=st.sampled_from([500, 1000, 4000]))
def test_under_eevdf_nobody_is_ahead_by_more_than_a_slice_rounded_up_to_ticks(
    weights: list[int], base: int, tick: int
) -> None:
    for lags in lags_of_eevdf(weights, base, tick):
        assert (lags >= -math.ceil(base / tick) * tick - 1).all()


@given(weights=st.lists(st.sampled_from([1024, 820, 335]), min_size=2, max_size=5))
def test_shares_of_stride_are_exact_to_a_slice_for_each_pair(weights: list[int]) -> None:
    r = runq.schedule(
        {"service_us": [1e6] * len(weights), "tickets": weights}, sched.Stride(time_slice_us=1), until_us=999
    )
    for i, j in itertools.combinations(range(len(weights)), 2):
        slices = (r.run_us[i] / weights[i] - r.run_us[j] / weights[j]) * min(weights[i], weights[j])
        assert abs(slices) <= 1.01


def test_ageing_ends_starvation() -> None:
    jobs = [sched.Job(service_us=50, priority=9)]
    jobs += [sched.Job(service_us=50, arrival_us=50 * i, priority=0) for i in range(100)]
    starved = runq.schedule(jobs, sched.Priority(time_slice_us=10, aging_us=None))
    aged = runq.schedule(jobs, sched.Priority(time_slice_us=10, aging_us=20))
    assert starved.response_us[0] == 5000
    assert aged.response_us[0] < 1000


def test_a_job_that_gives_way_early_stays_on_top_only_if_io_renews_its_allotment() -> None:
    columns = {"service_us": [500, 500], "io_every_us": [9, np.nan], "io_us": [1, 0]}
    policy = {"time_slices_us": (10, 20), "allotments": (1, 1), "boost_us": None}
    gamed = runq.schedule(columns, sched.load("mlfq", **policy, io_renews=True))
    fair = runq.schedule(columns, sched.load("mlfq", **policy))
    assert gamed.turnaround_us[0] < 0.7 * fair.turnaround_us[0]


# ---- queueing theory


def mean_and_error(column: np.ndarray[Any, Any], batches: int = 40) -> tuple[float, float]:
    means = [part.mean() for part in np.array_split(column, batches)]
    return float(np.mean(means)), float(np.std(means, ddof=1) / math.sqrt(batches))


@pytest.mark.parametrize("row", THEORY["MMc"], ids=lambda row: f"c={row['c']} rho={row['rho']}")
def test_mmc_waits_as_erlang_says(row: dict[str, float]) -> None:
    # Long enough that batches hardly depend on one another, even at 95 %.
    jobs = 4_000_000 if row["rho"] > 0.9 else 1_000_000
    r = runq.benchmarks.mmc(servers=int(row["c"]), utilization=row["rho"], jobs=jobs, seed=3)
    assert abs(r["mean_wait"] - row["Wq"]) <= 4 * r["mean_wait_error"] + 1e-6
    busy = math.sqrt(row["erlangC"] * (1 - row["erlangC"]) / jobs)
    assert abs(r["wait_probability"] - row["erlangC"]) <= 60 * busy + 1e-6
    assert abs(r["utilization"] - row["rho"]) < 0.01


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"servers": 0}, "servers: must be 1 to 4096, got 0"),
        ({"servers": -1}, "servers: must be 1 to 4096, got -1"),
        ({"jobs": 0}, "jobs: must be 1 to 4294967295, got 0"),
        ({"seed": -1}, "seed: must be 0 to 18446744073709551615, got -1"),
        ({"utilization": 1.0}, "utilization: must be above 0 and below 1, got 1.0"),
        ({"utilization": math.nan}, "utilization: must be above 0 and below 1, got nan"),
    ],
)
def test_a_queue_that_never_settles_is_refused(wrong: dict[str, Any], error: str) -> None:
    with pytest.raises(runq.ConfigError, match=error):
        runq.benchmarks.mmc(**wrong)


@pytest.mark.parametrize("row", THEORY["MG1"], ids=lambda row: f"rho={row['rho']} scv={row['scv']}")
def test_mg1_waits_as_pollaczek_and_khinchine_say(row: dict[str, float]) -> None:
    jobs = sched.Open(jobs=400_000, utilization=row["rho"], service_us=1, service_scv=row["scv"])
    mean, error = mean_and_error(runq.schedule(jobs, "fifo", seed=5).wait_us)
    assert abs(mean - row["FCFS_Wq"]) <= 4 * error


@pytest.mark.parametrize(
    "row", [row for row in THEORY["MG1"] if row["rho"] <= 0.8], ids=lambda row: f"{row['rho']} {row['scv']}"
)
def test_round_robin_with_small_slices_is_processor_sharing(row: dict[str, float]) -> None:
    jobs = sched.Open(jobs=60_000, utilization=row["rho"], service_us=1, service_scv=row["scv"])
    r = runq.schedule(jobs, sched.RoundRobin(time_slice_us=0.02), seed=6)
    mean, error = mean_and_error(r.turnaround_us)
    assert abs(mean - row["PS_W"]) <= 4 * error + 0.04 * row["PS_W"]


def test_switches_add_to_the_load() -> None:
    # 0.8 of load with a switch of 5 % of a slice is 0.84: PS with rho' = rho (1 + s/q), as long as there are switches.
    jobs = sched.Open(jobs=100_000, utilization=0.8, service_us=1)
    r = runq.schedule(jobs, sched.RoundRobin(time_slice_us=0.02), context_switch_us=0.001, seed=1)
    busy = (r.busy_us.sum() + r.switching_us.sum()) / r.elapsed_us
    assert 0.82 < busy < 0.845


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: policy.name)
def test_littles_law_holds(policy: sched.BuiltinPolicy) -> None:
    r = runq.schedule(sched.Open(jobs=2_000, utilization=0.7, service_us=5_000), policy, cpus=2, seed=2)
    steps = np.concatenate([np.stack([r.arrival_us, np.ones(2000)]), np.stack([r.end_us, -np.ones(2000)])], axis=1)
    order = np.argsort(steps[0], kind="stable")
    inside = np.cumsum(steps[1][order])
    area = (inside[:-1] * np.diff(steps[0][order])).sum()
    assert area == pytest.approx(r.turnaround_us.sum())


@given(
    seed=st.integers(0, 1000),
    servers=st.integers(1, 8),
    scv=st.sampled_from([0, 0.5, 1, 4]),
    load=st.sampled_from([0.5, 0.9, 1.2]),
)
def test_the_fast_queue_is_fifo(seed: int, servers: int, scv: float, load: float) -> None:
    jobs = sched.Open(jobs=500, utilization=load, service_scv=scv)
    fast = json.loads(runq._core.queue_fcfs(jobs.to_json(), servers, seed))
    r = runq.schedule(jobs, "fifo", cpus=servers, seed=seed)
    assert fast["elapsed_us"] == r.elapsed_us
    assert fast["wait_us"] == pytest.approx(r.wait_us.sum())
    assert fast["served_at_once"] == int((r.response_us == 0).sum())


# ---- policies in Python


class Fifo(sched.Policy):
    """First in, first out."""

    def __init__(self) -> None:
        self.queue: list[int] = []

    def enqueue(self, task: sched.Task, reason: str, now_us: float) -> None:
        self.queue.append(task.id)

    def pick(self, now_us: float) -> int | None:
        return self.queue.pop(0) if self.queue else None


class Turns(Fifo):
    """Round robin."""

    def time_slice(self, task_id: int, now_us: float) -> float:
        return 3


class Shortest(sched.Policy):
    """Shortest time to completion first."""

    def __init__(self) -> None:
        self.left: dict[int, float] = {}
        self.queue: list[int] = []

    def enqueue(self, task: sched.Task, reason: str, now_us: float) -> None:
        self.left[task.id] = task.burst_us
        self.queue.append(task.id)

    def pick(self, now_us: float) -> int | None:
        best = min(self.queue, key=self.left.__getitem__, default=None)
        if best is not None:
            self.queue.remove(best)
        return best

    def charge(self, task_id: int, ran_us: float, now_us: float) -> None:
        self.left[task_id] -= ran_us

    def victim(self, woken: int, running: Any, now_us: float) -> int | None:
        worst = max(running, key=self.left.__getitem__)
        return worst if self.left[worst] > self.left[woken] else None


@pytest.mark.parametrize(
    ("mine", "theirs"), [(Fifo, "fifo"), (Turns, sched.RoundRobin(time_slice_us=3)), (Shortest, "stcf")]
)
@given(jobs=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), min_size=1, max_size=8), cpus=st.integers(1, 3))
def test_a_policy_in_python_does_what_the_same_in_rust_does(
    mine: type[sched.Policy], theirs: Any, jobs: list[tuple[float, float]], cpus: int
) -> None:
    ours = runq.schedule(jobs, mine(), cpus=cpus, context_switch_us=1)
    assert ours.digest == runq.schedule(jobs, theirs, cpus=cpus, context_switch_us=1).digest
    assert ours.name == mine.__name__


class Nobody(Fifo):
    def pick(self, now_us: float) -> int | None:
        return None


class Wrong(Fifo):
    def pick(self, now_us: float) -> int | None:
        return 7


class Zero(Fifo):
    def time_slice(self, task_id: int, now_us: float) -> float:
        return 0


class Raises(Fifo):
    def pick(self, now_us: float) -> int | None:
        raise ZeroDivisionError("mine")


@pytest.mark.parametrize(
    ("policy", "error", "text"),
    [
        (Nobody(), runq.SimulationError, "picks nobody at 0 us, though 2 wait"),
        (Wrong(), runq.SimulationError, "picks 7, which is not queued"),
        (Zero(), runq.SimulationError, "lets 0 run for 0 us"),
        (Raises(), ZeroDivisionError, "mine"),
    ],
)
def test_a_policy_in_python_that_is_wrong_is_told_so(policy: sched.Policy, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        runq.schedule([(0, 5), (0, 5)], policy)


# ---- the API


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"cpus": 0}, "cpus: must be 1 to 4096, got 0"),
        ({"policy": sched.RoundRobin(time_slice_us=0)}, "round-robin.time_slice_us: must be at least 1e-6 us, got 0"),
        ({"policy": sched.RoundRobin(time_slice_us=-1)}, "round-robin.time_slice_us"),
        ({"policy": "rr"}, "policy: must be one of fifo, sjf"),
        ({"policy": sched.MLFQ(allotments=(1,))}, r"mlfq.allotments: must be as many as time_slices_us \(3\), got 1"),
        ({"policy": "cfs", "cpus": 2, "queues": "shared"}, "queues: must be per-cpu"),
        ({"jobs": [(0, 0)]}, r"jobs\[0\].service_us: must be at least"),
        ({"jobs": [(0, 1), (-1, 1)]}, r"jobs\[1\].arrival_us: must be 0 to 1e11 us, got -1"),
        ({"jobs": [(0, float("nan"))]}, r"jobs\[0\].service_us: must be 0 to 1e11 us"),
        ({"jobs": [(0, 1e11)] * 3}, "must add up to at most 1e11 us"),
        ({"jobs": {"service_us": [1], "nice": [20]}}, r"jobs\[0\].nice: must be a whole number from -20 to 19, got 20"),
        ({"jobs": {"service_us": [1], "tickets": [0]}}, r"jobs\[0\].tickets: must be 1 to 2\^24, got 0"),
        ({"jobs": {"service_us": [1], "io_every_us": [0]}}, r"jobs\[0\].io_every_us"),
        ({"jobs": {"service": [1]}}, "jobs.service: unknown column"),
        ({"jobs": {"service_us": [1], "arrival_us": [1, 2]}}, "jobs.arrival_us: must have a row a job"),
        ({"jobs": sched.Open(utilization=0)}, "utilization: must be above"),
        ({"jobs": sched.Open(service_scv=0.3)}, "service_scv: must be 0, one over"),
        ({"queues": "both"}, "queues: must be one of"),
        ({"context_switch_us": 1e7}, "context_switch_us: must be at most"),
        ({"jobs": "there is no such file.csv"}, "jobs: must be a CSV file"),
    ],
)
def test_bad_input_is_told_with_path_rule_and_value(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(runq.ConfigError, match=text):
        runq.schedule(**{"jobs": [(0, 5)], **arguments})


def test_no_jobs_are_no_work() -> None:
    r = runq.schedule([], "eevdf")
    assert (r.elapsed_us, r.events, r.fairness) == (0, 0, 1)
    assert "0 jobs" in str(r)


def test_equal_input_gives_equal_digests_and_another_seed_another(tmp_path: Path) -> None:
    jobs = sched.Open(jobs=500)
    digests = [
        runq.schedule(jobs, "lottery", seed=seed, timeline=t).digest for seed, t in ((1, False), (1, True), (2, False))
    ]
    assert digests[0] == digests[1] != digests[2]
    path = tmp_path / "jobs.csv"
    path.write_text("arrival_us,service_us,io_every_us,io_us\n0,10,,\n5,3,1,2\n")
    columns = {"arrival_us": [0, 5], "service_us": [10, 3], "io_every_us": [np.nan, 1], "io_us": [0, 2]}
    assert runq.schedule(path, "stcf").digest == runq.schedule(columns, "stcf").digest


def test_results_are_columns_tables_and_json() -> None:
    r = runq.schedule([(0, 10), (5, 2), (90, 1)], sched.STCF(), until_us=50, timeline=True)
    assert r.turnaround_us[:2].tolist() == [12, 2]
    assert np.isnan(r.turnaround_us[2])
    tree = json.loads(r.to_json())
    assert tree["turnaround_us"] == [12, 2, None]
    assert tree["timeline"]["job"] == [0, 1, 0]
    assert "3 jobs under stcf on 1 cpu" in str(r)
    zoo = runq.schedule_zoo(sched.Open(jobs=50))
    assert list(zoo) == list(sched.BUILTIN)


def test_ctrl_c_ends_a_long_run_soon() -> None:
    code = (
        "import runq, sys; print('x', flush=True)\n"
        "runq.schedule({'service_us': [1e9] * 50}, runq.sched.RoundRobin(time_slice_us=0.1))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in stderr


# ---- the program


@pytest.fixture
def jobs_csv(tmp_path: Path) -> str:
    path = tmp_path / "jobs.csv"
    path.write_text("arrival_us, service_us\n0, 100\n10, 10\n10, 10\n")
    return str(path)


def test_the_program_prints_a_table_or_json(jobs_csv: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runq.cli.run(["schedule", jobs_csv, "-p", "round-robin", "--set", "time_slice_us=10"]) == 0
    assert "3 jobs under round-robin on 1 cpu" in capsys.readouterr().out
    assert runq.cli.run(["schedule", jobs_csv, "-p", "stcf", "--json", "--timeline"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["turnaround_us"] == [120, 10, 20]
    assert tree["timeline"]["job"] == [0, 1, 2, 0]


def test_the_program_compares_all_policies(capsys: pytest.CaptureFixture[str]) -> None:
    generate = ["schedule", "--generate", "200", "--service-scv", "4", "--cpus", "2"]
    assert runq.cli.run([*generate, "-p", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(sched.BUILTIN)
    assert runq.cli.run([*generate, "-p", "all", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(sched.BUILTIN)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "jobs: must be a file or --generate, got neither"),
        (["--generate", "5", "-p", "round-robin", "--set", "time_slice_us=0"], "round-robin.time_slice_us: must be"),
        (["--generate", "5", "--set", "slice=1"], "fifo: must be of the right type"),
        (["--generate", "5", "-p", "lifo"], "policy: must be one of"),
        (["--generate", "5", "-p", "cfs", "--set", "tick_us=x"], "cfs.tick_us: must be a number"),
        (["nowhere.csv"], "jobs: must be a CSV file"),
    ],
)
def test_the_program_refuses_bad_input_in_one_line(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runq.cli.run(["schedule", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"runq: error: {text}")
    assert captured.err.count("\n") == 1
