"""Predictions beside measurements: their form, what files they take, and how near they come."""

import csv
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq
from runq.validation import redis_bgsave
from runq.validation.result import percentile

PROGRAM = [sys.executable, "-m", "runq.cli"]

# Median and 90th percentile of the error: what has to be reached, rounded up from what is.
REACHED = {
    "blocking-syscalls": (0.15, 0.30),
    "channel": (0.25, 0.30),
    "contention": (0.20, 0.40),
    "backoff": (0.01, 0.04),
    "cow-faults": (0.04, 0.18),
    "ctx-direct": (0.02, 0.06),
    "fork": (0.06, 0.20),
    "fork-join": (0.10, 0.20),
    "fork-scattered": (0.03, 0.09),
    "lat-mem": (0.07, 0.21),
    "li-ding-shen": (0.08, 0.32),
    "mutex": (0.20, 0.40),
    "oversubscription": (0.11, 0.40),
    "race": (0.03, 0.20),
    "redis-bgsave": (0.02, 0.09),
    "ring": (0.11, 0.24),
    "sleepers": (0.15, 0.30),
    "slices": (0.01, 0.03),
    "syscalls": (0.10, 0.30),
    "tlb": (0.07, 0.24),
}

# One row of each experiment whose prediction is one cost of the machine.
KNOWN = {
    "contention": (
        "test,threads,increments_per_thread,ns_per_increment_per_thread_median\natomic_add_alone,1,1000,5\n",
        5.1,
    ),
    # A write alone.
    "backoff": ("clients,Algorithm,mean_calls\n1,None,1\n", 1),
    "cow-faults": ("event,page_size,order,touches,per_touch_ns_min\nfirst_touch_write,4k,sequential,1000,919\n", 920),
    # An empty call, and a pick.
    "ctx-direct": ("test,tasks,placement,ns_per_switch_min\nsched_yield_alone,single,one_core,1\n", 87 + 86),
    "fork": ("op,page_size,resident_mb,call_us_min\nfork,4k,64,380\n", 25 + 16384 * 0.0235),
    "fork-scattered": ("first_touch_order,state,resident_mb,fork_ms_min\naddress,clean,64,1\n", 0.410),
    "lat-mem": ("page_size,layout,n_slots,span_bytes,ns_per_access_median\n4k,lines,64,4096,1.3\n", 5 / 3.59),
    # The calls on the pipe, waiting and waking, and a switch.
    "li-ding-shen": (
        "tasks_arrays,pattern,array_kb,cost_per_switch_ns_min\nthreads_separate,seq_read,0,1\n",
        182 + 182 + 40 + 109 + 86 + 342,
    ),
    # A line from L2 takes 16 cycles.
    # One thread: what it does inside and outside, and the mutex.
    "mutex": ("runtime,inside_us,outside_us,threads,ops_per_s\npthread,10,10,1,1\n", 1e9 / (20_000 + 14.4)),
    "oversubscription": (
        "mode,pattern,working_set_kb_per_thread,threads,total_line_rmw,million_rmw_per_s_min\nslice,random,64,1,9000000,1\n",
        3590 / 16,
    ),
    # One instruction on one cpu loses nothing.
    "race": ("how,cpus,measure,unit,value\nplain,1,exact,%,100\n", 100),
    "redis-bgsave": (
        "n_keys,value_bytes,pattern,command,writes_during_save,distinct_keys_written,writes_per_s,cow_pages_4k\n"
        "1000,200,none,set,0,0,0,105\n",
        105,
    ),
    "ring": ("tasks,pages,n_tasks,pages_per_task,ns_per_hop_min\nthreads,own,2,0,1\n", 106 + 151 + 40 + 109 + 86 + 342),
    # The sleep, and the steps of one task.
    "sleepers": ("runtime,tasks,measure,unit,value\ngo,1,wall,ms,100\n", 100),
    # The call, and the steps of one task.
    "blocking-syscalls": ("runtime,tasks,measure,unit,value\ngo,1,wall,ms,100\n", 100),
    # Nothing but the work, if that is long.
    "fork-join": ("runtime,workers,tasks,work_us,speedup\ngo,1,1,100000,1\n", 1),
    # The mutex of the queue, and parking, readying and picking.
    "channel": ("runtime,workers,ns_per_switch\ngo,1,170\n", 200),
    "slices": ("case,measure,unit,value\nnice 0/0,share,%,50\n", 50),
    "syscalls": ("test,parameter,unit,min\nmunmap_resident,64MB_4k,us,1300\n", 16384 * 0.08 + 1),
    "tlb": ("page_size,layout,n_slots,ns_per_access_min\n4k,spread,64,1.3\n", 5 / 3.59),
}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=300)


@cache
def validated(name: str) -> runq.ValidationResult:
    """The validation with what comes with runq."""
    return runq.validate(name)


