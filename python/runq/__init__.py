"""runq simulates execution models: what processes, threads and runtimes cost on a given machine.

>>> import runq
>>> machine = runq.Machine(caches=[runq.Cache("L1D", size="32KiB", ways=8)])
>>> runq.replay([0, 64, 0, 128], machine)["L1D"].misses
3
"""

from runq import machines, trace
from runq._core import __version__
from runq.errors import (
    ConfigError,
    KernelError,
    OutOfMemory,
    ReplayError,
    RunqError,
    SegmentationFault,
    SimulationError,
    TraceError,
    TraceFileError,
    TraceNotFoundError,
    TracePipeError,
)
from runq.kernel import Kernel
from runq.machine import Cache, Machine, PageWalk, Region, StructureCache, Tlb
from runq.replay import replay
from runq.result import ReplayResult

__all__ = [
    "Cache",
    "ConfigError",
    "Kernel",
    "KernelError",
    "Machine",
    "OutOfMemory",
    "PageWalk",
    "Region",
    "ReplayError",
    "ReplayResult",
    "RunqError",
    "SegmentationFault",
    "SimulationError",
    "StructureCache",
    "Tlb",
    "TraceError",
    "TraceFileError",
    "TraceNotFoundError",
    "TracePipeError",
    "__version__",
    "machines",
    "replay",
    "trace",
]
