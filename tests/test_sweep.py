"""Sweeps: axes, rows, failures, tables; the same under every number of threads."""

import csv
import io
import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from runq.sweeps import _space
from runq.sweeps._statistics import student_t

MACHINE = runq.machines.load("granite-rapids-vm").with_set("memory_size=64MiB")
FORKS: dict[str, Any] = {"scenario.resident": ["16KiB", "64KiB"], "machine.kernel.fork.pte_dirtied_ns": [20, 40]}


def forks(**changes: Any) -> runq.Sweep:
    given: dict[str, Any] = {"over": FORKS, "repeats": 2, "resident": "64KiB"} | changes
    return runq.Sweep(runq.simulate, "fork-latency", MACHINE, **given)


def test_points_are_what_simulate_gives() -> None:
    table = forks(metrics=["makespan_ns", "ledger", "digest", "outcome"]).run()
    for row in table:
        machine = MACHINE.with_set(f"kernel.fork.pte_dirtied_ns={row['machine.kernel.fork.pte_dirtied_ns']}")
        single = runq.simulate("fork-latency", machine, resident=row["scenario.resident"], repeats=2)
        assert row["digest"] == single.digest
        assert row["makespan_ns"] == single.makespan_ns
        assert row["ledger.fault"] == single.ledger["fault"]
        assert row["outcome.fork_ns_min"] == single.outcome["fork_ns_min"]


def test_a_table_shows_its_first_rows_and_the_metrics_that_differ() -> None:
    over = {"scenario.resident": ["16KiB", "64KiB"], "machine.kernel.fork.pte_dirtied_ns": list(range(15))}
    table = forks(over=over, metrics=["makespan_ns", "ledger.user", "outcome.tables_copied", "digest"]).run()
    lines = str(table).splitlines()
    assert lines[0].split() == [*over, "makespan_ns", "ledger.user"]
    assert [line.split()[:2] for line in lines[1:16]] == [["16KiB", str(number)] for number in range(15)]
    assert len(lines) == 1 + 20 + 2
    assert lines[-1] == "30 rows, 0 failed; 4 metrics"
    assert table._repr_html_().count("<tr>") == 1 + 20


def test_a_table_shows_replicates_and_errors_where_there_are_any() -> None:
    over = {"machine.caches.L1D.size": ["32KiB", "48KiB"], "machine.caches.L1D.ways": [8, 12]}
    table = runq.Sweep("replay", np.arange(100), "golden", over=over, metrics=["cycles"], repeat=2).run()
    header, _, _, wrong, *_, summary = str(table).splitlines()
    assert header.split() == [*over, "replicate", "error", "cycles"]
    assert "caches[0].size: must be ways * line_size" in wrong
    assert summary == "8 rows, 4 failed; 1 metrics"


def test_points_are_what_replay_gives() -> None:
    trace = np.random.default_rng(1).integers(0, 1 << 16, 5000, dtype=np.uint64)
    over = {"machine.caches.L1D.ways": [1, 4], "options.warmup": [0, 1000], "seed": [3, 4]}
    table = runq.Sweep("replay", trace, "golden", over=over).run(jobs=2)
    assert table["point"] == list(range(8))
    for row in table:
        machine = runq.machines.load("golden").with_set(f"caches.L1D.ways={row['machine.caches.L1D.ways']}")
        single = runq.replay(trace, machine, warmup=row["options.warmup"], seed=row["seed"])
        assert row["digest"] == single.digest
        assert row["levels.L1D.misses"] == single["L1D"].misses
        assert row["tlbs.L1 dTLB.misses"] == single["L1 dTLB"].misses


def test_paths_of_a_scenario_and_of_its_kernel_are_axes() -> None:
    scenario = runq.scenarios.load("fork-latency", resident="16KiB", repeats=1)
    over = {
        "scenario.kernel.fork_policy": ["copy", "on-demand"],
        "scenario.processes[0].program[0].size": [8192, 16384],
    }
    table = runq.Sweep(runq.simulate, scenario, MACHINE, over=over, metrics=["digest"]).run()
    expected = [
        runq.simulate(
            scenario.with_set(f"kernel.fork_policy={policy}", f"processes[0].program[0].size={size}"), MACHINE
        )
        for policy, size in itertools.product(["copy", "on-demand"], [8192, 16384])
    ]
    assert table["digest"] == [result.digest for result in expected]