def rows_of(name: str) -> list[dict[str, str]]:
    with runq.validation.measured_path(name).open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


# How near they come


@pytest.mark.parametrize("name", runq.validation.names())
def test_predictions_come_near_to_the_measurements(name: str) -> None:
    r = validated(name)
    median, p90 = REACHED[name]
    assert r.median_error is not None
    assert r.p90_error is not None
    assert r.median_error <= median
    assert r.p90_error <= p90


def test_the_chase_in_huge_pages_is_predicted_too() -> None:
    r = runq.validate("lat-mem", measured=runq.validation.measured_path("lat-mem").with_name("lat_mem_ws_2m.csv"))
    assert r.median_error is not None
    assert r.p90_error is not None
    assert r.median_error < 0.05
    assert r.p90_error < 0.12


def test_knees_are_in_the_right_octave() -> None:
    r = validated("lat-mem")
    predicted = {int(row.parameters["span_bytes"]) >> 10: row.predicted or 0.0 for row in r.rows}
    # L1D: sharp at 48 KiB. L2: soft from 0.5 MiB on. Last level: beyond 8 MiB.
    assert predicted[48] < 1.5 < 4 < predicted[52]
    assert predicted[384] < predicted[512] < predicted[1024] < predicted[2048] < predicted[4096]
    assert predicted[2048] < 20
    assert predicted[8192] < 45 < 60 < predicted[16384]


# Their form


