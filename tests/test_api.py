"""The Python API: what a trace may be, what a result tells, and what none of it may cost."""

import doctest
import importlib
import io
import json
import lzma
import pkgutil
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runq
from peak_memory import growth_bytes

WRITE = np.uint64(1 << 63)
MACHINE = runq.Machine(
    caches=[
        runq.Cache("L1I", size="4KiB", ways=4),
        runq.Cache("L1D", size="4KiB", ways=4),
        runq.Cache("L2", size="64KiB", ways=8),
    ],
    tlbs=[runq.Tlb("TLB", entries=16, ways=4)],
)
DATA = runq.Machine(caches=[runq.Cache("L1D", size="4KiB", ways=4), runq.Cache("L2", size="64KiB", ways=8)])


def words(count: int = 10_000, seed: int = 1) -> np.ndarray[Any, np.dtype[np.uint64]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << 18, count, dtype=np.uint64) | (
        rng.integers(0, 2, count, dtype=np.uint64) << np.uint64(63)
    )


def columns(count: int = 10_000) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {
        "address": rng.integers(0, 1 << 18, count, dtype=np.uint64),
        "size": rng.integers(1, 9, count, dtype=np.uint32),
        "kind": rng.integers(0, 3, count, dtype=np.uint8),
        "thread": rng.integers(0, 3, count, dtype=np.uint32),
        "ip": rng.integers(1, 100, count, dtype=np.uint64),
    }


def structured(trace: dict[str, Any]) -> Any:
    names = list(trace)
    array = np.zeros(len(trace["address"]), dtype=[(name, trace[name].dtype) for name in names])
    for name in names:
        array[name] = trace[name]
    return array


def test_every_form_of_the_same_words_gives_the_same_digest(tmp_path: Path) -> None:
    trace = words()
    raw = trace.astype("<u8").tobytes()
    path = tmp_path / "t.u64"
    path.write_bytes(raw)
    packed = tmp_path / "t.u64.xz"
    packed.write_bytes(lzma.compress(raw))
    spread = np.zeros(2 * len(trace), dtype=np.uint64)
    spread[::2] = trace
    with path.open("rb") as file:
        digests = {
            "array": runq.replay(trace, DATA).digest,
            "strided": runq.replay(spread[::2], DATA).digest,
            "reversed twice": runq.replay(trace[::-1].copy()[::-1], DATA).digest,
            "other byte order": runq.replay(trace.astype(">u8"), DATA).digest,
            "path": runq.replay(path, DATA).digest,
            "str": runq.replay(str(path), DATA).digest,
            "xz": runq.replay(packed, DATA).digest,
            "file": runq.replay(file, DATA, format="raw").digest,
            "bytes": runq.replay(raw, DATA, format="raw").digest,
            "xz bytes": runq.replay(packed.read_bytes(), DATA, format="raw").digest,
            "memoryview": runq.replay(trace.data, DATA).digest,
            "memmap": runq.replay(np.memmap(path, dtype=np.uint64, mode="r"), DATA).digest,
            "columns": runq.replay({"address": trace & ~WRITE, "kind": trace >> np.uint64(63)}, DATA).digest,
        }
    assert len(set(digests.values())) == 1, digests


def test_every_form_of_the_same_columns_gives_the_same_digest() -> None:
    trace = columns()
    kinds = np.array(["read", "write", "fetch"])
    forms = {
        "dict": trace,
        "structured": structured(trace),
        "strided structured": np.repeat(structured(trace), 2)[::2],
        "int64": {name: column.astype(np.int64) for name, column in trace.items()},
        "small": trace | {"size": trace["size"].astype(np.int8), "thread": trace["thread"].astype(np.uint16)},
        "big-endian": {name: column.astype(column.dtype.newbyteorder(">")) for name, column in trace.items()},
        "texts": trace | {"kind": kinds[trace["kind"]]},
        "letters": trace | {"kind": np.array([b"r", b"w", b"i"])[trace["kind"]]},
        "objects": trace | {"kind": kinds[trace["kind"]].astype(object)},
        "lists": {name: column.tolist() for name, column in trace.items()},
        "addr": {("addr" if name == "address" else name): column for name, column in trace.items()},
    }
    digests = {name: runq.replay(form, MACHINE, by_thread=True, by_ip=5).digest for name, form in forms.items()}
    assert len(set(digests.values())) == 1, digests


