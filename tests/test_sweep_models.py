"""Sweeps over execution models: axes of `simulate`, and `compare` as a target."""

from pathlib import Path
from typing import Any

import pytest
import runq

MACHINE = runq.machines.load("sapphire-rapids").with_set("cpus=2")
MODELS: list[Any] = ["thread-per-task", "thread-pool:4", {"go": {"workers": 3, "queues": {"steal": "one"}}}]
SMALL: dict[str, Any] = {"requests": 40, "cold_data": "64KiB"}


def sleepers(**changes: Any) -> runq.Sweep:
    given: dict[str, Any] = {"over": {"model": MODELS}, "tasks": 30, "metrics": ["digest", "runtime.workers"]} | changes
    return runq.Sweep("simulate", "sleepers", MACHINE, **given)


def compared(**changes: Any) -> runq.Sweep:
    over = {"machine.cpus": [1, 2], "scenario.rate_per_s": [10_000, 40_000]}
    return runq.Sweep(runq.compare, MACHINE, **({"over": over, "models": MODELS, **SMALL} | changes))


def test_models_are_an_axis() -> None:
    table = sleepers().run()
    assert table["digest"] == [runq.simulate("sleepers", MACHINE, model, tasks=30).digest for model in MODELS]
    assert table["model"] == MODELS
    assert table["runtime.workers"] == [None, 4, 3]


def test_a_model_of_python_is_a_value_of_an_axis() -> None:
    table = sleepers(over={"model": [runq.ThreadPool(4), runq.WorkStealing.go(3, queues={"steal": "one"})]}).run()
    assert table["model"] == MODELS[1:]
    assert table["digest"] == sleepers().run()["digest"][1:]


def test_choices_of_a_model_are_axes() -> None:
    over = {"model.workers": [1, 2], "model.queues.steal": ["one", "half"]}
    table = sleepers(over=over, model="go").run()
    expected = [
        runq.simulate("sleepers", MACHINE, runq.WorkStealing.go(workers, queues={"steal": steal}), tasks=30).digest
        for workers in (1, 2)
        for steal in ("one", "half")
    ]
    assert table["digest"] == expected
    # The same of the model that a scenario has, and of one that is an axis.
    scenario = runq.scenarios.load("sleepers", tasks=30).with_set("model=go")
    assert runq.Sweep("simulate", scenario, MACHINE, over=over, metrics=["digest"]).run()["digest"] == expected
    assert sleepers(over={"model": ["go"], **over}).run()["digest"] == expected


def test_arrival_rates_and_cpus_are_axes_beside_models() -> None:
    table = compared(metrics=["digest"]).run()
    assert len(table) == 2 * 2 * len(MODELS)
    for row in table:
        machine = MACHINE.with_set(f"cpus={row['machine.cpus']}")
        rate = row["scenario.rate_per_s"]
        assert row["digest"] == runq.simulate("web-service", machine, row["model"], rate_per_s=rate, **SMALL).digest


def test_rows_of_compare_are_those_of_compare() -> None:
    table = list(compared(over={}, seed=5, repeat=1).run())
    rows = runq.compare(MACHINE, "web-service", MODELS, repeat=1, seed=5, **SMALL).models
    assert len(table) == len(rows)
    for found, row in zip(table, rows, strict=True):
        for name in ("throughput_per_s", "peak_memory_bytes", "switches", "threads", "cpu_used", "cpu_ns_per_task"):
            assert found[name] == getattr(row, name), name
        assert [found[f"latency_{name}_ns"] for name in row.latency_ns] == list(row.latency_ns.values())
        assert {name: found[f"ledger.{name}"] for name in row.ledger} == row.ledger
        assert sum(value for name, value in found.items() if name.startswith("ledger.")) == pytest.approx(100)
        assert (found["pollution_misses"], found["completed"], found["refused"]) == (row.pollution_misses, 40, 0)
        assert (found["digest"],) == row.digests


def test_compare_takes_all_models_if_none_are_named() -> None:
    sweep = runq.Sweep("compare", scenario="sleepers", over={"scenario.tasks": [10]}, metrics=["digest"])
    assert sweep.run()["model"] == [row.model for row in runq.compare(scenario="sleepers", repeat=1, tasks=10).models]


def test_models_differ_by_condition_and_metrics_are_chosen() -> None:
    sweep = compared(where="model != 'thread-per-task' or cpus == 1", metrics=["latency_p99_ns", "ledger.user", "tree"])
    table = sweep.run()
    assert len(table) == 10
    assert table.metrics == ["latency_p99_ns", "ledger.user", "tree"]
    assert [row["model"] for row in table.best("latency_p99_ns", 1)] == [
        min(table, key=lambda row: float(row["latency_p99_ns"]))["model"]
    ]


def test_one_digest_under_every_number_of_threads_and_after_a_resume(tmp_path: Path) -> None:
    digests = {compared(repeat=2).run(jobs=jobs).digest() for jobs in (1, 2, 3)}
    store = tmp_path / "s.db"
    digests.add(compared(repeat=2).run(store).digest())
    # Nothing is left to be done.
    told: list[tuple[int, int | None, int]] = []
    digests.add(compared(repeat=2).run(store, progress=lambda *counts: told.append(counts)).digest())
    assert len(digests) == 1
    assert not told


