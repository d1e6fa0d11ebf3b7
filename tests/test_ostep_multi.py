"""The exercise of several CPUs with caches. The tool's own output is compared in `test_ostep`."""

import json
import shlex
from typing import Any

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from ostep_program import Captured, assert_refused, json_of, output_of
from reference.multi import multi as reference
from runq import ostep

SHAPES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 90), st.lists(st.integers(0, 3), max_size=3)), min_size=1, max_size=6
)
OPTIONS = st.fixed_dictionaries(
    {
        "num_cpus": st.integers(1, 4),
        "per_cpu_queues": st.booleans(),
        "quantum": st.integers(1, 12),
        "peek_interval": st.sampled_from([0, 1, 5, 12]),
        "warmup_time": st.integers(0, 9),
        "warm_rate": st.integers(1, 4),
        "cache_size": st.integers(0, 150),
        "seed": st.integers(0, 2**70),
    }
)


@given(shapes=SHAPES, options=OPTIONS)
def test_cpus_are_as_busy_as_in_the_reference(
    shapes: list[tuple[int, int, list[int]]], options: dict[str, Any]
) -> None:
    cpus = range(options["num_cpus"])
    jobs = [
        (f"j{number}", run_time, working_set, [cpu for cpu in pinned if cpu in cpus])
        for number, (run_time, working_set, pinned) in enumerate(shapes)
    ]
    result = ostep.multi(
        [job[:3] for job in jobs], affinity={name: pinned for name, _, _, pinned in jobs}, compat=False, **options
    )
    rows = reference(jobs, **options)
    assert result.finished == len(rows)
    for use in result.cpus:
        ran = [row[use.cpu] for row in rows if row[use.cpu] is not None]
        assert use.utilization == 100.0 * len(ran) / len(rows)
        assert use.warm == 100.0 * sum(job is not None and job[1] for job in ran) / len(rows)


def test_warm_cache_makes_a_job_faster() -> None:
    # 10 ticks to get warm, then twice as fast.
    assert [ostep.multi([("a", 30, 200)], num_cpus=1, cache_size=size).finished for size in (100, 300)] == [30, 20]


def test_one_cpu_has_nobody_to_steal_from() -> None:
    one = ostep.multi([("a", 50, 10)], num_cpus=1, per_cpu_queues=True, peek_interval=1)
    assert one == ostep.multi([("a", 50, 10)], num_cpus=1)


def test_pinned_job_is_stolen_by_accident_where_the_tool_is_not_corrected(capsysbinary: Captured) -> None:
    # The working set of b is 1, so that the tool lets CPU 1 take it, though it is pinned to CPU 0, and it waits there.
    arguments = ("multi", "-p", "-P", "1", "-L", "a:40:9,b:40:1,c:1:9", "-A", "a:0,b:0,c:1")
    assert_refused(
        capsysbinary,
        [*arguments, "-c"],
        ["affinity: must not have a job stolen by a CPU that it may not run on", "'b'"],
    )
    tree = json_of(capsysbinary, *arguments, "--no-compat")
    assert tree["cpus"][1]["utilization"] == 100.0 / tree["finished"]


def test_job_is_stolen_by_a_cpu_of_its_affinity_where_the_tool_is_corrected() -> None:
    jobs, pinned = [("a", 40, 99), ("b", 5, 99), ("c", 40, 99)], {"a": [0], "c": [0, 1]}
    finished = [
        ostep.multi(jobs, affinity=pinned, per_cpu_queues=True, peek_interval=5, warm_rate=1, compat=compat).finished
        for compat in (True, False)
    ]
    assert finished == [80, 45]


def test_ticks_of_warm_jobs_count_with_any_rate_where_the_tool_is_corrected() -> None:
    warm = [
        ostep.multi([("a", 40, 10)], num_cpus=1, warm_rate=1, compat=compat).cpus[0].warm for compat in (True, False)
    ]
    assert warm == [0.0, 75.0]


def test_exercise_tells_jobs_and_queues_alone(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "multi", "-L", "a:30:0,b:0:5", "-A", "a:1", "-p", "-o", "-n", "0b10")
    assert output.splitlines() == [
        *("ARG seed 0", "ARG job_num 3", "ARG max_run 100", "ARG max_wset 200", "ARG job_list a:30:0,b:0:5"),
        *("ARG affinity a:1", "ARG per_cpu_queues True", "ARG num_cpus 2", "ARG quantum 10", "ARG peek_interval 30"),
        *(
            "ARG warmup_time 10",
            "ARG cache_size 100",
            "ARG random_order True",
            "ARG trace False",
            "ARG trace_time False",
        ),
        *("ARG trace_cache False", "ARG trace_sched False", "ARG compute False", ""),
        *("Job name:a run_time:30 working_set_size:0", "Job name:b run_time:0 working_set_size:5", ""),
        *("Scheduler CPU 0 queue: ['b']", "Scheduler CPU 1 queue: ['a']", ""),
    ]