def test_json_has_the_promised_fields() -> None:
    done = run("validate", "fork-scattered", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    tree = json.loads(done.stdout)
    assert tree["experiment"] == "fork-scattered"
    assert len(tree["rows"]) == 3
    for row in tree["rows"]:
        assert list(row)[:6] == ["parameters", "metric", "unit", "measured", "predicted", "error"]
        assert row["error"] == pytest.approx(abs(row["predicted"] - row["measured"]) / row["measured"])
    errors = [row["error"] for row in tree["rows"]]
    assert tree["median_error"] == pytest.approx(np.median(errors))
    assert tree["p90_error"] == pytest.approx(np.percentile(errors, 90))
    assert json.loads(runq.validate("fork-scattered").to_json()) == tree


def test_the_table_ends_in_the_errors() -> None:
    done = run("validate", "fork-scattered")
    assert (done.returncode, done.stderr) == (0, "")
    assert "measured ms  predicted ms  error" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("3 of 3 rows have an error: median ")


def test_experiments_are_listed() -> None:
    done = run("validate")
    assert (done.returncode, done.stderr) == (0, "")
    for name in runq.validation.names():
        assert name in done.stdout


def test_what_was_measured_as_nothing_has_no_error(tmp_path: Path) -> None:
    rows = [row for row in rows_of("cow-faults") if row["event"] == "no_fault_write"]
    r = runq.validate("cow-faults", measured=write_rows(tmp_path / "rows.csv", rows))
    assert [row.error for row in r.rows] == [None, None]
    assert (r.median_error, r.p90_error) == (None, None)
    assert "0 of 2 rows have an error: median -" in str(r)


@pytest.mark.parametrize("values", [[1.0], [2.0, 1.0], [5.0, 1.0, 2.0, 8.0], [0.1 * k for k in range(37)]])
def test_percentiles_are_those_of_numpy(values: list[float]) -> None:
    for percent in (0, 50, 90, 100):
        assert percentile(values, percent) == pytest.approx(np.percentile(values, percent))


# What they take


@pytest.mark.parametrize("name", runq.validation.names())
def test_a_prediction_is_that_of_the_machine(name: str, tmp_path: Path) -> None:
    text, expected = KNOWN[name]
    path = tmp_path / "rows.csv"
    path.write_text(text)
    (row,) = runq.validate(name, measured=path).rows
    assert row.predicted == pytest.approx(expected, rel=0.02)


def test_other_costs_give_other_predictions(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(KNOWN["fork"][0])
    machine = runq.machines.load("granite-rapids-vm").with_set("kernel.fork.pte_clean_ns=47")
    (row,) = runq.validate("fork", machine, measured=path).rows
    assert row.predicted == pytest.approx(25 + 16384 * 0.047)
    done = run("validate", "fork", "--measured", path, "--set", "machine.kernel.fork.pte_clean_ns=47", "--json")
    assert json.loads(done.stdout)["rows"][0]["predicted"] == row.predicted


@pytest.mark.parametrize("name", [name for name in runq.validation.names() if name != "redis-bgsave"])
def test_any_rows_in_any_order_are_predicted_alike(name: str, tmp_path: Path) -> None:
    rows = rows_of(name)[::-1][:7]
    r = runq.validate(name, measured=write_rows(tmp_path / "rows.csv", rows))
    whole = {json.dumps(row.parameters): row.predicted for row in validated(name).rows}
    for row in r.rows:
        assert row.predicted == whole[json.dumps(row.parameters)]


def test_sizes_that_nobody_measured_are_predicted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("op,page_size,resident_mb,call_us_min\nfork,4k,0.5,30\nfork,2m,3,30\nvfork_exit,2m,300,7\n")
    assert all(row.predicted and row.predicted > 5 for row in runq.validate("fork", measured=path).rows)
    path.write_text(
        "n_keys,value_bytes,pattern,command,writes_during_save,distinct_keys_written,writes_per_s,cow_pages_4k\n"
        "1000,10,uniform,set,500,400,90,200\n1000,5000,hot1s,set,50,10,0,200\n1000,5000,hot1c,setrange8,50,10,0,200\n"
    )
    assert all(row.predicted and row.predicted > 105 for row in runq.validate("redis-bgsave", measured=path).rows)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("fork", "op", "fork_sideways"),
        ("fork", "page_size", "1g"),
        ("fork-scattered", "state", "wet"),
        ("fork-scattered", "first_touch_order", "odd"),
        ("cow-faults", "event", "other"),
        ("cow-faults", "order", "odd"),
        ("lat-mem", "layout", "odd"),
        ("tlb", "layout", "odd"),
        ("redis-bgsave", "pattern", "odd"),
        ("redis-bgsave", "command", "del"),
        ("syscalls", "test", "getppid"),
        ("backoff", "Algorithm", "Fibonacci"),
        ("syscalls", "parameter", "many"),
    ],
)
def test_a_row_of_an_unknown_kind_is_not_predicted(name: str, column: str, value: str, tmp_path: Path) -> None:
    text, _ = KNOWN[name]
    header, row = text.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {column: value}
    (result,) = runq.validate(name, measured=write_rows(tmp_path / "rows.csv", [cells])).rows
    assert (result.predicted, result.error) == (None, None)
    assert result.note


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fork", "op,page_size,resident_mb,call_us_min\nfork,4k,512,1\nclone_vm,2m,512,1\n"),
        ("fork-scattered", "first_touch_order,state,resident_mb,fork_ms_min\nrandom,clean,512,1\n"),
        ("cow-faults", "event,page_size,order,touches,per_touch_ns_min\nfirst_touch_write,4k,random,131072,1\n"),
        ("syscalls", "test,parameter,unit,min\nmunmap_resident,512MB_4k,us,1\nexit_to_waitpid,512MB_2m,us,1\n"),
    ],
)
def test_a_row_that_does_not_fit_into_memory_is_not_predicted(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8", newline="")
    small = runq.machines.load("granite-rapids-vm").with_set("memory_size=256MiB")
    for row in runq.validate(name, small, measured=path).rows:
        assert row.predicted is None
        assert "memory" in row.note


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", ["rows.csv", "must have the columns op, page_size, resident_mb, call_us_min", "a, b"]),
        ("", ["must have the columns", "none"]),
        ("op,page_size,resident_mb\nfork,4k,1\n", ["call_us_min or call_us_median"]),
        ("op,page_size,resident_mb,call_us_min\nfork,4k,many,1\n", ["line 2", "resident_mb", "many"]),
        ("op,page_size,resident_mb,call_us_min\nfork,4k,1,-1\n", ["line 2", "call_us_min", "-1"]),
        ("op,page_size,resident_mb,call_us_min\nfork,4k,1,nan\n", ["line 2", "nan"]),
        ("op,page_size,resident_mb,call_us_min\nfork,4k,1\n", ["line 2", "cells"]),
        ("op,page_size,resident_mb,call_us_min\nfork,4k,1,2,3\n", ["line 2", "cells"]),
        ("\x00\xff", ["rows.csv"]),
    ],
)
def test_a_file_that_is_wrong_is_refused(text: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode("latin-1"))
    done = run("validate", "fork", "--measured", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["validate", "nothing"], "experiment: must be one of backoff"),
        (["validate", "fork", "--measured", "absent.csv"], "absent.csv"),
        (["validate", "fork", "--machine", "absent"], "absent"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(arguments: list[str], word: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert word in done.stderr


def test_measured_files_come_with_their_description() -> None:
    folder = runq.validation.measured_path("fork").parent
    text = (folder / "README.md").read_text()
    for path in folder.glob("*.csv"):
        assert path.name in text


# A server's memory


def test_sets_move_values_one_after_the_other() -> None:
    server: Any = redis_bgsave._Server(1000, 200, seed=1)
    slots, free = list(range(1000)), 1000
    draws = np.random.default_rng(5)
    for _ in range(5):
        keys = draws.integers(0, 1000, size=700)
        written = server._move(keys)
        expected = []
        for key in keys:
            expected.append(free)
            slots[key], free = free, slots[key]
        assert written.tolist() == expected
        assert server._slots.tolist() == slots
        assert server._free == free
