"""Stores: whoever is killed, wherever the disk ends, nothing that was done is lost or done again."""

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import runq

SWEEP = """
target = "simulate"
scenario = "fork-latency"
machine = "granite-rapids-vm"

[parameters]
resident = "64KiB"
repeats = 2

[over]
"seed" = { from = 1, to = 60, steps = 60 }
"machine.kernel.fork.pte_dirtied_ns" = [20, 30, 40]
"""
POINTS = 180


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "runq.cli", *map(str, arguments)]


def runq_sweep(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("sweep", *arguments), capture_output=True, text=True, timeout=120, check=False, **options
    )


def table(store: Path) -> str:
    done = runq_sweep("export", store, "--csv", "-")
    assert done.returncode == 0, done.stderr
    return done.stdout


def count(store: Path) -> int:
    """Rows that are in the file, whoever writes it."""
    with contextlib.closing(sqlite3.connect(store)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM sweep_1").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("expected")
    (folder / "sweep.toml").write_text(SWEEP)
    done = runq_sweep(folder / "sweep.toml", "--store", folder / "s.db", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    return table(folder / "s.db")


def start_and_stop(file: Path, store: Path, signal_number: int) -> subprocess.Popen[str]:
    """Starts a sweep and sends a signal as soon as some rows are written."""
    driver = subprocess.Popen(
        command("sweep", file, "--store", store, "--jobs", 1), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while driver.poll() is None and not (store.exists() and count(store) > 3):
        time.sleep(0.01)
    driver.send_signal(signal_number)
    return driver


def test_a_driver_that_is_killed_goes_on_where_it_was(file: Path, tmp_path: Path, expected: str) -> None:
    store = tmp_path / "s.db"
    driver = start_and_stop(file, store, signal.SIGKILL)
    driver.communicate(timeout=30)
    assert driver.returncode == -signal.SIGKILL
    before = count(store)
    assert 0 < before < POINTS
    # What ran is pending again.
    assert f"{POINTS - before} pending, 0 running" in runq_sweep("status", store).stdout
    done = runq_sweep("resume", store, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert table(store) == expected


def test_ctrl_c_ends_within_a_second_and_says_how_to_resume(file: Path, tmp_path: Path, expected: str) -> None:
    store = tmp_path / "s.db"
    driver = start_and_stop(file, store, signal.SIGINT)
    start = time.monotonic()
    _, errors = driver.communicate(timeout=30)
    # The second, and what a busy machine takes to end a process.
    assert time.monotonic() - start < 3
    assert driver.returncode == 130
    assert f"runq sweep resume {store}" in errors
    assert runq_sweep("resume", store).returncode == 0
    assert table(store) == expected


def test_a_finished_sweep_computes_nothing(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    content = table(store)
    again = runq_sweep("resume", store)
    assert again.stdout == f"{store}: nothing to do: {POINTS} done, 0 failed\n"
    assert runq_sweep(file, "--store", store).returncode == 0
    assert table(store) == content


def test_points_of_another_sweep_are_reused(tmp_path: Path) -> None:
    machine = runq.machines.load("granite-rapids-vm").with_set("memory_size=64MiB")

    def sweep(seeds: range) -> runq.Sweep:
        return runq.Sweep(
            "simulate", "fork-latency", machine, resident="16KiB", over={"seed": seeds}, metrics=["ledger"]
        )

    store = tmp_path / "s.db"
    sweep(range(10)).run(store)
    reused = sweep(range(5, 15)).run(store)
    assert "done (5 reused)" in runq_sweep("status", store).stdout
    assert reused.digest() == sweep(range(5, 15)).run().digest()
    # Written in another way, the points are the same: nothing is left to run.
    other = runq.Sweep(
        "simulate",
        "fork-latency",
        machine,
        over={"scenario.resident": ["16KiB"], "seed": range(15), "machine.memory_size": [64 << 20]},
        metrics=["ledger"],
    )
    other.run(store)
    assert "15 done (15 reused)" in runq_sweep("status", store).stdout


def test_a_full_disk_is_told_and_nothing_is_lost(file: Path, tmp_path: Path, expected: str) -> None:
    store = tmp_path / "s.db"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    full = runq_sweep(file, "--store", store, "--jobs", 1, preexec_fn=limit)
    assert full.returncode == 2, full.stdout + full.stderr
    assert str(store) in full.stderr
    assert "full" in full.stderr
    assert f"runq sweep resume {store}" in full.stderr
    assert 0 < count(store) < POINTS
    assert runq_sweep("resume", store).returncode == 0
    assert table(store) == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_when_the_log_is_written_back_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        "scenario = 'fork-latency'\nset = ['machine.memory_size=64MiB', 'scenario.resident=16KiB']\n"
        "[over]\nseed = { from = 1, to = 3000, steps = 3000 }\n"
    )
    store = small_disk / "s.db"
    full = runq_sweep(file, "--store", store)
    assert full.returncode == 2
    assert f"runq sweep resume {store}" in full.stderr
    done = int(count(store))
    assert done > 0
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert runq_sweep("resume", store).returncode == 0
    assert runq_sweep(file, "--store", tmp_path / "other.db").returncode == 0
    assert table(store) == table(tmp_path / "other.db")


def test_a_store_that_was_cut_off_is_told_and_left_alone(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    whole = store.read_bytes()
    for size in (len(whole) // 2, 4096 + 7, 50):
        store.write_bytes(whole[:size])
        every = (
            [file, "--store", store],
            ["status", store],
            ["export", store, "--csv", "-"],
            ["resume", store],
        )
        for arguments in every if size > 5000 else every[1:2]:
            done = runq_sweep(*arguments)
            assert done.returncode == 2
            assert str(store) in done.stderr
            assert "restore a copy" in done.stderr
        assert store.read_bytes() == whole[:size]


def test_a_damaged_store_is_told(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    whole = bytearray(store.read_bytes())
    whole[4096:] = os.urandom(len(whole) - 4096)
    store.write_bytes(whole)
    done = runq_sweep("export", store, "--csv", "-")
    assert done.returncode == 2
    assert "is damaged" in done.stderr


def test_files_that_are_no_store_are_told(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (x)")
        db.commit()
    assert "is a database of another program" in runq_sweep(file, "--store", other).stderr
    assert "is no store of a sweep" in runq_sweep(file, "--store", file).stderr
    assert "there is no such store" in runq_sweep("status", tmp_path / "none.db").stderr
    assert not (tmp_path / "none.db").exists()


def test_a_store_of_another_format_is_told(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA user_version = 99")
    done = runq_sweep("resume", store)
    assert done.returncode == 2
    assert "format 99" in done.stderr


def test_results_of_another_model_do_not_mix_unless_told(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("UPDATE sweep SET model = 0, is_complete = 0")
        db.execute("DELETE FROM sweep_1 WHERE point > 170")
        db.execute("UPDATE sweep SET done = 171")
        db.commit()
    done = runq_sweep("resume", store)
    assert done.returncode == 2
    assert "model version 0, and this is" in done.stderr
    assert runq_sweep("resume", store, "--mix-versions").returncode == 0
    assert count(store) == POINTS


def test_a_second_driver_is_refused_and_nothing_is_lost(file: Path, tmp_path: Path, expected: str) -> None:
    store = tmp_path / "s.db"
    driver = subprocess.Popen(command("sweep", file, "--store", store, "--jobs", 1), stdout=subprocess.DEVNULL)
    while driver.poll() is None and not (store.exists() and count(store) > 3):
        time.sleep(0.01)
    second = runq_sweep(file, "--store", store)
    if second.returncode:
        assert second.returncode == 2
        assert f"process {driver.pid} on " in second.stderr
    driver.wait(timeout=60)
    assert driver.returncode == 0
    assert table(store) == expected


def test_the_example_is_a_sweep_of_two_thousand_points() -> None:
    example = Path(__file__).parents[1] / "examples" / "sweep.toml"
    assert 1900 <= len(runq.sweeps.load_sweep(example)) <= 2100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tarket = 1", "tarket: must be one of target, scenario"),
        ("scenario = 'fork-latency'", "over: must be given"),
        ("target = 'rerun'\n[over]\nseed = [1]", "target: must be one of compare, replay, simulate"),
        ("[over]\nseed = [1]", "scenario: must be given to simulate"),
        ("target = 'replay'\n[over]\nseed = [1]", "trace: must be given to replay"),
        ("scenario = 'fork-latency'\ntrace = 'x'\ntarget = 'simulate'\n[over]\nseed = [1]", "trace: must be left out"),
        ("scenario = 'fork-latency'\n[over]\nseed = {from = 1, to = 2}", "over.seed: must be a list, or a range"),
        ("scenario = 'fork-latency'\nrepeat = {within = 0.1}\n[over]\nseed = [1]", "repeat: must be a number, or"),
        (
            "scenario = 'fork-latency'\n[[zip]]\nseed = [1]\nmachine = ['zen-3', 'zen-4']",
            "zip: must have as many values",
        ),
        ("scenario = ", "must be TOML"),
    ],
)
def test_wrong_files_are_told(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(runq.ConfigError) as error:
        runq.sweeps.load_sweep(path)
    assert message in str(error.value)


def test_failed_points_end_in_code_1_and_are_retried_by_command(tmp_path: Path) -> None:
    path, store = tmp_path / "sweep.toml", tmp_path / "s.db"
    (tmp_path / "t.din").write_text("0 1000\n1 1040\n0 1000\n")
    path.write_text(
        "trace = 't.din'\n[over]\n'machine.caches.L1D.ways' = [8, 12]\n'machine.caches.L1D.size' = ['32KiB', '48KiB']\n"
    )
    done = runq_sweep(path, "--store", store)
    assert done.returncode == 1, done.stderr
    assert "2 done, 2 failed" in done.stdout
    assert "column error" in done.stderr
    assert runq_sweep("resume", store).stdout == f"{store}: nothing to do: 2 done, 2 failed\n"
    assert runq_sweep("retry-failed", store).returncode == 1
    rows = json.loads(runq_sweep("export", store, "--json").stdout)
    assert [row["attempts"] for row in rows] == [1, 2, 2, 1]
    assert json.loads(runq_sweep("status", store, "--json").stdout)[0]["failed"] == 2
    (tmp_path / "t.din").write_text("0 1000\n")
    assert "is another trace than when the sweep began" in runq_sweep("retry-failed", store).stderr


def test_set_changes_what_all_points_begin_with(file: Path) -> None:
    sweep = runq.sweeps.load_sweep(file, ["machine.memory_size=64MiB", "scenario.repeats=1", "seed=3", "repeat=2"])
    assert len(sweep) == 2 * POINTS
    definition = sweep.definition()
    assert definition["with"]["machine"]["of"]["memory_size"] == "64MiB"
    assert definition["with"]["repeats"] == 1
    assert runq.Sweep.from_definition(definition).definition() == definition


def test_rows_that_somebody_deleted_are_computed_again(file: Path, tmp_path: Path, expected: str) -> None:
    store = tmp_path / "s.db"
    for command in (["resume", store], [file, "--store", store]):
        assert runq_sweep(file, "--store", store).returncode == 0
        with contextlib.closing(sqlite3.connect(store)) as db:
            db.execute("DELETE FROM sweep_1 WHERE point IN (3, 77)")
            db.commit()
        done = runq_sweep(*command)
        assert done.returncode == 0, done.stderr
        assert f"{POINTS} done, 0 failed" in done.stdout
        assert table(store) == expected


def test_a_store_that_another_program_has_changed_is_told(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("DROP TABLE sweep_1")
    for command in (["resume", store], [file, "--store", store], ["export", store, "--csv", "-"]):
        done = runq_sweep(*command)
        assert done.returncode == 2
        assert f"{store}: was changed by another program (no such table: sweep_1)" in done.stderr


def test_an_archived_store_is_read_and_not_written(file: Path, tmp_path: Path, expected: str) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    store = folder / "s.db"
    assert runq_sweep(file, "--store", store).returncode == 0
    (folder / "s.db-driver").unlink()
    store.chmod(0o444)
    folder.chmod(0o555)
    if os.access(store, os.W_OK) and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    may_not = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.access(store, os.W_OK) else []

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        call = [*may_not, *command("sweep", *arguments)]
        return subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)

    try:
        assert run("export", store, "--csv", "-").stdout == expected
        assert f"{POINTS} done" in run("status", store).stdout
        assert "nothing to do" in run("resume", store).stdout
        refused = run(file, "--store", store)
    finally:
        folder.chmod(0o755)
    assert refused.returncode == 2
    assert "cannot be opened or written" in refused.stderr


@pytest.mark.parametrize(
    ("store", "message"),
    [("/dev/null", "/dev/null: is no regular file"), ("", "store: must be the name of a file")],
)
def test_what_cannot_be_a_store_is_told(file: Path, store: str, message: str) -> None:
    done = runq_sweep(file, "--store", store)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_table_that_does_not_fit_says_whose_file_it_is(file: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is full")
    assert runq_sweep(file, "--store", tmp_path / "s.db").returncode == 0
    done = runq_sweep("export", tmp_path / "s.db", "--csv", "/dev/full")
    assert done.returncode == 2
    assert "/dev/full: No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("'seed' = { from = 1, to = 1e18, steps = 1000000000000 }", "over.seed: must have from 2 to 10,000,000 steps"),
        ("'machine.kernel.fork.pte_clean_ns' = [1.0, nan]", "over.machine.kernel.fork.pte_clean_ns: must be finite"),
    ],
)
def test_values_that_no_sweep_can_have_are_told(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(f"scenario = 'fork-latency'\n[over]\n{line}\n")
    done = runq_sweep(path, "--store", tmp_path / "s.db")
    assert done.returncode == 2
    assert message in done.stderr


def test_more_threads_than_the_system_has_are_told(file: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    done = runq_sweep(file, "--store", tmp_path / "s.db", "--jobs", 1024, preexec_fn=limit)
    assert done.returncode == 2
    assert "1024 threads cannot be started" in done.stderr


def test_a_store_without_sweeps_says_so(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    for arguments, code in ((("status",), 0), (("resume",), 2), (("export", "--csv", "-"), 2)):
        store.write_bytes(b"")
        done = runq_sweep(arguments[0], store, *arguments[1:])
        assert done.returncode == code
        assert f"{store}: holds no sweep yet" in done.stdout + done.stderr
