"""The runq program: what it prints, how it ends, and what hostile input does to it."""

import gzip
import hashlib
import json
import lzma
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq
from runq import _demo
from runq.cli._progress import progress_text

DIN = b"0 1000 4\n1 1004 4\n2 400000 3\n0 203c 8\n"
PROGRAM = [sys.executable, "-m", "runq.cli"]


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


def run_json(*arguments: str | Path) -> Any:
    done = run(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that holds the words."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("runq: error: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture
def din(tmp_path: Path) -> Path:
    path = tmp_path / "t.din"
    path.write_bytes(DIN)
    return path


def test_replay_prints_a_table(din: Path) -> None:
    done = run("replay", din)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (
        "t.din (din) on golden",
        "L1D",
        "miss ratio",
        "MPKA",
        "memory",
        "STLB",
        "page walks",
        "cycles",
        "digest",
    ):
        assert word in done.stdout


def test_page_walks_are_told_by_level_of_the_tables_and_by_what_served_them(din: Path) -> None:
    walk = ["--set", "placement=random", "--set", 'page_walk.structure_caches=[{"level": 2, "entries": 8}]']
    done = run(
        "replay", din, *walk, "--set", "page_walk.host_page_size=4KiB", "--set", "page_walk.nested_tlb_entries=4"
    )
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("page tables", "level 4", "host level 1", "nested TLB", "cycles a walk", "% from memory"):
        assert word in done.stdout
    tree = run_json("replay", din, *walk)
    assert tree["page_walk"]["walks"] == tree["page_walks"] > 0
    assert set(tree["page_walk"]["structure_caches"]) == {"2"}
    assert tree["config"]["page_walk"]["structure_caches"] == [{"level": 2, "entries": 8, "ways": 8}]


def test_replay_prints_the_json_of_the_api(din: Path) -> None:
    tree = run_json("replay", din, "--machine", "zen-4", "--seed", "3", "--by-thread", "--by-ip", "2")
    result = runq.replay(din, "zen-4", seed=3, by_thread=True, by_ip=2)
    expected = json.loads(result.to_json())
    for timing in ("simulate_seconds", "read_seconds"):
        assert tree.pop(timing) >= 0
        expected.pop(timing)
    assert tree == expected


def test_options_reach_the_replay(din: Path) -> None:
    tree = run_json(
        *("replay", din, "--skip", "1", "--warmup", "1", "--limit", "9", "--dependent", "--engine", "general"),
        *("--address-spaces", "per-thread", "--region", "heap=0x2000:0x3000:2MiB", "--format", "din"),
    )
    assert tree["options"] == {
        "skip": 1,
        "warmup": 1,
        "limit": 9,
        "seed": 0,
        "dependent": True,
        "address_spaces": "per-thread",
        "by_thread": False,
        "by_ip": 0,
        "regions": [{"name": "heap", "start": 0x2000, "end": 0x3000, "page_size": "2MiB"}],
        "engine": "general",
    }
    assert tree["regions"]["heap"]["references"] == 2


def test_set_switches_the_two_modes_of_the_golden_counts(din: Path) -> None:
    tree = run_json("replay", din, "--set", "present_write_backs=false", "--set", "tlbs=[]")
    assert tree["config"]["present_write_backs"] is False
    assert tree["tlbs"] == {}


def test_replay_without_a_trace_says_that_it_is_a_demonstration() -> None:
    first, second = run("replay"), run("replay")
    assert first.stdout.startswith("built-in demonstration (no trace was given) on golden: 2,000,000 references")
    digests = [
        line for text in (first.stdout, second.stdout) for line in text.splitlines() if line.startswith("digest")
    ]
    assert digests[0].split(",")[0] == digests[1].split(",")[0]
    assert_refused(run("replay", "--format", "din"), "--format")


def test_demonstration_is_the_same_words_everywhere() -> None:
    words = _demo.demo_trace()
    assert len(words) == _demo.ACCESSES
    # Every digest that was ever printed of it depends on these words.
    assert hashlib.sha256(words.astype("<u8").tobytes()).hexdigest() == DEMO_SHA256
    assert 0.19 < np.count_nonzero(words >> np.uint64(63)) / len(words) < 0.21


DEMO_SHA256 = "688f75bb32c040d895c7a590d52a96a6fcfe56d70f6d6e5b6e88afd124e021e4"


def test_trace_comes_through_a_pipe(din: Path) -> None:
    expected = run_json("replay", din)["digest"]
    for content in (DIN, gzip.compress(DIN), lzma.compress(DIN)):
        done = subprocess.run([*PROGRAM, "replay", "-", "--json"], input=content, capture_output=True, check=True)
        assert json.loads(done.stdout)["digest"] == expected


def test_machine_file_is_shown_changed_and_used(tmp_path: Path, din: Path) -> None:
    shown = run("machines", "golden").stdout
    assert tomllib.loads(shown)["sources"]["caches.L1D.size"].startswith("S: ")
    path = tmp_path / "mine.toml"
    path.write_text(shown.replace('"golden"', '"mine"'))
    assert run_json("replay", din, "-m", path)["config"]["name"] == "mine"


def test_machines_are_listed_with_one_line_each() -> None:
    lines = run("machines").stdout.splitlines()
    assert [line.split()[0] for line in lines] == runq.machines.names()
    tree = run_json("machines")
    assert list(tree) == runq.machines.names()
    assert run_json("machines", "zen-2") == tree["zen-2"]
    assert "$defs" in json.loads(run("machines", "--schema").stdout)


def test_trace_info_tells_what_is_there(din: Path) -> None:
    done = run("trace", "info", din)
    assert (done.returncode, done.stderr) == (0, "")
    assert "accesses" in done.stdout
    assert run_json("trace", "info", din)["accesses"] == 4


def test_trace_convert_writes_and_tells_what_is_lost(tmp_path: Path, din: Path) -> None:
    done = run("trace", "convert", din, tmp_path / "t.u64.xz")
    assert done.returncode == 0
    assert done.stdout == "4 accesses written\n"
    assert done.stderr.splitlines() == [
        "runq: note: 1 instruction fetches were left out",
        "runq: note: 1 accesses crossed a 64-byte line and became one a line",
    ]
    again = run("trace", "convert", tmp_path / "t.u64.xz", "-", "--to", "csv")
    assert again.stdout.splitlines() == ["address,kind", "0x1000,read", "0x1004,write", "0x203c,read", "0x2040,read"]
    assert again.stderr == "4 accesses written\n"


@pytest.mark.parametrize(
    "command", [(), ("replay",), ("machines",), ("trace",), ("trace", "info"), ("trace", "convert")]
)
def test_every_command_has_help_with_examples(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Examples:\n" in done.stdout


def test_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"runq {runq.__version__}\n"


def hostile(content: bytes, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


RAW = np.arange(100_000, dtype="<u8").tobytes()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (hostile(lzma.compress(RAW)[:-100], "t.u64.xz"), ["xz", "truncated"]),
        (hostile(gzip.compress(RAW)[:-100], "t.u64.gz"), ["gzip", "truncated"]),
        (hostile(lzma.compress(RAW)[:500] + bytes(500), "t.u64.xz"), ["xz"]),
        (hostile(b"\x7fELF\x02\x01\x01" + bytes(10_000), "program.din"), ["line 1", "expected", "ELF"]),
        (hostile(bytes(range(256)) * 100, "noise"), ["noise"]),
        (hostile(b"0 8000000000000000 4\n", "t.din"), ["line 1", "address below 2^63 (8 EiB)"]),
        (hostile(b"address\n9223372036854775808\n", "t.csv"), ["line 2", "address below 2^63 (8 EiB)"]),
        (hostile(b"", "t.din"), ["empty trace"]),
        (hostile(b"", "t.u64"), ["empty trace"]),
        (hostile(lzma.compress(b""), "t.u64.xz"), ["empty trace"]),
        (hostile(b"address,kind\n", "t.csv"), ["empty trace"]),
        (hostile(RAW[:-3], "t.u64"), ["expected"]),
        (hostile(b"x" * (1 << 20), "t.din"), ["line 1"]),
        (lambda folder: folder, ["a directory"]),
        (lambda folder: folder / "missing.din", ["missing.din", "No such file"]),
    ],
    ids=[
        "truncated xz",
        "truncated gzip",
        "damaged xz",
        "binary named din",
        "noise",
        "8 EiB in din",
        "8 EiB in csv",
        "empty din",
        "empty raw",
        "empty xz",
        "header alone",
        "part of a record",
        "endless line",
        "directory",
        "missing",
    ],
)
@pytest.mark.parametrize("command", [("replay",), ("trace", "info")])
def test_hostile_trace_is_one_clear_error(
    tmp_path: Path, make: Callable[[Path], Path], words: list[str], command: tuple[str, ...]
) -> None:
    assert_refused(run(*command, make(tmp_path)), *words)


def test_hostile_trace_is_not_converted(tmp_path: Path) -> None:
    path = hostile(lzma.compress(RAW)[:-100], "t.u64.xz")(tmp_path)
    assert_refused(run("trace", "convert", path, tmp_path / "out.u64"), "truncated")
    assert [file.name for file in tmp_path.iterdir()] == ["t.u64.xz"]
    assert_refused(run("trace", "convert", path, tmp_path / "no" / "out.u64"), "No such file")
    assert_refused(run("trace", "convert", path, tmp_path / "out.xyz"), "out.xyz", "expected")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "caches.L1D.line_size=0"], ["caches[0].line_size: must be a power of two", "got 0B"]),
        (["--set", "caches.L2.ways=1000000000"], ["caches[1].ways: must be between 1 and 32", "got 1000000000"]),
        (["--set", "caches.L2.size=1048576TiB"], ["caches[1].size: must be at most", "got 1048576TiB"]),
        (["--set", "caches.L9.ways=1"], ["caches: the path must name one of L1D ([0])"]),
        (["--set", "ways"], ["set: must be path=value"]),
        (["--machine", "pentium"], ["machine: must be a TOML file or one of apple-m1"]),
        (["--machine", "."], ["Is a directory"]),
        (["--limit", "-1"], ["limit: must be an integer from 0"]),
        (["--limit", "many"], ["--limit", "many"]),
        (["--skip", "99999999999999999999"], ["skip: must be an integer from 0 to 18446744073709551615"]),
        (["--engine", "warp"], ["--engine", "warp"]),
        (["--region", "heap"], ["region: must be NAME=START:END"]),
        (["--region", "heap=9:8"], ["regions[0].end: must be above start"]),
        (["--region", "heap=0:8:3KiB"], ["regions[0].page_size: must be one of 4KiB, 2MiB, 1GiB"]),
        (["--region", "heap=a:0x10"], ["regions[0].start: must be a size"]),
        (["--skip", "4"], ["no access is left to count"]),
        (["--no-such-option"], ["--no-such-option"]),
        (["one", "two"], ["two"]),
    ],
)
def test_hostile_option_is_one_clear_error(din: Path, arguments: list[str], words: list[str]) -> None:
    assert_refused(run("replay", din, *arguments), *words)


