"""Exact counts of other programs on large traces; `tests/golden/README.md` says where they come from."""

import lzma
import re
from pathlib import Path
from typing import Any

import lackey
import mix20m
import numpy as np
import pytest
import runq
from numpy.typing import NDArray
from reference import replay
from simulator import level, simulate, simulate_columns

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared" / "golden" / "memory"

L1D = {"name": "L1D", "size": "32KiB", "ways": 8}
OUTER = [{"name": "L2", "size": "1MiB", "ways": 16}, {"name": "L3", "size": "8MiB", "ways": 16}]
L1I = {"name": "L1I", "size": "32KiB", "ways": 8}
TLBS = [{"name": "L1 dTLB", "entries": 64, "ways": 4}, {"name": "L2 dTLB", "entries": 1024, "ways": 8}]

Words = NDArray[np.uint64]


@pytest.fixture(scope="session")
def traces(pytestconfig: pytest.Config) -> dict[str, Words]:
    """The large traces in memory, each read when a test first asks for it."""
    return Traces(pytestconfig.cache.mkdir("traces"))


class Traces(dict[str, Words]):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    def __missing__(self, name: str) -> Words:
        self[name] = self.mix20m() if name == "mix20m" else self.sort()
        return self[name]

    def mix20m(self) -> Words:
        path = self.directory / "mix20m.u64"
        words = np.fromfile(path, dtype="<u8") if path.exists() else mix20m.words()
        assert mix20m.md5(words) == mix20m.MD5, f"{path} is not the trace that the counts are for"
        if not path.exists():
            words.tofile(path)
        return words

    def sort(self) -> Words:
        path = SHARED / "sort.u64.xz"
        if not path.exists():
            pytest.skip(f"the trace is not there: {path}")
        return np.frombuffer(lzma.decompress(path.read_bytes()), dtype="<u8")


def table(name: str) -> list[tuple[int, int, int]]:
    """The rows (sets, ways, misses) of an all-associativity table."""
    lines = (GOLDEN / name).read_text().splitlines()[1:]
    return [
        (int(re.search(r"sets (\d+)", line)[1]), int(ways), int(misses))  # type: ignore[index]
        for line in lines
        for ways, misses in re.findall(r"(\d+)-way miss (\d+)", line)
    ]


def some(rows: list[tuple[int, ...]], every: int) -> list[Any]:
    """All rows as parameters of a test, all but every n-th marked slow."""
    return [pytest.param(*row, marks=[] if place % every == 0 else pytest.mark.slow) for place, row in enumerate(rows)]


def hierarchy_counts(result: dict[str, Any]) -> dict[str, list[int]]:
    levels = dict(result["levels"])
    return {
        name: [levels[cache][name] for cache in ("L1D", "L2", "L3")]
        for name in ("misses", "write_backs", "write_backs_in", "write_back_misses")
    }


@pytest.mark.parametrize(
    ("trace", "misses"),
    [("mix20m", [13215393, 10889604, 8970333]), ("sort", [176715, 20432, 18912])],
)
@pytest.mark.parametrize("engine", ["auto", pytest.param("general", marks=pytest.mark.slow)])
def test_hierarchy_counts_as_dynamorio(trace: str, misses: list[int], engine: str, traces: dict[str, Words]) -> None:
    machine = {"caches": [L1D, *OUTER], "present_write_backs": False}
    result = simulate_columns({"words": traces[trace]}, machine, engine=engine)
    counts = hierarchy_counts(result)
    assert counts["misses"] == misses
    assert counts["write_backs_in"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("trace", "counts"),
    [
        (
            "mix20m",
            {
                "misses": [13215393, 10888187, 8953064],
                "write_backs": [2907112, 2370816, 1903509],
                "write_backs_in": [0, 2907112, 2370816],
                "write_back_misses": [0, 257, 6823],
            },
        ),
        (
            "sort",
            {
                "misses": [176715, 20417, 18912],
                "write_backs": [127275, 2837, 0],
                "write_backs_in": [0, 127275, 2837],
                "write_back_misses": [0, 0, 0],
            },
        ),
    ],
)
@pytest.mark.parametrize("engine", ["auto", pytest.param("general", marks=pytest.mark.slow)])
def test_hierarchy_counts_as_dinero(
    trace: str, counts: dict[str, list[int]], engine: str, traces: dict[str, Words]
) -> None:
    result = simulate_columns({"words": traces[trace]}, {"caches": [L1D, *OUTER]}, engine=engine)
    assert hierarchy_counts(result) == counts