def test_trace_is_told_without_answers_if_asked_for(capsysbinary: Captured) -> None:
    arguments = ("multi", "-n", "1", "-L", "a:2:0,b:2:0", "-q", "1", "-S", "-C", "-T", "-w", "1")
    assert output_of(capsysbinary, *arguments).splitlines()[-7:] == [
        "   0   a [  1] cache[w ]     Q: b     ",
        "--------------------------",
        "   1   b [  1] cache[ww]     Q: a     ",
        "--------------------------",
        "   2   a [  0] cache[ww]     Q: b     ",
        "--------------------------",
        "   3   b [  0] cache[ww]     Q:     ",
    ]


def test_json_is_that_of_the_api(capsysbinary: Captured) -> None:
    tree = json_of(capsysbinary, "multi", "-n", "2", "-L", "a:30:20", "-t")
    assert tree == {
        "finished": 20,
        "cpus": [{"cpu": 0, "utilization": 100.0, "warm": 50.0}, {"cpu": 1, "utilization": 0.0, "warm": 0.0}],
    }
    assert json.loads(ostep.multi([("a", 30, 20)]).to_json()) == tree


def test_random_jobs_and_order_are_those_of_the_seed() -> None:
    def play(seed: int) -> ostep.MultiResult:
        return ostep.multi(seed=seed, job_num=8, num_cpus=3, per_cpu_queues=True, peek_interval=3, rand_order=True)

    assert play(1) == play(1)
    assert len({play(seed) for seed in range(9)}) > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-n 0", ["num_cpus: must be between 1 and 1000, got 0"]),
        ("-n two", ["--num_cpus", "'two'"]),
        ("-j 0", ["job_num: must be between 1 and 1000, got 0"]),
        ("-R -1", ["max_run: must be between 0 and 1000000, got -1"]),
        (f"-W 1{400 * '0'}", ["max_wset: must be between"]),
        ("-q 0", ["quantum: must be at least 1, got 0"]),
        ("-P -1", ["peek_interval: must be at least 0, got -1"]),
        ("-w -1", ["warmup_time: must be at least 0, got -1"]),
        ("-r 0", ["warm_rate: must be at least 1, got 0"]),
        ("-M -1", ["cache_size: must be at least 0, got -1"]),
        ("-L a:30", ["job_list[0]: must be name:run time:working set, the two as integers, got 'a:30'"]),
        ("-L a:30:5,", ["job_list[1]: must be name", "''"]),
        ("-L a:30:5:7", ["job_list[0]: must be name", "'a:30:5:7'"]),
        ("-L a:x:5", ["job_list[0]: must be name", "'a:x:5'"]),
        ("-L :30:5", ["job_list[0]: must have a name of its own, got ''"]),
        ("-L a:3:5,a:3:5", ["job_list[1]: must have a name of its own, got 'a'"]),
        ("-L a:-3:5", ["job_list[0]: must have a run time and a working set of at least 0, got a:-3:5"]),
        ("-L a:5000001:5", ["job_list: must take at most 10000000 ticks times CPUs, got up to 10000002"]),
        (f"-L a:{4300 * '9'}:5", ["job_list: must take at most 10000000 ticks times CPUs, got far more"]),
        ("-A a", ["affinity[0]: must be name:cpu.cpu, a job and integers with points between them, got 'a'"]),
        ("-A 0:1,1:", ["affinity[1]: must be name:cpu.cpu", "'1:'"]),
        ("-A 0:0.x", ["affinity[0]: must be name:cpu.cpu", "'0:0.x'"]),
        ("-A 0:0:1", ["affinity[0]: must be name:cpu.cpu", "'0:0:1'"]),
        ("-A z:0", ["affinity: must be of jobs that there are, got 'z'"]),
        ("-A 0:2", ["affinity: must have CPUs from 0 to 1, got 0:2"]),
        ("-A 0:-1", ["affinity: must have CPUs from 0 to 1, got 0:-1"]),
        ("--cores 3", ["--cores"]),
        ("a:30:5", ["a:30:5"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_is_one_clear_error(arguments: str, form: str, words: list[str], capsysbinary: Captured) -> None:
    assert_refused(capsysbinary, ["multi", *shlex.split(arguments), *shlex.split(form)], words)


def test_error_of_the_api_names_option_and_value() -> None:
    with pytest.raises(runq.ConfigError, match="job_list: must be 1 to 1000 jobs, got 0 of them"):
        ostep.multi([])
