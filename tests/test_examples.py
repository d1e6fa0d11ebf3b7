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


def test_readme_shows_the_example_and_what_it_prints() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    [program] = re.findall(r"## In twenty lines\n\n```python\n(.*?)```", readme, re.DOTALL)
    assert (EXAMPLES / "compare_models.py").read_text().endswith(program)
    [shown] = re.findall(r"```text\n(.*?)```", readme, re.DOTALL)
    printed = output_of("compare_models.py")
    # Who is there and who wins; numbers of models may be tuned.
    assert [line.split()[:1] for line in printed.splitlines()] == [line.split()[:1] for line in shown.splitlines()]


def test_models_have_had_enough_at_different_loads() -> None:
    lines = output_of("compare_loads.py", "--requests", "1000").splitlines()
    models = lines[0].split()[2:]
    lowest, highest = (dict(zip(models, map(float, line.split()[1:]), strict=True)) for line in (lines[1], lines[-1]))
    assert highest["event-loop"] > 5 * lowest["event-loop"]
    assert highest["event-loop"] > 5 * highest["go"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("machine*.toml")), ids=lambda path: path.name)
def test_machine_file_is_a_machine(path: Path) -> None:
    assert runq.Machine.from_toml(path).check()


@pytest.mark.parametrize("model", ["thread-per-task", "go", "tokio"])
def test_a_shop_waits_for_its_database_whatever_its_model(model: str) -> None:
    r = runq.simulate(EXAMPLES / "shop.toml", "sapphire-rapids", model)
    database = r.dependencies["database"]
    assert database.calls == 4000
    assert 0.6 < database.utilization < 0.9
    assert r.loads[0].latency.p50_ns > 1.5e6