def test_machines_and_scenarios_are_axes() -> None:
    over = {"machine": ["granite-rapids-vm", "zen-4"], "scenario": ["address-space", "fork-latency"]}
    table = runq.Sweep("simulate", "address-space", over=over, metrics=["digest"]).run()
    single = runq.simulate("fork-latency", "zen-4")
    assert table["digest"][3] == single.digest
    assert len(set(table["digest"])) == 4


def test_one_digest_under_every_number_of_threads() -> None:
    digests = {forks(over=[FORKS, {"seed": range(5)}], repeat=2).run(jobs=jobs).digest() for jobs in (1, 2, 5)}
    assert len(digests) == 1


def test_a_bad_point_is_a_row_and_the_rest_go_on() -> None:
    over = {"machine.caches.L1D.ways": [8, 12], "machine.caches.L1D.size": ["32KiB", "48KiB"]}
    table = runq.Sweep("replay", [0, 64], "golden", over=over).run()
    assert table["status"] == ["done", "failed", "failed", "done"]
    assert table["error"][2] == (
        "caches[0].size: must be ways * line_size times a power of two (12 * 64B = 768B, which does not divide it), "
        "got 32KiB"
    )
    assert table["attempts"] == [1, 1, 1, 1]
    assert table["cycles"][1] is None


def test_failed_points_are_retried_when_asked(tmp_path: Path) -> None:
    over = {"machine.caches.L1D.ways": [8, 12], "machine.caches.L1D.size": ["32KiB", "48KiB"]}
    sweep = runq.Sweep("replay", [0, 64], "golden", over=over)
    store = tmp_path / "s.db"
    sweep.run(store)
    assert sweep.run(store)["attempts"] == [1, 1, 1, 1]
    assert sweep.run(store, retry_failed=True)["attempts"] == [1, 2, 2, 1]
    assert sweep.run(store).count("failed") == 2


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"machine.caches.L9.ways": [1]}, "over.machine.caches.L9.ways: the path must name one of L1D"),
        ({"machine.caches.L1D.ways": [8, "many"]}, 'must be an integer from 0 to 4294967295, got "many"'),
        ({"machine.caches.L1D.ways": [3, 8]}, "over.machine.caches.L1D.ways: "),
        ({"cash": [1]}, "over.cash: must be seed, machine"),
        ({"seed": [-1]}, "over.seed: must be between 0 and 2^63-1, got -1"),
        ({"seed": [1, 1]}, "over.seed: must have each value once, got 1"),
        ({"seed": []}, "over.seed: must have at least one value"),
        ({"seed": 3}, "over.seed: must be a list of values, got 3"),
        ({"options.wamrup": [1]}, "over.options.wamrup: must be seed"),
        ({"options.warmup": [-1]}, "over.options.warmup: must be"),
        ({"machine": ["zen-5"]}, "over.machine: "),
        ([{"seed": [1]}, {"seed": [2]}], "over.seed: must be an axis once"),
        (3, "over: must be a table of axes"),
    ],
)
def test_wrong_axes_are_told_before_anything_runs(over: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(runq.ConfigError) as error:
        runq.Sweep("replay", [0, 64], "golden", over=over).run(tmp_path / "s.db")
    assert message in str(error.value)
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"scenario.residnet": [1]}, "scenario.residnet: must be a parameter of fork-latency"),
        ({"scenario.state": ["clean", "dirty"]}, "over.scenario.state: "),
        ({"scenario.kernel.fork_policy": ["copy", "lazy"]}, "over.scenario.kernel.fork_policy: must be one of"),
        ({"scenario": ["fork-latency", "forks"]}, "scenario"),
        ({"options.warmup": [1]}, "over.options.warmup: must be seed"),
    ],
)
def test_wrong_axes_of_scenarios_are_told_before_anything_runs(over: Any, message: str) -> None:
    with pytest.raises(runq.ConfigError) as error:
        runq.Sweep("simulate", "fork-latency", MACHINE, over=over).run()
    assert message in str(error.value)


def test_metrics_that_no_result_has_are_told() -> None:
    with pytest.raises(
        runq.ConfigError, match=r"metrics: must be paths of the result, such as makespan_ns, got makespan"
    ):
        forks(metrics=["makespan_ns", "makespan"]).run()


def test_metrics_are_paths_and_tables_and_the_whole_result() -> None:
    table = forks(over={"seed": [1]}, metrics=["forks[0].time_ns", "memory", "tree"]).run()
    assert table.metrics == [
        "forks[0].time_ns",
        "memory.frames_free",
        "memory.frames_peak",
        "memory.frames_total",
        "memory.peak_bytes",
        "memory.swap_outs",
        "tree",
    ]
    (row,) = table
    assert json.loads(row["tree"])["forks"][0]["time_ns"] == row["forks[0].time_ns"]


