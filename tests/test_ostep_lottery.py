"""The exercise of lottery scheduling. The tool's own output is compared in `test_ostep`."""

import json
import shlex

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from ostep_program import Captured, assert_refused, json_of, output_of
from reference.lottery import winners
from runq import ostep

JOBS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 50)), min_size=1, max_size=6)


@given(jobs=JOBS, quantum=st.integers(1, 9), seed=st.integers(0, 2**70))
def test_draws_are_those_of_the_reference(jobs: list[tuple[int, int]], quantum: int, seed: int) -> None:
    assert list(ostep.lottery(jobs, quantum=quantum, seed=seed).winners) == winners(jobs, quantum=quantum, seed=seed)


@given(jobs=JOBS, quantum=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_job_wins_as_often_as_it_has_to_run(jobs: list[tuple[int, int]], quantum: int, seed: int) -> None:
    won = ostep.lottery(jobs, quantum=quantum, seed=seed).winners
    assert [won.count(job) for job in range(len(jobs))] == [-(-length // quantum) for length, _ in jobs]


def test_shares_are_as_the_tickets() -> None:
    won = ostep.lottery([(20_000, 300), (20_000, 100)], seed=1).winners[:20_000]
    assert won.count(0) / len(won) == pytest.approx(0.75, abs=0.01)


def test_exercise_tells_the_draws_and_not_the_winners(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "lottery", "-l", "1:10, 2:5", "-s", "0b11")
    lines = output.splitlines()
    assert lines[:-3] == [
        *("ARG jlist 1:10, 2:5", "ARG jobs 3", "ARG maxlen 10", "ARG maxticket 100", "ARG quantum 1", "ARG seed 3", ""),
        "Here is the job list, with the run time of each job: ",
        *("  Job 0 ( length = 1, tickets = 10 )", "  Job 1 ( length = 2, tickets = 5 )", "", ""),
        "Here is the set of random numbers you will need (at most):",
    ]
    solved = output_of(capsysbinary, "lottery", "-l", "1:10, 2:5", "-s", "3", "-c").splitlines()
    assert lines[-3:] == [line.split(" -> ")[0] for line in solved if line.startswith("Random")]


def test_clock_goes_by_whole_quanta(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "lottery", "-l", "7:1", "-q", "5", "-c")
    assert [line for line in output.splitlines() if "timeleft" in line or "DONE" in line] == [
        " (* job:0 timeleft:7 tix:1 ) ",
        " (* job:0 timeleft:2 tix:1 ) ",
        "--> JOB 0 DONE at time 10",
    ]


def test_json_is_that_of_the_api(capsysbinary: Captured) -> None:
    assert json_of(capsysbinary, "lottery", "-l", "2:1,3:100") == {"winners": [1, 1, 1, 0, 0]}
    assert json.loads(ostep.lottery([(2, 1), (3, 100)]).to_json()) == {"winners": [1, 1, 1, 0, 0]}


def test_random_jobs_are_those_of_the_seed() -> None:
    assert ostep.lottery(seed=1) == ostep.lottery(seed=1) != ostep.lottery(seed=2)
    assert sorted(ostep.lottery(maxlen=2, maxticket=2, jobs=4).winners) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-j 0", ["jobs: must be between 1 and 100000, got 0"]),
        ("-j many", ["--jobs", "'many'"]),
        ("-m 1", ["maxlen: must be between 2 and 1000000, got 1"]),
        ("-m -5", ["maxlen: must be between", "-5"]),
        ("-T 1", ["maxticket: must be between 2 and 1000000000, got 1"]),
        (f"-T 1{400 * '0'}", ["maxticket: must be between"]),
        ("-q 0", ["quantum: must be at least 1, got 0"]),
        ("-l 10", ["jlist[0]: must be two integers: run time:tickets, got '10'"]),
        ("-l 10:1,", ["jlist[1]: must be two integers", "''"]),
        ("-l 10:1:1", ["jlist[0]: must be two integers", "'10:1:1'"]),
        ("-l 10:x", ["jlist[0]: must be two integers", "'10:x'"]),
        ("-l 10:1,0:5", ["jlist[1]: must have a run time and tickets of at least 1, got 0:5"]),
        ("-l 10:0", ["jlist[0]: must have a run time and tickets of at least 1, got 10:0"]),
        ("-l 10:-5,5:10", ["jlist[0]: must have a run time", "10:-5"]),
        ("-l 999999:1,2:1", ["jlist: must run for at most 1000000 in all, got 1000001"]),
        (f"-l {4300 * '9'}:1,1:1", ["jlist: must run for at most 1000000 in all, got far more"]),
        (f"-l {1000 * '101:1,'}1:1", ["jlist: must need at most 100000000 draws times jobs, got 101102001"]),
        ("--draws 3", ["--draws"]),
        ("10:1", ["10:1"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_is_one_clear_error(arguments: str, form: str, words: list[str], capsysbinary: Captured) -> None:
    assert_refused(capsysbinary, ["lottery", *shlex.split(arguments), *shlex.split(form)], words)


def test_error_of_the_api_names_option_and_value() -> None:
    with pytest.raises(runq.ConfigError, match="jlist: must be 1 to 100000 jobs, got 0 of them"):
        ostep.lottery([])
