"""Machines as values: the rules as Python tells them, files, changes by path, and the presets."""

import copy
import json
import pickle
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import runq
from hypothesis import given
from hypothesis import strategies as st

L1D = runq.Cache("L1D", size="48KiB", ways=12)
L2 = runq.Cache("L2", size="1.25MiB", ways=20, latency_cycles=14)
STLB = runq.Tlb("STLB", entries=1536, ways=12, page_sizes=["4KiB", "2MiB"])


def machine(**fields: Any) -> runq.Machine:
    return runq.Machine(**{"caches": [L1D, L2], "tlbs": [STLB], **fields})


WALK = runq.PageWalk(
    levels=5,
    structure_caches=[runq.StructureCache(level=2, entries=32, ways=4), runq.StructureCache(level=3, entries=4)],
    host_page_size="2MiB",
    host_structure_caches=[runq.StructureCache(level=4, entries=1)],
)


def walking(**fields: Any) -> runq.Machine:
    return machine(placement="random", page_walk=runq.PageWalk(**fields))


def change(value: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(value, **fields)


# Each rule is tested in Rust; here is one of each kind, as a user of Python meets it.
BROKEN = [
    (machine(cpus=0), "cpus: must be between 1 and 64, got 0"),
    (machine(mlp=1025), "mlp: must be between 1 and 1024, got 1025"),
    (machine(frequency_mhz=0), "frequency_mhz: must be between 1 and 1000000, got 0"),
    (
        machine(memory_latency_cycles=10**9 + 1),
        "memory_latency_cycles: must be between 0 and 1000000000, got 1000000001",
    ),
    (machine(memory_size=4097), "memory_size: must be a multiple of the page size (4KiB) up to 4096TiB, got 4097B"),
    (machine(caches=[], tlbs=[]), "caches: must hold at least one cache if tlbs is empty too, got []"),
    (machine(name=""), 'name: must have 1 to 64 printable characters, got ""'),
    (
        machine(caches=[change(L1D, line_size=0)]),
        "caches[0].line_size: must be a power of two from 4 to 4096 bytes, got 0B",
    ),
    (
        machine(caches=[L1D, change(L2, ways=10**9)]),
        "caches[1].ways: must be between 1 and 32 (any number up to 4194304 with one set), got 1000000000",
    ),
    (
        machine(caches=[L1D, change(L2, size="48KiB", ways=16)]),
        "caches[1].size: must be ways * line_size times a power of two (16 * 64B = 1KiB, times 48 here), got 48KiB",
    ),
    (
        machine(caches=[L1D, L2, change(L2, name="L3", size="320TiB")]),
        "caches[2].size: must be at most 67108864 lines over all cpus, got 320TiB",
    ),
    (
        machine(page_walk=runq.PageWalk()),
        "placement: must be contiguous or random with page_walk, whose tables need places, got identity",
    ),
    (walking(levels=3), "page_walk.levels: must be 4 or 5, got 3"),
    (
        walking(first_cache="STLB"),
        'page_walk.first_cache: must name a cache of the data path that is not exclusive (L1D, L2), got "STLB"',
    ),
    (walking(nested_tlb_entries=4), "page_walk.nested_tlb_entries: must not be given without host_page_size, got 4"),
    (
        walking(structure_caches=[runq.StructureCache(level=1, entries=4)]),
        "page_walk.structure_caches[0].level: must be between 2 and 4, for the leaves of level 1 point to no "
        "table, got 1",
    ),
    (
        walking(structure_caches=[runq.StructureCache(level=2, entries=12, ways=4)]),
        "page_walk.structure_caches[0].entries: must be ways (4) times a power of two, got 12",
    ),
    (machine(caches=[L1D, L1D]), 'caches[1].name: must be unique among caches and tlbs (caches[0] has it), got "L1D"'),
    (
        machine(caches=[change(L1D, shared=True), L2]),
        "caches[1].shared: must be true after a shared cache (caches[0]), got false",
    ),
    (
        machine(caches=[change(L1D, inclusion="exclusive")]),
        "caches[0].inclusion: must not be exclusive at the first level of the data path, which has no level inside, "
        "got exclusive",
    ),
    (
        machine(caches=[L1D, change(L2, inclusion="exclusive", prefetcher="stride")]),
        "caches[1].prefetcher: must be none at an exclusive level, which is filled by victims alone, got stride",
    ),
    (
        machine(caches=[change(L1D, line_size=128, size="96KiB"), L2]),
        "caches[1].line_size: must not be less than that of the level inside it (caches[0]: 128B), got 64B",
    ),
    (
        machine(caches=[change(L1D, prefetch_degree=17)]),
        "caches[0].prefetch_degree: must be between 1 and 16, got 17",
    ),
    (
        machine(tlbs=[change(STLB, entries=96, ways=96, replacement="tree-plru")]),
        "tlbs[0].replacement: must be lru, fifo, random, lip or mru above 32 ways, got tree-plru",
    ),
    (machine(tlbs=[change(STLB, entries=1500)]), "tlbs[0].entries: must be ways (12) times a power of two, got 1500"),
    (machine(tlbs=[change(STLB, page_sizes=[])]), "tlbs[0].page_sizes: must name at least one page size, got []"),
    (
        machine(tlbs=[change(STLB, page_sizes=["4KiB", "16KiB"])]),
        'tlbs[0].page_sizes[1]: must be one of 4KiB, 2MiB, 1GiB, got "16KiB"',
    ),
    (machine(cpus=2.5), "cpus: must be an integer from 0 to 4294967295, got 2.5"),
    (machine(cpus=-1), "cpus: must be an integer from 0 to 4294967295, got -1"),
    (machine(placement="anywhere"), 'placement: must be one of identity, contiguous, random, got "anywhere"'),
    (
        machine(caches=[change(L1D, size="lots")]),
        'caches[0].size: must be a size such as "32KiB" or a number of bytes, got "lots"',
    ),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN, ids=[message.split(":")[0] for _, message in BROKEN])
def test_broken_rule_names_path_rule_and_value(broken: runq.Machine, message: str) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        broken.check()
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)
    assert caught.value.path == message.split(":")[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"tlbs": [runq.Tlb("T", entries=96, ways=96)]},
        {"tlbs": [runq.Tlb("T", entries=1536, ways=12)]},
        {"tlbs": []},
        {"caches": []},
        {"caches": [runq.Cache("C", size="1.875MiB", ways=15)]},
        {"caches": [runq.Cache("C", size=64, ways=1)]},
        {"caches": [runq.Cache("C", size="256MiB", ways=1 << 22)]},
        {"caches": [change(L1D, line_size=32), change(L2, line_size=128, size="2.5MiB")]},
    ],
)
def test_unusual_geometry_is_taken(fields: dict[str, Any]) -> None:
    machine(**fields).check()