def test_faults_that_did_not_occur_are_zero() -> None:
    over = {"scenario.on_demand": [False, True]}
    table = forks(over=over, state="dirtied").run()
    assert all(isinstance(value, int) for name in table.metrics if name.startswith("faults.") for value in table[name])


def test_replicates_have_common_seeds_or_independent_ones() -> None:
    common = forks(repeat=3, seed=7).run()
    seeds = common["seed"]
    assert seeds[0] == 7
    assert seeds[:3] == seeds[3:6]
    assert len(set(seeds)) == 3
    independent = forks(repeat=3, seed=7, seeds="independent").run()["seed"]
    assert len(set(independent)) == len(independent)


def test_repeats_until_the_interval_is_narrow_and_no_longer() -> None:
    heap = {"region": "heap", "size": "1MiB"}
    program = [
        {"op": "mmap", **heap},
        {"op": "touch", "region": "heap", "pattern": "uniform", "count": 60},
        {"op": "exit"},
    ]
    scenario = runq.Scenario(name="touch", processes=[runq.ProcessSpec("p", program)])
    rule = runq.sweeps.until("ledger.fault", within=0.02, at_least=3, at_most=40)
    sweep = runq.Sweep(
        "simulate", scenario, MACHINE, over={"scenario.processes[0].program[1].count": [60, 200]}, repeat=rule
    )
    table = sweep.run(jobs=2)
    assert table.digest() == sweep.run(jobs=1).digest()
    for _, values in table.replicates("ledger.fault"):
        assert 3 <= len(values) <= 40
        narrow = [runq.sweeps.interval(values[:count]) for count in range(3, len(values) + 1)]
        assert all(one.half_width > 0.02 * one.mean for one in narrow[:-1])
        assert len(values) == 40 or narrow[-1].half_width <= 0.02 * narrow[-1].mean


def test_what_a_killed_run_has_left_does_not_decide(tmp_path: Path) -> None:
    touch = {"op": "touch", "region": "heap", "pattern": "uniform", "count": 60}
    program = [{"op": "mmap", "region": "heap", "size": "1MiB"}, touch]
    scenario = runq.Scenario(name="touch", processes=[runq.ProcessSpec("p", program)])
    rule = runq.sweeps.until("ledger.fault", within=0.02, at_least=3, at_most=20)
    over = {"scenario.processes[0].program[1].count": [60, 70]}
    sweep = runq.Sweep("simulate", scenario, MACHINE, over=over, repeat=rule)

    def stop(done: int, total: int | None, failed: int) -> None:
        if done >= 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run(tmp_path / "s.db", progress=stop)
    assert sweep.run(tmp_path / "s.db").digest() == sweep.run().digest()


def test_intervals_are_students() -> None:
    # Tables of t: NIST/SEMATECH e-Handbook, 1.3.6.7.2.
    for degrees, expected in [(1, 12.706), (2, 4.303), (5, 2.571), (30, 2.042), (100, 1.984)]:
        assert math.isclose(student_t(degrees, 0.95), expected, abs_tol=6e-4)
    table = forks(repeat=2).run()
    for row in table.intervals("makespan_ns"):
        assert row["low"] <= row["mean"] <= row["high"]
        assert row["replicates"] == 2


AXES = st.dictionaries(
    st.sampled_from(["a", "b", "c.d", "e"]),
    st.lists(
        st.one_of(st.integers(-5, 5), st.sampled_from(["x", "y"]), st.booleans()),
        min_size=1,
        max_size=4,
        unique_by=repr,
    ),
    max_size=3,
)


@given(AXES, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4), st.booleans())
def test_a_space_is_the_product_of_its_parts(
    grid: dict[str, list[Any]], pairs: list[tuple[int, int]], filtered: bool
) -> None:
    parts: list[Any] = [grid] if grid else []
    rows = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if pairs:
        parts.append(runq.sweeps.zipped({"p": [p for p, _ in pairs], "q": [q for _, q in pairs]}))
        rows = [row | {"p": p, "q": q} for row in rows for p, q in pairs]
    where: list[Any] = []
    if pairs and filtered:
        where = ["p < q or p in [0, 3]", lambda row: row["q"] != 2]
        rows = [row for row in rows if (row["p"] < row["q"] or row["p"] in (0, 3)) and row["q"] != 2]
    space = _space.space_of(parts, where)
    assert [dict(zip(space.names, values, strict=True)) for values in space] == rows
    assert len(space) == len(rows)


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(2, 20))
def test_ranges_hold_both_ends_at_equal_steps(start: int, stop: int, steps: int) -> None:
    if start == stop:
        return
    values = runq.sweeps.linear(start, stop, steps)
    assert (values[0], values[-1], len(values)) == (start, stop, steps)
    assert np.allclose(np.diff(values), (stop - start) / (steps - 1))
    ratios = runq.sweeps.log(float(start), float(stop), steps)
    assert np.allclose(np.diff(np.log(ratios)), math.log(stop / start) / (steps - 1))


