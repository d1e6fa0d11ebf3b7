"""The verdict names what holds work up beside cpus, and says where a quantile rests on too few answers."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import runq
from runq._compare_limits import doubt
from task_programs import JOIN, PLAIN, Op, Program, compute, repeat, serve, sleep, task

TWO = PLAIN.with_set("cpus=2")
RATE: dict[str, Any] = {"poisson": {"rate_per_s": 4000}}


def compare(program: Program, *models: str, machine: runq.Machine = TWO, **tables: Any) -> runq.Comparison:
    tree = {"name": "limits", "processes": [{"name": "p", "program": program}], **tables}
    return runq.compare(machine, runq.Scenario.from_dict(tree), list(models), repeat=1)


def said(table: runq.Comparison, begins: str) -> str:
    [sentence] = [sentence for sentence in table.verdict if sentence.startswith(begins)]
    return sentence


def test_a_dependency_that_is_full_is_named_with_the_rate_at_which_it_is() -> None:
    request = serve(compute(10_000), {"op": "call", "to": "db"}, arrivals=RATE, requests=2000)
    table = compare([request], "go", "thread-per-task", dependencies={"db": {"service_ns": 1e6, "servers": 2}})
    found = said(table, "db is busy for ")
    assert "under go and thread-per-task: with the capacity that it has it is full at about 2,000/s" in found
    last = table.verdict[-1]
    assert last.startswith("No other overtakes it: db is full at about 2,000/s")
    [limit] = [limit for limit in table["go"].limits if limit.kind == "dependency"]
    assert (limit.name, limit.binds) == ("db", True)
    idle = compare([request], "go", "thread-per-task", dependencies={"db": {"service_ns": 1e6, "servers": 60}})
    assert not any(sentence.startswith("db is busy") for sentence in idle.verdict)


def test_what_waits_for_a_pool_that_is_too_small_is_not_put_down_to_the_dependency() -> None:
    request = serve({"op": "call", "to": "db"}, arrivals=RATE, requests=1000)
    table = compare([request], "thread-pool:2", "go", dependencies={"db": {"service_ns": 1e6, "servers": 8}})
    assert not any(limit.binds for limit in table["thread-pool:2"].limits)
    assert not any("thread-pool:2" in sentence for sentence in table.verdict if sentence.startswith("db is busy"))


def test_a_lock_that_is_held_all_the_time_is_named() -> None:
    locked: list[Op] = [{"op": "lock", "lock": "m"}, sleep(500_000), {"op": "unlock", "lock": "m"}]
    table = compare([serve(*locked, arrivals=RATE, requests=1500)], "go", "thread-per-task")
    found = said(table, "The lock m is held for ")
    # A sleep takes the kernel's slack of timers longer, or an event of the runtime.
    rate = float(found.split("at most about ")[1].split("/s")[0].replace(",", ""))
    assert 1500 < rate <= 2001
    assert "the lock m is full at about" in table.verdict[-1]
    alone = compare([repeat(50, *locked)], "go", "thread-per-task")
    assert not alone["go"].limits or not any(limit.kind == "lock" for limit in alone["go"].limits), (
        "nobody waits for it"
    )


def test_memory_that_is_short_is_named() -> None:
    machine = TWO.with_set("memory_size=64MiB")
    program = [repeat(1000, task(sleep(1e7), stack="64KiB")), JOIN]
    table = compare(program, "go", "event-loop", machine=machine)
    assert said(table, "Memory is short under ").endswith("% of 0.1 GiB are in use at a time.")
    plain = compare(program, "go", "event-loop")
    assert not any(sentence.startswith("Memory") for sentence in plain.verdict)


@pytest.mark.parametrize(
    ("model", "choices", "setting", "said_of"),
    [
        (
            "thread-per-task",
            {},
            "kernel.threads_max=20",
            "meets the limit of 20 threads, and at least 81 could not be made.",
        ),
        ("process-per-task", {}, "kernel.processes_max=20", "meets the limit of 20 processes, and at least "),
        ("go", {"threads_max": 5}, "cpus=2", "meets the limit of 5 threads."),
    ],
)
def test_a_limit_of_threads_that_was_met_is_named(model: str, choices: Any, setting: str, said_of: str) -> None:
    wait: Op = {"op": "block", "ns": 1e7}
    tree = {"name": "limits", "processes": [{"name": "p", "program": [repeat(100, task(wait)), JOIN]}]}
    asked = runq.models.load({model: choices})
    table = runq.compare(TWO.with_set(setting), runq.Scenario.from_dict(tree), [asked, "event-loop"], repeat=1)
    assert said(table, f"{model} meets").startswith(f"{model} {said_of}")


def test_the_verdict_is_made_of_rows_alone() -> None:
    request = serve(compute(10_000), {"op": "call", "to": "db"}, arrivals=RATE, requests=500)
    table = compare([request], "go", "thread-per-task", dependencies={"db": {"service_ns": 1e6, "servers": 2}})
    tree = json.loads(table.to_json())
    again = msgspec.convert({name: tree[name] for name in runq.Comparison.__struct_fields__}, runq.Comparison)
    assert again.verdict == tree["verdict"] == table.verdict


# ---- quantiles


@pytest.mark.parametrize(
    ("name", "count", "needed"),
    [("p99", 999, "1,000"), ("p999", 9_999, "10,000"), ("p90", 99, "100"), ("p50", 19, "20")],
)
def test_a_quantile_with_fewer_than_ten_answers_beyond_it_is_doubtful(name: str, count: int, needed: str) -> None:
    text = doubt(name, {"go": count, "java": 10**6})
    assert text.startswith(
        f"The {name.replace('999', '99.9')} rests on {count:,} answers under go, and fewer than {needed} "
    )
    assert doubt(name, {"go": count + 1}) == ""
    assert doubt("mean", {"go": 1}) == ""
    assert doubt(name, {}) == ""


def test_the_verdict_says_that_its_p99_rests_on_few() -> None:
    program = [serve(compute(1000), requests=500)]
    assert compare(program, "go", "java").verdict[-1].startswith("The p99 rests on 500 answers, and fewer than 1,000 ")
    many = [serve(compute(1000), requests=1000)]
    assert not any("rests on" in sentence for sentence in compare(many, "go", "java").verdict)


def search(until: str, requests: int, *more: str) -> "subprocess.CompletedProcess[str]":
    arguments = ["web-service", "--set", f"requests={requests}", "--set", "memory=none", "--models", "go"]
    command = [sys.executable, "-m", "runq.cli", "compare", *arguments, "--until", until, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def test_a_search_says_that_its_quantile_rests_on_few() -> None:
    few = search("p99=20ms", 400, "--json")
    [text] = json.loads(few.stdout)["doubts"]
    assert text.startswith("The p99 rests on 400 answers, and fewer than 1,000 ")
    assert text in search("p99=20ms", 400).stdout
    assert json.loads(search("p99=20ms", 1000, "--json").stdout)["doubts"] == []
    assert "p99.9 rests on 1,000 answers" in search("p99.9=20ms", 1000).stdout
    assert json.loads(search("mean=20ms", 100, "--json").stdout)["doubts"] == []
