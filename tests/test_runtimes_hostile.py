"""Tasks in places where nobody expects them, limits, and bad input: outcomes and clear errors, no panic and no hang."""

import re
from typing import Any

import pytest
import runq
from runq.errors import ConfigError, SimulationError
from task_programs import (
    JOIN,
    MODELS,
    PLAIN,
    RUNTIMES,
    WAIT_CHILDREN,
    Program,
    block,
    compute,
    io,
    repeat,
    run,
    runtime_of,
    scenario_of,
    serve,
    sleep,
    task,
)

THREE: Program = [repeat(3, task(compute(100))), JOIN]
EXEC = {"op": "exec", "name": "new", "program": [compute(100_000)]}


# ---- processes and runtimes


@pytest.mark.parametrize("model", RUNTIMES)
@pytest.mark.parametrize("program", [[{"op": "fork"}, *THREE], [{"op": "fork", "child": THREE}, WAIT_CHILDREN]])
def test_a_child_process_has_no_runtime(model: str, program: Program) -> None:
    with pytest.raises(SimulationError, match=re.escape("(p0): makes a task, and has no runtime under this model")):
        run(program, model=model)


@pytest.mark.parametrize("model", RUNTIMES)
def test_a_runtime_belongs_to_one_process(model: str) -> None:
    rule = r"processes\[1\].program: must be the only process that makes tasks under this model, got 2"
    with pytest.raises(ConfigError, match=rule):
        run(THREE, THREE, model=model)


@pytest.mark.parametrize("model", ["process-per-task", "thread-per-task"])
def test_tasks_of_the_kernel_belong_to_any_process(model: str) -> None:
    r = run([{"op": "fork"}, *THREE, WAIT_CHILDREN], THREE, model=model)
    assert not r.deadlock
    assert r.scheduling.threads == 3 + 9


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "program",
    [
        [repeat(10, task(compute(100_000), sleep(1000))), EXEC],
        [repeat(4, task(block(1_000_000))), sleep(1000), EXEC],
        [task(EXEC), JOIN],
        [repeat(10, task(compute(1000), EXEC)), JOIN],
    ],
)
@pytest.mark.parametrize("cpus", [1, 3])
def test_exec_leaves_one_thread_that_runs_the_new_program(model: str, program: Program, cpus: int) -> None:
    r = run(program, model=model, cpus=cpus)
    assert not r.deadlock
    news = [process for process in r.processes if process.name == "new"]
    assert news
    assert all(process.state == "terminated" for process in r.processes if process.pid != 1)
    assert r.ledger["user"] >= 100_000


@pytest.mark.parametrize("model", RUNTIMES)
def test_a_new_image_has_no_runtime(model: str) -> None:
    with pytest.raises(SimulationError, match="makes a task, and has no runtime under this model"):
        run([{"op": "exec", "name": "new", "program": THREE}], model=model)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("last", [compute(1), {"op": "exit"}])
def test_a_process_may_end_while_its_tasks_run(model: str, last: dict[str, Any]) -> None:
    for body in (compute(100_000), sleep(1e6), io(1e6), block(1e6), {"op": "exit"}):
        r = run([repeat(10, task(body)), compute(1000), last], model=model)
        assert not r.deadlock
        assert all(process.state == "terminated" for process in r.processes if process.pid != 1)


@pytest.mark.parametrize("model", MODELS)
def test_tasks_call_what_processes_call(model: str) -> None:
    calls: Program = [
        {"op": "fork", "child": [compute(50)]},
        {"op": "vfork", "child": [compute(50)]},
        {"op": "thread", "child": [compute(50)]},
        {"op": "spawn", "name": "other", "program": [compute(50)]},
        {"op": "touch", "region": "stack", "count": 2},
        {"op": "mmap", "region": "own", "size": "64KiB"},
        {"op": "touch", "region": "own"},
        {"op": "syscall", "ns": 1000},
        WAIT_CHILDREN,
        JOIN,
    ]
    r = run([repeat(5, task(*calls)), JOIN, WAIT_CHILDREN], model=model, cpus=3)
    assert not r.deadlock
    assert not r.log


