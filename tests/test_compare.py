"""The same work under each model side by side: what the table holds, what searches find, and what bad input says."""

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import runq
from runq.errors import ConfigError
from task_programs import JOIN, PLAIN, block, compute, io, repeat, scenario_of, serve, sleep, task

PROGRAM = [sys.executable, "-m", "runq.cli"]
TINY = scenario_of([serve(compute(5000), io(20_000), compute(5000), requests=200)])
TINY_WEB = ["web-service", "--set", "requests=200", "--set", "memory=none"]


def program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60)


def test_every_ledger_adds_up_and_the_verdict_names_a_winner() -> None:
    table = runq.compare(PLAIN.with_set("cpus=2"), TINY, repeat=2)
    assert len(table.models) == 8
    for row in table.models:
        assert sum(row.ledger.values()) == pytest.approx(100)
        assert (row.completed, row.refused) == (400, 0)
        assert len(set(row.digests)) == 2
        assert 0 < row.latency_ns["p50"] <= row.latency_ns["p90"] <= row.latency_ns["p99"] <= row.latency_ns["p999"]
        assert row.cpu_used == pytest.approx(1 - row.ledger["idle"] / 100)
    assert table.verdict
    assert any(row.model in table.verdict[0] for row in table.models)
    assert all(row.model in str(table) and row.model in table._repr_html_() for row in table.models)
    assert table.to_arrow().columns()["model"] == [row.model for row in table.models]


def test_a_row_is_what_simulate_says() -> None:
    machine = PLAIN.with_set("cpus=2")
    row = runq.compare(machine, TINY, ["go"], repeat=1, seed=5)["go"]
    r = runq.simulate(TINY, machine, "go", seed=5)
    assert row.digests == (r.digest,)
    assert row.throughput_per_s == r.loads[0].throughput_per_s
    assert row.latency_ns["p99"] == r.loads[0].latency.p99_ns
    assert row.peak_memory_bytes == r.memory.peak_bytes
    assert (row.throughput_half_width, row.latency_half_width_ns) == (None, {})


def test_models_that_differ_in_a_choice_are_told_apart() -> None:
    stealing = [runq.WorkStealing(queues={"steal": steal}) for steal in ("one", "half")]
    models = [*stealing, "go", runq.WorkStealing.go(preempt_after_ns=50_000), "go:1"]
    table = runq.compare(PLAIN.with_set("cpus=2"), TINY, models, repeat=1)
    labels = [
        "work-stealing (queues.steal=one)",
        "work-stealing (queues.steal=half)",
        "go",
        "go (preempt_after_ns=50000)",
        "go:1",
    ]
    assert [row.model for row in table.models] == labels
    assert all(label in str(table) for label in labels)
    assert table[labels[3]].digests == (runq.simulate(TINY, PLAIN.with_set("cpus=2"), models[3], seed=1).digest,)


def test_a_loop_that_blocks_loses() -> None:
    scenario = scenario_of([serve(block(1e6), arrivals={"poisson": {"rate_per_s": 5000}}, requests=100)])
    table = runq.compare(PLAIN.with_set("cpus=2"), scenario, ["event-loop", "go"], repeat=1)
    assert table["event-loop"].throughput_per_s < 1001
    assert table["go"].throughput_per_s > table["event-loop"].throughput_per_s
    assert "go" in table.verdict[0]


def test_work_without_requests_is_compared_by_tasks() -> None:
    table = runq.compare(PLAIN, scenario_of([repeat(50, task(sleep(1000))), JOIN]), ["go", "thread-pool"], repeat=1)
    assert [row.completed for row in table.models] == [50, 50]
    assert table["go"].throughput_per_s > 0


