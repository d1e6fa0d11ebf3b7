"""The exercise of multi-level feedback queues. The tool's own output is compared in `test_ostep`."""

import json
import shlex
from typing import Any

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from ostep_program import Captured, assert_refused, json_of, output_of
from reference.mlfq import mlfq as reference
from runq import ostep

JOBS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(0, 9)), min_size=1, max_size=5)
LEVELS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=4)
OPTIONS = st.fixed_dictionaries(
    {
        "boost": st.sampled_from([0, 1, 7, 30]),
        "iotime": st.integers(0, 12),
        "stay": st.booleans(),
        "iobump": st.booleans(),
        "compat": st.booleans(),
    }
)


@given(jobs=JOBS, levels=LEVELS, lowest=st.integers(-1, 3), options=OPTIONS)
def test_jobs_run_as_in_the_reference(
    jobs: list[tuple[int, int, int]], levels: list[tuple[int, int]], lowest: int, options: dict[str, Any]
) -> None:
    levels[-1] = (levels[-1][0], lowest)
    quantums, allotments = ([level[part] for level in levels] for part in (0, 1))
    result = ostep.mlfq(jobs, quantum_list=quantums, allotment_list=allotments, **options)
    assert [(job.response, job.turnaround) for job in result.jobs] == reference(jobs, levels, **options)
    assert [(job.job, job.start) for job in result.jobs] == [(number, job[0]) for number, job in enumerate(jobs)]


@given(jobs=JOBS, quantum=st.integers(1, 9))
def test_one_queue_without_io_is_round_robin(jobs: list[tuple[int, int, int]], quantum: int) -> None:
    lengths = [job[1] for job in jobs]
    result = ostep.mlfq([(0, length, 0) for length in lengths], num_queues=1, quantum=quantum)
    expected = ostep.scheduler(lengths, policy="RR", quantum=quantum)
    assert [(job.response, job.turnaround) for job in result.jobs] == [
        (job.response, job.turnaround) for job in expected.jobs
    ]


def test_short_job_that_comes_late_overtakes_a_long_one() -> None:
    long, short = ostep.mlfq([(0, 180, 0), (100, 20, 0)]).jobs
    assert (short.response, short.turnaround, long.turnaround) == (0, 20, 200)


def test_boost_ends_starvation() -> None:
    # Two jobs that stay at the top by I/O never let the third run again before they are done.
    jobs = [(0, 60, 0), (10, 50, 5), (10, 50, 5)]
    starved, boosted = (ostep.mlfq(jobs, iotime=1, stay=True, boost=boost).jobs[0] for boost in (0, 20))
    assert boosted.turnaround < starved.turnaround


def test_job_that_does_io_as_its_turn_ends_stays_where_the_tool_is_corrected(capsysbinary: Captured) -> None:
    arguments = ("mlfq", "-n", "2", "-q", "5", "-i", "1", "-S", "-l", "0,15,5:0,15,0", "-c")
    tool = output_of(capsysbinary, *arguments).splitlines()
    assert "[ time 10 ] Run JOB 0 at PRIORITY 0 [ TICKS 4 ALLOT 1 TIME 9 (of 15) ]" in tool
    assert tool[tool.index("[ time 5 ] IO_START by JOB 0") + 1] == "IO DONE"
    right = output_of(capsysbinary, *arguments, "--no-compat").splitlines()
    assert "[ time 10 ] Run JOB 0 at PRIORITY 1 [ TICKS 4 ALLOT 1 TIME 9 (of 15) ]" in right
    assert "IO DONE" not in right
    assert json_of(capsysbinary, *arguments)["jobs"][0]["turnaround"] == 25
    assert json_of(capsysbinary, *arguments, "--no-compat")["jobs"][0]["turnaround"] == 21


def test_exercise_asks_and_does_not_tell(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "mlfq", "-Q", "5, 0010", "-A", "2,0", "-l", "0,7,0:3,8,2", "-B", "0x10", "-I")
    assert output.splitlines() == [
        *("Here is the list of inputs:", "OPTIONS jobs 2", "OPTIONS queues 2"),
        *("OPTIONS allotments for queue  1 is   2", "OPTIONS quantum length for queue  1 is   5"),
        *("OPTIONS allotments for queue  0 is   0", "OPTIONS quantum length for queue  0 is  10"),
        *("OPTIONS boost 16", "OPTIONS ioTime 5", "OPTIONS stayAfterIO False", "OPTIONS iobump True", "", ""),
        "For each job, three defining characteristics are given:",
        "  startTime : at what time does the job enter the system",
        "  runTime   : the total CPU time needed by the job to finish",
        "  ioFreq    : every ioFreq time units, the job issues an I/O",
        "              (the I/O takes ioTime units to complete)",
        *("", "Job List:"),
        "  Job  0: startTime   0 - runTime   7 - ioFreq   0",
        "  Job  1: startTime   3 - runTime   8 - ioFreq   2",
        "",
        "Compute the execution trace for the given workloads.",
        "If you would like, also compute the response and turnaround",
        *("times for each of the jobs.", ""),
        *("Use the -c flag to get the exact results when you are finished.", ""),
    ]


