"""The exercise of jobs on one CPU: times, JSON, and bad input. The tool's own output is compared in `test_ostep`."""

import json
import shlex

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from ostep_program import Captured, assert_refused, json_of, output_of
from reference.scheduler import who_runs
from runq import ostep
from runq.ostep.scheduler import POLICIES

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=8)


@pytest.mark.parametrize("policy", POLICIES)
@given(lengths=LENGTHS, quantum=st.integers(1, 6))
def test_policy_runs_jobs_as_the_reference(policy: str, lengths: list[int], quantum: int) -> None:
    result = ostep.scheduler(lengths, policy=policy, quantum=quantum)
    ticks = who_runs(lengths, policy=policy, quantum=quantum)
    ran: list[int] = []
    for turn in result.trace:
        assert turn.time == len(ran)
        ran += [turn.job] * int(turn.run)
    assert ran == ticks
    for times in result.jobs:
        last = max(time for time, job in enumerate(ticks) if job == times.job)
        assert (times.response, times.turnaround) == (ticks.index(times.job), last + 1)
        assert times.wait == times.turnaround - lengths[times.job]
    assert sorted(times.job for times in result.jobs) == list(range(len(lengths)))


@given(lengths=LENGTHS)
def test_shortest_first_has_the_least_mean_turnaround(lengths: list[int]) -> None:
    def turnaround(policy: str) -> float:
        return sum(job.turnaround for job in ostep.scheduler(lengths, policy=policy).jobs)

    assert min(map(turnaround, POLICIES)) == turnaround("SJF")


@given(lengths=LENGTHS, quantum=st.integers(1, 6))
def test_in_turn_every_job_waits_at_most_a_round_for_its_first(lengths: list[int], quantum: int) -> None:
    result = ostep.scheduler(lengths, policy="RR", quantum=quantum)
    assert max(job.response for job in result.jobs) <= (len(lengths) - 1) * quantum


def test_equally_short_jobs_keep_their_order() -> None:
    assert [job.job for job in ostep.scheduler([5, 2, 5, 2], policy="SJF").jobs] == [1, 3, 0, 2]


def test_fractions_of_time_are_played_and_shown_cut(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "scheduler", "-l", "1.5, 0,2", "-p", "RR", "-q", "2", "-c")
    assert output.splitlines()[3:15] == [
        "Here is the job list, with the run time of each job: ",
        *("  Job 0 ( length = 1.5 )", "  Job 1 ( length = 0.0 )", "  Job 2 ( length = 2.0 )", "", ""),
        *("** Solutions **", "", "Execution trace:"),
        "  [ time   0 ] Run job   0 for 1.50 secs ( DONE at 1.50 )",
        "  [ time   1 ] Run job   1 for 0.00 secs ( DONE at 1.50 )",
        "  [ time   1 ] Run job   2 for 2.00 secs ( DONE at 3.50 )",
    ]


def test_exercise_asks_and_does_not_tell(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "scheduler", "-l", "7,8", "-p", "RR")
    assert output.splitlines() == [
        *("ARG policy RR", "ARG jlist 7,8", "", "Here is the job list, with the run time of each job: "),
        *("  Job 0 ( length = 7.0 )", "  Job 1 ( length = 8.0 )", "", ""),
        "Compute the turnaround time, response time, and wait time for each job.",
        "When you are done, run this program again, with the same arguments,",
        "but with -c, which will thus provide you with the answers. You can use",
        "-s <somenumber> or your own job list (-l 10,15,20 for example)",
        *("to generate different problems for yourself.", ""),
    ]
    assert "ARG jobs 8\nARG maxlen 31\nARG seed 2\n" in output_of(
        capsysbinary, "scheduler", "-j", "010", "-m", "0x1f", "-s", "0b10"
    )


def test_json_is_that_of_the_api(capsysbinary: Captured) -> None:
    tree = json_of(capsysbinary, "scheduler", "-l", "3,1", "-p", "RR", "-q", "2")
    assert tree == {
        "jobs": [
            {"job": 0, "response": 0.0, "turnaround": 4.0, "wait": 1.0},
            {"job": 1, "response": 2.0, "turnaround": 3.0, "wait": 2.0},
        ],
        "trace": [
            {"time": 0.0, "job": 0, "run": 2.0},
            {"time": 2.0, "job": 1, "run": 1.0},
            {"time": 3.0, "job": 0, "run": 1.0},
        ],
    }
    assert json.loads(ostep.scheduler([3, 1], policy="RR", quantum=2).to_json()) == tree


def test_random_jobs_are_those_of_the_seed() -> None:
    first, second = (ostep.scheduler(seed=seed, jobs=20, maxlen=50) for seed in (1, 2))
    assert first == ostep.scheduler(seed=1, jobs=20, maxlen=50)
    assert first != second
    assert {turn.run for turn in ostep.scheduler(maxlen=1, jobs=9).trace} == {1.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-p LIFO", ["policy: must be one of SJF, FIFO, RR, got 'LIFO'"]),
        ("-j 0", ["jobs: must be between 1 and 1000000, got 0"]),
        ("-j -3", ["jobs: must be between", "-3"]),
        ("-j 99999999999", ["jobs: must be between", "99999999999"]),
        ("-j many", ["--jobs", "'many'"]),
        ("-m 0", ["maxlen: must be between 1 and 1000000000, got 0"]),
        (f"-m 1{400 * '0'}", ["maxlen: must be between"]),
        ("-s 1.5", ["--seed", "'1.5'"]),
        ("-q 08", ["--quantum", "'08'"]),
        ("-p RR -q 0", ["quantum: must be at least 1, got 0"]),
        ("-p RR -l 3,1e9", ["quantum: must cut the jobs into at most 1000000 slices, got 1"]),
        ("-l 5,,3", ["jlist: must be run times with commas between them, got '5,,3'"]),
        ("-l 5,x", ["jlist: must be run times", "'5,x'"]),
        ("-l 5:3", ["jlist: must be run times", "'5:3'"]),
        ("-l 5,-1", ["jlist[1]: must be a run time between 0 and 1000000000, got -1.0"]),
        ("-l nan", ["jlist[0]: must be a run time", "nan"]),
        ("-l 1,inf", ["jlist[1]: must be a run time", "inf"]),
        ("--slices 3", ["--slices"]),
        ("10,20", ["10,20"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_is_one_clear_error(arguments: str, form: str, words: list[str], capsysbinary: Captured) -> None:
    assert_refused(capsysbinary, ["scheduler", *shlex.split(arguments), *shlex.split(form)], words)


def test_error_of_the_api_names_option_and_value() -> None:
    with pytest.raises(runq.ConfigError, match="jlist: must be at least one job, got none"):
        ostep.scheduler([])
