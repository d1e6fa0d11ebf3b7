"""Instructions a reference, counted by callgrind: the gate against creep. `python benches/instructions.py [--update]`

Counts do not depend on what else the host does, but they do depend on the compiler: the table in `instructions.json`
names the version of rustc it was made with, and only counts of that version are held against it. A row fails when it
is more than 5 % above the table. `--update` writes the table anew.

The count is the difference between replays of 3 and of 2 million accesses of mix20m, divided by a million, so that
start-up cancels.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import traces
from machines import ROWS

TABLE = Path(__file__).with_name("instructions.json")
EXAMPLE = "replay_speed"
LENGTHS = (2_000_000, 3_000_000)
TOLERANCE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the table")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("instructions: not counted, valgrind is not there")
        return 0
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {"rustc": None, "instructions": {}}
    is_gate = table["rustc"] == compiler
    if not is_gate and not arguments.update:
        print(
            f"rustc is {compiler}, the table is of {table['rustc']}: counts are shown and nothing is held against them"
        )

    counts = count_all(build())
    failed = []
    print(f"  {'instructions a reference':32} {'now':>8} {'table':>8} {'change':>8}")
    for name, count in counts.items():
        stored = table["instructions"].get(name)
        change = count / stored - 1 if stored else 0.0
        print(f"  {name:32} {count:8.1f} {stored or 0:8.1f} {change:+8.1%}")
        if is_gate and change > TOLERANCE:
            failed.append(name)
    if arguments.update:
        TABLE.write_text(json.dumps({"rustc": compiler, "trace": "mix20m", "instructions": counts}, indent=1) + "\n")
        print(f"wrote {TABLE.name}")
        return 0
    if failed:
        print(f"more than {TOLERANCE:.0%} above the table: {', '.join(failed)}")
    return 1 if failed else 0


def build() -> Path:
    """Builds the example that replays a raw file and gives its path."""
    command = ["cargo", "build", "--release", "-p", "runq-core", "--example", EXAMPLE]
    output = subprocess.run(
        [*command, "--message-format=json"], cwd=traces.ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    messages = (json.loads(line) for line in output.splitlines())
    return next(Path(m["executable"]) for m in messages if m.get("executable") and m["target"]["name"] == EXAMPLE)


def count_all(program: Path) -> dict[str, float]:
    words = traces.mix20m(max(LENGTHS))
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{length}.u64") for length in LENGTHS]
        for length, file in zip(LENGTHS, files, strict=True):
            words[:length].tofile(file)
        for row in ROWS:
            machine = Path(folder, "machine.json")
            machine.write_text(row.machine().to_json())
            few, many = (count(program, file, machine) for file in files)
            counts[row.name] = round((many - few) / (LENGTHS[1] - LENGTHS[0]), 1)
    return counts


def count(program: Path, trace: Path, machine: Path) -> int:
    """Instructions of one replay."""
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    command = [*callgrind, str(program), str(trace), str(machine), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
