"""Sweeps of many points: what is in memory does not grow with them, but for eight bytes a value of an axis."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import runq
from peak_memory import peak_bytes
from sweep_jobs import PoisonTarget
points = int(sys.argv[2])
sweep = runq.Sweep("simulate", "fork-latency", over={"seed": [3 * number for number in range(points)]})
sweep.target, sweep.metrics = PoisonTarget(-1), ("square",)
store = sys.argv[3] or None
table = sweep.run(store, jobs=2)
assert (len(table), table.count("failed")) == (points, 0)
table.to_csv(sys.argv[4])
table.close()
if store:
    assert len(sweep.run(store)) == points
print(peak_bytes() >> 20)
"""


def peak_mib(points: int, store: str, csv: Path) -> int:
    """The most memory that a process takes for a sweep of so many points and its table as CSV."""
    arguments = [sys.executable, "-c", CODE, str(Path(__file__).parent), str(points), store, str(csv)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_ten_times_the_points_take_hardly_more_memory(tmp_path: Path) -> None:
    few = peak_mib(2_000, str(tmp_path / "few.db"), tmp_path / "t.csv")
    many = peak_mib(20_000, str(tmp_path / "many.db"), tmp_path / "t.csv")
    assert many - few < 20, f"{few} MiB, then {many} MiB"


@pytest.mark.slow
@pytest.mark.parametrize("has_store", [True, False])
def test_a_million_points_take_half_of_500_mb(tmp_path: Path, has_store: bool) -> None:
    store = str(tmp_path / "s.db") if has_store else ""
    assert peak_mib(1_000_000, store, tmp_path / "t.csv") < 250
    with (tmp_path / "t.csv").open() as lines:
        assert sum(1 for _ in lines) == 1_000_001