@pytest.mark.parametrize(
    "where",
    ["__import__('os')", "a.__class__", "a()", "[x for x in [a]]", "lambda: a", "b > 1", "a +", "f'{a}'", "a ** 9 > 1"],
)
def test_conditions_are_expressions_and_nothing_else(where: str) -> None:
    with pytest.raises(runq.ConfigError, match="where: must"):
        _space.space_of({"a": [1, 2]}, where)


def test_conditions_name_axes_by_their_ends() -> None:
    space = _space.space_of({"m.L1.ways": [4, 8], "m.L1.size": ["16KiB", "32KiB"]}, "size(m.L1.size) // ways == 4096")
    assert list(space) == [(4, "16KiB"), (8, "32KiB")]


def test_tables_are_read_by_other_programs() -> None:
    table = forks(over={"scenario.on_demand": [False, True], "seed": [1, 2]}, metrics=["makespan_ns", "digest"]).run()
    text = table.to_csv()
    assert text is not None
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["seed"]) for row in rows] == [1, 2, 1, 2]
    assert json.loads(table.to_json() or "") == list(table)
    frame = table.to_polars()
    assert frame["scenario.on_demand"].to_list() == [False, False, True, True]
    arrow = table.to_arrow()
    assert arrow.to_pylist() == list(table)


def test_tables_are_written_as_arrow_and_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = forks().run()
    table.to_parquet(tmp_path / "t.parquet")
    table.to_arrow_file(tmp_path / "t.arrow")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == list(table)
    assert pyarrow.ipc.open_file(tmp_path / "t.arrow").read_all().to_pylist() == list(table)


def test_axes_become_dimensions() -> None:
    pytest.importorskip("xarray")
    data = forks(repeat=2).run().to_xarray()
    assert dict(data["makespan_ns"].sizes) == {
        "scenario.resident": 2,
        "machine.kernel.fork.pte_dirtied_ns": 2,
        "replicate": 2,
    }
    table = forks(repeat=2).run()
    expected = table["makespan_ns"][2]
    assert (
        float(data["makespan_ns"].sel({"scenario.resident": "16KiB", "machine.kernel.fork.pte_dirtied_ns": 40})[0])
        == expected
    )


def naive_front(rows: list[Mapping[str, float]]) -> list[float]:
    def beaten(row: Mapping[str, float]) -> bool:
        return any(
            other["x"] <= row["x"] and other["y"] <= row["y"] and (other["x"], other["y"]) != (row["x"], row["y"])
            for other in rows
        )

    return sorted(row["point"] for row in rows if not beaten(row))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_the_frontier_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    from runq.sweeps._analysis import pareto

    rows = [{"point": number, "x": x, "y": y} for number, (x, y) in enumerate(pairs)]
    assert sorted(row["point"] for row in pareto(rows, ["x", "y"], set())) == naive_front(rows)


def test_an_axis_that_does_all_has_all_of_the_variance() -> None:
    over = {"scenario.resident": ["16KiB", "64KiB", "256KiB"], "machine.mlp": [1, 2]}
    table = forks(over=over).run()
    first, second = table.sensitivity("makespan_ns")
    assert (first.axis, first.share, first.lowest, first.highest) == ("scenario.resident", 1.0, "16KiB", "256KiB")
    assert (second.share, second.effect) == (0.0, 0.0)
    assert table.best("makespan_ns")[0]["scenario.resident"] == "16KiB"
    assert table.best("makespan_ns", largest=True)[0]["scenario.resident"] == "256KiB"
    front = table.pareto("makespan_ns", maximise=["frames_peak"])
    assert [row["scenario.resident"] for row in front][:1] == ["16KiB"]


def test_importing_runq_brings_in_neither_sweeps_nor_dask() -> None:
    import subprocess
    import sys

    heavy = ("dask", "distributed", "sqlite3", "runq.sweeps")
    code = f"import runq, sys; print([name for name in sys.modules if name.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