def test_a_join_waits_for_threads_where_tasks_are_processes() -> None:
    program = [{"op": "thread", "child": [sleep(1e6)]}, task(compute(10)), JOIN, {"op": "exit"}]
    assert run(program, model="process-per-task").makespan_ns > 1e6


def test_a_server_reaps_the_processes_of_its_requests() -> None:
    r = run([serve(compute(1000), requests=500)], model="process-per-task", machine=PLAIN)
    few = PLAIN.with_set("kernel.processes_max=40")
    limited = run([serve(compute(1000), requests=500)], model="process-per-task", machine=few)
    assert limited.loads[0].completed + limited.loads[0].refused == 500
    assert r.loads[0].completed == 500
    assert r.scheduling.threads_peak < 60
    assert limited.loads[0].completed > 100, "those that have ended make room"


# ---- limits


@pytest.mark.parametrize("model", RUNTIMES)
def test_the_limit_of_tasks_is_an_outcome(model: str) -> None:
    r = run([repeat(20, task(sleep(100_000))), JOIN], model={model: {"tasks_max": 5}})
    assert runtime_of(r).tasks_peak == 5
    assert runtime_of(r).tasks_refused in (15, 16), "the first thread of some is one"
    assert [line.text for line in r.log] == ["a task could not be made: 5 exist, as many as the model allows"]


@pytest.mark.parametrize("model", RUNTIMES)
@pytest.mark.parametrize("of_machine", [True, False])
def test_the_limit_of_threads_is_an_outcome(model: str, of_machine: bool) -> None:
    choices: dict[str, Any] = {"workers": 8} if of_machine else {"workers": 8, "threads_max": 3}
    machine = PLAIN.with_set("kernel.threads_max=3") if of_machine else PLAIN
    program = [repeat(20, task(compute(100_000), sleep(100_000))), JOIN]
    r = run(program, model={model: choices}, machine=machine, cpus=4)
    assert not r.deadlock
    assert runtime_of(r).tasks - runtime_of(r).tasks_ended <= 1
    assert runtime_of(r).threads <= 3 + 1
    if runtime_of(r).workers < 8:
        assert r.log[0].text == "the runtime may make 3 threads, fewer than its 8 workers"


@pytest.mark.parametrize(
    ("model", "limit"), [("thread-per-task", "threads_max"), ("process-per-task", "processes_max")]
)
def test_limits_of_the_kernel_are_outcomes(model: str, limit: str) -> None:
    r = run([repeat(20, task(sleep(1e6))), JOIN], model=model, machine=PLAIN.with_set(f"kernel.{limit}=4"))
    assert not r.deadlock
    assert r.scheduling.threads_peak <= 4
    assert "the limit of 4" in r.log[0].text