def test_repr_is_the_code_that_rebuilds_it() -> None:
    full = machine(cpus=4, placement="random", memory_size=1 << 30, page_walk=WALK)
    assert eval(repr(full)) == full
    assert repr(L1D) == "runq.Cache('L1D', size='48KiB', ways=12)"
    region = runq.Region("heap", start=0, end="1GiB", page_size="2MiB")
    assert eval(repr(region)) == region


def test_values_are_frozen_and_compare_and_hash_and_copy() -> None:
    one = machine()
    with pytest.raises(AttributeError):
        one.cpus = 2  # type: ignore[misc]
    assert one == machine() != machine(cpus=2)
    assert hash(one) == hash(machine())
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one


def test_name_alone_is_positional() -> None:
    with pytest.raises(TypeError):
        runq.Cache("L1D", "32KiB", 8)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        runq.Machine("name")  # type: ignore[call-arg]


def test_check_writes_sizes_as_usual_and_changes_nothing_else() -> None:
    loose = machine(caches=[runq.Cache("L1D", size=49152, ways=12, line_size=64)])
    assert loose.check() == machine(caches=[L1D])
    assert machine(caches=[L1D]).check() == machine(caches=[L1D])


def test_resolve_writes_out_kinds_and_latencies() -> None:
    resolved = machine(placement="random", page_walk=WALK).resolve()
    assert resolved.page_walk.first_cache == "L1D"
    assert [cache.ways for cache in resolved.page_walk.structure_caches] == [4, 4]
    assert [(cache.kind, cache.latency_cycles) for cache in resolved.caches] == [("data", 4), ("unified", 14)]
    assert [(tlb.kind, tlb.hit_cycles) for tlb in resolved.tlbs] == [("unified", 0)]


def test_file_that_was_written_reads_as_the_same_machine(tmp_path: Path) -> None:
    full = machine(name='two "quoted" \\ names', cpus=2, present_write_backs=False).check()
    path = tmp_path / "machine.toml"
    for each in (full, change(full, placement="random", page_walk=WALK), change(full, placement="random").check()):
        path.write_text(each.to_toml())
        assert runq.Machine.from_toml(path) == each


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64).filter(str.strip))
def test_any_name_survives_a_file(name: str) -> None:
    full = machine(name=name, caches=[change(L1D, name=name)])
    assert runq.Machine.from_dict(tomllib.loads(full.to_toml())) == full