@pytest.mark.parametrize(("trace", "misses"), [("mix20m", (10910011, 2305382)), ("sort", (122959, 53756))])
def test_first_level_tells_read_misses_from_write_misses(
    trace: str, misses: tuple[int, int], traces: dict[str, Words]
) -> None:
    counts = level(simulate_columns({"words": traces[trace]}, {"caches": [L1D]}), "L1D")
    assert (counts["read_misses"], counts["write_misses"]) == misses
    writes = int(np.count_nonzero(traces[trace] >> np.uint64(63)))
    assert (counts["reads"], counts["writes"]) == (len(traces[trace]) - writes, writes)


@pytest.mark.parametrize(("trace", "misses"), [("mix20m", [13379085, 11073742]), ("sort", [1614, 375])])
def test_tlbs_miss_as_often_as_other_programs_say(trace: str, misses: list[int], traces: dict[str, Words]) -> None:
    result = simulate_columns({"words": traces[trace]}, {"tlbs": TLBS})
    assert [count["misses"] for _, count in result["tlbs"]] == misses
    assert result["page_walks"] == misses[-1]
    assert result["tlbs"][0][1]["lookups"] == len(traces[trace])


@pytest.mark.parametrize(("sets", "ways", "misses"), some(table("allassoc_mix20m.txt"), 7))
def test_lru_cache_misses_on_mix20m(sets: int, ways: int, misses: int, traces: dict[str, Words]) -> None:
    assert lru_misses(traces["mix20m"], sets, ways) == misses


@pytest.mark.parametrize(("sets", "ways", "misses"), some(table("allassoc_sort.txt"), 7))
def test_lru_cache_misses_on_sort(sets: int, ways: int, misses: int, traces: dict[str, Words]) -> None:
    assert lru_misses(traces["sort"], sets, ways) == misses


@pytest.mark.parametrize(("sets", "ways", "misses"), some(table("tlb_l1_mix20m.txt"), 7))
def test_lru_tlb_misses_on_mix20m(sets: int, ways: int, misses: int, traces: dict[str, Words]) -> None:
    tlb = {"name": "dTLB", "entries": sets * ways, "ways": ways}
    assert simulate_columns({"words": traces["mix20m"]}, {"tlbs": [tlb]})["page_walks"] == misses


def every_fully_associative(name: str) -> list[tuple[int, int]]:
    """The rows (lines, misses) of a table."""
    rows = re.findall(r"FA-LRU (\d+) lines .* miss (\d+)", (GOLDEN / name).read_text())
    return [(int(lines), int(misses)) for lines, misses in rows]


def fully_associative(name: str) -> list[tuple[int, ...]]:
    """The same, as far as a cache of a machine can have that many ways."""
    return [row for row in every_fully_associative(name) if row[0] <= 1 << 22]


@pytest.mark.parametrize(("lines", "misses"), some(fully_associative("falru_mix20m.txt"), 13))
def test_fully_associative_cache_misses_on_mix20m(lines: int, misses: int, traces: dict[str, Words]) -> None:
    assert lru_misses(traces["mix20m"], 1, lines) == misses


@pytest.mark.parametrize(("lines", "misses"), some(fully_associative("falru_sort.txt"), 13))
def test_fully_associative_cache_misses_on_sort(lines: int, misses: int, traces: dict[str, Words]) -> None:
    assert lru_misses(traces["sort"], 1, lines) == misses


def lru_misses(words: Words, sets: int, ways: int) -> int:
    cache = {"name": "L1D", "size": 64 * sets * ways, "ways": ways}
    return level(simulate_columns({"words": words}, {"caches": [cache]}), "L1D")["misses"]


@pytest.mark.parametrize("trace", ["mix20m", "sort"])
def test_all_associativities_in_one_pass(trace: str, traces: dict[str, Words]) -> None:
    caches = runq.all_associativity(traces[trace], sets=[64 << bit for bit in range(8)], max_ways=16)
    rows = table(f"allassoc_{trace}.txt")
    assert len(rows) == 40
    assert [(sets, ways, caches.misses_of(sets, ways)) for sets, ways, _ in rows] == rows


