"""runq simulates execution models: what processes, threads and runtimes cost on a given machine.

>>> import runq
>>> machine = runq.Machine(caches=[runq.Cache("L1D", size="32KiB", ways=8)])
>>> runq.replay([0, 64, 0, 128], machine)["L1D"].misses
3
"""

from typing import TYPE_CHECKING, Any

from runq import machines, models, sched, trace
from runq._core import __version__, model_version
from runq.errors import (
    ConfigError,
    KernelError,
    OutOfMemory,
    ReplayError,
    RunqError,
    SegmentationFault,
    SimulationError,
    StoreError,
    SweepError,
    TraceError,
    TraceFileError,
    TraceNotFoundError,
    TracePipeError,
)
from runq.kernel import Kernel
from runq.machine import Cache, Machine, PageWalk, Region, StructureCache, Tlb
from runq.models import EventLoop, EventLoopPerCpu, ProcessPerTask, ThreadPerTask, ThreadPool, WorkStealing
from runq.replay import replay
from runq.result import ReplayResult
from runq.scenario import ChannelSpec, KernelChoices, LockSpec, ProcessSpec, Scenario
from runq.service_result import ServiceResult
from runq.service_scenario import ServiceScenario
from runq.simulate import page_replacement, simulate
from runq.simulate_result import SimulateResult

if TYPE_CHECKING:
    from runq import benchmarks, scenarios, services, sweeps, validation
    from runq._compare import Comparison, compare
    from runq._one_pass import Associativity, MissRatioCurve, all_associativity, miss_ratio_curve
    from runq._schedule import ScheduleResult, schedule, schedule_zoo
    from runq.scalability import Usl, usl, usl_of
    from runq.sweeps import Sweep, SweepTable
    from runq.validation import ValidationResult, validate

__all__ = [
    "Associativity",
    "Cache",
    "ChannelSpec",
    "Comparison",
    "ConfigError",
    "EventLoop",
    "EventLoopPerCpu",
    "Kernel",
    "KernelChoices",
    "KernelError",
    "LockSpec",
    "Machine",
    "MissRatioCurve",
    "OutOfMemory",
    "PageWalk",
    "ProcessPerTask",
    "ProcessSpec",
    "Region",
    "ReplayError",
    "ReplayResult",
    "RunqError",
    "Scenario",
    "ScheduleResult",
    "SegmentationFault",
    "ServiceResult",
    "ServiceScenario",
    "SimulateResult",
    "SimulationError",
    "StoreError",
    "StructureCache",
    "Sweep",
    "SweepError",
    "SweepTable",
    "ThreadPerTask",
    "ThreadPool",
    "Tlb",
    "TraceError",
    "TraceFileError",
    "TraceNotFoundError",
    "TracePipeError",
    "Usl",
    "ValidationResult",
    "WorkStealing",
    "__version__",
    "all_associativity",
    "benchmarks",
    "compare",
    "machines",
    "miss_ratio_curve",
    "model_version",
    "models",
    "page_replacement",
    "replay",
    "scenarios",
    "sched",
    "schedule",
    "schedule_zoo",
    "services",
    "simulate",
    "sweeps",
    "trace",
    "usl",
    "usl_of",
    "validate",
    "validation",
]

# What takes time to import and is not always needed.
_LAZY = {
    "Associativity": "runq._one_pass",
    "Comparison": "runq._compare",
    "MissRatioCurve": "runq._one_pass",
    "ScheduleResult": "runq._schedule",
    "Sweep": "runq.sweeps",
    "SweepTable": "runq.sweeps",
    "Usl": "runq.scalability",
    "ValidationResult": "runq.validation",
    "all_associativity": "runq._one_pass",
    "compare": "runq._compare",
    "benchmarks": "runq.benchmarks",
    "miss_ratio_curve": "runq._one_pass",
    "scenarios": "runq.scenarios",
    "schedule": "runq._schedule",
    "schedule_zoo": "runq._schedule",
    "services": "runq.services",
    "sweeps": "runq.sweeps",
    "usl": "runq.scalability",
    "usl_of": "runq.scalability",
    "validate": "runq.validation",
    "validation": "runq.validation",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'runq' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_LAZY[name])
    return module if module.__name__ == f"runq.{name}" else getattr(module, name)