def test_a_sweep_of_models_is_made_again_from_its_definition() -> None:
    for sweep in (sleepers(), sleepers(over={"model.workers": [1, 2]}, model="go"), compared()):
        again = runq.Sweep.from_definition(sweep.definition())
        assert again.definition() == sweep.definition()
        assert again.run().digest() == sweep.run().digest()


def test_the_model_is_part_of_what_a_point_is(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    first = sleepers(over={"model": ["go"]}).run(store)
    other = sleepers(over={"model": ["go:3"]}).run(store)
    same = sleepers(over={"scenario.tasks": [30]}, model="go").run(store)
    assert first["digest"] != other["digest"]
    assert same["digest"] == first["digest"]


def test_rows_with_other_metrics_are_not_reused(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    over = {"model": ["go"]}
    assert sleepers(over=over, metrics=["tree"]).run(store).metrics == ["tree"]
    assert sleepers(over=over, metrics=["outcome.threads"]).run(store).metrics == ["outcome.threads"]
    sweep = runq.Sweep("compare", MACHINE, "sleepers", over=over, tasks=30, metrics=["threads"])
    assert sweep.run(store)["threads"] == [runq.simulate("sleepers", MACHINE, "go", tasks=30).outcome["threads"]]


def test_a_file_compares_models(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(
        """
        target = "compare"
        machine = "sapphire-rapids"
        models = ["go", { thread-pool = { workers = 4, queues = { capacity = 8 } } }]
        parameters = { requests = 40, cold_data = "64KiB" }
        metrics = ["completed", "refused"]

        [over]
        "scenario.rate_per_s" = [10000, 1000000]
        """
    )
    table = runq.sweeps.load_sweep(path, ["machine.cpus=2"]).run()
    assert [completed + refused for completed, refused in zip(table["completed"], table["refused"], strict=True)] == [
        40
    ] * 4
    assert table["refused"][3] > 0
    path.write_text('target = "compare"\nscenario = "sleepers"\nparameters = { tasks = 5 }\nmodels = ["go"]')
    assert runq.sweeps.load_sweep(path).run()["completed"] == [5]
    path.write_text('scenario = "sleepers"\nmodel = "go:2"\nmetrics = ["runtime.workers"]\n[over]\nseed = [1]')
    assert runq.sweeps.load_sweep(path).run()["workers"] == [2]


def test_the_example_compares_six_models_at_twelve_points() -> None:
    sweep = runq.sweeps.load_sweep(Path(__file__).parents[1] / "examples" / "models.toml", ["scenario.requests=20"])
    assert len(sweep) == 6 * 12
    assert sweep.run().count() == 72


def test_work_that_does_not_end_is_a_row_with_a_note() -> None:
    sweep = runq.Sweep("compare", MACHINE, "fork-join", over={}, models=["thread-pool:2", "go"], shape="tree", depth=4)
    pool, go = sweep.run()
    assert "deadlock" in pool["note"]
    assert (pool["completed"], go["completed"], go["note"]) == (0, 30, "")


def test_a_call_that_blocks_a_loop_is_in_the_note_of_a_row() -> None:
    sweep = runq.Sweep("compare", MACHINE, "blocking-syscalls", over={}, models=["event-loop", "go"], tasks=20)
    assert [row["note"] for row in sweep.run()] == [
        "20 blocking calls stopped everybody: there is one thread for all tasks",
        "",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"over": {"model": ["gopher"]}}, ["over.model", "process-per-task", "gopher"]),
        ({"over": {"model": ["go:many"]}}, ["over.model", "go:many"]),
        ({"over": {"model": ["go", "go"]}}, ["over.model", "once"]),
        ({"over": {"model.workers": [2]}}, ["model.workers", "must be for a model"]),
        ({"over": {"model.workers": [0]}, "model": "go"}, ["over.model.workers", "0"]),
        ({"over": {"model.wheels": [4]}, "model": "go"}, ["wheels"]),
        ({"over": {"model": ["go"]}, "model": 3}, ["model", "3"]),
    ],
)
def test_what_is_wrong_with_a_model_is_said_before_anything_runs(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        sleepers(**changes).run()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('target = "compare"\nmodels = "go"', ["models", "list"]),
        ('target = "compare"\nmodel = "go"', ["model", "left out"]),
        ('scenario = "sleepers"\nmodels = ["go"]', ["models", "left out"]),
        ('trace = "x"\nmodel = "go"', ["model", "left out"]),
        ('target = "compare"\nmodels = ["go"]\n[over]\nmodel = ["tokio"]', ["models", "axis"]),
    ],
)
def test_what_is_wrong_with_models_in_a_file_is_said(text: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(runq.ConfigError) as caught:
        runq.sweeps.load_sweep(path)
    for word in words:
        assert word in str(caught.value)


def test_services_are_no_scenarios_of_programs() -> None:
    with pytest.raises(runq.ConfigError, match="not a service"):
        runq.Sweep("simulate", "sleepers", MACHINE, over={"scenario": ["retry-storm"]}).run()