def test_arrow_tables_give_the_digest_of_their_columns() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    trace = columns()
    table = pyarrow.table(trace)
    kinds = pyarrow.array(np.array(["read", "write", "fetch"])[trace["kind"]])
    chunks = pyarrow.concat_tables([table.slice(0, 10), table.slice(10, 0), table.slice(10)])
    forms = {
        "table": table,
        "batches": chunks,
        "reader": chunks.to_reader(),
        "texts": table.set_column(2, "kind", kinds),
        "large texts": table.set_column(2, "kind", kinds.cast(pyarrow.large_string())),
        "text views": table.set_column(2, "kind", kinds.cast(pyarrow.string_view())),
        "dictionary": table.set_column(2, "kind", kinds.dictionary_encode()),
    }
    expected = runq.replay(trace, MACHINE).digest
    assert {name: runq.replay(form, MACHINE).digest for name, form in forms.items()} == dict.fromkeys(forms, expected)


def test_polars_frame_is_a_trace_and_takes_a_result() -> None:
    polars = pytest.importorskip("polars")
    trace = columns()
    result = runq.replay(polars.DataFrame(trace), MACHINE)
    assert result.digest == runq.replay(trace, MACHINE).digest
    frame = polars.DataFrame(result.to_arrow())
    assert frame["misses"].to_list() == [*(level.misses for level in result.levels.values()), result["TLB"].misses]


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ({"address": [0, -1]}, "array: record 1: expected an address below 2^63 (8 EiB), got -1"),
        (
            {"address": np.array([0, 1 << 63], dtype=np.uint64)},
            "array: record 1: expected an address below 2^63 (8 EiB), got 9223372036854775808",
        ),
        ({"address": [0], "size": [0]}, "array: record 0: expected a size of 1 to 65536 bytes, got 0"),
        ({"address": [0], "size": [65537]}, "array: record 0: expected a size of 1 to 65536 bytes, got 65537"),
        (
            {"address": [(1 << 63) - 4], "size": [8]},
            "array: record 0: expected an address below 2^63 (8 EiB), got 8 bytes at 0x7ffffffffffffffc",
        ),
        ({"address": [0, 8], "kind": [0, 3]}, "array: record 1: expected a kind of read, write or fetch"),
        ({"address": [0, 8], "kind": ["read", "x"]}, "array: record 1: expected a kind of read, write or fetch"),
        ({"address": [0], "thread": [1 << 32]}, "array: record 0: expected a thread below 2^32, got 4294967296"),
        (
            {"address": [0], "adress": [0]},
            'array: expected columns among address, size, kind, thread, ip, got a column "ad',
        ),
        ({"size": [1]}, "array: expected a column address"),
        ({"address": [0], "addr": [0]}, 'array: expected each column once, got "addr" again'),
        ({"address": ["0"]}, "array: record 0: expected an address below 2^63 (8 EiB), got text"),
        (np.zeros((2, 2), dtype=np.uint64), "array: expected one dimension, got the shape (2, 2)"),
        (np.zeros(0, dtype=np.uint64), "array: expected at least one access, got an empty trace"),
        ({"address": np.zeros(0, dtype=np.uint64)}, "array: expected at least one access, got an empty trace"),
        (b"", "bytes: expected at least one access, got an empty trace"),
        (np.array([-1, 2]), "array: record 0: expected an address below 2^63 (8 EiB), got -1"),
    ],
)
def test_bad_value_is_told_with_its_row(trace: Any, message: str) -> None:
    with pytest.raises(runq.TraceError) as caught:
        runq.replay(trace, DATA, format="raw")
    assert str(caught.value).startswith(message)


def test_bad_value_far_into_an_array_is_told_with_its_row() -> None:
    size = np.ones(200_000, dtype=np.uint32)
    size[150_001] = 0
    with pytest.raises(runq.TraceError, match="record 150001: expected a size"):
        runq.replay({"address": np.zeros(200_000, dtype=np.uint64), "size": size}, DATA)


def test_bad_arrow_table_is_told_with_its_row() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(runq.TraceError, match="record 2: expected a value, got null"):
        runq.replay(pyarrow.table({"address": [0, 1, None]}), DATA)
    with pytest.raises(runq.TraceError, match="got a value of type Float64"):
        runq.replay(pyarrow.table({"address": [0.5]}), DATA)
    with pytest.raises(runq.TraceError, match="empty trace"):
        runq.replay(pyarrow.table({"address": pyarrow.array([], pyarrow.uint64())}), DATA)
    with pytest.raises(TypeError, match="must be a table"):
        runq.replay(pyarrow.chunked_array([[1, 2]]), DATA)