@pytest.mark.parametrize("trace", ["mix20m", "sort"])
def test_every_fully_associative_size_in_one_pass(trace: str, traces: dict[str, Words]) -> None:
    curve = runq.miss_ratio_curve(traces[trace])
    rows = every_fully_associative(f"falru_{trace}.txt")
    assert len(rows) == 26
    sizes = [lines for lines, _ in rows]
    assert list(zip(sizes, curve.misses_at(sizes).tolist(), strict=True)) == rows
    distinct = re.search(r"distinct lines (\d+)", (GOLDEN / f"falru_{trace}.txt").read_text())
    assert distinct is not None
    assert curve.distinct == int(distinct[1])


def test_tlbs_in_one_pass(traces: dict[str, Words]) -> None:
    tlbs = runq.all_associativity(traces["mix20m"], sets=[16, 32, 64, 128], max_ways=16, page_size="4KiB")
    rows = table("tlb_l1_mix20m.txt")
    assert len(rows) == 20
    assert [(sets, ways, tlbs.misses_of(sets, ways)) for sets, ways, _ in rows] == rows


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("trace", ["mix20m", "sort"])
def test_a_sample_of_one_percent_is_within_one_percent_on_average(
    trace: str, seed: int, traces: dict[str, Words]
) -> None:
    rows = every_fully_associative(f"falru_{trace}.txt")
    curve = runq.miss_ratio_curve(traces[trace], sample=0.01, seed=seed)
    sizes, misses = zip(*rows, strict=True)
    off = np.abs(curve.miss_ratio_at(sizes) - np.array(misses) / len(traces[trace]))
    assert off.mean() <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("trace", ["mix20m", "sort"])
def test_outer_levels_in_one_pass_count_as_replays(trace: str, traces: dict[str, Words]) -> None:
    inner = [runq.Cache("L1D", size="32KiB", ways=8), runq.Cache("L2", size="1MiB", ways=16)]
    for policy in ("lru", "fifo"):
        caches = runq.all_associativity(traces[trace], sets=[8192], max_ways=16, policy=policy, inner=inner)
        outer = runq.Cache("L3", size="8MiB", ways=16, replacement=policy)
        machine = runq.Machine(caches=[*inner, outer], present_write_backs=False)
        assert caches.misses_of(8192, 16) == runq.replay(traces[trace], machine)["L3"].misses


LACKEY_MACHINES = {
    "data alone": {"caches": [L1D, *OUTER]},
    "data alone, write-backs not presented": {"caches": [L1D, *OUTER], "present_write_backs": False},
    "with fetches": {
        "caches": [L1I, L1D, *OUTER],
        "tlbs": [
            {"name": "L1 iTLB", "entries": 64, "ways": 4},
            {"name": "L1 dTLB", "entries": 64, "ways": 4},
            {"name": "L2 TLB", "entries": 1024, "ways": 8},
        ],
    },
}


@pytest.fixture(scope="session")
def ls() -> list[tuple[int, int, str, int, int]]:
    return list(lackey.accesses(GOLDEN / "ls.lackey.xz"))


def test_ls_without_fetches_counts_as_the_reference_did(ls: list[Any]) -> None:
    result = simulate(ls, LACKEY_MACHINES["data alone"])
    assert hierarchy_counts(result) == {
        "misses": [4583, 3186, 3186],
        "write_backs": [1211, 0, 0],
        "write_backs_in": [0, 1211, 0],
        "write_back_misses": [0, 0, 0],
    }
    assert (result["accesses"], result["ignored_fetches"], result["cycles"]) == (207152, 570009, 1467034)
    first = level(result, "L1D")
    assert (first["reads"], first["writes"], first["read_misses"], first["write_misses"]) == (145086, 62066, 3600, 983)


def test_ls_with_fetches_counts_as_the_reference_did(ls: list[Any]) -> None:
    result = simulate(ls, LACKEY_MACHINES["with fetches"])
    assert [(name, count["reads"], count["misses"]) for name, count in result["levels"]] == [
        ("L1I", 590844, 2275),
        ("L1D", 145086, 4583),
        ("L2", 5875, 5201),
        ("L3", 4318, 5201),
    ]
    assert [(count["lookups"], count["misses"]) for _, count in result["tlbs"]] == [
        (590844, 187),
        (207152, 1316),
        (1503, 267),
    ]
    assert (result["accesses"], result["page_walks"], result["cycles"]) == (797996, 267, 4246481)


@pytest.mark.slow
@pytest.mark.parametrize("name", LACKEY_MACHINES)
def test_ls_counts_as_the_reference(name: str, ls: list[Any]) -> None:
    actual = simulate(ls, LACKEY_MACHINES[name])
    expected = replay(ls, LACKEY_MACHINES[name])
    assert {key: actual[key] for key in expected} == expected