def test_file_may_say_its_sources(tmp_path: Path) -> None:
    path = tmp_path / "machine.toml"
    path.write_text('[[caches]]\nname = "C"\nsize = 64\nways = 1\n[sources]\n"caches.C.size" = "a guess"\n')
    assert runq.Machine.from_toml(path).caches[0].size == "64B"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cpus = ", "must be TOML (Invalid value (at end of document)), got"),
        ("[[caches]]\nwayz = 3\n", "caches[0].wayz: unknown field, expected one of name, size, ways, line_size"),
        ("[[caches]]\nname = 'C'\nsize = 64\n", "caches[0].ways: must be given, got nothing"),
        ("caches = 3\n", "caches: must be a list, got 3"),
        ("cpus = 1979-05-27\n", 'cpus: must be an integer from 0 to 4294967295, got "1979-05-27"'),
        ("cpus = 99999999999999999999999\n", "cpus: must be an integer from 0 to 4294967295, got 1e+23"),
        ("cpus = inf\n", "cpus: must be an integer from 0 to 4294967295, got null"),
    ],
)
def test_broken_file_is_told_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "machine.toml"
    path.write_text(content)
    with pytest.raises(runq.ConfigError) as caught:
        runq.Machine.from_toml(path)
    assert message in str(caught.value)


def test_binary_file_is_not_a_machine(tmp_path: Path) -> None:
    path = tmp_path / "machine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(runq.ConfigError, match="must be TOML"):
        runq.Machine.from_toml(path)


def test_set_changes_values_by_path() -> None:
    golden = runq.machines.load("golden")
    changed = golden.with_set(
        "caches.L1D.ways=16",
        "caches[1].size=2MiB",
        "tlbs.L1 dTLB.entries=128",
        "present_write_backs=false",
        "caches.L3.latency_cycles=40",
        'tlbs.STLB.page_sizes=["4KiB", "2MiB"]',
    )
    assert changed.caches[0].ways == 16
    assert changed.caches[1].size == "2MiB"
    assert changed.caches[2].latency_cycles == 40
    assert changed.tlbs[0].entries == 128
    assert changed.tlbs[1].page_sizes == ("4KiB", "2MiB")
    assert changed.present_write_backs is False
    assert golden.with_set("tlbs=[]").tlbs == ()
    walking = golden.with_set("placement=random", "page_walk.levels=5", "page_walk.structure_caches=[]")
    assert walking.page_walk == runq.PageWalk(levels=5)
    nested = walking.with_set(
        'page_walk.structure_caches=[{"level": 2, "entries": 8}]', "page_walk.host_page_size=4KiB"
    )
    walk = nested.with_set("page_walk.structure_caches[0].entries=16").page_walk
    assert walk == runq.PageWalk(
        levels=5, structure_caches=[runq.StructureCache(level=2, entries=16)], host_page_size="4KiB"
    )
    assert nested.with_set("page_walk=null").page_walk is None
    assert golden.with_set() == golden


def test_set_holds_the_rules_after_all_changes() -> None:
    golden = runq.machines.load("golden")
    assert golden.with_set("caches.L1D.ways=12", "caches.L1D.size=48KiB").caches[0].ways == 12
    with pytest.raises(runq.ConfigError, match=r"^caches\[0\]\.size: must be ways \* line_size times a power of two"):
        golden.with_set("caches.L1D.ways=12")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("caches.L9.ways=1", 'caches: the path must name one of L1D ([0]), L2 ([1]), L3 ([2]), got "L9.ways"'),
        ("caches[3].ways=1", 'caches: the path must name one of L1D ([0]), L2 ([1]), L3 ([2]), got "[3].ways"'),
        ("caches.L1D.wayz=1", "caches[0].wayz: unknown field, expected one of name, size, ways"),
        ("page_walk.depth=4", "page_walk.depth: unknown field, expected one of levels, start_cycles"),
        ("page_walk=4", "page_walk: must be a table, got 4"),
        ("cash=1", "cash: unknown field, expected one of name, cpus"),
        ("cpus", 'set: must be path=value, got "cpus"'),
        ("mlp.x=1", 'mlp: the path must end here, where 1 stands, got "x"'),
        ("placement=5", "placement: must be a text, got 5"),
    ],
)
def test_set_that_leads_nowhere_says_where_it_stopped(assignment: str, message: str) -> None:
    with pytest.raises(runq.ConfigError) as caught:
        runq.machines.load("golden").with_set(assignment)
    assert str(caught.value).startswith(message)