@pytest.mark.parametrize("trace", [3, None, object(), {"address": np.zeros(3)}, np.zeros(3, dtype=complex)])
def test_what_is_no_trace_is_a_type_error(trace: Any) -> None:
    with pytest.raises(TypeError):
        runq.replay(trace, DATA)


def test_columns_are_of_equal_length() -> None:
    with pytest.raises(ValueError, match=r"size: must have as many rows as address \(2\), got 1"):
        runq.replay({"address": [0, 1], "size": [1]}, DATA)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": -1}, "skip: must be an integer from 0 to 18446744073709551615, got -1"),
        ({"limit": "x"}, 'limit: must be an integer from 0 to 18446744073709551615, got "x"'),
        ({"address_spaces": "none"}, 'address_spaces: must be one of shared, per-thread, got "none"'),
        ({"engine": "fast"}, 'engine: must be one of auto, general, batch, got "fast"'),
        ({"regions": [runq.Region("a", start=2, end=1)]}, "regions[0].end: must be above start (0x2)"),
        ({"format": "elf"}, "format: must be one of lackey, din, champsim, raw, csv, got elf"),
    ],
)
def test_bad_option_names_path_rule_and_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        runq.replay(words(10), DATA, **options)
    assert str(caught.value).startswith(message)


def test_numbers_of_numpy_are_options() -> None:
    options: dict[str, Any] = {"skip": np.int64(10), "limit": np.uint8(20)}
    assert runq.replay(words(100), DATA, **options).accesses == 20


def test_skip_warmup_and_limit_cut_the_trace() -> None:
    trace = words(1000)
    assert runq.replay(trace, DATA, skip=100, limit=50).digest == runq.replay(trace[100:150], DATA).digest
    warm = runq.replay(trace, DATA, warmup=500)
    assert warm.accesses == 500
    assert warm["L2"].misses < runq.replay(trace[500:], DATA)["L2"].misses
    with pytest.raises(runq.ReplayError, match="no access is left to count"):
        runq.replay(trace, DATA, skip=1000)


def test_limit_ends_the_reading_of_a_file() -> None:
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size: int = -1) -> bytes:
            self.taken += size
            return bytes(size)

    endless = Endless()
    assert runq.replay(endless, DATA, format="raw", limit=100_000).accesses == 100_000
    assert endless.taken < 1 << 26


def test_result_answers_to_names() -> None:
    result = runq.replay(columns(), MACHINE)
    assert result["L1D"] is result.levels["L1D"]
    assert result["TLB"] is result.tlbs["TLB"]
    assert result["L2"].accesses == result["L1I"].misses + result["L1D"].misses
    assert result["L2"].hits + result["L2"].misses == result["L2"].accesses
    assert 0 < result["L2"].miss_ratio < 1
    with pytest.raises(KeyError, match="the machine has L1I, L1D, L2, TLB"):
        result["L3"]


def test_result_carries_what_makes_it_again() -> None:
    machine = runq.machines.load("zen-3")
    first = runq.replay(words(), machine, seed=7, warmup=10)
    again = runq.replay(words(), first.config, seed=first.seed, warmup=first.options.warmup)
    assert first.digest == again.digest
    assert first.config == machine.resolve()
    assert first.version == runq.__version__
    assert first.time_ns == first.cycles * 1000 / 3400


def test_seed_moves_pages_and_so_results() -> None:
    machine = DATA.with_set("placement=random")
    digests = {seed: runq.replay(words(), machine, seed=seed).digest for seed in (1, 1, 2, 3)}
    assert len(set(digests.values())) == 3


