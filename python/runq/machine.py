"""The machine: caches, TLBs, latencies and where pages lie.

These are values. All rules live in Rust and are held by `Machine.check`, by the CLI and by every replay.
`docs/memory-model.md` says what each field does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from runq import _core
from runq.errors import ConfigError
from runq.kernel_config import AtomicsConfig, KernelConfig

__all__ = ["Cache", "Machine", "PageSize", "PageWalk", "Policy", "Region", "StreamKind", "StructureCache", "Tlb"]

StreamKind = Literal["data", "instruction", "unified"]
PageSize = Literal["4KiB", "2MiB", "1GiB"]
Policy = Literal["lru", "mru", "lip", "fifo", "random", "tree-plru", "bit-plru", "qlru", "srrip", "brrip", "drrip"]

_STRUCTURE_CACHES = ("structure_caches", "host_structure_caches")

# What a TOML file may have beside the machine: where its numbers come from.
_NOT_CONFIGURATION = ("sources",)

# Longer files are no TOML that anybody wrote.
_TOML_BYTES_MAX = 64 << 20


class _Named(msgspec.Struct, frozen=True):
    """A value whose `repr` is the code that rebuilds it, without what is left at its default."""

    name: str

    def __repr__(self) -> str:
        fields = [
            f"{field.name}={value!r}"
            for field in msgspec.structs.fields(self)[1:]
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"runq.{type(self).__name__}({', '.join([repr(self.name), *fields])})"


class Cache(_Named, frozen=True, kw_only=True):
    """A cache level. Which references it takes follows from the last letter of its name unless `kind` says it.

    >>> import runq
    >>> runq.Cache("L1D", size="48KiB", ways=12)
    runq.Cache('L1D', size='48KiB', ways=12)
    """

    size: str | int
    ways: int
    line_size: str | int = "64B"
    kind: StreamKind | None = None
    replacement: Policy = "lru"
    shared: bool = False
    inclusion: Literal["non-inclusive", "inclusive", "exclusive"] = "non-inclusive"
    write_policy: Literal["write-back", "write-through"] = "write-back"
    write_allocate: bool = True
    latency_cycles: int | None = None
    line_fill_ns: float = 0
    line_write_back_ns: float = 0
    prefetcher: Literal["none", "next-line", "stride", "stream"] = "none"
    prefetch_degree: int = 1


class Tlb(_Named, frozen=True, kw_only=True):
    """A translation lookaside buffer; fully associative when `ways == entries`.

    >>> import runq
    >>> runq.Tlb("STLB", entries=1536, ways=12, page_sizes=["4KiB", "2MiB"])
    runq.Tlb('STLB', entries=1536, ways=12, page_sizes=('4KiB', '2MiB'))
    """

    entries: int
    ways: int
    kind: StreamKind | None = None
    page_sizes: Sequence[PageSize] = ("4KiB",)
    replacement: Policy = "lru"
    shared: bool = False
    asid_tagged: bool = True
    hit_cycles: int | None = None

    def __post_init__(self) -> None:
        """Freezes the list."""
        msgspec.structs.force_setattr(self, "page_sizes", tuple(self.page_sizes))


class StructureCache(msgspec.Struct, frozen=True, kw_only=True):
    """A paging-structure cache: entries of one level of page tables, fully associative unless `ways` says otherwise.

    Level 2 holds page-directory entries, 3 page-directory pointers, 4 and 5 those of the PML4 and PML5.

    >>> import runq
    >>> runq.StructureCache(level=2, entries=32)
    runq.StructureCache(level=2, entries=32)
    """

    level: int
    entries: int
    ways: int | None = None

    def __repr__(self) -> str:
        return _code(self)


class PageWalk(msgspec.Struct, frozen=True, kw_only=True):
    """Page walks that read page tables through the caches; nested ones if the host's page size is given.

    >>> import runq
    >>> walk = runq.PageWalk(structure_caches=[runq.StructureCache(level=2, entries=32)], host_page_size="4KiB")
    >>> walk
    runq.PageWalk(structure_caches=(runq.StructureCache(level=2, entries=32),), host_page_size='4KiB')
    """

    levels: int = 4
    start_cycles: int = 10
    first_cache: str | None = None
    asid_tagged: bool = True
    structure_caches: Sequence[StructureCache] = ()
    host_page_size: PageSize | None = None
    host_levels: int = 4
    nested_tlb_entries: int = 0
    host_structure_caches: Sequence[StructureCache] = ()

    def __post_init__(self) -> None:
        """Freezes the lists."""
        for name in ("structure_caches", "host_structure_caches"):
            msgspec.structs.force_setattr(self, name, tuple(getattr(self, name)))

    def __repr__(self) -> str:
        return _code(self)


class Region(_Named, frozen=True, kw_only=True):
    """A range of addresses, `start <= address < end`, with counters and perhaps pages of its own.

    >>> import runq
    >>> runq.Region("heap", start=0x10000000, end=0x20000000, page_size="2MiB")
    runq.Region('heap', start=268435456, end=536870912, page_size='2MiB')
    """

    start: str | int
    end: str | int
    page_size: PageSize | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine: caches and TLBs from the cpu outwards, and what is behind them.

    >>> import runq
    >>> machine = runq.Machine(
    ...     caches=[runq.Cache("L1D", size="32KiB", ways=8), runq.Cache("L2", size="1MiB", ways=16)],
    ...     tlbs=[runq.Tlb("L1 dTLB", entries=64, ways=4)],
    ... )
    >>> machine.with_set("caches.L2.ways=8", "placement=random").caches[1].ways
    8
    >>> runq.Machine(caches=[runq.Cache("L1D", size="32KiB", ways=12)]).check()
    Traceback (most recent call last):
    runq.errors.ConfigError: caches[0].size: must be ways * line_size times a power of two \
(12 * 64B = 768B, which does not divide it), got 32KiB
    """

    name: str = "machine"
    cpus: int = 1
    frequency_mhz: int = 1000
    memory_latency_cycles: int = 200
    transfer_cycles: int = 100
    page_walk_cycles: int = 30
    page_walk: PageWalk | None = None
    mlp: int = 1
    stream_mlp: int = 0
    placement: Literal["identity", "contiguous", "random"] = "identity"
    page_size: PageSize = "4KiB"
    memory_size: str | int = "64GiB"
    present_write_backs: bool = True
    coherence: Literal["mesi", "none"] = "mesi"
    caches: Sequence[Cache] = ()
    tlbs: Sequence[Tlb] = ()
    atomics: AtomicsConfig = AtomicsConfig()
    kernel: KernelConfig = KernelConfig()

    def __post_init__(self) -> None:
        """Freezes the lists."""
        msgspec.structs.force_setattr(self, "caches", tuple(self.caches))
        msgspec.structs.force_setattr(self, "tlbs", tuple(self.tlbs))

    def __repr__(self) -> str:
        return _code(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads and checks a machine written as JSON."""
        return msgspec.json.decode(_core.machine_check(text), type=cls)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Reads and checks a machine written as nested dicts and lists, as TOML and JSON files hold it."""
        return cls.from_json(_to_json({key: value for key, value in tree.items() if key not in _NOT_CONFIGURATION}))

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Self:
        """Reads and checks a machine file. A table `[sources]` in it is for people and left out."""
        return cls.from_dict(read_toml(path))

    def to_json(self) -> str:
        """The machine as JSON; fields at their defaults included."""
        return _to_json(self)

    def to_toml(self) -> str:
        """The machine as a file that `from_toml` reads; fields at their defaults are left out."""
        return "\n".join(_toml_lines(self)) + "\n"

    def check(self) -> Self:
        """Holds every rule and returns the machine with sizes as they are usually written.

        Raises `ConfigError` with the path, the rule and the value.
        """
        return self.from_json(self.to_json())

    def resolve(self) -> Self:
        """The same machine with the kinds and latencies written out that it leaves open."""
        return msgspec.json.decode(_core.machine_resolve(self.to_json()), type=type(self))

    def with_set(self, *assignments: str) -> Self:
        """A machine with values changed by path, such as `caches.L1D.ways=16`, `tlbs[0].entries=96` or `tlbs=[]`."""
        return msgspec.json.decode(_core.machine_set(self.to_json(), list(assignments)), type=type(self))


def _code(value: msgspec.Struct) -> str:
    """The code that rebuilds a value, without what is left at its default."""
    fields = (
        f"{field.name}={content!r}"
        for field in msgspec.structs.fields(value)
        if (content := getattr(value, field.name)) != field.default
    )
    return f"runq.{type(value).__name__}({', '.join(fields)})"


def _to_json(tree: object) -> str:
    try:
        return msgspec.json.encode(tree).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError("machine", "must be made of tables, lists, texts and numbers", str(error)) from None


def read_toml(path: str | PathLike[str]) -> dict[str, Any]:
    """Reads a TOML file, a pipe among them; one without an end, such as /dev/zero, is too long."""
    with Path(path).open("rb") as file:
        content = file.read(_TOML_BYTES_MAX + 1)
    if len(content) > _TOML_BYTES_MAX:
        raise ConfigError(str(path), f"must be at most {_TOML_BYTES_MAX >> 20} MiB", "more")
    return load_toml(content, str(path))


def load_toml(content: bytes, name: str) -> dict[str, Any]:
    """Reads TOML; errors say where it is wrong."""
    import tomllib

    try:
        return tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(name, f"must be TOML ({error})", repr(content[:40])) from None


def _toml_lines(machine: Machine) -> Iterable[str]:
    yield f"name = {_toml(machine.name)}"
    yield from _toml_fields(machine, skip=("name", "page_walk", "caches", "tlbs", "atomics", "kernel"))
    if machine.page_walk is not None:
        yield from ["", "[page_walk]"]
        yield from _toml_fields(machine.page_walk, skip=_STRUCTURE_CACHES)
        for title in _STRUCTURE_CACHES:
            for cache in getattr(machine.page_walk, title):
                yield from ["", f"[[page_walk.{title}]]", *_toml_fields(cache, skip=())]
    for title, levels in (("caches", machine.caches), ("tlbs", machine.tlbs)):
        for level in levels:
            yield ""
            yield f"[[{title}]]"
            yield f"name = {_toml(level.name)}"
            yield from _toml_fields(level, skip=("name",))
    yield from _toml_table("atomics", machine.atomics)
    yield from _toml_table("kernel", machine.kernel)


def _toml_table(title: str, table: msgspec.Struct) -> Iterable[str]:
    """A table and those in it; what is empty is left out."""
    below = [field.name for field in msgspec.structs.fields(table) if isinstance(field.default, msgspec.Struct)]
    lines = list(_toml_fields(table, skip=tuple(below)))
    if lines:
        yield from ("", f"[{title}]", *lines)
    for name in below:
        yield from _toml_table(f"{title}.{name}", getattr(table, name))


def _toml_fields(value: msgspec.Struct, skip: tuple[str, ...]) -> Iterable[str]:
    for field in msgspec.structs.fields(value):
        content = getattr(value, field.name)
        if field.name not in skip and content != field.default:
            yield f"{field.name} = {_toml(content)}"


def _toml(value: object) -> str:
    # Texts, numbers, booleans and lists of texts are the same in TOML and in JSON, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
