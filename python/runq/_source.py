"""Turns what a user calls a trace into what `_core` takes, without copying anything that is large."""

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runq.errors import TraceError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Source", "trace_source"]


class Source(NamedTuple):
    """A path, a dict of buffers, or an object with `__arrow_c_stream__` or `read`; and what messages call it."""

    object: Any
    name: str


def trace_source(trace: object) -> Source:
    """Finds out what kind of trace this is."""
    if isinstance(trace, (str, os.PathLike)):
        path = os.fspath(trace)
        path = os.fsdecode(path)
        return Source(path, path)
    if isinstance(trace, (bytes, bytearray)):
        return Source(io.BytesIO(trace), "bytes")
    if isinstance(trace, Mapping):
        return Source({name: _column(values) for name, values in trace.items()}, "arrays")
    if isinstance(trace, (list, tuple)):
        return Source({"address": _column(trace)}, "list")
    if hasattr(trace, "__array_interface__") or isinstance(trace, memoryview):
        return Source(_columns_of_array(trace), "array")
    if hasattr(trace, "__arrow_c_stream__"):
        return Source(trace, "table")
    name = getattr(trace, "name", None)
    return Source(trace, name if isinstance(name, str) else "stream")


def _columns_of_array(trace: Any) -> dict[str, "np.ndarray[Any, Any]"]:
    import numpy as np

    array = np.asarray(trace)
    if array.ndim != 1:
        raise TraceError(f"array: expected one dimension, got the shape {array.shape}")
    if array.dtype.names is not None:
        return {name: _column(array[name]) for name in array.dtype.names}
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        return {"words": array}
    return {"address": _column(array)}


def _column(values: Any) -> "np.ndarray[Any, Any]":
    import numpy as np

    array = np.asarray(values)
    # Texts that NumPy holds as Python objects, as pandas does, have no memory that could be read.
    return array.astype(str) if array.dtype.kind in "OT" else array