def test_json_has_the_promised_shape() -> None:
    tree = json.loads(runq.replay(words(), runq.machines.load("golden")).to_json())
    assert list(tree)[:7] == ["accesses", "simulate_seconds", "read_seconds", "levels", "tlbs", "cycles", "digest"]
    assert list(tree["levels"]) == ["L1D", "L2", "L3"]
    assert list(tree["levels"]["L1D"])[:6] == [
        "reads",
        "writes",
        "read_misses",
        "write_misses",
        "misses",
        "write_backs",
    ]
    assert tree["tlbs"].keys() == {"L1 dTLB", "STLB"}
    assert tree["tlbs"]["STLB"].keys() == {"lookups", "misses"}
    assert isinstance(tree["digest"], str)
    assert len(tree["digest"]) == 16
    assert tree["read_seconds"] == 0.0
    assert tree["seed"] == 0
    assert tree["config"]["name"] == "golden"
    assert "threads" not in tree


def test_groups_sum_to_the_whole() -> None:
    trace = columns()
    result = runq.replay(
        trace, MACHINE, by_thread=True, by_ip=20_000, regions=[runq.Region("low", start=0, end=1 << 17)]
    )
    for groups in (result.by_thread, result.by_region, result.by_ip):
        assert sum(group.references for group in groups.values()) == result.accesses
        assert sum(group.latency_cycles for group in groups.values()) == result.latency_cycles
        assert sum(group.misses["L2"] for group in groups.values()) == result["L2"].misses
    assert list(result.by_thread) == [0, 1, 2]
    assert list(result.by_region) == ["low", "other"]
    tree = result.to_dict()
    assert list(tree["threads"]) == ["0", "1", "2"]
    assert all(ip.startswith("0x") for ip in tree["ips"])


def test_result_is_an_arrow_table() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    result = runq.replay(words(), runq.machines.load("golden"))
    table = pyarrow.table(result.to_arrow())
    assert table["name"].to_pylist() == ["L1D", "L2", "L3", "L1 dTLB", "STLB"]
    assert table["part"].to_pylist() == ["cache"] * 3 + ["tlb"] * 2
    assert table["misses"].to_pylist()[0] == result["L1D"].misses
    assert table["lookups"].to_pylist() == [None] * 3 + [tlb.lookups for tlb in result.tlbs.values()]
    assert pyarrow.table(result.to_arrow()).equals(table)


def test_result_is_a_structured_array() -> None:
    result = runq.replay(words(), runq.machines.load("golden"))
    array = result.to_numpy()
    assert array["name"].tolist() == ["L1D", "L2", "L3", "L1 dTLB", "STLB"]
    assert array["misses"][1] == result["L2"].misses
    assert array["lookups"][0] == 0


@pytest.mark.parametrize(
    "machine",
    [
        MACHINE,
        DATA,
        runq.Machine(tlbs=[runq.Tlb("TLB", entries=16, ways=4)]),
        MACHINE.with_set("cpus=2", "caches.L2.shared=true"),
        MACHINE.with_set("cpus=2"),
        MACHINE.with_set("caches.L1D.write_policy=write-through"),
        MACHINE.with_set("caches.L2.prefetcher=next-line", "mlp=4"),
        runq.machines.load("zen-2"),
    ],
    ids=str,
)
def test_printed_latencies_add_up_to_the_sum(machine: runq.Machine) -> None:
    from runq._table import _costs

    result = runq.replay(columns(), machine, by_thread=True, by_ip=3)
    text = str(result)
    for name in [*result.levels, *result.tlbs, f"{result.cycles:,} cycles", result.digest]:
        assert name in text
    costs = _costs(result)
    assert not costs or sum(costs.values()) == result.latency_cycles
    assert all(cost >= 0 for cost in costs.values())
    assert all(line == line.rstrip() for line in text.splitlines())


