"""The examples run, and say what they are there to say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import runq

EXAMPLES = Path(__file__).parents[1] / "examples"


def output_of(name: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def number(row: str, output: str) -> int:
    """The first number of the line that begins with `row`."""
    found = re.search(rf"^{row} +([\d,]+)", output, re.MULTILINE)
    assert found, output
    return int(found[1].replace(",", ""))


def test_summing_by_column_misses_more() -> None:
    output = output_of("replay_a_trace.py")
    assert number("by row", output) == 1024 * 1024 * 8 // 64
    assert number("by column", output) == 1024 * 1024


def test_scan_resistant_policies_keep_the_hot_set() -> None:
    output = output_of("compare_policies.py")
    assert number("srrip", output) < number("lru", output)


def test_policies_are_compared_on_a_file_too(tmp_path: Path) -> None:
    trace = tmp_path / "t.din"
    trace.write_text("0 1000\n1 1040\n0 1000\n")
    assert number("lru", output_of("compare_policies.py", str(trace))) == 2


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("machine*.toml")), ids=lambda path: path.name)
def test_machine_file_is_a_machine(path: Path) -> None:
    assert runq.Machine.from_toml(path).check()