# ---- loads


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["poisson", "constant"])
def test_requests_that_come_all_at_once_are_all_answered(model: str, kind: str) -> None:
    load = run([serve(compute(100), arrivals={kind: {"rate_per_s": 1e12}}, requests=500)], model=model).loads[0]
    assert (load.arrived, load.completed, load.refused) == (500, 500, 0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("limit", [{"requests": 0}, {"until_ns": 0}])
def test_a_load_may_have_no_requests(model: str, limit: dict[str, Any]) -> None:
    r = run([serve(compute(100), **limit), compute(5)], model=model)
    assert (r.loads[0].arrived, r.loads[0].throughput_per_s) == (0, 0)


@pytest.mark.parametrize("model", MODELS)
def test_one_request_in_flight_turns_the_others_away(model: str) -> None:
    arrivals = {"poisson": {"rate_per_s": 1e7}}
    load = run([serve(compute(1000), arrivals=arrivals, requests=300, in_flight_max=1)], model=model).loads[0]
    assert load.in_flight_peak == 1
    assert load.completed >= 1
    assert load.completed + load.refused == load.arrived == 300


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("request_", [[{"op": "task"}], [{"op": "thread"}], [{"op": "fork"}, WAIT_CHILDREN]])
def test_a_request_is_answered_once_however_many_answer_it(model: str, request_: Program) -> None:
    load = run([serve(*request_, compute(10), requests=20), JOIN, WAIT_CHILDREN], model=model).loads[0]
    assert (load.arrived, load.completed, load.refused) == (20, 20, 0)


def test_requests_whose_process_exits_are_turned_away() -> None:
    arrivals = {"closed": {"clients": 2}}
    r = run([serve({"op": "exit"}, arrivals=arrivals, requests=10)], model="process-per-task")
    assert not r.deadlock
    assert (r.loads[0].arrived, r.loads[0].completed, r.loads[0].refused) == (10, 0, 10)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("arrivals", [{"poisson": {"rate_per_s": 1e6}}, {"closed": {"clients": 4, "think_ns": 500}}])
def test_several_servers_share_a_load(model: str, arrivals: dict[str, Any]) -> None:
    server = serve(compute(1000), arrivals=arrivals, requests=60)
    r = run([repeat(3, task(server)), JOIN, WAIT_CHILDREN], model=model, cpus=3)
    load = r.loads[0]
    assert not r.deadlock
    assert load.completed + load.refused == load.arrived == 60
    assert load.refused == 0


@pytest.mark.parametrize("model", MODELS)
def test_tasks_nest(model: str) -> None:
    program: Program = [compute(5)]
    for _ in range(30):
        program = [task(*program), JOIN]
    assert not run(program, model=model).deadlock


def test_who_waits_for_requests_for_ever_is_told_so() -> None:
    program = [serve(sleep(1000), {"op": "recv", "channel": "never"}, arrivals={"closed": {"clients": 1}}, requests=2)]
    for model in MODELS:
        r = run(program, model=model)
        assert "a request" in {stuck.waits_for for stuck in r.deadlock}


@pytest.mark.parametrize("model", MODELS)
def test_tasks_that_wait_for_one_another_are_told(model: str) -> None:
    wait = {"op": "acquire", "semaphore": "never"}
    r = run([task(wait), JOIN], model=model)
    assert "semaphore never" in {stuck.waits_for for stuck in r.deadlock}
    assert any(line.text.startswith("deadlock: ") for line in r.log)


# ---- bad input


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("rust", "model: must be one of process-per-task, thread-per-task, "),
        ("go:0", "model.go.workers: must be 1 to 4096, got 0"),
        ("go:many", "model: must be a name, or a name and a number of workers as in go:4"),
        ({"go": {"threads_max": 0}}, "model.go.threads_max: must be at least 1, got 0"),
        ({"go": {"tasks_max": 0}}, "model.go.tasks_max: must be at least 1, got 0"),
        ({"go": {"poll_interval": 0}}, "model.go.poll_interval: must be at least 1, got 0"),
        ({"go": {"worker": 1}}, "model.go.worker: unknown field"),
        ({"go": {"costs": {"switch": 1}}}, "model.go.costs.switch: unknown field"),
        ({"go": {"costs": {"switch_ns": -1}}}, "model.go.costs.switch_ns: "),
        ({"go": {"queues": {"capacity": 1}}}, "model.go.queues"),
        ({"thread-pool": {"queues": {"capacity": 0}}}, "model.thread-pool.queues.capacity: must be at least 1, got 0"),
        ({"go": 3}, "model: must be the name of a model, or a table with one such name"),
        ({"go": {}, "java": {}}, "model: must be the name of a model, or a table with one such name"),
    ],
)
def test_a_wrong_model_is_an_error_that_names_path_rule_and_value(model: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        run(THREE, model=model)
    assert str(error.value).startswith(message)


def test_stacks_have_a_limit() -> None:
    r = run([task(compute(5), stack="1GiB"), JOIN], model="go")
    assert r.memory.peak_bytes > 1 << 30
    with pytest.raises(ConfigError, match=r"stack: must be at most 1GiB"):
        run([task(compute(5), stack=(1 << 30) + 1), JOIN], model="go")


def test_a_model_is_a_part_of_a_scenario() -> None:
    tree = scenario_of(THREE).to_dict() | {"model": "rust"}
    with pytest.raises(ConfigError, match="model: must be one of"):
        runq.simulate(runq.Scenario.from_dict(tree))


def test_workers_of_queues_are_an_error_and_not_ignored() -> None:
    for model in ("go", "thread-pool", "event-loop-per-cpu", "work-stealing"):
        with pytest.raises(runq.ConfigError, match=rf"model\.{model}\.queues\.[a-z-]+\.workers: unknown field"):
            runq.simulate("fork-join", model={model: {"queues": {"workers": 3}}})