def test_trace_with_one_access_works(tmp_path: Path) -> None:
    for name, content in (("t.din", b"0 1000"), ("t.u64", struct.pack("<Q", 4096)), ("t.csv", b"address\n0x1000\n")):
        tree = run_json("replay", hostile(content, name)(tmp_path))
        assert (tree["accesses"], tree["levels"]["L1D"]["misses"]) == (1, 1)


@pytest.mark.parametrize(
    "command",
    [
        ("replay", "--json"),
        ("replay",),
        ("machines",),
        ("machines", "--json"),
        ("trace", "convert", "{din}", "-", "--to", "csv"),
    ],
)
def test_closed_pipe_ends_quietly(din: Path, command: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    arguments = [argument.replace("{din}", str(din)) for argument in command]
    done = subprocess.run([*PROGRAM, *arguments], stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_closed_streams_are_one_clear_error(din: Path) -> None:
    def close(descriptor: int) -> Callable[[], None]:
        return lambda: os.close(descriptor)

    assert_refused(run("replay", din, preexec_fn=close(1)), "standard output is closed")
    assert_refused(run("replay", "-", preexec_fn=close(0)), "-: ", "expected at least one access")


def assert_answered_within_100_ms(attempt: Callable[[], float]) -> None:
    """The machine may be busy with something else at one time, but hardly at three."""
    assert any(attempt() < 0.1 for _ in range(3))


def interrupted(process: subprocess.Popen[bytes]) -> float:
    """Sends SIGINT and gives the seconds until the process has ended as it should."""
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    seconds = time.monotonic() - start
    assert process.returncode == 130
    assert errors.replace(b"\r", b"").endswith(b"runq: interrupted\n")
    assert b"Traceback" not in errors
    return seconds


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def wait_for_bytes_to_be_taken(write: int) -> None:
    """Fills a pipe until its reader has emptied it once, so that the replay is known to run."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([], [write], [], 0.1)[1]:
            os.write(write, b"0 1000\n" * 9000)
            taken = select.select([], [write], [], 5)[1]
            assert taken, "nobody reads the pipe"
            time.sleep(0.2)
            return


def test_interrupt_on_a_stalled_pipe_is_answered_within_100_ms() -> None:
    def attempt() -> float:
        read, write = os.pipe()
        process = start("replay", "-", "--format", "din", stdin=read)
        wait_for_bytes_to_be_taken(write)
        seconds = interrupted(process)
        os.close(read)
        os.close(write)
        return seconds

    assert_answered_within_100_ms(attempt)


@pytest.mark.parametrize("command", [("replay",), ("replay", "--machine", "zen-2"), ("trace", "info")])
def test_interrupt_in_long_work_is_answered_within_100_ms(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "large.u64"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    def attempt() -> float:
        process = start(*command, path)
        time.sleep(1.5)
        return interrupted(process)

    assert_answered_within_100_ms(attempt)


def test_interrupted_conversion_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "large.u64"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    def attempt() -> float:
        process = start("trace", "convert", path, tmp_path / "out.u64.xz")
        time.sleep(1.5)
        seconds = interrupted(process)
        assert [file.name for file in tmp_path.iterdir()] == ["large.u64"]
        return seconds

    assert_answered_within_100_ms(attempt)


def test_progress_shows_on_a_terminal_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.u64"
    with path.open("wb") as file:
        file.truncate(1 << 27)
    main, terminal = pty.openpty()
    process = subprocess.Popen([*PROGRAM, "replay", str(path), "--json"], stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    shown = b""
    while select.select([main], [], [], 0.2)[0]:
        try:
            shown += os.read(main, 65536)
        except OSError:
            break
    os.close(main)
    assert process.returncode == 0
    assert json.loads(out)["accesses"] == 1 << 24
    assert b"M accesses" in shown
    assert b" %" in shown
    assert shown.endswith(b"\r\x1b[2K")
    assert run("replay", path).stderr == ""


def test_progress_tells_how_far_how_fast_and_how_long() -> None:
    assert progress_text(25, 100, 12_000_000, 2.0) == " 25 %, 12.0 M accesses, 6.0 M/s, 0:06 left"
    assert progress_text(25, None, 12_000_000, 2.0) == "12.0 M accesses, 6.0 M/s"
    assert progress_text(0, 0, 0, 0.0) == "0.0 M accesses, 0.0 M/s"
    assert progress_text(200, 100, 1_000_000, 61.0) == "100 %, 1.0 M accesses, 0.0 M/s, 0:00 left"


def test_installed_program_is_the_same() -> None:
    program = Path(sys.executable).with_name("runq")
    if not program.exists():
        pytest.skip("runq is not installed beside this Python")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"runq {runq.__version__}\n"
