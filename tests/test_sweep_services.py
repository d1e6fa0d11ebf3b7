"""Sweeps over services, and the load of a scenario as an axis."""

from pathlib import Path
from typing import Any

import pytest
import runq

QUEUE = runq.ServiceScenario(
    name="queue",
    load={"arrivals": {"poisson": {"rate_per_s": 800}}},
    dependency={"service_ns": {"exponential": {"mean_ns": 1e6}}},
    duration_ns=5e9,
)
SERVE = {
    "op": "serve",
    "load": {"arrivals": {"constant": {"rate_per_s": 50_000}}, "requests": 50},
    "request": [{"op": "compute", "ns": 10_000}],
}


def test_points_are_what_simulate_gives() -> None:
    over = {"scenario.load.arrivals.poisson.rate_per_s": [200, 800], "scenario.client.timeout_ns": [1e6, 1e9]}
    table = runq.Sweep(runq.simulate, QUEUE, over=over, seed=5, repeat=2).run(jobs=2)
    for row in table:
        changes = [f"{name.removeprefix('scenario.')}={row[name]}" for name in over]
        single = runq.simulate(QUEUE.with_set(*changes), seed=row["seed"])
        assert row["digest"] == single.digest
        assert row["totals.timeouts"] == single.totals.timeouts
        assert row["latency_ns.p99"] == single.latency_ns.p99


def test_parameters_of_services_are_axes_and_outcomes_metrics(tmp_path: Path) -> None:
    over = {"scenario.retries": [0, 3], "scenario.dependency.servers": [8, 10]}
    sweep = runq.Sweep("simulate", "retry-storm", duration_s=20, over=over, metrics=["outcome", "digest"])
    table = sweep.run(tmp_path / "s.db", jobs=1)
    for row in table:
        service = runq.scenarios.load("retry-storm", duration_s=20, retries=row["scenario.retries"])
        single = runq.simulate(service.with_set(f"dependency.servers={row['scenario.dependency.servers']}"))
        assert row["digest"] == single.digest
    plain = runq.simulate("retry-storm", duration_s=20, retries=3)
    same = [row for row in table if row["digest"] == plain.digest]
    assert [{name: row.get(f"outcome.{name}") for name in plain.outcome} for row in same] == [plain.outcome]
    again = runq.Sweep.from_definition(sweep.definition())
    assert again.run(tmp_path / "s.db").digest() == table.digest()


def test_a_file_sweeps_a_service(tmp_path: Path) -> None:
    (tmp_path / "queue.toml").write_text(QUEUE.to_toml())
    file = tmp_path / "sweep.toml"
    file.write_text('scenario = "queue.toml"\n[over]\n"scenario.load.rate_per_s" = [100, 200]\n')
    table = runq.sweeps.load_sweep(file, ["scenario.duration_ns=1e9"]).run()
    assert [round(requests, -2) for requests in table["totals.requests"]] == [100, 200]
    with pytest.raises(runq.ConfigError, match=r"machine: must not be given for a service"):
        runq.sweeps.load_sweep(file, ["machine.cpus=2"])


@pytest.mark.parametrize(
    ("scenario", "path"),
    [
        ("web-service", "processes[0].program[4].load.arrivals.poisson.rate_per_s"),
        (
            runq.Scenario(
                name="s", processes=[runq.ProcessSpec("p", [{"op": "thread", "child": [SERVE]}, {"op": "join"}])]
            ),
            "processes[0].program[0].child[0].load.arrivals.constant.rate_per_s",
        ),
    ],
)
def test_the_load_of_a_scenario_is_an_axis_wherever_it_stands(scenario: Any, path: str) -> None:
    rates = [10_000, 40_000]
    values = {} if isinstance(scenario, runq.Scenario) else {"requests": 200}
    metrics = ["makespan_ns", "digest"]
    short = runq.Sweep("simulate", scenario, over={"scenario.load.rate_per_s": rates}, metrics=metrics, **values).run()
    long = runq.Sweep("simulate", scenario, over={f"scenario.{path}": rates}, metrics=metrics, **values).run()
    assert short["digest"] == long["digest"]
    assert short["makespan_ns"][0] > short["makespan_ns"][1]


@pytest.mark.parametrize(
    ("scenario", "over", "message"),
    [
        ("retry-storm", {"machine.cpus": [1]}, "over.machine.cpus: must be seed, or scenario.X"),
        (QUEUE, {"scenario.retries": [1]}, "over.scenario.retries: must be seed, or scenario.X"),
        ("cache-stampede", {"scenario.retreis": [1]}, "scenario.retreis: must be a parameter of cache-stampede"),
        (QUEUE, {"scenario.load.rate_per_s": [0, 1]}, "over.scenario.load.rate_per_s: must be 1e-5 to 1e12, got 0"),
        (QUEUE, {"scenario.client.hope": [1]}, "hope"),
        ("sleepers", {"scenario.load.rate_per_s": [1]}, "must be for a scenario with one load; this has 0"),
    ],
)
def test_wrong_axes_are_told_before_anything_runs(scenario: Any, over: Any, message: str) -> None:
    with pytest.raises(runq.ConfigError) as error:
        runq.Sweep("simulate", scenario, over=over).run()
    assert message in str(error.value)


def test_machines_and_models_are_not_for_services() -> None:
    for name, value in (("machine", "golden"), ("model", "go")):
        with pytest.raises(runq.ConfigError, match=f"{name}: must not be given for a service"):
            runq.Sweep("simulate", QUEUE, over={"seed": [1]}, **{name: value})


def test_locks_and_variables_are_axes_also_where_they_are_not_declared() -> None:
    machine = runq.machines.load("granite-rapids-vm").with_set("cpus=4", "memory_size=64MiB")
    body = [{"op": "lock", "lock": "m"}, {"op": "compute", "ns": 300}, {"op": "unlock", "lock": "m"}]
    program = [{"op": "repeat", "times": 20, "body": body}]
    scenario = runq.Scenario(name="s", processes=[runq.ProcessSpec("p", program, copies=2)])
    program = [{"op": "thread", "child": program}, {"op": "thread", "child": program}, {"op": "join"}]
    scenario = runq.Scenario(name="s", processes=[runq.ProcessSpec("p", program)])
    kinds = ["fair", "ticket", "barging"]
    table = runq.Sweep("simulate", scenario, machine, over={"scenario.locks.m.kind": kinds}).run()
    digests = [runq.simulate(scenario.with_set(f"locks.m.kind={kind}"), machine).digest for kind in kinds]
    assert table["digest"] == digests
    assert len(set(digests)) == 3


def test_columns_are_found_without_their_units() -> None:
    over = {"scenario.rate_per_s": [20_000, 60_000]}
    table = runq.Sweep(runq.compare, over=over, models=["thread-pool:16", "go"], requests=500).run()
    front = table.pareto("latency_p99", "memory")
    assert front == table.pareto("latency_p99_ns", "peak_memory_bytes")
    assert table.best("throughput", largest=True) == table.best("throughput_per_s", largest=True)
    with pytest.raises(KeyError, match="the columns are"):
        table["latency"]