def test_json_has_the_promised_shape() -> None:
    done = program("compare", *TINY_WEB, "--models", "go,thread-pool:4", "--repeat", "2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    tree = json.loads(done.stdout)
    assert [row["model"] for row in tree["models"]] == ["go", "thread-pool:4"]
    for row in tree["models"]:
        assert {"throughput_per_s", "latency_ns", "peak_memory_bytes", "ledger"} <= set(row)
        assert {"p50", "p90", "p99", "p999"} <= set(row["latency_ns"])
        assert sum(row["ledger"].values()) == pytest.approx(100)
    assert tree["verdict"]
    assert all(isinstance(sentence, str) and sentence for sentence in tree["verdict"])


def test_the_text_is_a_table_and_a_verdict() -> None:
    done = program("compare", *TINY_WEB, "--models", "go,tokio", "--repeat", "1")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("go", "tokio", "p99", "idle"):
        assert word in done.stdout


# ---- searches


def test_the_best_pool_is_as_large_as_the_work_needs() -> None:
    done = program("compare", *TINY_WEB, "--find", "threads", "--repeat", "1", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    tree = json.loads(done.stdout)
    sizes = [int(row["model"].partition(":")[2]) for row in tree["pools"]]
    assert sizes == sorted(sizes)
    assert tree["best_threads"] in sizes
    # 50,000 requests a second that take 1.1 ms each keep some 55 threads.
    assert 20 <= tree["best_threads"] <= 256


def test_the_highest_load_holds_the_limit() -> None:
    done = program("compare", *TINY_WEB, "--until", "p99=20ms", "--models", "go", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = json.loads(done.stdout)["loads"]
    assert row["rate_per_s"] > 0
    assert row["at"]["latency_ns"]["p99"] <= 20e6
    assert row["limited_by"]


# ---- bad input


def test_a_search_for_threads_takes_no_models() -> None:
    for option, value in (("--models", "go"), ("--until", "p99=50ms")):
        done = program("compare", *TINY_WEB, "--find", "threads", option, value)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{option[2:]}: must not be given where the size of a pool is searched" in done.stderr


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"models": ["rust"]}, "model: must be one of process-per-task"),
        ({"models": []}, "models: must name at least one model"),
        ({"models": ["go", "go"]}, "models: must differ from one another, got 'go'"),
        ({"models": [{"go": {"workers": 2}}, "go:2"]}, "models: must differ from one another, got 'go:2'"),
        ({"models": "go"}, "models: must be a list of models, got 'go'"),
        ({"models": runq.WorkStealing.go()}, "models: must be a list of models, got Model(name='go', choices={})"),
        ({"models": {"go": {}}}, "models: must be a list of models, got {'go': {}}"),
        ({"models": ["go:0"]}, "model.go.workers: must be 1 to 4096, got 0"),
        ({"repeat": 0}, "repeat: must be at least 1, got 0"),
        ({"requests": 5}, "scenario.requests: must be for a scenario that comes with runq"),
    ],
)
def test_bad_input_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        runq.compare(PLAIN, TINY, **fields)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "rust"], "must be one of process-per-task"),
        (["--models", ""], "must be one of process-per-task"),
        (["--repeat", "0"], "--repeat"),
        (["--find", "cpus"], "--find"),
        (["--until", "p98=1ms"], "must be a quantile and a time, as p99=50ms"),
        (["--until", "p99=1"], "must be a quantile and a time, as p99=50ms"),
        (["--until", "50ms"], "must be a quantile and a time, as p99=50ms"),
    ],
)
def test_the_program_refuses_in_one_line(arguments: list[str], message: str) -> None:
    done = program("compare", *TINY_WEB, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("runq: error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_load_without_a_rate_cannot_be_searched() -> None:
    done = program("compare", "sleepers", "--set", "tasks=10", "--until", "p99=1ms")
    assert done.returncode == 2
    assert "must be for a scenario that serves requests at a rate" in done.stderr


def test_ctrl_c_ends_a_comparison_at_once() -> None:
    arguments = [*PROGRAM, "compare", "web-service", "--set", "requests=60000000"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        try:
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()
        assert time.monotonic() - began < 5
