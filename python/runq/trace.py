"""What is in a trace, and writing it in another format."""

import json
import os
from os import PathLike
from typing import Any, Literal

import msgspec

from runq import _core
from runq._source import trace_source
from runq.replay import Progress

__all__ = ["ConvertReport", "Summary", "convert", "info"]

Format = Literal["lackey", "din", "champsim", "raw", "csv"]
Compression = Literal["none", "gzip", "xz", "zstd"]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a trace.

    Attributes:
        format: the format that was found; None for arrays.
        compression: the compression that was found; None for arrays.
        columns: which of size, kind, thread and ip it has.
        accesses: accesses of every kind.
        reads: loads.
        writes: stores.
        fetches: instruction fetches.
        threads: distinct thread ids.
        threads_is_lower_bound: whether there may be more.
        lines: distinct 64-byte lines that were touched.
        pages: distinct 4 KiB pages that were touched.
        pages_is_lower_bound: whether there may be more lines and pages.
        lowest_address: the first byte that was touched.
        highest_address: the last byte that was touched.
        bytes: sum of all sizes.
        line_crossings: accesses of which not all bytes lie in one 64-byte line.
        sizes: how many accesses have each size.
    """

    format: str | None
    compression: str | None
    columns: tuple[str, ...]
    accesses: int
    reads: int
    writes: int
    fetches: int
    threads: int
    threads_is_lower_bound: bool
    lines: int
    pages: int
    pages_is_lower_bound: bool
    lowest_address: int | None
    highest_address: int | None
    bytes: int
    line_crossings: int
    sizes: dict[int, int]

    def to_dict(self) -> dict[str, Any]:
        """Everything as dicts, lists and numbers: what `--json` prints."""
        tree: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return tree

    def __str__(self) -> str:
        from runq._table import summary_table

        return summary_table(self)


class ConvertReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and what of the trace the format cannot hold.

    Attributes:
        accesses: accesses in the written trace.
        dropped_fetches: instruction fetches that were left out.
        dropped_threads: whether there were thread ids that were left out.
        dropped_ips: whether there were instruction addresses that were left out.
        split: accesses that crossed a 64-byte line and became one access a line.
    """

    accesses: int
    dropped_fetches: int
    dropped_threads: bool
    dropped_ips: bool
    split: int


def info(trace: object, *, format: Format | None = None, progress: Progress | None = None) -> Summary:
    """Counts what is in a trace, which may be anything that `runq.replay` takes.

    >>> import runq
    >>> runq.trace.info({"address": [0, 60, 4096], "size": [8, 8, 4]}).lines
    3
    """
    source = trace_source(trace)
    text = _core.trace_info(source.object, format=format, name=source.name, progress=progress)
    return msgspec.convert(json.loads(text), Summary, strict=False)


def convert(
    trace: object,
    target: str | PathLike[str],
    *,
    format: Format | None = None,
    to: Format | None = None,
    compression: Compression | None = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Writes a trace, which may be anything that `runq.replay` takes, to a file (`-`: standard output).

    The format and the compression are what `to` and `compression` say, or the name of the file: `.lackey`, `.din`,
    `.champsim`, `.u64` or `.csv`, and then `.gz`, `.xz` or `.zst`. A file that exists is replaced once the new one is
    complete.

    >>> import runq, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     runq.trace.convert({"address": [60], "size": [8]}, pathlib.Path(folder, "t.u64.xz")).split
    1
    """
    source = trace_source(trace)
    text = _core.trace_convert(
        source.object,
        os.fsdecode(target),
        format=format,
        to=to,
        compression=compression,
        name=source.name,
        progress=progress,
    )
    return msgspec.convert(json.loads(text), ConvertReport)
