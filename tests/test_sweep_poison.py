"""Points that end the process that runs them: the engine `local` has no other, so the driver ends and goes on."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import runq
from sweep_jobs import PoisonTarget

POINTS = 400


def squares(poison: int, **job: Any) -> runq.Sweep:
    """A sweep of the squares of 0 to 399, one of which ends its process."""
    sweep = runq.Sweep("simulate", "fork-latency", over={"seed": range(POINTS)})
    sweep.target, sweep.metrics = PoisonTarget(poison, **job), ("square",)
    return sweep


def driver(store: Path, call: str) -> subprocess.Popen[bytes]:
    """Runs such a sweep in a process of its own."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_sweep_poison import squares\n"
        f"table = squares({call}).run({str(store)!r}, jobs=2)\n"
        "print(table.count('failed'))"
    )
    return subprocess.Popen([sys.executable, "-c", code])


def rows_in(store: Path) -> int:
    if not store.exists():
        return 0
    with contextlib.closing(sqlite3.connect(store)) as db:
        try:
            return int(db.execute("SELECT count(*) FROM sweep_1").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.mark.parametrize("poison", [0, 200, POINTS - 1])
def test_a_point_that_ends_the_driver_is_quarantined_when_it_goes_on(tmp_path: Path, poison: int) -> None:
    store = tmp_path / "s.db"
    assert driver(store, str(poison)).wait(60) == 7
    # One death in company, one alone, and the others are none the worse.
    assert driver(store, str(poison)).wait(60) == 0
    table = squares(poison).run(store)
    assert [row["seed"] for row in table.failed()] == [poison]
    assert table.failed()[0]["error"] == "quarantined: it ended what ran it twice (its worker died)"
    assert [row["attempts"] for row in table] == [2 if row["seed"] == poison else 1 for row in table]
    assert [row["square"] for row in table if row["status"] == "done"] == [n * n for n in range(POINTS) if n != poison]


def test_a_driver_that_was_killed_from_outside_leaves_no_point_in_quarantine(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    for enough in (10, 120):
        process = driver(store, "-1, seconds=0.002")
        while process.poll() is None and rows_in(store) < enough:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    assert 0 < rows_in(store) < POINTS
    table = squares(-1, seconds=0.002).run(store, jobs=2)
    assert table.count("failed") == 0
    assert table.digest() == squares(-1, seconds=0.002).run(jobs=1).digest()


def test_suspects_stay_so_until_each_was_run(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    assert driver(store, "200").wait(60) == 7
    with contextlib.closing(sqlite3.connect(store)) as db:
        assert db.execute("SELECT count(*) FROM running WHERE chunk >= 0").fetchone()[0] > 0
    # The next one is stopped before it has begun: the poison must still be known for what it is.
    with pytest.raises(KeyboardInterrupt):
        squares(200).run(store, progress=_interrupt)
    with contextlib.closing(sqlite3.connect(store)) as db:
        assert db.execute("SELECT min(chunk), max(chunk) < 0 FROM running").fetchone()[1] == 1
    table = squares(200).run(store, jobs=2)
    assert table.count("failed") == 1
    with contextlib.closing(sqlite3.connect(store)) as db:
        assert db.execute("SELECT count(*) FROM running").fetchone()[0] == 0


def test_the_core_runs_points_alone_as_it_does_in_company(tmp_path: Path) -> None:
    machine = runq.machines.load("granite-rapids-vm").with_set("memory_size=64MiB")
    sweep = runq.Sweep("simulate", "fork-latency", machine, over={"seed": range(40)}, resident="16KiB")
    store = tmp_path / "s.db"
    with pytest.raises(KeyboardInterrupt):
        sweep.run(store, progress=_interrupt)
    with contextlib.closing(sqlite3.connect(store)) as db:
        # As a driver leaves it that was killed.
        db.execute("INSERT INTO running VALUES (1, 0, 30, 5, 0, 34, 0)")
        db.commit()
    assert sweep.run(store).digest() == sweep.run().digest()


def test_a_store_of_the_format_before_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    with contextlib.closing(squares(-1).run(store)) as table:
        expected = table.digest()
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.executescript(
            "DELETE FROM sweep_1 WHERE point >= 390; UPDATE sweep SET done = 390, is_complete = 0; DROP TABLE running;"
            "CREATE TABLE old (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, definition TEXT NOT NULL,"
            "model INTEGER NOT NULL, total INTEGER, done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,"
            "reused INTEGER NOT NULL DEFAULT 0, is_complete INTEGER NOT NULL DEFAULT 0);"
            "INSERT INTO old SELECT id, key, text, model, total, done, failed, reused, is_complete "
            "FROM sweep JOIN definition ON sweep = id; DROP TABLE sweep; DROP TABLE definition;"
            "ALTER TABLE old RENAME TO sweep;"
            "CREATE TABLE running (sweep INTEGER NOT NULL, chunk INTEGER NOT NULL, points INTEGER NOT NULL, "
            "PRIMARY KEY (sweep, chunk)) WITHOUT ROWID; INSERT INTO running VALUES (1, 3, 10); PRAGMA user_version = 1;"
        )
    assert squares(-1).run(store).digest() == expected
    with contextlib.closing(sqlite3.connect(store)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def _interrupt(done: int, total: int | None, failed: int) -> None:
    os.kill(os.getpid(), signal.SIGINT)
