"""One pass for many caches counts what one replay after the other counts, and what lists count."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import runq
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference.one_pass import fully_associative_misses, set_associative_misses, stack_distances

Words = NDArray[np.uint64]
WRITE = 1 << 63


@st.composite
def traces(draw: st.DrawFn, max_size: int = 400) -> Words:
    """Accesses with some locality; some traces touch many far-apart segments, more than 32-bit tags tell apart."""
    lines = draw(st.integers(1, 120))
    far = draw(st.sampled_from([1, 1, 3, 40]))
    shift = draw(st.sampled_from([34, 40, 56]))
    seed = draw(st.integers(0, 1 << 32))
    size = draw(st.integers(1, max_size))
    rng = np.random.default_rng(seed)
    near = np.minimum(rng.integers(0, lines, size), rng.integers(0, lines, size)) * 64 + rng.integers(0, 64, size)
    words = near.astype(np.uint64) + (rng.integers(0, far, size) << shift).astype(np.uint64)
    return words | (rng.integers(0, 2, size).astype(np.uint64) << np.uint64(63))


def lines_of(words: Words, line_size: int = 64) -> list[int]:
    return [(word & ~WRITE) // line_size for word in words.tolist()]


def cache(name: str, sets: int, ways: int, policy: Any = "lru", line_size: int = 64) -> runq.Cache:
    return runq.Cache(name, size=sets * ways * line_size, ways=ways, line_size=line_size, replacement=policy)


SETS = st.lists(st.sampled_from([1, 2, 4, 8, 32]), min_size=1, max_size=3, unique=True)


@given(traces(), SETS, st.integers(1, 32), st.sampled_from(["lru", "fifo"]), st.sampled_from([16, 64, 256]))
def test_one_pass_counts_as_replays_and_lists(
    words: Words, sets: list[int], max_ways: int, policy: Any, line_size: int
) -> None:
    caches = runq.all_associativity(words, sets=sets, max_ways=max_ways, policy=policy, line_size=line_size)
    assert caches.accesses == caches.references == len(words)
    assert caches.sets.tolist() == [count for count in sorted(sets) for _ in range(max_ways)]
    lines = lines_of(words, line_size)
    for count in sets:
        for ways in {1, max_ways, (max_ways + 1) // 2}:
            misses = caches.misses_of(count, ways)
            assert misses == set_associative_misses(lines, count, ways, policy)
            machine = runq.Machine(caches=[cache("L1D", count, ways, policy, line_size)])
            assert misses == runq.replay(words, machine)["L1D"].misses


@given(traces(), st.sampled_from(["lru", "fifo"]), st.sampled_from(["lru", "tree-plru", "random", "srrip"]))
def test_caches_behind_inner_levels_count_as_a_replay_without_presented_write_backs(
    words: Words, policy: Any, inner: Any
) -> None:
    row = [cache("L1D", 4, 2, inner), cache("L2", 4, 4, inner)]
    caches = runq.all_associativity(words, sets=[2, 16], max_ways=8, policy=policy, inner=row, seed=3)
    curve = runq.miss_ratio_curve(words, inner=row, seed=3)
    for sets, ways in [(2, 1), (2, 5), (16, 8)]:
        machine = runq.Machine(caches=[*row, cache("L3", sets, ways, policy)], present_write_backs=False)
        result = runq.replay(words, machine, seed=3)
        assert caches.misses_of(sets, ways) == result["L3"].misses
        assert caches.references == curve.references == result["L2"].misses
    machine = runq.Machine(caches=[*row, cache("L3", 1, 17)], present_write_backs=False)
    assert int(curve.misses_at(17)[0]) == runq.replay(words, machine, seed=3)["L3"].misses


@given(traces(), st.sampled_from(["4KiB", "2MiB"]))
def test_tlbs_count_as_replays(words: Words, page_size: Any) -> None:
    words = words * np.uint64(64)
    words &= np.uint64((1 << 63) - 1)
    first = runq.Tlb("L1 dTLB", entries=4, ways=2, page_sizes=[page_size])
    alone = runq.all_associativity(words, sets=[1, 4], max_ways=4, page_size=page_size)
    behind = runq.all_associativity(words, sets=[1, 4], max_ways=4, page_size=page_size, inner=first)
    for sets, ways in [(1, 3), (4, 4)]:
        tlb = runq.Tlb("L2 dTLB", entries=sets * ways, ways=ways, page_sizes=[page_size])
        assert alone.misses_of(sets, ways) == runq.replay(words, one(tlb, page_size)).page_walks
        assert behind.misses_of(sets, ways) == runq.replay(words, one(first, tlb, page_size)).page_walks


def one(*tlbs_and_page_size: Any) -> runq.Machine:
    *tlbs, page_size = tlbs_and_page_size
    return runq.Machine(tlbs=tlbs, page_size=page_size)


@given(traces())
@example(np.array([0], dtype=np.uint64))
def test_exact_curve_is_that_of_a_list(words: Words) -> None:
    curve = runq.miss_ratio_curve(words)
    lines = lines_of(words)
    sizes = range(1, len(set(lines)) + 2)
    assert curve.misses_at(sizes).tolist() == [fully_associative_misses(lines, size) for size in sizes]
    assert curve.distinct == len(set(lines)) == int(curve.misses[-1])
    assert curve.misses_at(0).tolist() == [len(words)]
    assert (np.diff(curve.lines.astype(np.int64)) > 0).all()
    assert (np.diff(curve.misses.astype(np.int64)) < 0).all()
    assert not curve.standard_errors.any()
    # The hits of all distances and the first uses are all accesses.
    steps = -np.diff([len(words), *curve.misses.astype(np.int64)])
    assert int(steps.sum()) + stack_distances(lines).count(None) == len(words)


@given(traces(), st.integers(0, 5))
def test_a_sample_of_all_lines_is_exact(words: Words, seed: int) -> None:
    exact = runq.miss_ratio_curve(words)
    sampled = runq.miss_ratio_curve(words, sample=1.0, seed=seed)
    assert sampled.lines.tolist() == exact.lines.tolist()
    assert sampled.misses.tolist() == exact.misses.tolist()
    assert not sampled.standard_errors.any()


@given(traces(), st.sampled_from([0.01, 0.3, 0.9]))
def test_a_sampled_curve_falls_and_stays_within_the_accesses(words: Words, sample: float) -> None:
    curve = runq.miss_ratio_curve(words, sample=sample)
    assert (np.diff(curve.lines.astype(np.int64)) > 0).all()
    assert (np.diff(curve.misses.astype(np.int64)) < 0).all()
    assert int(curve.misses[0]) <= len(words)


def zipf(accesses: int, lines: int, seed: int) -> Words:
    rng = np.random.default_rng(seed)
    weights = np.cumsum(np.arange(1, lines + 1) ** -0.9)
    ranks = np.searchsorted(weights / weights[-1], rng.random(accesses))
    return rng.permutation(lines)[np.minimum(ranks, lines - 1)].astype(np.uint64) * np.uint64(64)


def test_a_sample_is_near_the_exact_curve_and_knows_how_near() -> None:
    words = zipf(1_000_000, 50_000, 1)
    exact = runq.miss_ratio_curve(words)
    sizes = [1 << bit for bit in range(17)]
    within = 0
    for seed in range(6):
        curve = runq.miss_ratio_curve(words, sample=0.05, seed=seed)
        off = np.abs(curve.miss_ratio_at(sizes) - exact.miss_ratio_at(sizes))
        assert off.mean() < 0.02
        row = np.searchsorted(curve.lines, sizes, side="right") - 1
        within += int((off <= 3 * curve.miss_ratio_error[row] + 0.005).sum())
    assert within >= 0.9 * 6 * len(sizes)


def test_inclusion_more_lru_ways_never_miss_more_and_fifo_may() -> None:
    words = zipf(20_000, 500, 2)
    table = runq.all_associativity(words, sets=[1, 4, 16], max_ways=32).table().astype(np.int64)
    assert (np.diff(table, axis=1) <= 0).all()
    belady = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
    fifo = runq.all_associativity([64 * line for line in belady], sets=[1], max_ways=4, policy="fifo")
    assert fifo.misses.tolist() == [12, 12, 9, 10]


def test_fully_associative_by_ways_and_by_distance_agree() -> None:
    words = zipf(30_000, 300, 3)
    by_ways = runq.all_associativity(words, sets=[1], max_ways=32)
    assert by_ways.misses.tolist() == runq.miss_ratio_curve(words).misses_at(range(1, 33)).tolist()


def test_accesses_that_cross_lines_count_for_each_and_kinds_are_told_apart() -> None:
    columns = {"address": [60, 0, 128], "size": [8, 4, 1], "kind": ["read", "fetch", "write"]}
    assert runq.all_associativity(columns, sets=[1], max_ways=1).accesses == 3
    data = runq.miss_ratio_curve(columns)
    assert (data.accesses, data.ignored, data.distinct) == (3, 1, 3)
    fetches = runq.miss_ratio_curve(columns, kind="instruction")
    assert (fetches.accesses, fetches.ignored, fetches.distinct) == (1, 2, 1)
    both = runq.miss_ratio_curve(columns, kind="unified")
    assert (both.accesses, both.ignored, both.distinct) == (4, 0, 3)
    machine = runq.Machine(caches=[runq.Cache("L1D", size=64, ways=1)])
    assert runq.replay(columns, machine).accesses == data.accesses


def test_every_kind_of_trace_gives_the_same(tmp_path: Path) -> None:
    words = zipf(5000, 200, 4)
    path = tmp_path / "t.u64"
    words.tofile(path)
    forms: list[Any] = [words, path, str(path), {"address": words}, pa.table({"address": words}), words[::1]]
    expected = runq.miss_ratio_curve(words).misses.tolist()
    for form in forms:
        assert runq.miss_ratio_curve(form).misses.tolist() == expected
        assert runq.all_associativity(form, sets=[1], max_ways=1).misses.tolist() == expected[:1]
    assert runq.miss_ratio_curve(path).trace.format == "raw"


def test_results_are_columns_json_and_tables() -> None:
    words = zipf(5000, 200, 5)
    caches = runq.all_associativity(words, sets=[4, 2], max_ways=3)
    tree = json.loads(caches.to_json())
    assert tree["configurations"][0] == {"sets": 2, "ways": 1, "misses": caches.misses_of(2, 1)}
    assert len(tree["configurations"]) == 6
    assert pa.table(caches.to_arrow()).column("misses").to_pylist() == caches.misses.tolist()
    assert caches.to_numpy()["ways"].tolist() == [1, 2, 3, 1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        caches.misses[0] = 1
    with pytest.raises(KeyError):
        caches.misses_of(8, 1)
    curve = runq.miss_ratio_curve(words)
    tree = json.loads(curve.to_json())
    assert [row["lines"] for row in tree["curve"]] == [1 << bit for bit in range(26)]
    assert tree["curve"][-1]["misses"] == curve.distinct
    assert tree["simulate_seconds"] >= 0
    assert pa.table(curve.to_arrow()).column_names == ["lines", "misses", "standard_errors"]
    for result in (caches, curve, runq.miss_ratio_curve(words, sample=0.5)):
        assert "array: 5,000 references" in str(result)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"sets": [0]}, "sets[0]: must be a power of two"),
    ({"sets": [1, 12]}, "sets[1]: must be a power of two from 1 to 16777216, got 12"),
    ({"sets": [-1]}, "sets[0]"),
    ({"sets": []}, "sets: must name at least one"),
    ({"sets": [2, 2]}, "sets[1]: must not be named twice"),
    ({"sets": [1 << 24], "max_ways": 32}, "fits into 1GiB"),
    ({"sets": [1 << 30]}, "sets[0]: must be a power of two"),
    ({"sets": [1.5]}, "sets[0]"),
    ({"sets": [1], "max_ways": 0}, "max_ways: must be between 1 and 32, got 0"),
    ({"sets": [1], "max_ways": 33}, "max_ways: must be between 1 and 32, got 33"),
    ({"sets": [1], "policy": "mru"}, "must be one of lru, fifo"),
    ({"sets": [1], "line_size": 48}, "line_size: must be a power of two"),
    ({"sets": [1], "line_size": "2GiB"}, "line_size: must be a power of two"),
    ({"sets": [1], "page_size": "8KiB"}, "page_size"),
    ({"sets": [1], "kind": "loads"}, "kind"),
    ({"sets": [1], "inner": runq.Tlb("T", entries=4, ways=4)}, "inner: must be caches"),
    ({"sets": [1], "page_size": "4KiB", "inner": cache("L1D", 1, 1)}, "inner: must be TLBs"),
    ({"sets": [1], "inner": [7]}, "inner[0]: must be a Cache or a Tlb"),
    ({"sets": [1], "inner": cache("L1I", 1, 1)}, "must take the kind of access"),
    ({"sets": [1], "inner": runq.Cache("L1D", size=64, ways=1, prefetcher="next-line")}, "prefetcher"),
    ({"sets": [1], "inner": runq.Cache("L1D", size=100, ways=1)}, "caches[0].size"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_broken_rules_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        runq.all_associativity([0], **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("sample", [0, 2, -0.1, 1e-9, float("nan"), float("inf"), "much"])
def test_a_sample_is_a_part_of_the_lines(sample: Any) -> None:
    with pytest.raises(runq.ConfigError, match=r"sample: must be"):
        runq.miss_ratio_curve([0], sample=sample)


def test_traces_without_an_access_are_errors() -> None:
    for empty in (np.array([], dtype=np.uint64), b""):
        with pytest.raises(runq.TraceError):
            runq.miss_ratio_curve(empty)
        with pytest.raises(runq.TraceError):
            runq.all_associativity(empty, sets=[1])
    fetches = {"address": [0], "kind": ["fetch"]}
    with pytest.raises(runq.ReplayError, match="no access is left to count"):
        runq.miss_ratio_curve(fetches)
    with pytest.raises(runq.ReplayError, match="no access is left to count"):
        runq.all_associativity(fetches, sets=[1])
    with pytest.raises(runq.TraceNotFoundError):
        runq.miss_ratio_curve("/there/is/no/such/trace.u64")


def test_every_access_another_far_line_is_counted_in_bounded_memory() -> None:
    words = np.arange(200_000, dtype=np.uint64) * np.uint64((1 << 45) + 64) & np.uint64((1 << 63) - 1)
    distinct = len({word // 64 for word in words.tolist()})
    curve = runq.miss_ratio_curve(words)
    assert (curve.distinct, curve.misses.tolist()) == (distinct, [distinct])
    caches = runq.all_associativity(words, sets=[1, 64], max_ways=4)
    assert caches.misses.tolist() == [distinct] * 8


def test_ctrl_c_is_answered_and_progress_is_told() -> None:
    words = np.tile(zipf(1_000_000, 200_000, 6), 20)
    told: list[int] = []
    caches = runq.miss_ratio_curve(words, progress=lambda consumed, total, accesses: told.append(accesses))
    assert told == sorted(told)
    assert caches.accesses == len(words)
    for work in (lambda: runq.miss_ratio_curve(words), lambda: runq.all_associativity(words, sets=[1, 64])):
        sent: list[float] = []

        def interrupt(sent: list[float] = sent) -> None:
            sent.append(time.monotonic())
            signal.raise_signal(signal.SIGINT)

        timer = threading.Timer(0.15, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            forever(work)
        # What it is on a machine with nothing else to do, with room for one that has.
        assert time.monotonic() - sent[0] < 0.5
        timer.join()


def forever(work: Callable[[], object]) -> None:
    while True:
        work()


PROGRAM = [sys.executable, "-m", "runq.cli", "mrc"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mrc") / "t.u64"
    zipf(50_000, 3000, 7).tofile(path)
    return path


def test_program_draws_the_curve_and_marks_the_machine(raw: Path) -> None:
    done = run(raw)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("fully associative LRU, exact", "*", ":", "L1D", "L3", "32KiB", "miss ratio", "2,048"):
        assert word in done.stdout
    sampled = run(raw, "--sample", "0.1", "--machine", "zen-4")
    assert "estimated from 10 % of the lines" in sampled.stdout
    assert "standard error" in sampled.stdout
    pages = run(raw, "--page-size", "4KiB")
    assert "STLB" in pages.stdout


def test_program_prints_the_curve_and_configurations_as_json(raw: Path) -> None:
    tree = json.loads(run(raw, "--json").stdout)
    curve = runq.miss_ratio_curve(raw)
    assert tree["curve"][5] == {"lines": 32, "misses": int(curve.misses_at(32)[0])}
    assert tree["simulate_seconds"] > 0
    for arguments, policy in (((), "lru"), (("--fifo",), "fifo")):
        tree = json.loads(run(raw, "--sets", "64:1024", "--ways", "8", "--json", *arguments).stdout)
        caches = runq.all_associativity(raw, sets=[64, 128, 256, 512, 1024], max_ways=8, policy=policy)  # type: ignore[arg-type]
        assert len(tree["configurations"]) == 40
        assert tree["configurations"][39] == {"sets": 1024, "ways": 8, "misses": caches.misses_of(1024, 8)}
    assert "16 ways" in run(raw, "--sets", "1,4").stdout


def test_program_saves_a_picture(raw: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run(raw, "--plot", tmp_path / "c.png").returncode == 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--sets", "0:4"], "sets"),
        (["--sets", "64:8"], "sets"),
        (["--sets", "a:b"], "sets"),
        (["--sets", "3"], "power of two"),
        (["--sets", "64", "--ways", "0"], "max_ways"),
        (["--sets", "64", "--sample", "0.1"], "--sample"),
        (["--fifo"], "--fifo"),
        (["--ways", "4"], "--ways"),
        (["--sample", "0"], "sample"),
        (["--sample", "2"], "sample"),
        (["--machine", "no-such"], "no-such"),
        (["--line-size", "7"], "line_size"),
    ],
)
def test_program_refuses_what_makes_no_sense(raw: Path, arguments: list[str], word: str) -> None:
    done = run(raw, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert word in done.stderr


def test_program_says_what_is_wrong_with_a_trace(tmp_path: Path) -> None:
    empty = tmp_path / "empty.u64"
    empty.write_bytes(b"")
    broken = tmp_path / "broken.u64"
    broken.write_bytes(b"1234567")
    for path in (empty, broken, tmp_path / "missing.u64"):
        done = run(path)
        assert done.returncode == 2
        assert str(path) in done.stderr
