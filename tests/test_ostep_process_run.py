"""The exercise of processes that compute and do I/O. The tool's own output is compared in `test_ostep`."""

import json
import shlex

import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st
from ostep_program import Captured, assert_refused, json_of, output_of
from reference.process_run import process_run as reference
from runq import ostep
from runq.ostep.process_run import IO_DONES, SWITCHES

WORDS = st.one_of(st.just("i"), st.integers(1, 6).map(lambda count: f"c{count}"))
PROGRAMS = st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=5)


def instructions_of(words: list[str]) -> list[str]:
    return [
        instruction for word in words for instruction in (["io", "io_done"] if word == "i" else ["cpu"] * int(word[1:]))
    ]


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("iodone", IO_DONES)
@given(programs=PROGRAMS, iolength=st.integers(0, 9))
def test_processes_run_as_in_the_reference(switch: str, iodone: str, programs: list[list[str]], iolength: int) -> None:
    text = ":".join(map(",".join, programs))
    result = ostep.process_run(program=text, iolength=iolength, switch=switch, iodone=iodone)
    plain = [instructions_of(words) for words in programs]
    rows = reference(
        plain,
        iolength=iolength,
        switches_on_io=switch == "SWITCH_ON_IO",
        runs_at_once=iodone == "IO_RUN_IMMEDIATE",
    )
    assert [list(states) for states in result.ticks] == [row for row, _ in rows]
    assert (result.total_time, result.io_busy) == (len(rows), sum(ios > 0 for _, ios in rows))
    assert result.cpu_busy == sum(map(len, plain))


def test_io_and_computing_overlap_where_the_system_switches() -> None:
    assert [ostep.process_run("1:0,4:100", switch=switch).total_time for switch in SWITCHES] == [7, 11]


def test_process_without_instructions_takes_a_tick() -> None:
    assert ostep.process_run("0:100,1:100").ticks == (("RUNNING", "READY"), ("DONE", "RUN:cpu"))


def test_exercise_asks_and_does_not_tell(capsysbinary: Captured) -> None:
    output = output_of(capsysbinary, "process-run", "-P", "c2,i:c1", "-p")
    behaviors = [
        "Important behaviors:",
        "  System will switch when the current process is FINISHED or ISSUES AN IO",
        "  After IOs, the process issuing the IO will run LATER (when it is its turn)",
        "",
    ]
    assert output.splitlines() == [
        "Produce a trace of what would happen when you run these processes:",
        *("Process 0", "  cpu", "  cpu", "  io", "  io_done", "", "Process 1", "  cpu", "", *behaviors),
    ]
    output = output_of(capsysbinary, "process-run", "-l", "1:100", "-S", "SWITCH_ON_END", "-I", "IO_RUN_IMMEDIATE")
    assert output.splitlines()[-4:-1] == [
        "Important behaviors:",
        "  System will switch when the current process is FINISHED",
        "  After IOs, the process issuing the IO will run IMMEDIATELY",
    ]


def test_statistics_are_told_if_asked_for(capsysbinary: Captured) -> None:
    plain = output_of(capsysbinary, "process-run", "-P", "c3,i", "-L", "0x3", "-c")
    full = output_of(capsysbinary, "process-run", "-P", "c3,i", "-L", "3", "-c", "-p")
    assert full.removeprefix(plain).splitlines() == [
        *("", "Stats: Total Time 8", "Stats: CPU Busy 5 (62.50%)", "Stats: IO Busy  3 (37.50%)", ""),
    ]


def test_json_is_that_of_the_api(capsysbinary: Captured) -> None:
    tree = json_of(capsysbinary, "process-run", "-P", "i:c1", "-L", "2")
    assert tree == {
        "total_time": 4,
        "cpu_busy": 3,
        "io_busy": 2,
        "ticks": [["RUN:io", "READY"], ["BLOCKED", "RUN:cpu"], ["BLOCKED", "DONE"], ["RUN:io_done", "DONE"]],
    }
    assert json.loads(ostep.process_run(program="i:c1", iolength=2).to_json()) == tree


def test_random_instructions_are_those_of_the_seed() -> None:
    first, second = (ostep.process_run("20:50,20:50", seed=seed) for seed in (1, 2))
    assert first == ostep.process_run("20:50,20:50", seed=1)
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["processlist[0]: must be X:Y, a number of instructions and the chance", "got ''"]),
        ("-l 5", ["processlist[0]: must be X:Y", "'5'"]),
        ("-l 5:100,", ["processlist[1]: must be X:Y", "''"]),
        ("-l 5:100:3", ["processlist[0]: must be X:Y", "'5:100:3'"]),
        ("-l five:100", ["processlist[0]: must be X:Y", "'five:100'"]),
        ("-l -5:100", ["processlist[0]: must be X:Y", "'-5:100'"]),
        ("-l 5:101", ["processlist[0]: must be X:Y", "'5:101'"]),
        ("-l 5:nan", ["processlist[0]: must be X:Y", "'5:nan'"]),
        ("-l 99999999:100", ["processlist[0]: must be at most 1000000 instructions, got 99999999"]),
        ("-l 1000000:0 -L 9", ["processlist: must take at most 10000000 ticks times processes, got at least 12000001"]),
        (f"-l {2000 * '1:1,'}", ["processlist: must be at most 1000 processes, got 2001 of them"]),
        ("-P c5,x", ["program[0]: must be instructions: cN (computes for N) or i (I/O), got 'x'"]),
        ("-P c5:", ["program[1]: must be instructions", "''"]),
        ("-P c", ["program[0]: must be instructions", "'c'"]),
        ("-P c-1", ["program[0]: must be instructions", "'c-1'"]),
        ("-P i5", ["program[0]: must be instructions", "'i5'"]),
        ("-P c999999,c2", ["program[0]: must be at most 1000000 instructions, got 1000001"]),
        (f"-P c{4300 * '9'}", ["program[0]: must be at most 1000000 instructions, got far more"]),
        ("-l 5:100 -L -1", ["iolength: must be at least 0, got -1"]),
        ("-l 5:0 -L 99999999999999999999", ["processlist: must take at most 10000000", "far more"]),
        ("-l 5:100 -L long", ["--iolength", "'long'"]),
        ("-l 5:100 -S NEVER", ["switch: must be one of SWITCH_ON_IO, SWITCH_ON_END, got 'NEVER'"]),
        ("-l 5:100 -I NEVER", ["iodone: must be one of IO_RUN_LATER, IO_RUN_IMMEDIATE, got 'NEVER'"]),
        ("-l 5:100 --ticks 3", ["--ticks"]),
        ("5:100", ["5:100"]),
    ],
)
@pytest.mark.parametrize("form", ["", "-c", "--json"])
def test_hostile_option_is_one_clear_error(arguments: str, form: str, words: list[str], capsysbinary: Captured) -> None:
    assert_refused(capsysbinary, ["process-run", *shlex.split(arguments), *shlex.split(form)], words)


def test_error_of_the_api_names_option_and_value() -> None:
    with pytest.raises(runq.ConfigError, match="iolength: must be at least 0, got -1"):
        ostep.process_run("5:100", iolength=-1)