def test_file_object_may_return_few_bytes_at_a_time() -> None:
    class Dribble(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self.content = io.BytesIO(content)

        def read(self, size: int = -1) -> bytes:
            return self.content.read(min(size, 7))

    trace = words(1000)
    assert runq.replay(Dribble(trace.tobytes()), DATA, format="raw").digest == runq.replay(trace, DATA).digest


def test_error_of_a_file_object_comes_through() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ZeroDivisionError("in read")

    with pytest.raises(ZeroDivisionError, match="in read"):
        runq.replay(Broken(), DATA, format="raw")


def test_file_opened_as_text_is_a_type_error(tmp_path: Path) -> None:
    path = tmp_path / "t.din"
    path.write_text("0 40\n")
    with path.open() as file, pytest.raises(TypeError, match="must return bytes"):
        runq.replay(file, DATA, format="din")


def test_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.din"):
        runq.replay(tmp_path / "missing.din", DATA)
    with pytest.raises(runq.TraceNotFoundError):
        runq.trace.info(tmp_path / "missing.din")
    with pytest.raises(runq.TraceError, match="a directory"):
        runq.replay(tmp_path, DATA)


def test_machine_may_be_a_name_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(DATA.to_toml())
    trace = words(100)
    assert runq.replay(trace, path).digest == runq.replay(trace, DATA).digest
    assert runq.replay(trace, str(path)).digest == runq.replay(trace, DATA).digest
    assert runq.replay(trace, "golden").config.name == "golden"
    with pytest.raises(runq.ConfigError, match="must be a TOML file or one of"):
        runq.replay(trace, "nothing")
    with pytest.raises(TypeError, match="machine: must be a Machine, a name or a path, got int"):
        runq.replay(trace, 3)  # type: ignore[arg-type]


def test_trace_info_counts_what_is_there() -> None:
    trace = {"address": [0, 60, 4096, 0], "size": [8, 8, 4, 8], "kind": ["read", "write", "fetch", "read"]}
    summary = runq.trace.info(trace)
    assert (summary.accesses, summary.reads, summary.writes, summary.fetches) == (4, 2, 1, 1)
    assert (summary.lines, summary.pages, summary.line_crossings) == (3, 2, 1)
    assert summary.sizes == {8: 3, 4: 1}
    assert summary.columns == ("size", "kind")
    assert (summary.lowest_address, summary.highest_address) == (0, 4099)
    assert "64-byte lines" in str(summary)
    json.dumps(summary.to_dict())


@pytest.mark.parametrize("suffix", [".csv", ".lackey", ".din", ".u64", ".csv.gz", ".u64.xz", ".din.zst"])
def test_converted_trace_replays_to_the_same_digest(tmp_path: Path, suffix: str) -> None:
    # What every format holds: data accesses within a line, one byte each.
    trace = words(5000)
    path = tmp_path / f"t{suffix}"
    report = runq.trace.convert(trace, path)
    assert report.accesses == 5000
    assert runq.replay(path, DATA).digest == runq.replay(trace, DATA).digest


def test_conversion_tells_what_is_lost(tmp_path: Path) -> None:
    trace = columns(1000)
    report = runq.trace.convert(trace, tmp_path / "t.u64")
    assert report.dropped_fetches == np.count_nonzero(trace["kind"] == 2)
    assert report.dropped_threads
    assert report.dropped_ips
    report = runq.trace.convert(trace, tmp_path / "t.csv")
    assert report == runq.trace.ConvertReport(
        accesses=1000, dropped_fetches=0, dropped_threads=False, dropped_ips=False, split=0
    )
    # A fetch is its own instruction, which the arrays do not say.
    assert runq.trace.info(tmp_path / "t.csv").fetches == np.count_nonzero(trace["kind"] == 2)


def test_failed_conversion_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(runq.TraceError):
        runq.trace.convert({"address": [0, 8], "kind": [0, 9]}, tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_with_bytes_and_accesses(tmp_path: Path) -> None:
    path = tmp_path / "t.u64"
    with path.open("wb") as file:
        file.truncate(1 << 28)
    told: list[tuple[int, int | None, int]] = []
    runq.replay(path, DATA, progress=lambda *progress: told.append(progress))
    assert all(0 <= consumed <= 1 << 28 and total == 1 << 28 for consumed, total, _ in told[1:])
    assert sorted(accesses for _, _, accesses in told) == [accesses for _, _, accesses in told]


def test_error_of_the_progress_callback_comes_through() -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    class Slow(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            time.sleep(0.05)
            return bytes(8)

    with pytest.raises(ZeroDivisionError):
        runq.replay(Slow(), DATA, format="raw", progress=fail)


def test_replay_of_a_large_array_copies_nothing(tmp_path: Path) -> None:
    path = tmp_path / "large.u64"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    # 8 GiB that cannot be written to: a copy of it would not fit, a copy of a part would show.
    before = f"""
import numpy as np, runq
array = np.memmap({str(path)!r}, dtype=np.uint64, mode="r")[1 << 29:]
runq.replay(array[:1], {DATA!r})
"""
    touched = (1 << 22) * 8
    assert growth_bytes(before, f"runq.replay(array, {DATA!r}, limit=1 << 22)") < touched + (64 << 20)


def test_conversion_of_columns_takes_little_memory() -> None:
    before = f"""
import numpy as np, runq
address = np.broadcast_to(np.uint64(64), (1 << 24,))
columns = {{"address": address, "kind": np.broadcast_to(np.uint8(1), (1 << 24,))}}
runq.replay({{name: column[:1] for name, column in columns.items()}}, {DATA!r})
"""
    assert growth_bytes(before, f"assert runq.replay(columns, {DATA!r})['L1D'].writes == 1 << 24") < 32 << 20


def test_other_threads_run_during_a_replay() -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    runq.replay(np.broadcast_to(np.uint64(64), (1 << 24,)), DATA)
    runq.replay(np.zeros(1 << 24, dtype=np.uint64), DATA)
    done.set()
    ticker.join()
    assert ticks > 5


def in_a_process(code: str, wait: float = 0.3) -> tuple[float, str]:
    """Runs code that prints `ready`, interrupts it, and gives the seconds until it printed again."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    line = process.stdout.readline()
    seconds = time.monotonic() - start
    process.stdout.close()
    assert process.wait() == 0
    return seconds, line


INTERRUPTED = """
import numpy as np, os, runq
machine = runq.machines.load("zen-2")
array = np.broadcast_to(np.uint64(4096), (1 << 40,))
fetches = np.broadcast_to(np.uint8(2), (1 << 40,))
read, write = os.pipe()
print("ready", flush=True)
try:
    runq.replay(TRACE, machine, format=FORMAT)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("trace", "format"),
    [
        ("array", None),
        ("{'address': array, 'kind': fetches}", None),
        ("f'/proc/self/fd/{read}'", "din"),
        ("open(read, 'rb', buffering=0)", "raw"),
        ("'/dev/zero'", "raw"),
    ],
    ids=["array", "columns", "stalled pipe", "stalled file object", "endless file"],
)
def test_interrupt_is_answered_within_100_ms(trace: str, format: str | None) -> None:
    code = INTERRUPTED.replace("TRACE", trace).replace("FORMAT", repr(format))
    attempts = (in_a_process(code) for _ in range(3))
    # The machine may be busy with something else at one time, but hardly at three.
    assert any(line == "interrupted\n" and seconds < 0.1 for seconds, line in attempts)


def test_import_is_fast_and_leaves_the_heavy_packages_alone() -> None:
    code = (
        "import sys, runq; "
        "assert not {'numpy', 'matplotlib', 'dask', 'pyarrow', 'click', 'tomllib'} & set(sys.modules); "
        "assert runq.Machine and runq.replay and runq.trace.info and runq.machines.names()"
    )

    def cpu_seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds(code) for _ in range(5)) - min(cpu_seconds("pass") for _ in range(5)) < 0.15


@pytest.mark.parametrize("name", [module.name for module in pkgutil.walk_packages(runq.__path__, "runq.")])
def test_examples_in_docstrings_are_right(name: str) -> None:
    if name != "runq.cli.__main__":
        assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", ["machines.md", "traces.md"])
def test_examples_in_the_documentation_are_right(page: str) -> None:
    path = Path(__file__).parents[1] / "docs" / page
    assert doctest.testfile(str(path), module_relative=False).failed == 0


def test_public_names_are_there() -> None:
    for name in runq.__all__:
        assert getattr(runq, name) is not None


def test_descriptor_is_not_leaked(tmp_path: Path) -> None:
    path = tmp_path / "t.u64"
    path.write_bytes(words(10).tobytes())

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    runq.replay(path, DATA)
    before = settled(descriptors)
    for _ in range(20):
        runq.replay(path, DATA, limit=1)
    assert settled(descriptors) <= before


def settled(count: Callable[[], int]) -> int:
    """The count once the reader threads have had time to end."""
    time.sleep(0.1)
    return count()


def test_threads_may_run_their_first_simulations_at_once() -> None:
    program = """
import sys, threading, runq
sys.setswitchinterval(1e-6)
start = threading.Barrier(8)
done = []
scenario = runq.Scenario(name="one", processes=[runq.ProcessSpec("p", [{"op": "compute", "ns": 10}])])
machine = runq.machines.load("golden")
def run():
    start.wait()
    done.append(runq.simulate(scenario, machine).digest)
threads = [threading.Thread(target=run) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(done), len(set(done)))
"""
    for _ in range(5):
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stdout) == (0, "8 1\n"), ran.stderr