def test_json_is_that_of_the_api(capsysbinary: Captured) -> None:
    tree = json_of(capsysbinary, "mlfq", "-l", "0,25,0:20,5,0", "-q", "10")
    assert tree == {
        "jobs": [
            {"job": 0, "start": 0, "response": 0, "turnaround": 30},
            {"job": 1, "start": 20, "response": 0, "turnaround": 5},
        ]
    }
    assert json.loads(ostep.mlfq([(0, 25, 0), (20, 5, 0)], quantum=10).to_json()) == tree


def test_random_jobs_are_those_of_the_seed(capsysbinary: Captured) -> None:
    assert ostep.mlfq(seed=1) == ostep.mlfq(seed=1) != ostep.mlfq(seed=2)
    output = output_of(capsysbinary, "mlfq", "-m", "1", "-M", "0", "-j", "2")
    assert output.count("runTime   1 - ioFreq   0") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-n 0", ["num_queues: must be between 1 and 1000, got 0"]),
        ("-n 99999999", ["num_queues: must be between", "99999999"]),
        ("-n two", ["--numQueues", "'two'"]),
        ("-q 0", ["quantum: must be at least 1, got 0"]),
        ("-Q 5,0,5", ["quantum_list[1]: must be at least 1, got 0"]),
        ("-Q 5,,5", ["quantum_list: must be integers with commas between them, got '5,,5'"]),
        ("-Q ten", ["quantum_list: must be integers", "'ten'"]),
        ("-a 0", ["allotment: must be at least 1 except in the lowest queue, got 0"]),
        ("-A 1,2", ["allotment_list: must have one number for each of the 3 queues, got 2 of them"]),
        ("-Q 1,2 -A 1,2,3", ["allotment_list: must have one number for each of the 2 queues, got 3 of them"]),
        ("-A 1,0,1", ["allotment_list[1]: must be at least 1 except in the lowest queue, got 0"]),
        ("-A 1,x,1", ["allotment_list: must be integers", "'1,x,1'"]),
        ("-j 0", ["num_jobs: must be between 1 and 100000, got 0"]),
        ("-m 0", ["maxlen: must be between 1 and 1000000, got 0"]),
        ("-M -1", ["maxio: must be between 0 and 1000000, got -1"]),
        ("-B -5", ["boost: must be at least 0, got -5"]),
        ("-i -5", ["iotime: must be at least 0, got -5"]),
        ("-i 99999999 -l 0,5,1", ["jlist: must need at most 1000000 units of time with I/O, got up to 400000001"]),
        (f"-l {4300 * '9'},5,0", ["units of time with I/O, got far more"]),
        ("-l 99999999,5,0", ["jlist: must need at most 1000000 units of time"]),
        ("-l 0,5", ["jlist[0]: must be three integers: start, run time, time between I/Os, got '0,5'"]),
        ("-l 0,5,0:", ["jlist[1]: must be three integers", "''"]),
        ("-l 0,5,0:0,5,0,0", ["jlist[1]: must be three integers", "'0,5,0,0'"]),
        ("-l 0,5,x", ["jlist[0]: must be three integers", "'0,5,x'"]),
        ("-l 0,5,0:0,0,0", ["jlist[1]: must have a run time of at least 1, got 0,0,0"]),
        ("-l -1,5,0", ["jlist[0]: must have a start and a time between I/Os of at least 0, got -1,5,0"]),
        ("-l 0,5,-1", ["jlist[0]: must have a start", "0,5,-1"]),
        (f"-s 0x{5000 * 'f'}", ["--seed"]),
        ("--queues 3", ["--queues"]),
        ("0,5,0", ["0,5,0"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_is_one_clear_error(arguments: str, form: str, words: list[str], capsysbinary: Captured) -> None:
    assert_refused(capsysbinary, ["mlfq", *shlex.split(arguments), *shlex.split(form)], words)


def test_error_of_the_api_names_option_and_value() -> None:
    with pytest.raises(runq.ConfigError, match="jlist: must be 1 to 100000 jobs, got 0 of them"):
        ostep.mlfq([])
    with pytest.raises(runq.ConfigError, match="quantum_list: must be of 1 to 1000 queues, got 0 of them"):
        ostep.mlfq(quantum_list=[])
