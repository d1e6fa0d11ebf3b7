"""The traces of the benchmarks: one hard on every cache and made on the spot, one real and friendly."""

import lzma
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SORT = ROOT.parent / "shared" / "golden" / "memory" / "sort.u64.xz"
sys.path.insert(0, str(ROOT / "tests"))

import mix20m as mix  # noqa: E402

Words = NDArray[np.uint64]


def mix20m(accesses: int | None = None) -> Words:
    """The first accesses of mix20m, or all; the whole trace is kept among temporary files."""
    if accesses is not None and accesses < mix.ACCESSES:
        return mix.words(accesses)
    kept = Path(tempfile.gettempdir(), f"runq-mix20m-{mix.MD5}.u64")
    if kept.exists() and mix.md5(words := np.fromfile(kept, dtype="<u8")) == mix.MD5:
        return words
    words = mix.words()
    if mix.md5(words) != mix.MD5:
        raise SystemExit("mix20m came out differently from the trace that the goals are for")
    partial = kept.with_suffix(f".{os.getpid()}")
    words.tofile(partial)
    partial.replace(kept)
    return words


def sort(accesses: int | None = None) -> Words | None:
    """The first accesses of sort, or all; None where the trace is not there."""
    if not SORT.exists():
        print(f"sort: skipped, the trace is not there ({os.path.relpath(SORT, ROOT)})")
        return None
    with lzma.open(SORT) as file:
        content = file.read() if accesses is None else file.read(accesses * 8)
    return np.frombuffer(content, dtype="<u8")


def lackey_text() -> bytes:
    """Real text of Valgrind, without the lines that are not accesses."""
    content = lzma.decompress((ROOT / "tests" / "golden" / "ls.lackey.xz").read_bytes())
    return b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(b"=="))