def test_golden_is_the_machine_of_the_golden_counts() -> None:
    golden = runq.machines.load("golden")
    by_hand = runq.Machine(
        name="golden",
        caches=[
            runq.Cache("L1D", size="32KiB", ways=8),
            runq.Cache("L2", size="1MiB", ways=16),
            runq.Cache("L3", size="8MiB", ways=16),
        ],
        tlbs=[runq.Tlb("L1 dTLB", entries=64, ways=4), runq.Tlb("STLB", entries=1024, ways=8)],
    )
    assert golden == by_hand
    assert (golden.placement, golden.present_write_backs, golden.mlp) == ("identity", True, 1)


def test_presets_are_those_of_the_documentation() -> None:
    assert runq.machines.names() == [
        "apple-m1",
        "golden",
        "granite-rapids-vm",
        "ice-lake-sp",
        "neoverse-n1",
        "neoverse-v2",
        "sapphire-rapids",
        "skylake-sp",
        "zen-2",
        "zen-3",
        "zen-4",
    ]


@pytest.mark.parametrize("name", runq.machines.names())
def test_every_number_of_a_preset_has_its_mark_and_source(name: str) -> None:
    tree = tomllib.loads(runq.machines.source_text(name))
    sources = tree.pop("sources")
    assert set(sources) == set(number_paths(tree))
    assert all(text.startswith(("S: ", "M: ", "K: ")) and len(text) > 10 for text in sources.values())


# Keys whose values are sizes, written as texts.
_SIZES = ("size", "line_size", "memory_size", "cpu", "thread", "space", "syscall")


def number_paths(tree: dict[str, Any]) -> list[str]:
    """The paths of all numbers and sizes."""
    paths = []
    for key, value in tree.items():
        if isinstance(value, list):
            paths += [
                f"{key}.{item['name']}.{path}" if "name" in item else f"{key}[{index}].{path}"
                for index, item in enumerate(value)
                if isinstance(item, dict)
                for path in number_paths(item)
            ]
        elif isinstance(value, dict):
            paths += [f"{key}.{path}" for path in number_paths(value)]
        elif not isinstance(value, bool) and (isinstance(value, (int, float)) or key in _SIZES):
            paths.append(key)
    return paths


@pytest.mark.parametrize("name", runq.machines.names())
def test_preset_replays_on_one_cpu_and_on_several(name: str) -> None:
    trace = {
        "address": [4096 * i for i in range(100)],
        "kind": [i % 3 for i in range(100)],
        "thread": [i % 2 for i in range(100)],
    }
    for cpus in (1, 2):
        result = runq.replay(trace, runq.machines.load(name, cpus=cpus))
        assert result.accesses + result.ignored_fetches == 100
        assert result.page_walks > 0


def test_preset_takes_overrides() -> None:
    assert runq.machines.load("zen-4", cpus=8, mlp=4).cpus == 8
    assert runq.machines.load("golden", caches=[L1D], tlbs=[]).caches == (L1D,)
    with pytest.raises(runq.ConfigError, match=r"^cpu: unknown field"):
        runq.machines.load("zen-4", cpu=8)


def test_unknown_preset_is_told_with_the_known_ones() -> None:
    with pytest.raises(runq.ConfigError, match=r"^machine: must be a TOML file or one of apple-m1, .*, got pentium$"):
        runq.machines.load("pentium")


def test_measured_guest_has_the_measured_parameters() -> None:
    guest = runq.machines.load("granite-rapids-vm")
    sizes = {cache.name: (cache.size, cache.ways, cache.latency_cycles) for cache in guest.caches}
    assert sizes["L1D"] == ("48KiB", 12, 5)
    assert sizes["L2"] == ("2MiB", 16, 16)
    assert sizes["L3"] == ("12MiB", 12, 129)
    assert (guest.frequency_mhz, guest.memory_latency_cycles, guest.placement) == (3590, 574, "random")


def test_schema_takes_the_presets_and_names_every_field() -> None:
    schema = msgspec.json.schema(runq.Machine)
    assert set(schema["$defs"]["Machine"]["properties"]) == set(json.loads(machine().to_json()))
